/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The local APIC in xAPIC and x2APIC mode. SDM vol. 3, "Advanced Programmable
 * Interrupt Controller (APIC)".
 */
#include "guest.h"

#define MSR_APIC_BASE     0x1b
#define APIC_BASE_ENABLE  0x800
#define APIC_BASE_X2      0x400
#define MSR_X2APIC        0x800
#define XAPIC             0xfee00000ul
#define SVR_ENABLE        0x100
#define SPURIOUS_VECTOR   0xff
#define ICR_PENDING       0x1000
#define ICR_HIGH          0x31
#define XAPIC_DESTINATION 24

static volatile uint32_t *xapic(unsigned int r)
{
	return (volatile uint32_t *)(XAPIC + r * 16);
}

bool apic_is_x2(void)
{
	return rdmsr(MSR_APIC_BASE) & APIC_BASE_X2;
}

uint32_t apic_read(enum apic_register r)
{
	return apic_is_x2() ? (uint32_t)rdmsr(MSR_X2APIC + r) : *xapic(r);
}

void apic_write(enum apic_register r, uint32_t value)
{
	if (apic_is_x2())
		wrmsr(MSR_X2APIC + r, value);
	else
		*xapic(r) = value;
}

void apic_icr(uint32_t destination, uint32_t command)
{
	if (apic_is_x2()) {
		wrmsr(MSR_X2APIC + APIC_ICR, (uint64_t)destination << 32 | command);
		return;
	}
	*xapic(ICR_HIGH) = destination << XAPIC_DESTINATION;
	*xapic(APIC_ICR) = command;
	while (*xapic(APIC_ICR) & ICR_PENDING)
		cpu_relax();
}

void apic_enable(void)
{
	apic_write(APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
}

void apic_enable_x2(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2);
	apic_enable();
}

void apic_leave_x2(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) & ~(uint64_t)(APIC_BASE_ENABLE | APIC_BASE_X2);

	wrmsr(MSR_APIC_BASE, base);
	wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	apic_enable();
}

uint32_t apic_errors(void)
{
	apic_write(APIC_ESR, 0);
	return apic_read(APIC_ESR);
}
