/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * A PMU's state on the host's behalf: as an image, for snapshots and migration, and
 * register by register, as KVM_GET_MSRS and KVM_SET_MSRS have it. What the host keeps
 * itself is no part of it: the local APIC with LVTPC, EFER, the configuration, the filter.
 */
#ifndef VPMU_STATE_H
#define VPMU_STATE_H

#include <stddef.h>
#include <stdint.h>
#include <vpmu/vpmu.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The size of an image of this PMU in bytes. The configuration alone decides.
 *
 * Context: any thread.
 */
size_t vpmu_state_size(const struct vpmu *pmu);

/*
 * Write an image of all that the guest can see or set, and of a PMI that is pending, to
 * image; size: the room there, at least vpmu_state_size(). It may be done at any moment; the
 * PMU counts on afterwards. An image is the same on every machine: little endian, without
 * pointers, with a version and the configuration.
 *
 * VPMU_OK, or VPMU_ERROR_STATE if there is too little room.
 *
 * Context: the vCPU's thread, outside of the guest.
 */
enum vpmu_error vpmu_save(struct vpmu *pmu, void *image, size_t size);

/*
 * Would vpmu_load() take the image? Any bytes may be asked about.
 *
 * VPMU_OK; VPMU_ERROR_STATE: it is no image, damaged, of another version, or has a value that
 * a register cannot have; VPMU_ERROR_CONFIG: it is one of a PMU with another configuration.
 *
 * Context: any thread.
 */
enum vpmu_error vpmu_check_state(const struct vpmu *pmu, const void *image, size_t size);

/*
 * Give the PMU the state in an image, made by a PMU of the same configuration with any
 * source. Bindings end; the next vpmu_service() makes new ones, and hands out a PMI that
 * was pending. The filter stays.
 *
 * As vpmu_check_state(); unless it is VPMU_OK nothing has changed.
 *
 * Context: the vCPU's thread, outside of the guest.
 */
enum vpmu_error vpmu_load(struct vpmu *pmu, const void *image, size_t size);

/*
 * The MSRs that make up the state (but for a pending PMI), each once. Stores as many as
 * there is room for and returns how many there are; msrs may be NULL if room is 0.
 *
 * Context: any thread.
 */
unsigned int vpmu_state_msrs(const struct vpmu *pmu, uint32_t *msrs, unsigned int room);

/*
 * RDMSR and WRMSR on the host's own behalf: as the guest's, but the status register can be
 * written (and writing its set and reset registers has no effect), the counters' old
 * registers take whole values, and registers that the configuration decides take what they
 * have. The
 * registers may be written in any order. A pending PMI is not among them: a host that
 * migrates register by register delivers it first.
 *
 * Context: the vCPU's thread, outside of the guest.
 */
enum vpmu_answer vpmu_host_rdmsr(struct vpmu *pmu, uint32_t msr, uint64_t *value);
enum vpmu_answer vpmu_host_wrmsr(struct vpmu *pmu, uint32_t msr, uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
