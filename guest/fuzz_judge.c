/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a run with accesses and one without have to have in common, and what accesses may
 * have read. Prints what is wrong.
 */
#include "fuzz.h"

#define FINDINGS_SHOWN 10

/* One processor at a time prints. */
static volatile int printing;
volatile unsigned int findings;

void print_lock(void)
{
	while (__atomic_exchange_n(&printing, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
}

void print_unlock(void)
{
	__atomic_store_n(&printing, 0, __ATOMIC_RELEASE);
}

void print_snippet(const struct worker *worker)
{
	const struct snippet *snippet = &worker->snippet;

	print("#   at %lx, ring %u, CR4.PCE %u, single step %u:", worker->entry,
	      worker->user ? 3 : 0, worker->pce, worker->step);
	for (unsigned int i = 0; i < snippet->size; i++)
		print(" %02x", snippet->bytes[i]);
	print("\n");
	for (unsigned int i = 0; i < snippet->accesses; i++) {
		const struct access *access = &snippet->access[i];

		print("#   access %u at +%u: rax %lx, rcx %lx, rdx %lx; fault %u; then rax %lx, "
		      "rcx %lx, rdx %lx, rbx %lx\n",
		      i, snippet->at[i], access->rax, access->rcx, access->rdx,
		      worker->with.faults[i], worker->with.results[i].rax,
		      worker->with.results[i].rcx, worker->with.results[i].rdx,
		      worker->with.results[i].rbx);
	}
}

static void print_registers(const struct worker *worker)
{
	const uint64_t *with = &worker->with.registers.rax;
	const uint64_t *without = &worker->without.registers.rax;
	static const char *const names[] = { "rax", "rbx", "rcx", "rdx",   "rsi", "rdi",
					     "rbp", "r8",  "r9",  "r10",   "r11", "r12",
					     "r13", "r14", "r15", "rflags" };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (with[i] != without[i])
			print("#   %s: %lx with, %lx without\n", names[i], with[i], without[i]);
}

static void found(const struct worker *worker, const char *what)
{
	print_lock();
	if (findings++ < FINDINGS_SHOWN) {
		print("# processor %u, turn %lu: %s\n", (unsigned int)(worker - workers),
		      worker->turns, what);
		print_snippet(worker);
		print_registers(worker);
	}
	print_unlock();
}

/* The stop behind an access that has faulted does not come. */
static bool stop_is_missing(const struct worker *worker, unsigned int at)
{
	for (unsigned int i = 0; i < worker->snippet.accesses; i++)
		if (worker->with.faults[i] &&
		    at == worker->snippet.at[i] + (unsigned int)worker->snippet.access[i].length)
			return true;
	return false;
}

static bool same_stops(const struct worker *worker)
{
	const struct outcome *with = &worker->with, *without = &worker->without;
	unsigned int k = 0;

	for (unsigned int i = 0; i < without->stops; i++) {
		if (stop_is_missing(worker, without->stop_at[i]))
			continue;
		if (k == with->stops || with->stop_at[k] != without->stop_at[i] ||
		    with->stop_flags[k] != without->stop_flags[i])
			return false;
		k++;
	}
	return k == with->stops || with->stops == STOPS_MAX;
}

void judge_stops(const struct worker *worker)
{
	if (same_stops(worker))
		return;
	found(worker, "single step has stopped elsewhere, or with other flags");
	print_lock();
	print("#   with:");
	for (unsigned int i = 0; i < worker->with.stops; i++)
		print(" %u/%x", worker->with.stop_at[i], worker->with.stop_flags[i]);
	print("\n#   without:");
	for (unsigned int i = 0; i < worker->without.stops; i++)
		print(" %u/%x", worker->without.stop_at[i], worker->without.stop_flags[i]);
	print("\n");
	print_unlock();
}

void judge_registers(const struct worker *worker)
{
	const struct registers *with = &worker->with.registers;
	const struct registers *without = &worker->without.registers;
	const struct results *last = &worker->with.results[worker->snippet.accesses - 1];
	bool same = with->rsi == without->rsi && with->rdi == without->rdi;

	for (unsigned int i = 0; i < 8; i++)
		same = same && (&with->r8)[i] == (&without->r8)[i];
	for (unsigned int i = 0; i < ARRAY_SIZE(worker->memory); i++)
		same = same && worker->with.memory[i] == worker->without.memory[i];
	if (!same)
		found(worker, "a register or memory that no access touches is another one");
	if ((with->rflags ^ without->rflags) & ~(uint64_t)FLAG_RF)
		found(worker, "the flags are others");
	if (with->rsp != with->rsp_before || without->rsp != without->rsp_before)
		found(worker, "the stack pointer is another one");
	if (with->rax != last->rax || with->rdx != last->rdx || with->rbx != last->rbx ||
	    with->rcx != last->rcx)
		found(worker, "a result has changed after it was there");
	if (worker->with.page_faults != worker->without.page_faults)
		found(worker, "there are more or fewer page faults");
}

static void judge_fault(const struct worker *worker, unsigned int i)
{
	const struct access *access = &worker->snippet.access[i];
	unsigned int vector = worker->with.faults[i];

	switch (shadow_expect(access, worker->user, worker->pce)) {
	case MAY_FAULT:
		break;
	case WORKS:
		if (vector)
			found(worker, "an access has faulted");
		break;
	case FAULTS:
		if (!vector)
			found(worker, "an access has not faulted");
		break;
	}
	if (vector && vector != (access->locked ? VECTOR_UD : VECTOR_GP))
		found(worker, "a fault has the wrong vector");
}

uint64_t judge_access(struct worker *worker, unsigned int i, uint64_t rbx)
{
	const struct access *access = &worker->snippet.access[i];
	const struct results *results = &worker->with.results[i];
	bool done = !worker->with.faults[i], reads = done && access->kind != ACCESS_WRMSR;
	const char *wrong;

	worker->accesses++;
	judge_fault(worker, i);
	if (!(done && access->kind == ACCESS_CPUID) &&
	    (results->rcx != access->rcx || results->rbx != rbx))
		found(worker, "RCX or RBX is another one");
	if (!reads && (results->rax != access->rax || results->rdx != access->rdx))
		found(worker, "RAX or RDX is another one");
	if (!done)
		return rbx;
	wrong = shadow_follow(&worker->shadow, access, results);
	if (wrong)
		found(worker, wrong);
	return results->rbx;
}
