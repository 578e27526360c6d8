/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How QEMU is started for a throw-away guest.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "process/process.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * quiet and loglevel: the serial console is slow. tsc=reliable: no watchdog on a clock that
 * follows the host. nmi_watchdog=0: it would hold a counter. cryptomgr.notests, mitigations: time.
 * lsm and what follows it: each call would pay for what nobody here is guarded by or asks for.
 */
static const char kernel_parameters[] =
	"console=ttyS0 panic=-1 tsc=reliable no_timer_check mitigations=off nmi_watchdog=0 "
	"random.trust_cpu=on cryptomgr.notests 8250.nr_uarts=1 raid=noautodetect audit=0 "
	"lsm=landlock,yama psi=0 cgroup_disable=memory init_on_alloc=0 hardened_usercopy=off "
	"randomize_kstack_offset=off";

/*
 * --deterministic. User space without RDRAND and RDSEED asks the kernel, whose
 * answers the guest's init makes up. The kernel clears pages by REP STOSQ without ERMS:
 * under -icount QEMU enters a REP again for each iteration.
 */
static const char deterministic_parameters[] = "norandmaps nokaslr vdso=0";
static const char deterministic_features[] = ",-rdrand,-rdseed,-erms,-fsrm";
static const char *const deterministic_words[] = {
	"-icount", "shift=0,sleep=off", "-rtc", "base=2037-01-01T00:00:00,clock=vm", "-seed", "1",
};

static void add_pair(struct args *words, const char *option, const char *value)
{
	args_add(words, option);
	args_add(words, value);
}

static void add_accelerator(struct args *words, const struct guest_options *options)
{
	if (guest_has_kvm(options)) {
		add_pair(words, "-accel", "kvm");
		return;
	}
	add_pair(words, "-plugin", pmu_plugin_argument(&options->pmu));
	add_pair(words, "-accel", options->tcg ? text("tcg,%s", options->tcg) : "tcg");
}

static const char *bus_of(const struct guest_options *options)
{
	return guest_has_kvm(options) ? "device" : "pci";
}

/*
 * What the guest writes there this user writes, whoever it is there. QEMU follows none of its
 * symbolic links.
 */
static void add_writable(struct args *words, const struct guest_options *options)
{
	const struct args *folders = &options->writable;

	for (size_t i = 0; i < folders->count; i++) {
		add_pair(words, "-fsdev",
			 text("local,id=writable%zu,path=%s,security_model=none,multidevs=remap", i,
			      args_double_commas(folders->v[i])));
		add_pair(words, "-device",
			 text("virtio-9p-%s,fsdev=writable%zu,mount_tag=writable%zu",
			      bus_of(options), i, i));
	}
}

/*
 * A guest of a guest pays for each exit: microvm has no PCI, and little of what a PC has. Without
 * an RTC Linux would wait for one for seconds.
 */
static void add_machine(struct args *words, const struct guest_options *options)
{
	add_pair(words, "-machine", guest_has_kvm(options) ? "microvm,rtc=on" : "q35");
	add_pair(words, "-m", options->memory);
	add_pair(words, "-device", text("virtio-serial-%s,max_ports=2", bus_of(options)));
}

/* What serves the files puts into it what it is asked for, and a snapshot is read into it. */
static void add_memory(struct args *words, const struct guest_options *options, int memory)
{
	if (memory < 0)
		return;
	add_pair(words, "-object",
		 text("memory-backend-file,id=memory,share=on,mem-path=/proc/self/fd/%d,size=%ju",
		      memory, (uintmax_t)guest_memory(options)));
	add_pair(words, "-machine", "memory-backend=memory");
}

/* All of this machine's files, of which the guest can write none. */
static void add_files(struct args *words, const struct guest_options *options, int files)
{
	if (files < 0) {
		add_pair(words, "-fsdev",
			 "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap");
		add_pair(words, "-device",
			 text("virtio-9p-%s,fsdev=root,mount_tag=root", bus_of(options)));
		return;
	}
	add_pair(words, "-chardev", text("socket,id=files,fd=%d", files));
	add_pair(words, "-device",
		 text("vhost-user-fs-%s,chardev=files,tag=root,queue-size=1024", bus_of(options)));
}

/* A guest that writes more than the disk has room for is told so; QEMU would stop it. */
static void add_room(struct args *words, int room)
{
	if (room < 0)
		return;
	add_pair(words, "-add-fd", text("fd=%d,set=1", room));
	add_pair(words, "-blockdev",
		 "driver=file,node-name=room,filename=/dev/fdset/1,locking=off,discard=unmap");
	add_pair(words, "-device", "virtio-blk-pci,drive=room,werror=report");
}

/* Its memory, which it has already when it comes from there, is neither saved nor loaded. */
static void add_snapshot(struct args *words, const struct guest_parts *parts)
{
	if (parts->table < 0)
		return;
	add_pair(words, "-acpitable", pmu_state_argument(parts->table));
	add_pair(words, "-global", "migration.x-ignore-shared=on");
	/* It runs when it is loaded, though it stood still when it was saved. */
	add_pair(words, "-global", "migration.store-global-state=off");
	if (parts->incoming >= 0)
		add_pair(words, "-incoming", text("fd:%d", parts->incoming));
	if (parts->monitor < 0)
		return;
	add_pair(words, "-chardev", text("socket,id=monitor,fd=%d", parts->monitor));
	add_pair(words, "-mon", "chardev=monitor,mode=control");
}

static void build_words(struct args *words, const struct guest_options *options,
			const struct scratch *scratch, const struct guest_parts *parts)
{
	const char *kernel = text("%s/%s", paths_get()->kernel, options->kernel);

	add_machine(words, options);
	add_memory(words, options, parts->memory);
	add_files(words, options, parts->files);
	add_writable(words, options);
	add_room(words, parts->room);
	add_snapshot(words, parts);
	add_accelerator(words, options);
	add_pair(words, "-cpu",
		 text("%s%s", options->cpu, options->deterministic ? deterministic_features : ""));
	for (size_t i = 0;
	     options->deterministic && i < sizeof(deterministic_words) / sizeof(char *); i++)
		args_add(words, deterministic_words[i]);
	add_pair(words, "-smp", options->cpus);
	args_add(words, "-nodefaults");
	args_add(words, "-no-user-config");
	args_add(words, "-no-reboot");
	add_pair(words, "-display", "none");
	/* The ELF kernel is entered by PVH: nothing is left to unpack in the guest. */
	add_pair(words, "-kernel", text("%s/vmlinux", kernel));
	if (parts->incoming < 0)
		add_pair(words, "-initrd", scratch->initramfs);
	add_pair(words, "-append",
		 text("%s %s %s %s", kernel_parameters,
		      options->deterministic ? deterministic_parameters : "",
		      options->console ? "loglevel=7" : "quiet loglevel=1",
		      options->append ? options->append : ""));
	add_pair(words, "-chardev",
		 text("file,id=console,path=%s", args_double_commas(scratch->console)));
	add_pair(words, "-serial", "chardev:console");
	add_pair(words, "-chardev", text("socket,id=port,fd=%d", parts->port));
	add_pair(words, "-device", "virtserialport,chardev=port,nr=1");
}

/* What is another's in each run is the same here. */
char *guest_key(const struct guest_options *options, const struct qemu *qemu,
		const struct args *files)
{
	const struct scratch nowhere = { .initramfs = "", .console = "" };
	const struct guest_parts parts = { .files = strcmp(options->files, FILES_9P) ? 0 : -1,
					   .incoming = -1,
					   .monitor = -1 };
	struct guest_options same = *options;
	struct args words = { 0 }, named = { 0 };

	same.pmu.report = NULL;
	same.writable = (struct args){ 0 };
	for (size_t i = 0; i < options->writable.count; i++)
		args_add(&same.writable, "");
	args_add_all(&words, qemu->argv.v);
	build_words(&words, &same, &nowhere, &parts);
	args_add(&named, qemu->path);
	args_add(&named, options->pmu.plugin ? options->pmu.plugin : paths_get()->plugin);
	args_add(&named, text("%s/%s/vmlinux", paths_get()->kernel, options->kernel));
	args_add_all(&named, files->v);
	return snapshot_key(&words, &named);
}

pid_t guest_start(const struct guest_options *options, const struct qemu *qemu,
		  const struct scratch *scratch, const struct guest_parts *parts,
		  const sigset_t *before)
{
	struct args words = { 0 };
	struct process_start start = {
		.in = -1,
		/* What the terminal sends is for vpmu alone: it ends the guest in order. */
		.own_group = true,
		.death_signal = SIGKILL,
		.mask = before,
	};
	pid_t pid;
	int log = open(scratch->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	if (log < 0)
		fail("%s: %s", scratch->log, strerror(errno));
	args_add_all(&words, qemu->argv.v);
	build_words(&words, options, scratch, parts);
	start.argv = words.v;
	start.out = start.err = log;
	pid = process_start(&start);
	if (pid < 0)
		fail("%s: %s", words.v[0], strerror(errno));
	close(log);
	return pid;
}
