/* SPDX-License-Identifier: MIT */
/* The time-stamp counter as the clock, and the local APIC's timer. */
#ifndef X86_TIMER_H
#define X86_TIMER_H

#include <arch/acpi.h>

/*
 * Boot: the frequency is either told by the CPU or hypervisor, or measured against another timer, from begin
 * to finish; what lies between costs no waiting. The APIC is enabled before begin.
 */
void x86_time_begin(const struct acpi_info *acpi, uint64_t boot_tsc);
void x86_time_finish(void);

/*
 * Nanoseconds to ticks of the time-stamp counter, from its zero; and 2^32 times APIC timer ticks per
 * nanosecond.
 */
uint64_t x86_tsc_of_ns(uint64_t ns);
uint64_t x86_apic_ticks_per_ns32(void);

/* Each CPU, after x86_time_finish(): its one-shot timer, disarmed. */
void x86_timer_enable(void);
void x86_timer_interrupt(void);

/* The battery clock: nanoseconds since 1970, or 0 when it makes no sense. `century` is a CMOS register, or 0.
 */
uint64_t x86_rtc_read_ns(unsigned century);

#endif
