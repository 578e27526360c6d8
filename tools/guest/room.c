/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See room.h.
 */
#define _GNU_SOURCE
#include "room.h"
#include "tools/init/wire.h"
#include "tools/util.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u

/* The first page (Linux, include/linux/swap.h). */
struct swap_page {
	uint8_t boot[1024];
	uint32_t version, last_page, bad_pages;
	uint8_t names[32];
	uint8_t unused[PAGE - 1024 - 3 * sizeof(uint32_t) - 32 - 10];
	char magic[10];
};

static bool make_swap(int fd)
{
	struct swap_page page = { .version = 1,
				  .last_page = (uint32_t)(WIRE_ROOM / PAGE - 1),
				  .magic = { 'S', 'W', 'A', 'P', 'S', 'P', 'A', 'C', 'E', '2' } };

	return !ftruncate(fd, (off_t)WIRE_ROOM) && write(fd, &page, PAGE) == PAGE;
}

bool room_is_used(int room)
{
	return lseek(room, PAGE, SEEK_DATA) >= 0;
}

int room_open(const char *folder)
{
	char *path = text("%s/room", folder);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		return -1;
	unlink(path);
	if (make_swap(fd))
		return fd;
	close(fd);
	return -1;
}
