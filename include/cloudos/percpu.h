/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU data: a variable is defined once, in a section of its own that every CPU has a zeroed copy of. The kernel is not
 * preempted, so this_cpu() stays valid until the thread next sleeps; an interrupt handler may touch the same copy.
 */
#ifndef CLOUDOS_PERCPU_H
#define CLOUDOS_PERCPU_H

#include <cloudos/types.h>
#include <hal/hal.h>

#define DEFINE_PER_CPU(type, name)  __attribute__((section("cloudos_percpu"), aligned(16))) type name
#define DECLARE_PER_CPU(type, name) extern type name

extern char *percpu_base[HAL_CPU_MAX]; /* copy of CPU i minus the address of the section's start */

#define this_cpu(name)	     (*(__typeof__(name) *)((char *)&(name) + (uintptr_t)hal_cpu_area()))
#define per_cpu(name, cpu)   (*(__typeof__(name) *)((char *)&(name) + (uintptr_t)percpu_base[cpu]))

/* Makes the copies (boot CPU, after mm); the boot CPU uses the section itself until then. */
void percpu_init_boot(void);
int percpu_init_cpu(unsigned cpu);

#endif
