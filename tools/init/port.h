/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The guest's end of the virtio port (wire.h).
 */
#ifndef VPMU_TOOLS_PORT_H
#define VPMU_TOOLS_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Wait for the port's node, which appears once host and guest have agreed on it. */
void port_open(void);

/* To poll for what the host sends. */
int port_fd(void);

void port_send(uint8_t type, const void *data, size_t size);

/* A frame of many: it goes with the next that is sent, or when there are enough. */
void port_put(uint8_t type, const void *data, size_t size);
void port_flush(void);

/* All of size bytes; the port hands over what it has, which may end anywhere. */
void port_read(void *data, size_t size);

/* Nothing can go on: say why, by the port if there is one, else on the console. */
__attribute__((format(printf, 1, 2), noreturn)) void give_up(const char *format, ...);

/* The host ends the guest. */
__attribute__((noreturn)) void sleep_for_ever(void);

/* All of it, whatever the file takes at a time. */
bool write_all(int fd, const void *data, size_t size);

#endif
