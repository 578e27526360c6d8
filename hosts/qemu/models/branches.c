/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See branches.h. A branch stores itself in the vCPU's score before it runs. The next
 * block resolves it: its own address is the branch's outcome.
 */
#include "branches.h"
#include "code.h"
#include "guest/x86.h"
#include "models.h"
#include "translate/block.h"
#include "vcpu.h"

void branches_start(struct vcpu *vcpu)
{
	predictor_reset(&vcpu->models->predictor);
	vcpu_score(vcpu)->unresolved_branch = 0;
}

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
					     !same_place(target, branch->next_address));
	case FLOW_INDIRECT_CALL:
		predictor_call(p, branch->next_address);
		/* fallthrough */
	case FLOW_INDIRECT_JUMP:
		return predictor_indirect(p, branch->address, target);
	case FLOW_CALL:
		predictor_call(p, branch->next_address);
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
	const struct branch *branch = (const struct branch *)(uintptr_t)score->unresolved_branch;

	score->unresolved_branch = 0;
	return branch;
}

static void branch_resolved(struct vcpu *vcpu, const struct branch *branch, uint64_t target)
{
	if (learn(&vcpu->models->predictor, branch, target))
		source_count(vcpu, CLASS_BRANCH_MISS, branch->level);
}

static void block_started(unsigned int vcpu_index, void *address)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	branch_resolved(vcpu, take_branch(vcpu), *(const uint64_t *)address);
}

void branches_keep(struct vcpu *vcpu)
{
	const struct branch *branch = vcpu->models ? take_branch(vcpu) : NULL;

	if (!branch)
		return;
	vcpu->models->kept_branch = *branch;
	vcpu_score(vcpu)->unresolved_branch = (uint64_t)(uintptr_t)&vcpu->models->kept_branch;
}

/*
 * An exception of the branch itself has kept it from retiring. Otherwise the branch has
 * retired, and its outcome is the address that the handler returns to.
 */
static void resolve(struct vcpu *vcpu, bool exception, uint64_t from, uint64_t target)
{
	const struct branch *branch = take_branch(vcpu);

	if (branch && !(exception && branch->address % PAGE == from % PAGE))
		branch_resolved(vcpu, branch, target);
}

/* What is not mapped has no physical address. */
void branches_interrupted(struct vcpu *vcpu, bool exception, uint64_t from)
{
	uint64_t target;

	if (!vcpu->models || !vcpu_score(vcpu)->unresolved_branch)
		return;
	if (!qemu_plugin_translate_vaddr(from, &target))
		target = PREDICTOR_ANY_PAGE | from % PAGE;
	resolve(vcpu, exception, from, target);
}

void branches_left(struct vcpu *vcpu, bool exception, uint64_t from)
{
	if (vcpu->models)
		resolve(vcpu, exception, from, PREDICTOR_ANY_PAGE | from % PAGE);
}

static void add_block_start(struct translation *t)
{
	uint64_t *address = block_keep(g_new(uint64_t, 1));

	*address = code_physical(t->vaddr);
	qemu_plugin_register_vcpu_tb_exec_cond_cb(
		t->tb, block_started, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
		score_field(offsetof(struct score, unresolved_branch)), 0, address);
}

static void add_branch(struct translation *t, enum insn_flow flow)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(t->tb, t->count - 1);
	struct branch *branch = block_keep(g_new(struct branch, 1));
	uint64_t last = code_last_byte(insn);

	*branch = (struct branch){
		.flow = flow,
		.level = t->level,
		.address = code_physical(qemu_plugin_insn_vaddr(insn)),
		.next_address =
			last % PAGE == PAGE - 1 ? PREDICTOR_ANY_PAGE : code_physical(last) + 1,
	};
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
		insn, QEMU_PLUGIN_INLINE_STORE_U64,
		score_field(offsetof(struct score, unresolved_branch)),
		(uint64_t)(uintptr_t)branch);
}

void branches_translate(struct translation *t)
{
	enum insn_flow flow = t->facts[t->count - 1].flow;

	add_block_start(t);
	if (flow != FLOW_NEXT)
		add_branch(t, flow);
}
