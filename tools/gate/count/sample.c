/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Starts perf for vpmu gate in the guest, where it may sample as often as it is told: a guest whose
 * time is its instructions has a million samples a second with one each thousand, of which the
 * kernel would keep a tenth.
 *
 *     vpmu-sample UID GID GROUP,... COMMAND...
 */
#include "user.h"

#include <stdio.h>

static void write_setting(const char *name, const char *value)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	file = fopen(path, "we");
	if (file) {
		fputs(value, file);
		fclose(file);
	}
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	/* The rate cannot be set while the share of time is 0 or 100: there is no limit then. */
	write_setting("perf_cpu_time_max_percent", "99");
	write_setting("perf_event_max_sample_rate", "100000000");
	write_setting("perf_cpu_time_max_percent", "0");
	start_as_user(argv + 1);
}
