/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * The tables of registers: which row a number belongs to, whether this PMU has it,
 * and what a host may know of it. Knows no register; those are a vendor's.
 */
#include "internal.h"
#include <vpmu/state.h>

static const struct vpmu_msr_row *find_row(const struct vpmu *pmu, uint32_t msr, unsigned int *n)
{
	const struct vpmu_msr_row *row = pmu->vendor->rows;
	const struct vpmu_msr_row *end = row + pmu->vendor->row_count;

	for (; row < end; row++) {
		uint32_t distance = msr - row->first;

		if (distance >= row->span || (distance & ((1u << row->shift) - 1)))
			continue;
		*n = distance >> row->shift;
		return row;
	}
	return NULL;
}

/* Is the register none of the PMU's, so that the host answers as without the library? */
static bool is_hosts(const struct vpmu *pmu, const struct vpmu_msr_row *row)
{
	if (row->registers && !(pmu->config.event_registers & row->registers))
		return true;
	return row->hosts && vpmu_row_registers(pmu, row) == 0;
}

/* The register's row if the register is the PMU's, whether this PMU has it or not; and its n. */
static const struct vpmu_msr_row *own_row(const struct vpmu *pmu, uint32_t msr, unsigned int *n)
{
	const struct vpmu_msr_row *row = find_row(pmu, msr, n);

	return row && !is_hosts(pmu, row) ? row : NULL;
}

static uint64_t field_of(const struct vpmu *pmu, const struct vpmu_msr_row *row, unsigned int n)
{
	const uint64_t *fields = (const uint64_t *)(const void *)((const char *)pmu + row->field);

	return fields[n];
}

static enum vpmu_answer read_row(struct vpmu *pmu, const struct vpmu_msr_row *row, unsigned int n,
				 uint64_t *value)
{
	if (row->read)
		return row->read(pmu, row->base + n, value);
	if (!row->field)
		return VPMU_FAULT;
	*value = field_of(pmu, row, n);
	return VPMU_DONE;
}

enum vpmu_answer vpmu_rdmsr(struct vpmu *pmu, uint32_t msr, uint64_t *value)
{
	unsigned int n;
	const struct vpmu_msr_row *row = own_row(pmu, msr, &n);

	if (!row)
		return VPMU_NOT_MINE;
	if (n < vpmu_row_registers(pmu, row))
		return read_row(pmu, row, n, value);
	if (!pmu->vendor->ignores(pmu, msr))
		return VPMU_FAULT;
	*value = 0;
	return VPMU_DONE;
}

static enum vpmu_answer write_msr(struct vpmu *pmu, uint32_t msr, uint64_t value, bool by_host)
{
	enum vpmu_answer (*write)(struct vpmu * pmu, unsigned int i, uint64_t value);
	unsigned int n;
	const struct vpmu_msr_row *row = own_row(pmu, msr, &n);

	if (!row)
		return VPMU_NOT_MINE;
	if (n >= vpmu_row_registers(pmu, row))
		return pmu->vendor->ignores(pmu, msr) ? VPMU_DONE : VPMU_FAULT;
	write = by_host && row->host_write ? row->host_write : row->write;
	return write ? write(pmu, row->base + n, value) : VPMU_FAULT;
}

enum vpmu_answer vpmu_wrmsr(struct vpmu *pmu, uint32_t msr, uint64_t value)
{
	return write_msr(pmu, msr, value, false);
}

enum vpmu_answer vpmu_host_rdmsr(struct vpmu *pmu, uint32_t msr, uint64_t *value)
{
	return vpmu_rdmsr(pmu, msr, value);
}

enum vpmu_answer vpmu_host_wrmsr(struct vpmu *pmu, uint32_t msr, uint64_t value)
{
	return write_msr(pmu, msr, value, true);
}

uint64_t vpmu_msr_bits(const struct vpmu *pmu, uint32_t msr)
{
	unsigned int n;
	const struct vpmu_msr_row *row = own_row(pmu, msr, &n);

	return row ? row->bits : 0;
}

unsigned int vpmu_msr_ranges(const struct vpmu *pmu, struct vpmu_msr_range *ranges,
			     unsigned int room)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < pmu->vendor->row_count; i++) {
		const struct vpmu_msr_row *row = &pmu->vendor->rows[i];

		if (is_hosts(pmu, row))
			continue;
		if (count < room)
			ranges[count] = (struct vpmu_msr_range){
				.first = row->first,
				.count = (uint16_t)vpmu_row_size(row),
				.stride = (uint16_t)(1u << row->shift),
			};
		count++;
	}
	return count;
}
