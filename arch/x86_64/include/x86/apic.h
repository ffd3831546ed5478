/* SPDX-License-Identifier: MIT */
/* The local interrupt controller of each CPU (Intel SDM volume 3A, chapter 10), as xAPIC or x2APIC. */
#ifndef X86_APIC_H
#define X86_APIC_H

#include <hal/types.h>

/* Registers: the offset in the xAPIC's page; x2APIC's MSR is 0x800 + offset / 16. */
enum apic_register {
	APIC_ID = 0x20,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_SPURIOUS = 0xf0,
	APIC_ICR = 0x300, /* x2APIC: 64 bits wide */
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_COUNT = 0x380,
	APIC_TIMER_NOW = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_LVT_MASKED	      (1u << 16)
#define APIC_LVT_TSC_DEADLINE (2u << 17)
#define APIC_LVT_NMI	      (4u << 8)

/* Boot CPU: chooses the mode, maps the registers. 0 or -ENODEV. */
int x86_apic_init(paddr_t base);

/* Each CPU: enables its own. */
void x86_apic_enable(void);

uint32_t x86_apic_read(enum apic_register reg);
void x86_apic_write(enum apic_register reg, uint32_t value);
uint32_t x86_apic_id(void);
void x86_apic_eoi(void);

/* Interrupt commands; any context. */
void x86_apic_send(uint32_t apic_id, unsigned vector);
void x86_apic_send_nmi(uint32_t apic_id);
void x86_apic_send_init(uint32_t apic_id);
void x86_apic_send_startup(uint32_t apic_id, unsigned page);

#endif
