/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See place.h. ACPI specification, "ACPI Software Programming Model": RSDP, RSDT. What
 * is read is the guest's to change: nothing of it is relied on.
 */
#include "place.h"
#include "guest/registers.h"
#include <glib.h>
#include <string.h>

#define BIOS_START UINT64_C(0xe0000)
#define BIOS_SIZE  0x20000
#define RSDP_ALIGN 16
#define RSDP_SIZE  20
#define RSDP_RSDT  16
#define TABLES_MAX 256

struct header {
	char signature[4];
	uint32_t length;
	uint8_t rest[28];
};
_Static_assert(sizeof(struct header) == 36, "as ACPI has it");

/* Where the table was found. */
struct table {
	enum { UNKNOWN, ABSENT, FOUND } found;
	uint64_t start;
	size_t room; /* behind its header */
};

/*
 * Kept under a lock that nobody holds who looks into memory: an address that the guest says
 * may be a device's, and for that QEMU takes its own lock, which some callers have already.
 */
static struct table known;
static GMutex lock;

static struct table get_known(void)
{
	struct table table;

	g_mutex_lock(&lock);
	table = known;
	g_mutex_unlock(&lock);
	return table;
}

static void set_known(struct table table)
{
	g_mutex_lock(&lock);
	known = table;
	g_mutex_unlock(&lock);
}

/* A table with this signature. */
static bool read_header(uint64_t address, const char *signature, struct header *header)
{
	return physical_read(address, header, sizeof(*header)) &&
	       !memcmp(header->signature, signature, sizeof(header->signature)) &&
	       GUINT32_FROM_LE(header->length) >= sizeof(*header);
}

static bool take(uint64_t address, struct table *table)
{
	struct header header;

	if (!read_header(address, "VPMU", &header))
		return false;
	*table = (struct table){ .found = FOUND,
				 .start = address,
				 .room = GUINT32_FROM_LE(header.length) - sizeof(header) };
	return true;
}

static bool find_in_rsdt(uint64_t rsdt, struct table *table)
{
	uint32_t tables[TABLES_MAX];
	struct header header;
	size_t count;

	if (!read_header(rsdt, "RSDT", &header))
		return false;
	count = (GUINT32_FROM_LE(header.length) - sizeof(header)) / sizeof(tables[0]);
	count = MIN(count, TABLES_MAX);
	if (!physical_read(rsdt + sizeof(header), tables, count * sizeof(tables[0])))
		return false;
	for (size_t i = 0; i < count; i++)
		if (take(GUINT32_FROM_LE(tables[i]), table))
			return true;
	return false;
}

static bool is_rsdp(const uint8_t *bytes)
{
	uint8_t sum = 0;

	if (memcmp(bytes, "RSD PTR ", 8))
		return false;
	for (unsigned int i = 0; i < RSDP_SIZE; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

static struct table search(void)
{
	struct table table = { .found = ABSENT };
	uint8_t *bios = g_malloc(BIOS_SIZE);
	uint32_t rsdt;

	if (!physical_read(BIOS_START, bios, BIOS_SIZE))
		memset(bios, 0, BIOS_SIZE);
	for (size_t at = 0; at + RSDP_SIZE <= BIOS_SIZE; at += RSDP_ALIGN) {
		if (!is_rsdp(bios + at))
			continue;
		memcpy(&rsdt, bios + at + RSDP_RSDT, sizeof(rsdt));
		if (find_in_rsdt(GUINT32_FROM_LE(rsdt), &table))
			break;
	}
	g_free(bios);
	return table;
}

bool place_find(void)
{
	struct table table = get_known();

	if (table.found == UNKNOWN) {
		table = search();
		set_known(table);
	}
	return table.found == FOUND;
}

bool place_is_valid(void)
{
	const struct table table = get_known();
	struct header header;

	return table.found == FOUND && read_header(table.start, "VPMU", &header) &&
	       GUINT32_FROM_LE(header.length) - sizeof(header) == table.room;
}

void place_forget(void)
{
	set_known((struct table){ .found = UNKNOWN });
}

static bool is_inside(const struct table *table, size_t offset, size_t size)
{
	return table->found == FOUND && size <= table->room && offset <= table->room - size;
}

bool place_read(size_t offset, void *to, size_t size)
{
	const struct table table = get_known();

	return is_inside(&table, offset, size) &&
	       physical_read(table.start + sizeof(struct header) + offset, to, size);
}

bool place_write(size_t offset, const void *from, size_t size)
{
	const struct table table = get_known();

	return is_inside(&table, offset, size) &&
	       physical_write(table.start + sizeof(struct header) + offset, from, size);
}
