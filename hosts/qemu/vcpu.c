/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vcpu.h.
 */
#include "vcpu.h"
#include "guest/registers.h"
#include "models/models.h"
#include "record.h"
#include "report.h"
#include "selftest.h"
#include "serve/serve.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct qemu_plugin_scoreboard *scoreboard;

static struct vpmu_config config;
static struct vcpu *_Atomic vcpus[VCPUS_MAX];
static _Atomic unsigned int vcpus_end; /* one more than the highest index; there may be gaps */
static GMutex lock;                    /* of the list, and of what a new vCPU starts with */

void vcpus_init(const struct vpmu_config *of_all)
{
	config = *of_all;
	scoreboard = qemu_plugin_scoreboard_new(SCORE_SIZE);
}

void vcpus_lock(void)
{
	g_mutex_lock(&lock);
}

void vcpus_unlock(void)
{
	g_mutex_unlock(&lock);
}

struct score *vcpu_score(const struct vcpu *vcpu)
{
	return qemu_plugin_scoreboard_find(scoreboard, vcpu->index);
}

void vcpu_leave_block(struct vcpu *vcpu)
{
	vcpu_score(vcpu)->block = 0;
	vcpu_score(vcpu)->lone_block = 0;
}

/*
 * If one thread runs all vCPUs (-icount, thread=single), translations are not shared
 * correctly: code that was translated for one vCPU adds to that vCPU's score, also when
 * another one runs it.
 */
static void need_own_thread(unsigned int index)
{
	static GThread *first;

	if (index == 0)
		first = g_thread_self();
	if (index == 0 || g_thread_self() != first)
		return;
	fputs("vpmu plugin: QEMU runs several vCPUs in one thread (-icount, thread=single) and "
	      "cannot keep their counts apart: use -smp 1\n",
	      stderr);
	_exit(EXIT_FAILURE);
}

/* A vCPU may be plugged in while installed_update() runs: one of the two comes first. */
static void add(struct vcpu *vcpu)
{
	vcpus_lock();
	models_start_vcpu(vcpu);
	vcpus[vcpu->index] = vcpu;
	record(vcpu, TRACE_RESET, VPMU_DONE, 0, 0);
	if (vcpus_end <= vcpu->index)
		vcpus_end = vcpu->index + 1;
	vcpus_unlock();
}

void vcpu_started(unsigned int index, void *unused)
{
	struct vcpu *vcpu;
	enum vpmu_error error;

	(void)unused;
	g_assert(index < VCPUS_MAX);
	if (vcpus[index])
		return;
	need_own_thread(index);
	registers_init();
	selftest_registers();
	vcpu = g_new0(struct vcpu, 1);
	vcpu->index = index;
	nested_attach(&vcpu->svm.nested);
	lapic_reset(vcpu);
	error = vpmu_init(&vcpu->pmu, &config, &source_ops, vcpu);
	g_assert(error == VPMU_OK);
	add(vcpu);
}

/* QEMU does not tell of a vCPU that starts while everything is translated anew. */
struct vcpu *vcpu_get(unsigned int index)
{
	if (!vcpus[index])
		vcpu_started(index, NULL);
	return vcpus[index];
}

static _Atomic uint32_t processor; /* its signature; 0: it is not known */

/* All of a machine's are of one kind. */
void vcpus_identify(uint32_t signature)
{
	uint32_t unknown = 0;

	if (!atomic_compare_exchange_strong(&processor, &unknown, signature))
		return;
	formula_set_family(family_of(config.vendor, signature));
	report("cpu 0x%08x\n", signature);
}

uint32_t vcpus_signature(void)
{
	return processor;
}

bool vcpus_exist(void)
{
	return vcpus[0] != NULL;
}

void vcpus_each(void (*function)(struct vcpu *vcpu))
{
	unsigned int end = vcpus_end;

	for (unsigned int i = 0; i < end; i++)
		if (vcpus[i])
			function(vcpus[i]);
}

void vcpu_reset(struct vcpu *vcpu)
{
	vpmu_reset(&vcpu->pmu);
	serve_reset(vcpu);
	lapic_reset(vcpu);
	saved_reset(vcpu);
	record(vcpu, TRACE_RESET, VPMU_DONE, 0, 0);
}

void vcpu_take_init(struct vcpu *vcpu)
{
	saved_start(vcpu);
	serve_reset(vcpu);
	lapic_init(vcpu);
}

void vcpus_reset(void)
{
	vcpus_each(vcpu_reset);
	saved_begin();
}

/* If the vCPU is plugged in again, its PMU is in its RESET state. */
void vcpu_stopped(unsigned int index, void *unused)
{
	(void)unused;
	if (!vcpus[index])
		return;
	vcpu_reset(vcpus[index]);
	saved_unplugged(vcpus[index]);
}
