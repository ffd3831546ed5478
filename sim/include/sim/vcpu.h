/* SPDX-License-Identifier: MIT */
/*
 * A virtual CPU: what both halves of the simulator and the inline functions of <hal/arch.h> know of it.
 *
 * Who touches what: the atomic members are shared between threads of the host; the rest belongs to
 * the thread that runs the vCPU. Only `pending` bits are ever set from outside: kernel code runs on its own
 * vCPU alone.
 */
#ifndef SIM_VCPU_H
#define SIM_VCPU_H

#include <stdatomic.h>

#include <hal/types.h>

#define SIM_CPU_MAX 64 /* a mask is one uint64_t */
#define SIM_VECTORS 256 /* devices' interrupts; the first are lines (device.h) */

struct hal_aspace;
struct hal_context;

/* Reasons for an interrupt: bits of `pending`. */
enum sim_irq {
	SIM_IRQ_TIMER = 1,   /* the one-shot timer ran out                     */
	SIM_IRQ_IPI = 2,     /* hal_ipi_send()                                 */
	SIM_IRQ_CLOCK = 4,   /* look at the clock: the deadline may have passed */
	SIM_IRQ_CONSOLE = 8, /* console input waits (vCPU 0)                   */
	SIM_IRQ_HALT = 16,   /* stop here for ever: another vCPU panics         */
	SIM_IRQ_DEVICE = 32, /* a device interrupts: see `vectors`             */
	SIM_IRQ_DISK = 64,   /* the host has done requests of disks (vCPU 0)   */
};

struct sim_vcpu {
	unsigned id;
	bool irq_on;
	bool in_irq; /* a handler runs */
	bool left_user; /* it has just been in user mode: an interrupt that comes now came there */
	const uintptr_t *interrupted; /* frame of kernel code, while an interrupt of it is handled; else null */
	_Atomic uint32_t pending; /* enum sim_irq; also the futex on which an idle vCPU sleeps */
	void *area, *current;	  /* the kernel's two pointers */

	_Atomic uint64_t vectors[SIM_VECTORS / 64]; /* devices' interrupts that are pending; then SIM_IRQ_DEVICE is, or was */

	uint64_t deadline;	   /* of the one-shot timer, hal_clock_ns() scale */
	struct hal_aspace *aspace; /* the active one, or null */
	struct hal_context *left;  /* the context that this vCPU last switched away from */
	struct hal_context *running; /* and the one that it is in */
	unsigned relaxed;	   /* calls of hal_cpu_relax() */

	_Atomic uint64_t
	    watched; /* the deadline that the clock thread watches for it; that thread resets it */
	_Atomic uint32_t sleeping; /* it is about to wait for `pending` */
	_Atomic int stub_pid;	   /* the stub process that runs user code for it, or 0 */
	_Atomic uint32_t online;
	void (*entry)(void *); /* hal_cpu_start()'s */
	void *arg;
	void *stack_top;
} __attribute__((aligned(64)));

extern struct sim_vcpu sim_vcpus[SIM_CPU_MAX];

/* The vCPU that this host thread runs; null on threads that run none. */
extern __thread struct sim_vcpu *sim_self_pointer;

/*
 * Read afresh each time: after a context switch the same kernel thread may go on in another thread of the
 * host, and no address or value of thread-local storage from before may survive that.
 */
static inline struct sim_vcpu *sim_self(void)
{
	struct sim_vcpu *self;

	__asm__ volatile("movq %%fs:sim_self_pointer@tpoff, %0" : "=r"(self));
	return self;
}

/* Delivers what is pending, interrupts being on; see common/irq.c. */
void sim_irq_deliver(void);

/* The vCPU, which runs on its host thread, goes on in `entry` on the given stack; nobody ever comes back. */
_Noreturn void sim_vcpu_enter(struct sim_vcpu *v, void *stack_top, void (*entry)(void *), void *arg);

#endif
