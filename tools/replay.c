/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu replay: what a recorded trace holds, and what it costs to serve the guest that
 * left it, with the library or as KVM did. The engine is bench/pmi/replay.c.
 */
#include "bench/pmi/replay.h"
#include "bench/lib/measure.h"
#include "bench/pmi/own.h"
#include "bench/pmi/syscalls.h"
#include "bench/pmi/work.h"
#include "commands.h"
#include "trace.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

#define WARM_UP 20 /* PMIs */

const char replay_usage[] =
	"usage: vpmu replay [options] FILE\n"
	"\n"
	"Says what is in a trace that vpmu run, vpmu perf or another host has recorded, and\n"
	"replays it: the guest's accesses to its PMU and, by stand-in events, its overflow\n"
	"interrupts, in the trace's order. Says what that costs.\n"
	"\n"
	"  --as WHOSE     ours, kvm-6.12, kvm-rfc or kvm-2018: the PMU that serves the guest\n"
	"                 (default: ours)\n"
	"  --source FROM  hardware (perf events of the machine's counters), software (perf events\n"
	"                 of page faults) or memory (no perf events; ours only)\n"
	"                 (default: hardware where there is any, else software)\n"
	"  --vcpu N       the vCPU whose part is replayed (default: 0)\n"
	"  --help         this text\n";

static const char *const source_names[EVENTS_KINDS] = {
	[EVENTS_MEMORY] = "memory",
	[EVENTS_SOFTWARE] = "software",
	[EVENTS_HARDWARE] = "hardware",
};

struct settings {
	const struct subject_ops *as;
	enum subject_events events;
	bool has_events; /* given */
	unsigned long vcpu;
	const char *file;
};

static enum subject_events parse_source(const char *name)
{
	for (int i = 0; i < EVENTS_KINDS; i++)
		if (!strcmp(source_names[i], name))
			return (enum subject_events)i;
	fail("replay: unknown source `%s'; there are hardware, software and memory", name);
}

static const struct subject_ops *parse_subject(const char *name)
{
	const struct subject_ops *ops = subject_find(name);

	if (!ops)
		fail("replay: unknown PMU `%s'; there are ours, kvm-6.12, kvm-rfc and kvm-2018",
		     name);
	return ops;
}

static void parse(struct settings *settings, int argc, char **argv)
{
	const char *value;

	for (int i = 1; i < argc; i++) {
		if ((value = option_value(argv, &i, "--as"))) {
			settings->as = parse_subject(value);
		} else if ((value = option_value(argv, &i, "--source"))) {
			settings->events = parse_source(value);
			settings->has_events = true;
		} else if ((value = option_value(argv, &i, "--vcpu"))) {
			if (!parse_number(value, 65535, &settings->vcpu))
				fail("replay: --vcpu takes a number, not `%s'", value);
		} else if (argv[i][0] == '-' && argv[i][1]) {
			fail("replay: unknown option `%s'; there are --as, --source, --vcpu and "
			     "--help",
			     argv[i]);
		} else if (settings->file) {
			fail("replay: one trace at a time: `%s'", argv[i]);
		} else {
			settings->file = argv[i];
		}
	}
	if (!settings->file)
		fail("replay: which trace?");
	if (!settings->has_events)
		settings->events =
			work_available(EVENTS_HARDWARE) ? EVENTS_SOFTWARE : EVENTS_HARDWARE;
	if (settings->events == EVENTS_MEMORY && settings->as != &subject_ours)
		fail("replay: %s needs perf events: --source hardware or software",
		     settings->as->name);
}

static void row(const char *name, const char *value)
{
	printf("  %-18s %s\n", name, value);
}

static void print_trace(const struct settings *settings, const struct trace *trace)
{
	static const char *const names[TRACE_KINDS] = {
		[TRACE_RESET] = "resets", [TRACE_RDMSR] = "RDMSR", [TRACE_WRMSR] = "WRMSR",
		[TRACE_RDPMC] = "RDPMC",  [TRACE_PMI] = "PMIs",
	};
	size_t counts[TRACE_KINDS] = { 0 };
	const struct vpmu_config *config = &trace->config;

	for (size_t i = 0; i < trace->count; i++)
		counts[trace->records[i].kind]++;
	printf("Trace %s\n", settings->file);
	row("PMU", text("Intel, version %u: %u general counters of %u bits, %u fixed of %u",
			config->version, config->general, config->general_width, config->fixed,
			config->fixed_width));
	row("vCPUs", text("%u", trace->vcpus));
	if (trace->count)
		row("seconds", text("%.3f", (double)trace->records[trace->count - 1].time / 1e9));
	row("records", text("%zu", trace->count));
	for (int i = 0; i < TRACE_KINDS; i++)
		row(text("  %s", names[i]), text("%zu", counts[i]));
}

static void print_plan(const struct settings *settings, const struct plan *plan)
{
	const struct work_kind *kind = &work_kinds[settings->events];

	printf("\nReplay as %s: %s\n", settings->as->name, settings->as->what);
	row("events",
	    text("%s (%s), %llu between two PMIs", kind->name, source_names[settings->events],
		 (unsigned long long)(kind->weight * kind->units)));
	row("vCPU", text("%lu", settings->vcpu));
	row("accesses", text("%zu", plan->accesses));
	row("PMIs", text("%zu, %zu of them with a handler of their own", plan->pmis, plan->timed));
	if (plan->left_out)
		row("left out",
		    text("%zu PMIs that no counter's value brings about", plan->left_out));
	row("event changes", text("%zu, by the guest", plan->event_changes));
}

static void print_result(const struct replay_result *result)
{
	printf("\nAfter the first %d PMIs\n", WARM_UP);
	row("PMIs", text("%zu", result->pmis));
	row("lost", text("%zu", result->lost));
	row("spurious", text("%zu", result->spurious));
	row("of other counters", text("%zu", result->other));
	if (result->split)
		row("split", text("%zu", result->split));
}

static void times_row(const char *name, struct measure_samples *samples, double minus)
{
	struct measure_statistics s = measure_statistics(samples);

	if (!s.count)
		return;
	row(name, text("least %.0f, median %.0f, 99 %% %.0f", measure_ns(s.minimum - minus),
		       measure_ns(s.median - minus), measure_ns(s.p99 - minus)));
}

static double empty_measurement(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t from = measure_begin();
		uint64_t took = measure_end() - from;

		least = took < least ? took : least;
	}
	return (double)least;
}

static void must(const char *error)
{
	if (error)
		fail("replay: %s", error);
}

/* The library alone: by direct calls, which the engine's are not. */
static void time_own(const struct plan *plan, double empty)
{
	struct own own = { 0 };

	own_run(plan, WARM_UP, &own);
	printf("\nNanoseconds a PMI, the library's own part\n");
	times_row("all calls", &own.pmi, empty);
	times_row("its service alone", &own.service, empty);
	own_free(&own);
}

static void time_events(const struct settings *settings, const struct plan *plan,
			struct replay_result *whole, double empty)
{
	struct replay_result handler = { 0 }, service = { 0 };
	struct replay_options options = { .warm_up = WARM_UP, .time = TIME_HANDLER };

	must(replay_run(plan, settings->as, &options, &handler));
	options.time = TIME_SERVICE;
	must(replay_run(plan, settings->as, &options, &service));
	printf("\nNanoseconds a PMI\n");
	times_row("end to end", &whole->pmi, measure_statistics(&whole->unit).median);
	times_row("from the exit on", &handler.pmi, empty);
	times_row("its service alone", &service.pmi, empty);
	replay_result_free(&handler);
	replay_result_free(&service);
}

static void replay(const struct settings *settings, const struct plan *plan)
{
	struct replay_result whole = { 0 };
	struct replay_options options = { .warm_up = WARM_UP, .time = TIME_WHOLE };
	double empty = empty_measurement();

	must(replay_run(plan, settings->as, &options, &whole));
	print_result(&whole);
	if (settings->events == EVENTS_MEMORY)
		time_own(plan, empty);
	else
		time_events(settings, plan, &whole, empty);
	replay_result_free(&whole);
}

static size_t in_all(const struct syscalls *syscalls, enum syscall_kind kind)
{
	size_t sum = 0;

	for (int phase = PHASE_SETUP; phase < PHASE_KINDS; phase++)
		sum += syscalls->calls[phase][kind];
	return sum;
}

static void count_calls(const struct settings *settings, const struct plan *plan)
{
	struct replay_options options = { .warm_up = WARM_UP };
	struct syscalls syscalls;
	double pmis;

	must(syscalls_count(plan, settings->as, &options, &syscalls));
	pmis = (double)syscalls.pmis;
	if (!syscalls.pmis)
		return;
	printf("\nSystem calls a PMI\n");
	row("all", text("%.2f", (double)syscalls_in(&syscalls, PHASE_PMI) / pmis));
	for (int kind = 0; kind < SYSCALL_KINDS; kind++)
		if (syscalls.calls[PHASE_PMI][kind])
			row(text("  %s", syscall_names[kind]),
			    text("%.2f", (double)syscalls.calls[PHASE_PMI][kind] / pmis));
	printf("\nPerf events of the whole replay\n");
	row("opened", text("%zu", in_all(&syscalls, SYSCALL_OPEN)));
	row("closed", text("%zu", in_all(&syscalls, SYSCALL_CLOSE)));
}

int command_replay(int argc, char **argv)
{
	struct settings settings = { .as = &subject_ours };
	struct trace trace;
	struct plan plan;
	const char *error;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help")) {
			fputs(replay_usage, stdout);
			return 0;
		}
	parse(&settings, argc, argv);
	error = trace_load(settings.file, &trace);
	if (error)
		fail("replay: %s: %s", settings.file, error);
	if (settings.vcpu >= trace.vcpus)
		fail("replay: the trace has no vCPU %lu: there are %u", settings.vcpu, trace.vcpus);
	must(work_available(settings.events));
	must(plan_make(&plan, &trace, (unsigned int)settings.vcpu, settings.events));
	if (measure_pin(-1) < 0)
		fail("replay: cannot stay on one CPU");
	print_trace(&settings, &trace);
	print_plan(&settings, &plan);
	/* What a child process of this one prints must not be printed twice. */
	fflush(stdout);
	replay(&settings, &plan);
	fflush(stdout);
	if (settings.events != EVENTS_MEMORY)
		count_calls(&settings, &plan);
	plan_free(&plan);
	trace_free(&trace);
	return 0;
}
