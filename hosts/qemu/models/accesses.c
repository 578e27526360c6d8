/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See accesses.h.
 *
 * A memory callback comes after its access, and does not come if the access faults. A
 * device access is not cached. Code is fetched where an instruction is in another line
 * than the one before it.
 */
#include "accesses.h"
#include "code.h"
#include "count/installed.h"
#include "models.h"
#include "offcore.h"
#include "translate/block.h"
#include "vcpu.h"
#include <vpmu/msr.h>

/* Not the number of a line. */
#define NO_LINE UINT64_MAX

static struct cache_config config;
static bool configured;
static unsigned int line_shift;

struct cache_config *accesses_geometry(void)
{
	if (!configured)
		config = cache_config_default;
	configured = true;
	return &config;
}

static void forget_fetched(const struct vcpu *vcpu)
{
	vcpu_score(vcpu)->fetched_line = NO_LINE;
}

void accesses_start(struct vcpu *vcpu)
{
	struct caches *caches = &vcpu->models->caches;

	if (caches->level[0].lines)
		caches_reset(caches);
	else if (!caches_init(caches, accesses_geometry()))
		g_error("vpmu plugin: no memory for the model of the caches");
	line_shift = caches->line_shift;
	forget_fetched(vcpu);
}

/* What OFFCORE_RSP_0 or 1 asks for. A counter that counts has been bound with that value. */
static uint64_t offcore_wanted(struct vcpu *vcpu, unsigned int i)
{
	uint64_t value = 0;

	vpmu_rdmsr(&vcpu->pmu, VPMU_MSR_OFFCORE_RSP0 + i, &value);
	return value;
}

static void count_offcore(struct vcpu *vcpu, unsigned int i, enum level level, uint64_t request,
			  enum cache_level found)
{
	enum event_class class = CLASS_OFFCORE_0 + i;
	uint64_t entries =
		entry_bit(entry_of(class, level)) | entry_bit(entry_of(class, LEVEL_ANY));

	if ((installed_entries() & entries) &&
	    offcore_matches(offcore_wanted(vcpu, i), request, found))
		source_count(vcpu, class, level);
}

static void beyond_l2(struct vcpu *vcpu, enum level level, uint64_t request, enum cache_level found)
{
	source_count(vcpu, CLASS_LLC_REFERENCE, level);
	if (found == CACHE_MEMORY)
		source_count(vcpu, CLASS_LLC_MISS, level);
	for (unsigned int i = 0; i < 2; i++)
		count_offcore(vcpu, i, level, request, found);
}

static void access_data_line(struct vcpu *vcpu, enum level level, qemu_plugin_meminfo_t info,
			     uint64_t physical)
{
	struct caches *caches = &vcpu->models->caches;
	enum cache_level found;

	if (caches_is_most_recent(caches, CACHE_L1D, physical))
		return;
	found = caches_access(caches, CACHE_L1D, physical);
	if (found == CACHE_L1D)
		return;
	source_count(vcpu, CLASS_L1D_FILL, level);
	if (found != CACHE_L2)
		beyond_l2(vcpu, level,
			  qemu_plugin_mem_is_store(info) ? OFFCORE_STORE : OFFCORE_DATA, found);
}

/* An access may be to two lines, and these in two pages. */
static void data_accessed(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr,
			  void *level)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	uint64_t last =
		(vaddr + (UINT64_C(1) << qemu_plugin_mem_size_shift(info)) - 1) >> line_shift;

	for (uint64_t line = vaddr >> line_shift; line <= last; line++) {
		uint64_t at = MAX(vaddr, line << line_shift);
		struct qemu_plugin_hwaddr *hwaddr = qemu_plugin_get_hwaddr(info, at);

		if (!hwaddr || qemu_plugin_hwaddr_is_io(hwaddr))
			continue;
		access_data_line(vcpu, (enum level)(uintptr_t)level, info,
				 qemu_plugin_hwaddr_phys_addr(hwaddr));
	}
}

/* A line of code. */
struct fetch {
	uint64_t line;
	enum level level;
};

static void code_fetched(unsigned int vcpu_index, void *userdata)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	const struct fetch *fetch = userdata;
	enum cache_level found =
		caches_access(&vcpu->models->caches, CACHE_L1I, fetch->line << line_shift);

	if (found == CACHE_L1I)
		return;
	source_count(vcpu, CLASS_L1I_MISS, fetch->level);
	if (found != CACHE_L2)
		beyond_l2(vcpu, fetch->level, OFFCORE_CODE, found);
}

static void caches_flushed(unsigned int vcpu_index, void *unused)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	(void)unused;
	caches_reset(&vcpu->models->caches);
	forget_fetched(vcpu);
}

static void add_fetch(struct qemu_plugin_insn *insn, uint64_t line, enum level level)
{
	const qemu_plugin_u64 fetched = score_field(offsetof(struct score, fetched_line));
	struct fetch *fetch = block_keep(g_new(struct fetch, 1));

	*fetch = (struct fetch){ .line = line, .level = level };
	qemu_plugin_register_vcpu_insn_exec_cond_cb(insn, code_fetched, QEMU_PLUGIN_CB_NO_REGS,
						    QEMU_PLUGIN_COND_NE, fetched, line, fetch);
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_STORE_U64,
							    fetched, line);
}

/* fetched: the last line of the instruction before it in the block. */
static void add_fetches(struct qemu_plugin_insn *insn, enum level level, uint64_t *fetched)
{
	uint64_t first = code_physical(qemu_plugin_insn_vaddr(insn)) >> line_shift;
	uint64_t last = code_physical(code_last_byte(insn)) >> line_shift;

	if (first != *fetched)
		add_fetch(insn, first, level);
	if (last != first)
		add_fetch(insn, last, level);
	*fetched = last;
}

void accesses_translate(struct translation *t)
{
	uint64_t fetched = NO_LINE;

	for (size_t i = 0; i < t->count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(t->tb, i);

		add_fetches(insn, t->level, &fetched);
		qemu_plugin_register_vcpu_mem_cb(insn, data_accessed, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)t->level);
		if (!t->facts[i].empties_caches || t->level != LEVEL_KERNEL)
			continue;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, caches_flushed, QEMU_PLUGIN_CB_NO_REGS,
						       NULL);
		fetched = NO_LINE;
	}
}
