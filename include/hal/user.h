/* SPDX-License-Identifier: MIT */
/*
 * User mode. A user thread is a kernel thread in a loop around hal_user_run(), on every machine:
 *
 *   hal_irq_disable(); (look for work: signals, reschedule; if none) kind = hal_user_run(&user, &exit); ...
 *
 * In <hal/arch.h>:
 *
 *   struct hal_regs          the user's registers
 *   struct hal_user          { struct hal_regs regs; ... }: registers and what else the machine keeps of a user thread
 *   HAL_USER_ALIGN           alignment of the FPU area
 *
 *   enum hal_exit_kind hal_user_run(struct hal_user *u, struct hal_exit *ret)
 *           Runs user code until it leaves user mode. Called with interrupts off on the thread's own kernel stack, in the
 *           address space that hal_aspace_activate() chose; returns with interrupts on. `ret` is filled as the kind says.
 *           A function, or inline: then the caller's registers need not be saved one by one.
 *
 * The FPU, vector and thread-pointer registers stay in the CPU while the kernel runs (it uses none of them). They are in
 * memory only after hal_user_save(); the scheduler calls that when it switches away from a user thread.
 */
#ifndef HAL_USER_H
#define HAL_USER_H

#include <hal/exit.h>
#include <hal/types.h>

struct hal_user;

/* Bytes of the FPU area of one user thread (aligned to HAL_USER_ALIGN). */
size_t hal_user_fpu_size(void);

/* All registers zero, FPU in its initial state; `fpu` is the FPU area, kept by reference. */
void hal_user_init(struct hal_user *u, void *fpu);

/* dst becomes a copy of src, the running thread's (registers, FPU, thread pointer); dst keeps its own FPU area `fpu`. */
void hal_user_fork(struct hal_user *dst, void *fpu, struct hal_user *src);

/* Scheduler: the thread leaves this CPU (state goes to memory) / arrives at this CPU. Interrupts off. */
void hal_user_save(struct hal_user *u);
void hal_user_load(struct hal_user *u);

/* The running thread's live state is now also in memory. */
void hal_user_sync(struct hal_user *u);

/*
 * A debugger's hold. From the first on the running thread's registers and FPU state are in memory alone, where others may read and
 * write them while it sleeps; the second, by the thread itself, ends that.
 */
void hal_user_lend(struct hal_user *u);
void hal_user_reclaim(struct hal_user *u);

#endif
