/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See models.h.
 *
 * A branch's outcome is where the next block begins: the branch leaves a note
 * in the vCPU's score, and the block that follows takes it up. Translations
 * are shared between virtual mappings, so that only the offset of an address
 * in its page and the page's physical address are known for sure: those are
 * the addresses of the models.
 *
 * Memory callbacks come after the access, and not at all if it faults. QEMU's
 * re-run of an instruction for a device access has them, too, but devices are
 * not cached.
 */
#include "models.h"
#include <string.h>

#define MSR_PRED_CMD      0x49
#define PRED_CMD_IBPB     1
#define MSR_OFFCORE_RSP_0 0x1a6
#define MSR_OFFCORE_RSP_1 0x1a7

/* OFFCORE_RSP of Skylake server: the bits that a model without states and snoops can tell. */
#define REQUEST_DATA        (UINT64_C(1) << 0)
#define REQUEST_STORE       (UINT64_C(1) << 1)
#define REQUEST_CODE        (UINT64_C(1) << 2)
#define RESPONSE_ANY        (UINT64_C(1) << 16)
#define RESPONSE_LLC        (UINT64_C(7) << 18)
#define RESPONSE_LOCAL_DRAM (UINT64_C(1) << 26)
#define RESPONSE_NO_SNOOP   (UINT64_C(3) << 31)

/* No line is fetched: not a line's number. */
#define NO_LINE UINT64_MAX

static bool enabled;
static struct cache_config config;
static bool configured;
static bool predictor_runs, caches_run;
static unsigned int line_shift;

bool models_set(const char *text)
{
	enabled = !strcmp(text, "on");
	return enabled || !strcmp(text, "off");
}

static struct cache_config *geometry(void)
{
	if (!configured)
		config = cache_config_default;
	configured = true;
	return &config;
}

const char *models_set_caches(const char *text)
{
	return cache_config_parse(geometry(), text);
}

bool models_enabled(void)
{
	return enabled;
}

bool models_run(void)
{
	return predictor_runs || caches_run;
}

static void forget_fetched(const struct vcpu *vcpu)
{
	vcpu_score(vcpu)->fetched = NO_LINE;
}

static void start_predictor(struct vcpu *vcpu)
{
	predictor_reset(&vcpu->models->predictor);
	vcpu_score(vcpu)->branch = 0;
}

static void start_caches(struct vcpu *vcpu)
{
	struct caches *caches = &vcpu->models->caches;

	if (caches->level[0].lines)
		caches_reset(caches);
	else if (!caches_init(caches, geometry()))
		g_error("vpmu plugin: no memory for the model of the caches");
	line_shift = caches->line_shift;
	forget_fetched(vcpu);
}

void models_start_vcpu(struct vcpu *vcpu)
{
	if (!enabled)
		return;
	vcpu->models = g_new0(struct models, 1);
	if (predictor_runs)
		start_predictor(vcpu);
	if (caches_run)
		start_caches(vcpu);
}

void models_reset(struct vcpu *vcpu)
{
	if (vcpu->models)
		memset(vcpu->models->offcore, 0, sizeof(vcpu->models->offcore));
}

static uint64_t entries_between(enum event_class first, enum event_class last)
{
	uint64_t entries = 0;

	for (unsigned int class = first; class <= (unsigned int)last; class ++)
		for (enum level level = 0; level < LEVEL_COUNT; level++)
			entries |= UINT64_C(1) << entry_of(class, level);
	return entries;
}

void models_installed(uint64_t before, uint64_t now)
{
	uint64_t of_predictor = entries_between(CLASS_BRANCH_MISS, CLASS_BRANCH_MISS);
	uint64_t of_caches = entries_between(CLASS_L1I_MISS, CLASS_OFFCORE_1);

	predictor_runs = now & of_predictor;
	caches_run = now & of_caches;
	if (predictor_runs && !(before & of_predictor))
		vcpus_each(start_predictor);
	if (caches_run && !(before & of_caches))
		vcpus_each(start_caches);
}

/* Branches */

static bool same_place(uint64_t a, uint64_t b)
{
	if ((a | b) & PREDICTOR_ANY_PAGE)
		return a % PAGE == b % PAGE;
	return a == b;
}

static bool learn(struct predictor *p, const struct branch *branch, uint64_t target)
{
	switch (branch->flow) {
	case FLOW_CONDITIONAL:
		return predictor_conditional(p, branch->address,
					     !same_place(target, branch->behind));
	case FLOW_INDIRECT_CALL:
		predictor_call(p, branch->behind);
		/* fallthrough */
	case FLOW_INDIRECT_JUMP:
		return predictor_indirect(p, branch->address, target);
	case FLOW_CALL:
		predictor_call(p, branch->behind);
		return false;
	case FLOW_RETURN:
		return predictor_return(p, target);
	case FLOW_NEXT:
		break;
	}
	return false;
}

static const struct branch *take_branch(struct vcpu *vcpu)
{
	struct score *score = vcpu_score(vcpu);
	const struct branch *branch = (const struct branch *)(uintptr_t)score->branch;

	score->branch = 0;
	return branch;
}

static void branch_went(struct vcpu *vcpu, const struct branch *branch, uint64_t target)
{
	if (learn(&vcpu->models->predictor, branch, target))
		source_count(vcpu, CLASS_BRANCH_MISS, branch->level);
}

static void block_started(unsigned int vcpu_index, void *address)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	branch_went(vcpu, take_branch(vcpu), *(const uint64_t *)address);
}

void models_keep_branch(struct vcpu *vcpu)
{
	const struct branch *branch = vcpu->models ? take_branch(vcpu) : NULL;

	if (!branch)
		return;
	vcpu->models->kept = *branch;
	vcpu_score(vcpu)->branch = (uint64_t)(uintptr_t)&vcpu->models->kept;
}

/*
 * An exception at the branch itself is one that has kept it from retiring;
 * otherwise the branch went to where the handler is to return. What is not
 * mapped there has no physical address.
 */
void models_interrupted(struct vcpu *vcpu, bool exception, uint64_t from)
{
	const struct branch *branch = vcpu->models ? take_branch(vcpu) : NULL;
	uint64_t target;

	if (!branch || (exception && branch->address % PAGE == from % PAGE))
		return;
	if (!qemu_plugin_translate_vaddr(from, &target))
		target = PREDICTOR_ANY_PAGE | from % PAGE;
	branch_went(vcpu, branch, target);
}

/* Caches */

static bool fits(uint64_t wanted, uint64_t request, enum cache_level found)
{
	if (!(wanted & request))
		return false;
	if (wanted & RESPONSE_ANY)
		return true;
	if (!(wanted & RESPONSE_NO_SNOOP))
		return false;
	if (found == CACHE_MEMORY)
		return wanted & RESPONSE_LOCAL_DRAM;
	return (wanted & RESPONSE_LLC) == RESPONSE_LLC;
}

static void beyond_l2(struct vcpu *vcpu, enum level level, uint64_t request, enum cache_level found)
{
	source_count(vcpu, CLASS_LLC_REFERENCE, level);
	if (found == CACHE_MEMORY)
		source_count(vcpu, CLASS_LLC_MISS, level);
	for (unsigned int i = 0; i < 2; i++)
		if (fits(vcpu->models->offcore[i], request, found))
			source_count(vcpu, CLASS_OFFCORE_0 + i, level);
}

static void data_line(struct vcpu *vcpu, enum level level, qemu_plugin_meminfo_t info,
		      uint64_t physical)
{
	struct caches *caches = &vcpu->models->caches;
	enum cache_level found;

	if (caches_is_latest(caches, CACHE_L1D, physical))
		return;
	found = caches_access(caches, CACHE_L1D, physical);
	if (found == CACHE_L1D)
		return;
	source_count(vcpu, CLASS_L1D_FILL, level);
	if (found != CACHE_L2)
		beyond_l2(vcpu, level,
			  qemu_plugin_mem_is_store(info) ? REQUEST_STORE : REQUEST_DATA, found);
}

/* One access; a line lies in a page, so the start of what is accessed of it will do. */
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
		data_line(vcpu, (enum level)(uintptr_t)level, info,
			  qemu_plugin_hwaddr_phys_addr(hwaddr));
	}
}

/* A line of code that an instruction lies in. */
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
		beyond_l2(vcpu, fetch->level, REQUEST_CODE, found);
}

static void caches_flushed(unsigned int vcpu_index, void *unused)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	(void)unused;
	caches_reset(&vcpu->models->caches);
	forget_fetched(vcpu);
}

/* Translation */

/* Code that is translated is mapped, at least for now. */
static uint64_t physical_of(uint64_t vaddr)
{
	uint64_t physical;

	return qemu_plugin_translate_vaddr(vaddr, &physical) ? physical : vaddr;
}

static uint64_t last_byte(const struct qemu_plugin_insn *insn)
{
	return qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn) - 1;
}

static qemu_plugin_u64 score_field(size_t offset)
{
	return (qemu_plugin_u64){ scoreboard, offset };
}

static void add_block_start(struct qemu_plugin_tb *tb)
{
	uint64_t *address = translate_keep(g_new(uint64_t, 1));

	*address = physical_of(qemu_plugin_tb_vaddr(tb));
	qemu_plugin_register_vcpu_tb_exec_cond_cb(
		tb, block_started, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
		score_field(offsetof(struct score, branch)), 0, address);
}

/* It notes itself before it runs; if it faults, models_interrupted() knows. */
static void add_branch(struct qemu_plugin_insn *insn, enum insn_flow flow, enum level level)
{
	struct branch *branch = translate_keep(g_new(struct branch, 1));
	uint64_t last = last_byte(insn);

	*branch = (struct branch){
		.flow = flow,
		.level = level,
		.address = physical_of(qemu_plugin_insn_vaddr(insn)),
		.behind = last % PAGE == PAGE - 1 ? PREDICTOR_ANY_PAGE : physical_of(last) + 1,
	};
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
		insn, QEMU_PLUGIN_INLINE_STORE_U64, score_field(offsetof(struct score, branch)),
		(uint64_t)(uintptr_t)branch);
}

static void add_fetch(struct qemu_plugin_insn *insn, uint64_t line, enum level level)
{
	struct fetch *fetch = translate_keep(g_new(struct fetch, 1));

	*fetch = (struct fetch){ .line = line, .level = level };
	qemu_plugin_register_vcpu_insn_exec_cond_cb(
		insn, code_fetched, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
		score_field(offsetof(struct score, fetched)), line, fetch);
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
		insn, QEMU_PLUGIN_INLINE_STORE_U64, score_field(offsetof(struct score, fetched)),
		line);
}

/* The lines of an instruction, if they are not those fetched before it in its block. */
static void add_fetches(struct qemu_plugin_insn *insn, enum level level, uint64_t *fetched)
{
	uint64_t first = physical_of(qemu_plugin_insn_vaddr(insn)) >> line_shift;
	uint64_t last = physical_of(last_byte(insn)) >> line_shift;

	if (first != *fetched)
		add_fetch(insn, first, level);
	if (last != first)
		add_fetch(insn, last, level);
	*fetched = last;
}

static void add_caches(struct qemu_plugin_tb *tb, size_t count, enum level level,
		       const struct insn_facts *facts)
{
	uint64_t fetched = NO_LINE;

	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		add_fetches(insn, level, &fetched);
		qemu_plugin_register_vcpu_mem_cb(insn, data_accessed, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)level);
		if (!facts[i].empties_caches || level != LEVEL_KERNEL)
			continue;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, caches_flushed, QEMU_PLUGIN_CB_NO_REGS,
						       NULL);
		fetched = NO_LINE;
	}
}

void models_translate(struct qemu_plugin_tb *tb, size_t count, enum level level,
		      const struct insn_facts *facts)
{
	if (predictor_runs) {
		add_block_start(tb);
		if (facts[count - 1].flow != FLOW_NEXT)
			add_branch(qemu_plugin_tb_get_insn(tb, count - 1), facts[count - 1].flow,
				   level);
	}
	if (caches_run)
		add_caches(tb, count, level, facts);
}

/* MSRs */

bool models_rdmsr(const struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	if (!vcpu->models || msr < MSR_OFFCORE_RSP_0 || msr > MSR_OFFCORE_RSP_1)
		return false;
	*value = vcpu->models->offcore[msr - MSR_OFFCORE_RSP_0];
	return true;
}

void models_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (!vcpu->models)
		return;
	if (msr == MSR_PRED_CMD && (value & PRED_CMD_IBPB) && predictor_runs)
		predictor_reset(&vcpu->models->predictor);
	if (msr == MSR_OFFCORE_RSP_0 || msr == MSR_OFFCORE_RSP_1)
		vcpu->models->offcore[msr - MSR_OFFCORE_RSP_0] = value;
}

/* A line has no state here: found in the LLC in some states but not in others is no answer. */
bool models_count(const struct vcpu *vcpu, enum event_class class)
{
	uint64_t of_llc;

	if (class != CLASS_OFFCORE_0 && class != CLASS_OFFCORE_1)
		return true;
	of_llc = vcpu->models->offcore[class - CLASS_OFFCORE_0] & RESPONSE_LLC;
	return of_llc == 0 || of_llc == RESPONSE_LLC;
}
