/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The exit path with libvpmu: vpmu_retired(); and once more with the
 * vpmu_service() that a host calls before each entry, which is where the others
 * leave work, too. The source counts nothing: no guest code runs here.
 */
#include "bench/lib/registers.h"
#include "host.h"

#include <stdlib.h>

struct ours {
	struct exit_vcpu vcpu;
	unsigned int interrupts; /* pending */
	struct vpmu pmu;
};

int exit_emulate_ours(struct exit_vcpu *vcpu);
int exit_emulate_ours_service(struct exit_vcpu *vcpu);

static struct ours *ours_of(struct exit_vcpu *vcpu)
{
	return (struct ours *)vcpu;
}

__attribute__((noinline)) int exit_emulate_ours(struct exit_vcpu *vcpu)
{
	uint64_t rflags = exit_rflags(vcpu);

	if (__builtin_expect(!exit_skip(vcpu), 0))
		return 0;
	vpmu_retired(&ours_of(vcpu)->pmu,
		     vcpu->level == 0 ? VPMU_RETIRED_KERNEL : VPMU_RETIRED_USER);
	return exit_finish(vcpu, rflags);
}

__attribute__((noinline)) int exit_emulate_ours_service(struct exit_vcpu *vcpu)
{
	uint64_t rflags = exit_rflags(vcpu);

	if (__builtin_expect(!exit_skip(vcpu), 0))
		return 0;
	vpmu_retired(&ours_of(vcpu)->pmu,
		     vcpu->level == 0 ? VPMU_RETIRED_KERNEL : VPMU_RETIRED_USER);
	if (__builtin_expect(vpmu_service(&ours_of(vcpu)->pmu), 0))
		ours_of(vcpu)->interrupts++;
	return exit_finish(vcpu, rflags);
}

static void run(struct exit_vcpu *vcpu, unsigned long count)
{
	exit_loop(vcpu, count, exit_emulate_ours);
}

static void run_apart(struct exit_vcpu *vcpu, unsigned long count)
{
	exit_loop_apart(vcpu, count, exit_emulate_ours);
}

static void run_service(struct exit_vcpu *vcpu, unsigned long count)
{
	exit_loop(vcpu, count, exit_emulate_ours_service);
}

static void run_service_apart(struct exit_vcpu *vcpu, unsigned long count)
{
	exit_loop_apart(vcpu, count, exit_emulate_ours_service);
}

static bool bind(void *source, unsigned int counter, const struct vpmu_event *event)
{
	(void)source;
	(void)counter;
	(void)event;
	return true;
}

static void unbind(void *source, unsigned int counter)
{
	(void)source;
	(void)counter;
}

static uint64_t total(void *source, unsigned int counter)
{
	(void)source;
	(void)counter;
	return 0;
}

static void alarm(void *source, unsigned int counter, uint64_t at)
{
	(void)source;
	(void)counter;
	(void)at;
}

static const struct vpmu_source_ops still = {
	.bind = bind,
	.unbind = unbind,
	.total = total,
	.alarm = alarm,
};

static struct exit_vcpu *create(const struct exit_guest *guest)
{
	const uint32_t events = (1u << VPMU_EVENT_IDS) - 1;
	struct vpmu_config config =
		guest->vendor == VPMU_AMD ? vpmu_config_amd(guest->version, guest->general, events)
					  : vpmu_config_intel(guest->version, events);
	struct ours *ours = calloc(1, sizeof(*ours));

	if (!ours)
		abort();
	if (guest->version) {
		config.general = (uint8_t)guest->general;
		config.fixed = (uint8_t)guest->fixed;
	}
	if (vpmu_init(&ours->pmu, &config, &still, NULL) != VPMU_OK)
		abort();
	return &ours->vcpu;
}

static void destroy(struct exit_vcpu *vcpu)
{
	free(ours_of(vcpu));
}

static void wrmsr(struct exit_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	vpmu_wrmsr(&ours_of(vcpu)->pmu, msr, value);
	vpmu_service(&ours_of(vcpu)->pmu);
}

static uint64_t counted(struct exit_vcpu *vcpu)
{
	struct vpmu *pmu = &ours_of(vcpu)->pmu;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < VPMU_MAX_GENERAL + VPMU_MAX_FIXED; i++) {
		uint32_t index = i < VPMU_MAX_GENERAL ? i : (i - VPMU_MAX_GENERAL) | RDPMC_FIXED;
		uint64_t value;

		if (vpmu_rdpmc(pmu, index, true, &value) == VPMU_DONE)
			sum += value;
	}
	return sum;
}

const struct exit_candidate exit_ours = {
	.name = "ours",
	.create = create,
	.destroy = destroy,
	.wrmsr = wrmsr,
	.run = run,
	.run_apart = run_apart,
	.counted = counted,
};

const struct exit_candidate exit_ours_service = {
	.name = "ours and service",
	.create = create,
	.destroy = destroy,
	.wrmsr = wrmsr,
	.run = run_service,
	.run_apart = run_service_apart,
	.counted = counted,
};
