/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Loads the kernel module named: insmod, for guests that have none.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0)) {
		perror(argc == 2 ? argv[1] : "usage: load MODULE");
		return 1;
	}
	return 0;
}
