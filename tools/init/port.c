/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See port.h.
 */
#define _GNU_SOURCE
#include "port.h"
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

static int port = -1;

/* Frames that are to go. A write wakes the host up, and waits until it has taken all of it. */
static char held[32768];
static size_t have;

void sleep_for_ever(void)
{
	for (;;)
		pause();
}

bool write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

void port_flush(void)
{
	write_all(port, held, have);
	have = 0;
}

void port_put(uint8_t type, const void *data, size_t size)
{
	struct wire_header header = { .type = type, .size = (uint16_t)size };

	if (sizeof(held) - have < sizeof(header) + size)
		port_flush();
	memcpy(held + have, &header, sizeof(header));
	memcpy(held + have + sizeof(header), data, size);
	have += sizeof(header) + size;
}

void port_send(uint8_t type, const void *data, size_t size)
{
	port_put(type, data, size);
	port_flush();
}

void port_read(void *data, size_t size)
{
	char *at = data;

	while (size) {
		ssize_t n = read(port, at, size);

		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
}

int port_fd(void)
{
	return port;
}

void give_up(const char *format, ...)
{
	char text[512];
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (port >= 0)
		port_send(WIRE_ERROR, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text));
	else
		dprintf(STDERR_FILENO, "vpmu: %s\n", text);
	if (port < 0)
		reboot(RB_AUTOBOOT);
	sleep_for_ever();
}

/* A port's name begins with its device's number, which depends on the machine. */
static int find_port(void)
{
	DIR *dir = opendir("/dev");
	struct dirent *entry;
	int fd = -1;

	while (dir && fd < 0 && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vport", 5))
			fd = openat(dirfd(dir), entry->d_name, O_RDWR | O_CLOEXEC);
	if (dir)
		closedir(dir);
	return fd;
}

void port_open(void)
{
	for (int tries = 0; port < 0; tries++) {
		port = find_port();
		if (port < 0 && tries == 10000)
			give_up("no virtio port in the guest");
		if (port < 0)
			usleep(1000);
	}
}
