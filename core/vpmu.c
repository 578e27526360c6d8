/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * A PMU as a whole: made, reset, and asked for what is neither a counter's nor a
 * register's.
 */
#include "internal.h"

static const struct vpmu_vendor *const vendors[] = {
	[VPMU_INTEL] = &vpmu_intel,
	[VPMU_AMD] = &vpmu_amd,
};

/* Hosts have compiled these into their own code. */
_Static_assert(offsetof(struct vpmu, look) == 0 && offsetof(struct vpmu, dirty) == 8 &&
		       offsetof(struct vpmu, retired) == 16,
	       "the fields that inline functions read stay where they are");

#define VENDORS (sizeof(vendors) / sizeof(vendors[0]))

void vpmu_reset(struct vpmu *pmu)
{
	vpmu_reset_counters(pmu);
	pmu->svme = false;
	pmu->interrupting = 0;
	pmu->selected = 0;
	pmu->restricted = 0;
	pmu->global_ctrl = 0;
	pmu->global_status = 0;
	pmu->fixed_ctrl = 0;
	pmu->debug_control = 0;
	for (unsigned int i = 0; i < sizeof(pmu->event_registers) / sizeof(uint64_t); i++)
		pmu->event_registers[i] = 0;
	for (unsigned int i = 0; i < VPMU_MAX_GENERAL; i++)
		pmu->event_select[i] = 0;
	pmu->vendor->reset(pmu);
}

static bool is_all_zero(const uint64_t *fields, size_t count)
{
	while (count && fields[count - 1] == 0)
		count--;
	return count == 0;
}

static enum vpmu_error check(const struct vpmu_vendor *vendor, const struct vpmu_config *config)
{
	size_t reserved = sizeof(config->reserved) / sizeof(config->reserved[0]);

	return is_all_zero(config->reserved, reserved) ? vendor->check(config)
						       : VPMU_ERROR_RESERVED;
}

enum vpmu_error vpmu_init(struct vpmu *pmu, const struct vpmu_config *config,
			  const struct vpmu_source_ops *ops, void *source)
{
	bool known = (unsigned int)config->vendor < VENDORS;
	enum vpmu_error error = known ? VPMU_OK : VPMU_ERROR_VENDOR;

	*pmu = (struct vpmu){ .ops = ops, .source = source };
	pmu->vendor = vendors[known ? config->vendor : VPMU_INTEL];
	if (known)
		pmu->config.vendor = config->vendor;
	if (known && config->version != 0) {
		error = ops ? check(pmu->vendor, config) : VPMU_ERROR_SOURCE;
		if (error == VPMU_OK)
			pmu->config = *config;
	}
	pmu->level = (uint8_t)pmu->vendor->level(&pmu->config);
	vpmu_reset(pmu);
	return error;
}

const char *vpmu_error_text(enum vpmu_vendor_id vendor, enum vpmu_error error)
{
	switch (error) {
	case VPMU_OK:
		return "no error";
	case VPMU_ERROR_VENDOR:
		return "the PMU's vendor is unknown";
	case VPMU_ERROR_SOURCE:
		return "the PMU is on, but nothing counts for it";
	case VPMU_ERROR_RESERVED:
		return "a reserved field is not 0";
	case VPMU_ERROR_FILTER:
		return "an entry of the event filter has bits that mean nothing";
	case VPMU_ERROR_STATE:
		return "this is no saved state of a PMU";
	case VPMU_ERROR_CONFIG:
		return "the saved state is one of another PMU";
	case VPMU_ERROR_VERSION:
	case VPMU_ERROR_GENERAL:
	case VPMU_ERROR_FIXED:
	case VPMU_ERROR_WIDTH:
	case VPMU_ERROR_EVENTS:
	case VPMU_ERROR_REGISTERS:
		if ((unsigned int)vendor < VENDORS)
			return vendors[vendor]->error_text(error);
		break;
	case VPMU_ERRORS:
		break;
	}
	return "unknown error";
}

enum vpmu_answer vpmu_rdpmc(struct vpmu *pmu, uint32_t index, bool allowed, uint64_t *value)
{
	unsigned int counter;

	if (!allowed || !pmu->vendor->rdpmc_counter(pmu, index, &counter))
		return VPMU_FAULT;
	*value = vpmu_read_counter(pmu, counter);
	return VPMU_DONE;
}

uint64_t vpmu_status(const struct vpmu *pmu)
{
	return pmu->global_status;
}

void vpmu_set_svme(struct vpmu *pmu, bool svme)
{
	if (!pmu->config.nested || pmu->svme == svme)
		return;
	pmu->svme = svme;
	vpmu_touch(pmu, vpmu_counters(pmu));
}
