/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An overflow's signal that comes after the guest has exited, while its host services the
 * PMU and enters the guest again: at each instruction of that in turn. The processor's trap
 * flag says which instruction it is (SDM vol. 3, "Single-Step Exception Condition").
 */
#define _GNU_SOURCE
#include "fixture.h"
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

/* What KVM_RUN looks at before it enters the guest. */
static uint8_t immediate_exit;

static void host_clears(void)
{
	__atomic_store_n(&immediate_exit, 0, __ATOMIC_RELAXED);
}

static bool host_is_to_exit(void)
{
	return __atomic_load_n(&immediate_exit, __ATOMIC_RELAXED);
}

/* The host's way to an entry, as vpmu/perf_event.h has it. Is a PMI due? */
static bool host_passes(struct vcpu *v)
{
	host_clears();
	vpmu_perf_event_enter(v->source);
	return vpmu_service(&v->pmu) & VPMU_PMI;
}

static void start_entering(struct vcpu *v)
{
	start_with(v, (struct vpmu_perf_event_options){ .map = map_event,
							.include_host = true,
							.signal = overflow_signal(),
							.immediate_exit = &immediate_exit });
	warm_up(v, false);
}

#if defined(__x86_64__)

#define TRAP_FLAG 0x100

/* What happens at the step's instruction. */
enum moment {
	SIGNAL,     /* the signal of an overflow, until then held back, comes */
	LATE_TWIN,  /* the same, of a second overflow; the first one's has come before */
	OWN_EVENTS, /* the host's own events make the counter overflow twice */
};

/* The instruction that has been stepped over last, and the one that it is about. */
static volatile unsigned int step, step_of_moment;
static enum moment moment;

/* What the guest reloads its counter with, not the same as before. */
static unsigned int period_of(unsigned int instruction)
{
	return 4 + instruction % 2;
}

static void set_trap_flag(void)
{
	/* Below the stack pointer may be data of this function's. */
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "orq %0, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp"
			 :
			 : "i"(TRAP_FLAG)
			 : "cc", "memory");
}

static void on_step(int number, siginfo_t *info, void *opaque)
{
	ucontext_t *context = opaque;

	(void)number;
	(void)info;
	if (++step < step_of_moment)
		return;
	context->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	if (moment == OWN_EVENTS)
		happen(2 * period_of(step_of_moment));
	/* It comes when this handler returns. */
	sigdelset(&context->uc_sigmask, overflow_signal());
}

static void block_signal(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, overflow_signal());
	assert_int_equal(pthread_sigmask(how, &set, NULL), 0);
}

/* The guest has gone on to its counter's overflow. */
static void overflow(uint64_t period)
{
	if (moment == LATE_TWIN)
		happen(period);
	if (moment != OWN_EVENTS)
		block_signal(SIG_BLOCK);
	happen(period);
}

/* The moment is at this instruction of the host's way; false: the way has fewer. */
static bool pass_with_moment_at(struct vcpu *v, unsigned int instruction, bool *is_due)
{
	step = 0;
	step_of_moment = instruction;
	set_trap_flag();
	*is_due = host_passes(v);
	step_of_moment = 0;
	/* If it has come, nothing is held back any more. */
	block_signal(SIG_UNBLOCK);
	return step >= instruction;
}

static void start_stepping(struct vcpu *v)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };

	need_events();
	if (DELAYED_SIGNALS) {
		print_message("# the sanitizer delays signals\n");
		skip();
	}
	action.sa_sigaction = on_step;
	assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
	start_entering(v);
	sample(v, 3);
}

static void stop_stepping(struct vcpu *v)
{
	finish(v);
	assert_int_not_equal(signal(SIGTRAP, SIG_DFL), SIG_ERR);
}

/* The service has nothing to do but what the signal tells of. */
static void at_each_instruction(void **state)
{
	unsigned int instruction = 1;
	struct vcpu v;
	bool is_due;

	(void)state;
	start_stepping(&v);
	moment = SIGNAL;
	for (;; instruction++) {
		overflow(3);
		if (!pass_with_moment_at(&v, instruction, &is_due))
			break;
		/* Else the guest would run on without it. */
		if (!is_due) {
			assert_true(host_is_to_exit());
			assert_true(host_passes(&v));
		}
		handle_pmi(&v, 3);
	}
	assert_true(instruction > 10);
	stop_stepping(&v);
}

/* The guest runs until the host is told of something that is a PMI. How many events? */
static unsigned int run_to_pmi(struct vcpu *v)
{
	for (unsigned int events = 1; events < 50; events++) {
		happen(1);
		if (host_is_to_exit() && host_passes(v))
			return events;
	}
	return 0;
}

/* The host has come to the entry: the guest's handler reloads a counter that has wrapped. */
static void enter_guest(struct vcpu *v, unsigned int period)
{
	while (host_is_to_exit())
		assert_true(!host_passes(v) || moment == OWN_EVENTS);
	if (!(get(v, PMC0) >> 47))
		sample(v, period);
}

/* The service finds the overflow by itself, and sets the next alarm. */
static void check_next_alarm(enum moment what)
{
	/* Each step is a signal: not every instruction is worth all moments. */
	unsigned int stride = SANITIZED ? 41 : what == SIGNAL ? 1 : 3;
	unsigned int instruction = 1, events;
	struct vcpu v;
	bool is_due;

	start_stepping(&v);
	moment = what;
	for (;; instruction += stride) {
		unsigned int period = period_of(instruction);

		overflow(3);
		set(&v, A_PMC0, minus(period));
		if (!pass_with_moment_at(&v, instruction, &is_due))
			break;
		assert_true(is_due);
		set(&v, STATUS_RESET, 1);
		enter_guest(&v, period);
		events = run_to_pmi(&v);
		if (moment == OWN_EVENTS)
			assert_in_range(events, 1, 2 * period);
		else
			assert_int_equal(events, period);
		handle_pmi(&v, 3);
	}
	assert_true(instruction > 100);
	stop_stepping(&v);
}

static void at_each_instruction_of_alarms(void **state)
{
	(void)state;
	check_next_alarm(SIGNAL);
	check_next_alarm(LATE_TWIN);
}

static void own_events(void **state)
{
	(void)state;
	check_next_alarm(OWN_EVENTS);
}
#else
static void skip_elsewhere(void **state)
{
	(void)state;
	print_message("# single steps are x86's here\n");
	skip();
}
#define at_each_instruction           skip_elsewhere
#define at_each_instruction_of_alarms skip_elsewhere
#define own_events                    skip_elsewhere
#endif

static void only_its_own(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start_entering(&v);
	sample(&v, 5);
	host_clears();
	assert_false(vpmu_perf_event_signal(v.source, 100000));
	assert_false(host_is_to_exit());
	happen(4);
	assert_false(host_is_to_exit());
	happen(1);
	assert_true(host_is_to_exit());
	assert_true(host_passes(&v));
	assert_false(host_is_to_exit());
	finish(&v);
}

int run_entry_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("an overflow's signal, and no other's, says that the guest is not to be "
			 "entered",
			 only_its_own),
		sentence("one that comes at any instruction between service and entry is not lost",
			 at_each_instruction),
		sentence("nor is the next one, of an alarm that is set meanwhile",
			 at_each_instruction_of_alarms),
		sentence("nor one of events of the host's own at any instruction", own_events),
	};

	return cmocka_run_group_tests_name("entry", tests, prepare, NULL);
}
