/* SPDX-License-Identifier: MIT */
/* Traps and interrupts: vectors, and what entry.S and the C side call each other. */
#ifndef X86_TRAP_H
#define X86_TRAP_H

#include <hal/hal.h>

enum vector {
	VECTOR_DIVIDE = 0,
	VECTOR_DEBUG = 1,
	VECTOR_NMI = 2,
	VECTOR_BREAKPOINT = 3,
	VECTOR_OVERFLOW = 4,
	VECTOR_BOUND = 5,
	VECTOR_INVALID_OPCODE = 6,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_INVALID_TSS = 10,
	VECTOR_NOT_PRESENT = 11,
	VECTOR_STACK = 12,
	VECTOR_PROTECTION = 13,
	VECTOR_PAGE_FAULT = 14,
	VECTOR_FPU = 16,
	VECTOR_ALIGNMENT = 17,
	VECTOR_MACHINE_CHECK = 18,
	VECTOR_SIMD = 19,
	VECTOR_EXCEPTIONS = 32, /* how many are the CPU's own */

	VECTOR_PIC = 0x20, /* 16 that only a masked 8259 sends, spuriously */
	VECTOR_DEVICE_FIRST = 0x30,
	VECTOR_DEVICE_LAST = 0xef,
	VECTOR_TIMER = 0xf0,
	VECTOR_IPI = 0xf1,
	VECTOR_SPURIOUS = 0xff,
};

/* What a trap in the kernel pushed: struct hal_regs without the segment bases. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi;
	uint64_t error;
	uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(offsetof(struct trap_frame, ss) == offsetof(struct hal_regs, ss), "one layout");

/* Page-fault error code, Intel SDM 3A 4.7. */
#define PF_PRESENT (1u << 0)
#define PF_WRITE   (1u << 1)
#define PF_USER	   (1u << 2)
#define PF_FETCH   (1u << 4)

/* entry.S */
extern char x86_trap_stubs[256][16];
void x86_syscall_entry(void);
void x86_context_start(void);
extern const char x86_idle_halt[];
_Noreturn void x86_call_on_stack(void *stack_top, void (*fn)(void *), void *arg);

/* Called by entry.S. */
enum hal_exit_kind x86_trap_user(unsigned vector, struct hal_user *u, struct hal_exit *ret);
void x86_trap_kernel(unsigned vector, struct trap_frame *f);
void x86_trap_own_stack(unsigned vector, struct trap_frame *f);

/* Runs what an interrupt vector is for. Interrupts off. */
void x86_irq_dispatch(unsigned vector);

/* Ends the machine with a dump of the registers; on a stack of its own if `switch_stack`. */
_Noreturn void x86_fatal(unsigned vector, const struct trap_frame *f, uintptr_t addr);

/* Goes behind the faulting instruction if it is one that may fault; false if it is not. */
bool x86_fixup(struct trap_frame *f);

/* Stops this CPU, for good, in answer to hal_cpu_stop_others(). */
extern uint32_t x86_stopping;

#endif
