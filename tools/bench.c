/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu bench: runs one of the benchmarks of bench/, and prints what it hands
 * back. The benchmarks know nothing of the command line.
 */
#define _GNU_SOURCE
#include "bench/exit/exit.h"
#include "bench/guest/guest.h"
#include "bench/lib/json.h"
#include "bench/lib/machine.h"
#include "bench/lib/measure.h"
#include "bench/pmi/pmi.h"
#include "bench/vmexit/vmexit.h"
#include "bench/vmpmi/vmpmi.h"
#include "commands.h"
#include "events.h"
#include "pmu.h"
#include "process/args.h"
#include "process/process.h"
#include "qemu.h"
#include "util.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLOT_CHECK_SECONDS 60

const char bench_usage[] =
	"usage: vpmu bench exit|pmi|guest|vmexit [options]\n"
	"\n"
	"Measures what a PMU costs, vpmu's and what hypervisors do instead, in one run.\n"
	"\n"
	"  exit           each instruction that a host emulates for its guest\n"
	"  pmi            each overflow interrupt of a guest that samples, on real perf events\n"
	"  guest          programs and single accesses in guests of QEMU's TCG; takes minutes\n"
	"  vmexit         exits of guests of this machine's KVM, by their PMU's state\n"
	"\n"
	"  --cpu N        the CPU to run on (default: the one it is started on)\n"
	"  --repeat N     samples of each figure, 1 to 1000000\n"
	"  --seconds N    go on for at least so long, 1 to 86400\n"
	"  --quick        every figure, but roughly\n"
	"  --details      all figures: least, median and 99th percentile\n"
	"  --json         print JSON, which has all figures\n"
	"  --plot FILE    draw the main figures, as SVG, too\n"
	"  --model MODEL  guest: the guests' CPU, as QEMU's -cpu (default: Skylake-Server)\n"
	"  --pmu PMU      guest: their PMU (default: what such a CPU has)\n"
	"  --kvm          pmi: of guests of this machine's KVM\n"
	"  --trace FILE   pmi: replay this trace (repeatable; default: those that are shipped)\n"
	"  --exits LIST   vmexit: of cpuid, rdmsr, wrmsr, rdpmc, pio, mmio, hlt (default: all)\n"
	"  --states LIST  vmexit: of off, idle, cycles, instructions (default: all)\n"
	"  --leaf N       vmexit: the leaf of CPUID (default: 0)\n"
	"  --help         this text\n";

static const struct benchmark {
	const char *name;
	const char *(*run)(const struct bench_options *options, struct report *report);
	/* With --kvm, if it has that. */
	const char *(*run_kvm)(const struct bench_options *options, struct report *report);
	bool takes_traces;
	bool starts_guests;
	bool is_of_kvm;
} benchmarks[] = {
	{ .name = "exit", .run = bench_exit },
	{ .name = "pmi", .run = bench_pmi, .run_kvm = bench_vmpmi, .takes_traces = true },
	{ .name = "guest", .run = bench_guest, .starts_guests = true },
	{ .name = "vmexit", .run = bench_vmexit, .is_of_kvm = true },
};

struct settings {
	const struct benchmark *benchmark;
	struct bench_options options;
	struct pmu_options pmu; /* of guests */
	const char *model;      /* their CPU */
	bool kvm;
	bool json;
	bool details;
	const char *plot; /* file */
	struct args traces;
	struct bench_vmexit vmexit;
};

static const struct benchmark *find_benchmark(const char *name)
{
	for (size_t i = 0; i < sizeof(benchmarks) / sizeof(benchmarks[0]); i++)
		if (!strcmp(benchmarks[i].name, name))
			return &benchmarks[i];
	if (name[0] == '-')
		fail("bench: which benchmark? There are exit, pmi, guest and vmexit, and options "
		     "come after it");
	fail("bench: unknown benchmark `%s'; there are exit, pmi, guest and vmexit", name);
}

static unsigned long number(const char *option, const char *value, unsigned long least,
			    unsigned long most)
{
	unsigned long number;

	if (!parse_number(value, most, &number) || number < least)
		fail("bench: %s takes a number from %lu to %lu, not `%s'", option, least, most,
		     value);
	return number;
}

/* Leaves are mostly written in hexadecimal. */
static uint32_t leaf_number(const char *value)
{
	char *end;
	guint64 number = g_ascii_strtoull(value, &end, 0);

	if (!g_ascii_isdigit(*value) || *end || number > UINT32_MAX)
		fail("bench: --leaf takes a number from 0 to 0xffffffff, not `%s'", value);
	return (uint32_t)number;
}

static bool kvm_option(struct bench_vmexit *vmexit, char **argv, int *i)
{
	const char *value;

	if ((value = option_value(argv, i, "--exits")))
		vmexit->exits = value;
	else if ((value = option_value(argv, i, "--states")))
		vmexit->states = value;
	else if ((value = option_value(argv, i, "--leaf")))
		vmexit->leaf = leaf_number(value);
	else
		return false;
	return true;
}

/* An option with a value; false: it is another. */
static bool value_option(struct settings *settings, char **argv, int *i)
{
	const char *value;

	if ((value = option_value(argv, i, "--cpu")))
		settings->options.cpu = (int)number("--cpu", value, 0, 65535);
	else if ((value = option_value(argv, i, "--repeat")))
		settings->options.repeat = (unsigned int)number("--repeat", value, 1, 1000000);
	else if ((value = option_value(argv, i, "--seconds")))
		settings->options.seconds = (double)number("--seconds", value, 1, 86400);
	else if ((value = option_value(argv, i, "--plot")))
		settings->plot = value;
	else if (settings->benchmark->takes_traces && (value = option_value(argv, i, "--trace")))
		args_add(&settings->traces, value);
	else if (settings->benchmark->starts_guests && (value = option_value(argv, i, "--model")))
		settings->model = value;
	else if (settings->benchmark->starts_guests && (value = option_value(argv, i, "--pmu")))
		settings->pmu.pmu = value;
	else
		return settings->benchmark->is_of_kvm && kvm_option(&settings->vmexit, argv, i);
	return true;
}

static void parse_option(struct settings *settings, char **argv, int *i)
{
	if (!strcmp(argv[*i], "--quick"))
		settings->options.quick = true;
	else if (!strcmp(argv[*i], "--details"))
		settings->details = true;
	else if (!strcmp(argv[*i], "--json"))
		settings->json = true;
	else if (settings->benchmark->run_kvm && !strcmp(argv[*i], "--kvm"))
		settings->kvm = true;
	else if (!value_option(settings, argv, i))
		fail("bench %s: unknown option or argument `%s'; there are --cpu, --repeat, "
		     "--seconds, --quick, --details, --json, --plot%s%s%s%s and --help",
		     settings->benchmark->name, argv[*i],
		     settings->benchmark->run_kvm ? ", --kvm" : "",
		     settings->benchmark->takes_traces ? ", --trace" : "",
		     settings->benchmark->starts_guests ? ", --model, --pmu" : "",
		     settings->benchmark->is_of_kvm ? ", --exits, --states, --leaf" : "");
}

static void show_progress(double part)
{
	fprintf(stderr, "\rvpmu bench: %3.0f %%", part * 100);
	if (part >= 1)
		fputs("\r                  \r", stderr);
}

static void pin(struct settings *settings)
{
	int cpu = measure_pin(settings->options.cpu);

	if (cpu < 0)
		fail("bench: cannot run on CPU %d: %s", settings->options.cpu, strerror(errno));
	settings->options.cpu = cpu;
}

/* A word as a shell takes it. */
static const char *quoted(const char *word)
{
	if (!word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			       "_-+=./,:@%")])
		return word;
	return g_shell_quote(word);
}

/* Everything that has a say in the figures, defaults written out. */
static const char *command_again(const struct settings *settings)
{
	const struct bench_options *options = &settings->options;
	const char *command =
		text("vpmu bench %s --cpu %d", settings->benchmark->name, options->cpu);

	if (settings->kvm)
		command = text("%s --kvm", command);
	if (options->quick)
		command = text("%s --quick", command);
	if (options->repeat)
		command = text("%s --repeat %u", command, options->repeat);
	if (options->seconds > 0)
		command = text("%s --seconds %.0f", command, options->seconds);
	if (options->guest)
		command = text("%s --model %s --pmu %s", command, quoted(options->guest->cpu),
			       options->guest->pmu);
	if (settings->vmexit.exits)
		command = text("%s --exits %s", command, quoted(settings->vmexit.exits));
	if (settings->vmexit.states)
		command = text("%s --states %s", command, quoted(settings->vmexit.states));
	if (settings->vmexit.leaf)
		command = text("%s --leaf %#x", command, settings->vmexit.leaf);
	for (size_t i = 0; i < options->trace_count; i++)
		command = text("%s --trace %s", command, quoted(options->traces[i]));
	return command;
}

static void print_json(FILE *file, const struct settings *settings, const struct machine *machine,
		       const struct report *report)
{
	json_t *json = json_object();

	json_object_set_new(json, "benchmark", json_string(settings->benchmark->name));
	json_object_set_new(json, "version", json_string(VPMU_TOOLS_VERSION));
	json_object_set_new(json, "command", json_from_text(command_again(settings)));
	json_object_set_new(json, "machine", machine_json(machine));
	json_object_set_new(json, "tables", report_json(report));
	json_print(file, json);
}

static void print_text(const struct settings *settings, const struct machine *machine,
		       const struct report *report)
{
	puts("Machine\n");
	machine_print(stdout, machine);
	putchar('\n');
	report_print(stdout, report, settings->details);
	if (!settings->details)
		puts("\nAll figures, with median and 99th percentile: --details or --json.");
	printf("\nAgain: %s\n", command_again(settings));
}

static char *plot_program(void)
{
	return text("%s/bench/figures/plot", paths_get()->build);
}

/* What can go wrong is found out before a long run. */
static int open_plot(const char *file)
{
	char *check[] = { plot_program(), "--check", NULL };
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int status;
	char *said;

	if (fd < 0)
		fail("bench: cannot write %s: %s", file, strerror(errno));
	said = process_output(check, PLOT_CHECK_SECONDS, &status);
	if (status)
		fail("bench: --plot: %s", *said ? strtok(said, "\n") : check[0]);
	return fd;
}

static void draw(const struct settings *settings, int fd, const struct machine *machine,
		 const struct report *report)
{
	char *argv[] = { plot_program(), NULL };
	FILE *json = tmpfile();
	struct process_start start = { .argv = argv, .out = fd, .err = STDERR_FILENO };
	int status = -1;
	pid_t pid;

	if (!json)
		fail("bench: there is no room for the figures: %s", strerror(errno));
	print_json(json, settings, machine, report);
	rewind(json);
	start.in = fileno(json);
	pid = process_start(&start);
	if (pid > 0)
		waitpid(pid, &status, 0);
	fclose(json);
	if (status || close(fd))
		fail("bench: cannot draw %s", settings->plot);
}

/* What a benchmark that starts guests needs to have; no PMU is attached where there is none. */
static void find_guest_parts(struct settings *settings)
{
	static struct bench_guest_parts parts;
	static struct qemu qemu;
	const char *error = qemu_find(NULL, &qemu);
	const struct paths *paths = paths_get();

	if (error)
		fail("bench guest: %s", error);
	/* The figures of docs/benchmarks.md are this one's. */
	if (!settings->model && !strcmp(settings->pmu.pmu, PMU_AUTO))
		settings->model = "Skylake-Server";
	pmu_settle(&settings->pmu, &settings->model);
	if (!pmu_config(&settings->pmu).version)
		fail("bench guest: --pmu off is measured anyway, beside a PMU");
	parts = (struct bench_guest_parts){
		.qemu = qemu.argv.v,
		.cpu = settings->model,
		.pmu = settings->pmu.pmu,
		.plugin = paths->plugin,
		.build = paths->build,
		.vpmu = text("%s/vpmu", paths->build),
	};
	if (!kernel_release("6.1"))
		parts.no_linux = "there is no kernel (`make setup' brings it)";
	else if (!g_find_program_in_path("perf"))
		parts.no_linux = "there is no perf on PATH (package linux-perf)";
	settings->options.guest = &parts;
}

/* The first event of this processor that counts all of a class; 0: none is known. */
static uint64_t event_of(enum family family, enum event_class class)
{
	const struct event_row *row = NULL;

	while ((row = event_next(family, row)))
		if (row->class == class && !row->cycles) {
			const struct event_encoding encoding = event_encoding(family, row);

			return (encoding.select & 0xff) | (uint64_t)encoding.umask << 8 |
			       (uint64_t)(encoding.select >> 8) << 32;
		}
	return 0;
}

static void find_host_events(struct bench_vmexit *vmexit)
{
#if defined(__x86_64__)
	unsigned int a, b, c, d;
	enum family family;

	__cpuid(0, a, b, c, d);
	family = b == signature_INTEL_ebx ? family_of(VPMU_INTEL, 0) : family_of(VPMU_AMD, 0);
	__cpuid(1, a, b, c, d);
	family = family_of(family_vendor(family), a);
	vmexit->calls = event_of(family, CLASS_CALL);
	vmexit->returns = event_of(family, CLASS_RETURN);
#else
	(void)vmexit;
#endif
}

static int run(struct settings *settings)
{
	struct report report = { NULL, NULL };
	struct machine machine;
	int plot = -1;
	const char *error;

	pin(settings);
	if (settings->plot)
		plot = open_plot(settings->plot);
	if (settings->benchmark->starts_guests)
		find_guest_parts(settings);
	if (settings->benchmark->is_of_kvm)
		find_host_events(&settings->vmexit);
	settings->options.vmexit = &settings->vmexit;
	machine_read(&machine);
	error = (settings->kvm ? settings->benchmark->run_kvm
			       : settings->benchmark->run)(&settings->options, &report);
	if (settings->options.progress)
		settings->options.progress(1);
	if (error)
		fail("bench %s: %s", settings->benchmark->name, error);
	if (settings->json)
		print_json(stdout, settings, &machine, &report);
	else
		print_text(settings, &machine, &report);
	if (plot >= 0)
		draw(settings, plot, &machine, &report);
	report_free(&report);
	return 0;
}

int command_bench(int argc, char **argv)
{
	struct settings settings = { .options = { .cpu = -1 }, .pmu = PMU_OPTIONS_DEFAULT };

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help")) {
			fputs(bench_usage, stdout);
			return 0;
		}
	if (argc < 2)
		fail("bench: which benchmark? There are exit, pmi, guest and vmexit");
	settings.benchmark = find_benchmark(argv[1]);
	for (int i = 2; i < argc; i++)
		parse_option(&settings, argv, &i);
	settings.options.traces = (const char *const *)settings.traces.v;
	settings.options.trace_count = settings.traces.count;
	if (settings.kvm && settings.traces.count)
		fail("bench pmi: --kvm replays no traces");
	if (isatty(STDERR_FILENO))
		settings.options.progress = show_progress;
	return run(&settings);
}
