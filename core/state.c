/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * A PMU's state as an image, see vpmu/state.h. An image is a header (what it is, whose it
 * is) and the MSRs that make up the state, each as the host reads and writes it. It is
 * tried on a PMU that counts nothing before it is loaded, so that what a register
 * accepts is told in one place, its row.
 */
#include "internal.h"
#include <vpmu/state.h>

#define IMAGE_VERSION 1

/* The bytes of an image; numbers are little endian. */
enum {
	AT_MAGIC = 0,   /* 8 */
	AT_VERSION = 8, /* 4 */
	AT_SIZE = 12,   /* 4: of all of it */
	AT_FLAGS = 16,  /* 8: FLAG_* */
	AT_CONFIG = 24, /* CONFIG_SIZE */
	AT_MSRS = 56,   /* MSR_SIZE each */
	CONFIG_SIZE = 32,
	MSR_SIZE = 16, /* the number in 8, the value in 8; ascending */
};

#define FLAG_PMI  BIT(0) /* a PMI is pending */
#define FLAG_SVME BIT(1)

static const uint8_t magic[8] = { 'v', 'p', 'm', 'u', 's', 't', 'a', 't' };

static void put(uint8_t *to, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *from, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)from[i] << 8 * i;
	return value;
}

static bool equal(const uint8_t *a, const uint8_t *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static void put_config(uint8_t to[CONFIG_SIZE], const struct vpmu_config *config)
{
	put(to, config->vendor, 1);
	put(to + 1, config->version, 1);
	put(to + 2, config->general, 1);
	put(to + 3, config->general_width, 1);
	put(to + 4, config->fixed, 1);
	put(to + 5, config->fixed_width, 1);
	put(to + 6, config->full_width_writes, 1);
	put(to + 7, config->nested, 1);
	put(to + 8, config->events, 4);
	put(to + 12, config->event_registers, 4);
	put(to + 16, config->debug_bits, 8);
	put(to + 24, 0, 8);
}

static bool is_state(const struct vpmu *pmu, const struct vpmu_msr_row *row)
{
	return row->state && pmu->level <= row->state &&
	       (!row->registers || (pmu->config.event_registers & row->registers));
}

unsigned int vpmu_state_msrs(const struct vpmu *pmu, uint32_t *msrs, unsigned int room)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < pmu->vendor->row_count; i++) {
		const struct vpmu_msr_row *row = &pmu->vendor->rows[i];
		unsigned int registers = is_state(pmu, row) ? vpmu_row_registers(pmu, row) : 0;

		for (unsigned int n = 0; n < registers; n++, count++)
			if (count < room)
				msrs[count] = row->first + (n << row->shift);
	}
	return count;
}

/* More than any PMU has: each counter has a value and a select, and there are a few others. */
#define MSRS_MAX (2 * VPMU_SLOTS + VPMU_EVENT_REGISTER_COUNT + 8)

/* The MSRs of an image, by their numbers: a vendor's rows may come in any order. */
static unsigned int list_msrs(const struct vpmu *pmu, uint32_t msrs[MSRS_MAX])
{
	unsigned int count = vpmu_state_msrs(pmu, msrs, MSRS_MAX);

	count = count < MSRS_MAX ? count : MSRS_MAX;
	for (unsigned int i = 1; i < count; i++) {
		uint32_t msr = msrs[i];
		unsigned int at = i;

		for (; at && msrs[at - 1] > msr; at--)
			msrs[at] = msrs[at - 1];
		msrs[at] = msr;
	}
	return count;
}

size_t vpmu_state_size(const struct vpmu *pmu)
{
	return AT_MSRS + (size_t)vpmu_state_msrs(pmu, NULL, 0) * MSR_SIZE;
}

/*
 * The registers as they were when the counters were last settled. The source is not asked
 * again meanwhile: an overflow between two registers would be in one of them alone.
 */
static void put_registers(struct vpmu *pmu, uint8_t *to)
{
	uint32_t msrs[MSRS_MAX];
	unsigned int count = list_msrs(pmu, msrs);
	uint64_t counting = pmu->counting;

	pmu->counting = 0;
	for (unsigned int i = 0; i < count; i++, to += MSR_SIZE) {
		uint64_t value = 0;

		vpmu_host_rdmsr(pmu, msrs[i], &value);
		put(to, msrs[i], 8);
		put(to + 8, value, 8);
	}
	pmu->counting = counting;
}

enum vpmu_error vpmu_save(struct vpmu *pmu, void *image, size_t size)
{
	uint8_t *to = image;

	if (size < vpmu_state_size(pmu))
		return VPMU_ERROR_STATE;
	/* An overflow until now changes the status and may be a pending PMI. */
	vpmu_settle(pmu, vpmu_counters(pmu));
	for (unsigned int i = 0; i < sizeof(magic); i++)
		to[AT_MAGIC + i] = magic[i];
	put(to + AT_VERSION, IMAGE_VERSION, 4);
	put(to + AT_SIZE, vpmu_state_size(pmu), 4);
	put(to + AT_FLAGS, (pmu->pmi ? FLAG_PMI : 0) | (pmu->svme ? FLAG_SVME : 0), 8);
	put_config(to + AT_CONFIG, &pmu->config);
	put_registers(pmu, to + AT_MSRS);
	return VPMU_OK;
}

/* Is it an image, of this PMU? What its registers hold is not looked at. */
static enum vpmu_error check_header(const struct vpmu *pmu, const uint8_t *from, size_t size)
{
	uint64_t flags = FLAG_PMI | (pmu->config.nested ? FLAG_SVME : 0);
	uint8_t config[CONFIG_SIZE];

	if (size < AT_MSRS || !equal(from + AT_MAGIC, magic, sizeof(magic)) ||
	    get(from + AT_VERSION, 4) != IMAGE_VERSION || get(from + AT_SIZE, 4) != size)
		return VPMU_ERROR_STATE;
	put_config(config, &pmu->config);
	if (!equal(from + AT_CONFIG, config, sizeof(config)))
		return VPMU_ERROR_CONFIG;
	if (size != vpmu_state_size(pmu) || (get(from + AT_FLAGS, 8) & ~flags))
		return VPMU_ERROR_STATE;
	return pmu->config.version == 0 && get(from + AT_FLAGS, 8) ? VPMU_ERROR_STATE : VPMU_OK;
}

/* Each register takes its value, and keeps it. */
static bool set_registers(struct vpmu *pmu, const uint8_t *from)
{
	uint32_t msrs[MSRS_MAX];
	unsigned int count = list_msrs(pmu, msrs);

	for (unsigned int i = 0; i < count; i++, from += MSR_SIZE) {
		uint64_t value = get(from + 8, 8), kept = 0;

		if (get(from, 8) != msrs[i] || vpmu_host_wrmsr(pmu, msrs[i], value) != VPMU_DONE ||
		    vpmu_host_rdmsr(pmu, msrs[i], &kept) != VPMU_DONE || kept != value)
			return false;
	}
	return true;
}

enum vpmu_error vpmu_check_state(const struct vpmu *pmu, const void *image, size_t size)
{
	static const struct vpmu_source_ops nothing;
	enum vpmu_error error = check_header(pmu, image, size);
	struct vpmu trial;

	if (error != VPMU_OK)
		return error;
	/* It is not serviced, and so never comes to bind a counter. */
	vpmu_init(&trial, &pmu->config, &nothing, NULL);
	return set_registers(&trial, (const uint8_t *)image + AT_MSRS) ? VPMU_OK : VPMU_ERROR_STATE;
}

enum vpmu_error vpmu_load(struct vpmu *pmu, const void *image, size_t size)
{
	const uint8_t *from = image;
	enum vpmu_error error = vpmu_check_state(pmu, image, size);

	if (error != VPMU_OK)
		return error;
	vpmu_reset(pmu);
	set_registers(pmu, from + AT_MSRS);
	pmu->pmi = get(from + AT_FLAGS, 8) & FLAG_PMI;
	pmu->svme = get(from + AT_FLAGS, 8) & FLAG_SVME;
	vpmu_touch(pmu, vpmu_counters(pmu));
	return VPMU_OK;
}
