/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program of 32-bit Linux without a C library, for tests/freestanding: the library counts,
 * overflows, saves and loads there as well. Its exit status is the step that failed, or 0.
 */
#include <vpmu/msr.h>
#include <vpmu/state.h>
#include <vpmu/vpmu.h>

#define FIXED_2 (VPMU_FIXED + 2)

static struct vpmu pmu;
static uint64_t now, alarm_at;

void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
void _start(void);

void *memset(void *to, int byte, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)to)[i] = (unsigned char)byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
	return to;
}

static bool bind(void *source, unsigned int counter, const struct vpmu_event *event)
{
	(void)source;
	return counter == FIXED_2 && event->id == VPMU_EVENT_TSC_CYCLES;
}

static void unbind(void *source, unsigned int counter)
{
	(void)source, (void)counter;
}

static uint64_t total(void *source, unsigned int counter)
{
	(void)source, (void)counter;
	return now;
}

static void set_alarm(void *source, unsigned int counter, uint64_t at)
{
	(void)source, (void)counter;
	alarm_at = at;
}

static const struct vpmu_source_ops ops = {
	.bind = bind, .unbind = unbind, .total = total, .alarm = set_alarm
};

static bool reads(uint32_t msr, uint64_t wanted)
{
	uint64_t value;

	return vpmu_rdmsr(&pmu, msr, &value) == VPMU_DONE && value == wanted;
}

static bool takes(uint32_t msr, uint64_t value)
{
	return vpmu_wrmsr(&pmu, msr, value) == VPMU_DONE;
}

/* A fixed counter: its index has a bit in the upper half of a mask. */
static int failed_step(void)
{
	struct vpmu_config config = vpmu_config_intel(5, 0x1ff);
	static uint8_t image[1024];
	size_t size;

	if (vpmu_init(&pmu, &config, &ops, NULL) != VPMU_OK)
		return 1;
	if (!takes(VPMU_MSR_FIXED_CTR0 + 2, UINT64_C(0xffffffffff00)) ||
	    !takes(VPMU_MSR_FIXED_CTR_CTRL, 0xb00) ||
	    !takes(VPMU_MSR_PERF_GLOBAL_CTRL, UINT64_C(1) << FIXED_2))
		return 2;
	now = UINT64_C(0x100000000);
	if (vpmu_service(&pmu) || alarm_at != now + 0x100)
		return 3;
	now = alarm_at;
	vpmu_look(&pmu, FIXED_2);
	if (vpmu_service(&pmu) != (VPMU_PMI | VPMU_MASK_LVTPC) ||
	    !reads(VPMU_MSR_PERF_GLOBAL_STATUS, UINT64_C(1) << FIXED_2))
		return 4;
	size = vpmu_state_size(&pmu);
	if (size > sizeof(image) || vpmu_save(&pmu, image, size) != VPMU_OK)
		return 5;
	vpmu_reset(&pmu);
	if (vpmu_load(&pmu, image, size) != VPMU_OK || vpmu_service(&pmu))
		return 6;
	now += 5;
	return reads(VPMU_MSR_FIXED_CTR0 + 2, 5) ? 0 : 7;
}

/* exit(2) */
void _start(void)
{
	__asm__ volatile("int $0x80" : : "a"(1), "b"(failed_step()));
	__builtin_unreachable();
}
