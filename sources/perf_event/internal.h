/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What tests and measurements may know of a source of perf events. Not for
 * hosts.
 */
#ifndef VPMU_PERF_EVENT_INTERNAL_H
#define VPMU_PERF_EVENT_INTERNAL_H

#include <vpmu/perf_event.h>

/* The file descriptor of a counter's event; -1 if there is none. */
int vpmu_perf_event_fd(const struct vpmu_perf_event *source, unsigned int counter);

/*
 * Linux's raw event for an encoding of the vendor's, on a processor that has it. False:
 * there is none.
 */
bool vpmu_pe_raw_event(enum vpmu_vendor_id vendor, const struct vpmu_event *event,
		       struct perf_event_attr *attr);

#endif
