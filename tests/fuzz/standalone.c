/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Runs a fuzzer's function over the files named as arguments, where there is no
 * libFuzzer: a corpus is a regression test under any compiler.
 */
#include "fuzz.h"
#include <errno.h>
#include <string.h>

/* No input is larger; libFuzzer's own default is 4096. */
#define INPUT_MAX (1u << 20)

static void complain(const char *path)
{
	fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
	exit(2);
}

/* In a block of its own and of its size, so that an access past its end is seen. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		complain("an input");
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void run_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file)
		complain(path);
	size = fread(data, 1, sizeof(data), file);
	if (ferror(file))
		complain(path);
	fclose(file);
	run(data, size);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run_file(argv[i]);
	printf("%d inputs\n", argc - 1);
	return 0;
}
