/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nested loop|exits N: a virtual machine of KVM's whose code counts its own instructions by
 * AMD's counter 0, around N turns of a loop. Prints what the counter has counted, and how
 * many instructions have retired in the virtual machine from its start to its end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define MEMORY_SIZE 0x10000
#define START       0x1000
#define LEAVES      256

/* 16-bit code; ESI has N. WRMSR, RDPMC, CPUID and OUT are KVM's: they do not retire here. */
__asm__(".section .rodata\n"
	".macro count body:vararg\n"
	".code16\n"
	"mov $0xc0010200, %ecx\n"
	"mov $0x5300c0, %eax\n" /* instructions, at all levels, with an interrupt */
	"xor %edx, %edx\n"
	"wrmsr\n"
	"1: \\body\n"
	"dec %esi\n"
	"jnz 1b\n"
	"xor %ecx, %ecx\n"
	"rdpmc\n"
	"out %al, $0x80\n"
	".code64\n"
	".endm\n"
	"code_loop: count\n"
	"code_loop_end:\n"
	"code_exits: count xor %eax, %eax; cpuid\n"
	"code_exits_end:\n"
	".text\n");

extern const char code_loop[], code_loop_end[], code_exits[], code_exits_end[];

static const struct program {
	const char *name, *code, *end;
	unsigned int turn;           /* instructions that retire in a turn */
	unsigned int before, behind; /* and before the loop and behind it */
} programs[] = {
	{ "loop", code_loop, code_loop_end, 2, 3, 1 },
	{ "exits", code_exits, code_exits_end, 3, 3, 1 },
};

static int must(int result, const char *what)
{
	if (result >= 0)
		return result;
	perror(what);
	exit(1);
}

static void add_memory(int vm, const struct program *program)
{
	char *memory =
		mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY_SIZE,
						      .userspace_addr = (uintptr_t)memory };

	must(memory == MAP_FAILED ? -1 : 0, "mmap");
	memcpy(memory + START, program->code, (size_t)(program->end - program->code));
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

static void show_all_features(int kvm, int vcpu)
{
	struct kvm_cpuid2 *leaves =
		calloc(1, sizeof(*leaves) + LEAVES * sizeof(struct kvm_cpuid_entry2));

	must(leaves ? 0 : -1, "calloc");
	leaves->nent = LEAVES;
	must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, leaves), "KVM_GET_SUPPORTED_CPUID");
	must(ioctl(vcpu, KVM_SET_CPUID2, leaves), "KVM_SET_CPUID2");
	free(leaves);
}

static void set_registers(int vcpu, uint64_t turns)
{
	struct kvm_regs regs = { .rip = START, .rflags = 2, .rsi = turns };
	struct kvm_sregs sregs;

	must(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = sregs.cs.selector = 0;
	must(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	must(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

/* Returns the counter. */
static uint64_t run(int kvm, int vcpu)
{
	int size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	struct kvm_run *state =
		mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	struct kvm_regs regs;

	must(state == MAP_FAILED ? -1 : 0, "mmap");
	must(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	must(ioctl(vcpu, KVM_GET_REGS, &regs), "KVM_GET_REGS");
	if (state->exit_reason != KVM_EXIT_IO) {
		fprintf(stderr, "exit reason %u at %llx\n", state->exit_reason, regs.rip);
		exit(1);
	}
	return regs.rdx << 32 | (uint32_t)regs.rax;
}

int main(int argc, char **argv)
{
	const struct program *program = &programs[argc > 1 && !strcmp(argv[1], "exits")];
	uint64_t turns = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	int kvm = must(open("/dev/kvm", O_RDWR), "/dev/kvm");
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	int vcpu;

	add_memory(vm, program);
	/* KVM hands its counters to a virtual machine only with this. */
	must(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	show_all_features(kvm, vcpu);
	set_registers(vcpu, turns);
	printf("own %llu", (unsigned long long)run(kvm, vcpu));
	printf(" retired %llu\n",
	       (unsigned long long)(program->before + turns * program->turn + program->behind));
	return 0;
}
