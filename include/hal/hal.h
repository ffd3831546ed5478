/* SPDX-License-Identifier: MIT */
/*
 * The seam between the kernel and the machine. Three machines implement it: arch/x86_64, arch/aarch64, and sim.
 *
 * <hal/arch.h> comes from the machine's own include folder; it gives the types whose layout differs and the
 * inline functions of hot paths, under the names and with the meaning listed in the headers below. The kernel
 * includes <hal/hal.h> and never <hal/arch.h> alone.
 *
 * The seam exports no locks, no threads and no libc. A vCPU is a core, a pthread, or a coroutine; the kernel's
 * own threads, scheduler, locks and timers run on top of it on every machine.
 *
 * Rules of context: kernel code is not preempted; an interrupt handler runs on the stack of what it
 * interrupted, with interrupts off, to its end. "Any context" means: also in an interrupt handler.
 */
#ifndef HAL_HAL_H
#define HAL_HAL_H

#include <hal/types.h>
#include <hal/arch.h>
#include <hal/boot.h>
#include <hal/cpu.h>
#include <hal/console.h>
#include <hal/context.h>
#include <hal/device.h>
#include <hal/irq.h>
#include <hal/mmu.h>
#include <hal/point.h>
#include <hal/power.h>
#include <hal/time.h>
#include <hal/upcall.h>
#include <hal/user.h>
#include <hal/abi.h>

#endif
