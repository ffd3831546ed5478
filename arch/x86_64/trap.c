/* SPDX-License-Identifier: MIT */
/*
 * Traps, in C. From user mode: told to the kernel as the end of hal_user_run(), with Linux's signal numbers
 * and codes (arch/x86/kernel/traps.c is where Linux's choice can be read). From the kernel: a fault inside a
 * copy of user memory is mended by the kernel's vm or ends the copy; everything else ends the machine.
 */
#include <x86/cpu.h>
#include <x86/mmu.h>
#include <x86/percpu.h>
#include <x86/trap.h>
#include <asm-generic/siginfo.h>
#include <asm/signal.h>

#define DR6_SINGLE_STEP (1u << 14)

uint32_t x86_stopping;

/* ---- user mode ---- */

/* si_code of a floating-point fault, from its pending and unmasked exceptions: both units order them alike.
 */
static int fpe_code(unsigned pending)
{
	if (pending & 1)
		return FPE_FLTINV;
	if (pending & 4)
		return FPE_FLTDIV;
	if (pending & 8)
		return FPE_FLTOVF;
	if (pending & (16 | 2))
		return FPE_FLTUND;
	return pending & 32 ? FPE_FLTRES : FPE_FLTUNK;
}

static int x87_code(void)
{
	uint16_t control, status;

	__asm__ volatile("fnstcw %0" : "=m"(control));
	__asm__ volatile("fnstsw %0" : "=m"(status));
	return fpe_code(status & ~control & 0x3f);
}

static int simd_code(void)
{
	uint32_t mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	return fpe_code(mxcsr & ~(mxcsr >> 7) & 0x3f);
}

static int debug_code(void)
{
	uint64_t dr6 = read_dr6();

	write_dr6(0xffff0ff0);
	return dr6 & DR6_SINGLE_STEP ? TRAP_TRACE : TRAP_BRKPT;
}

static enum hal_exit_kind signal_exit(struct hal_exit *ret, int signo, int code, uaddr_t addr)
{
	ret->signo = signo;
	ret->code = code;
	ret->addr = addr;
	return HAL_EXIT_TRAP;
}

static enum hal_access fault_access(uint64_t error)
{
	if (error & PF_FETCH)
		return HAL_ACCESS_EXEC;
	return error & PF_WRITE ? HAL_ACCESS_WRITE : HAL_ACCESS_READ;
}

static enum hal_exit_kind page_fault_exit(struct hal_user *u, struct hal_exit *ret)
{
	uaddr_t addr = read_cr2();

	u->x86.trap_address = addr;
	if (addr >= HAL_USER_TOP)
		return signal_exit(ret, SIGSEGV, SEGV_MAPERR, addr);
	ret->addr = addr;
	ret->access = fault_access(u->x86.trap_error);
	return HAL_EXIT_FAULT;
}

static enum hal_exit_kind exception_exit(unsigned vector, struct hal_user *u, struct hal_exit *ret)
{
	uaddr_t pc = u->regs.rip;

	switch (vector) {
	case VECTOR_PAGE_FAULT:
		return page_fault_exit(u, ret);
	case VECTOR_DIVIDE:
		return signal_exit(ret, SIGFPE, FPE_INTDIV, pc);
	case VECTOR_DEBUG:
		return signal_exit(ret, SIGTRAP, debug_code(), pc);
	case VECTOR_BREAKPOINT:
		return signal_exit(ret, SIGTRAP, SI_KERNEL, 0);
	case VECTOR_INVALID_OPCODE:
		return signal_exit(ret, SIGILL, ILL_ILLOPN, pc);
	case VECTOR_NOT_PRESENT:
	case VECTOR_STACK:
		return signal_exit(ret, SIGBUS, SI_KERNEL, 0);
	case VECTOR_FPU:
		return signal_exit(ret, SIGFPE, x87_code(), pc);
	case VECTOR_SIMD:
		return signal_exit(ret, SIGFPE, simd_code(), pc);
	case VECTOR_ALIGNMENT:
		return signal_exit(ret, SIGBUS, BUS_ADRALN, 0);
	default:
		return signal_exit(ret, SIGSEGV, SI_KERNEL, 0);
	}
}

enum hal_exit_kind x86_trap_user(unsigned vector, struct hal_user *u, struct hal_exit *ret)
{
	enum hal_exit_kind kind = HAL_EXIT_INTERRUPT;

	if (vector >= VECTOR_EXCEPTIONS) {
		x86_irq_dispatch(vector);
	} else {
		u->x86.trap_number = vector;
		u->x86.trap_error = u->regs.orig_rax;
		kind = exception_exit(vector, u, ret);
	}
	u->regs.orig_rax = UINT64_MAX;
	hal_irq_enable();
	return kind;
}

/* ---- kernel mode ---- */

struct ex_entry {
	uint64_t from, to;
};
extern const struct ex_entry ex_table_start[] __asm__("_ex_table_start"), ex_table_end[] __asm__(
									      "_ex_table_end");

bool x86_fixup(struct trap_frame *f)
{
	for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++) {
		if (e->from == f->rip) {
			f->rip = e->to;
			return true;
		}
	}
	return false;
}

static bool may_fault(const struct trap_frame *f)
{
	extern const char start[] __asm__("_usercopy_start"), end[] __asm__("_usercopy_end");

	return f->rip >= (uintptr_t)start && f->rip < (uintptr_t)end;
}

/*
 * A copy that was begun with interrupts off cannot wait for a page: it fails at once, and its caller tries
 * again after it has let go of what made it turn them off.
 */
static bool user_fault(const struct trap_frame *f, uaddr_t addr)
{
	int err;

	if (!(f->rflags & X86_FLAG_IF) || addr >= HAL_USER_TOP || hal_upcalls.user_fault == NULL)
		return false;
	hal_irq_enable();
	err = hal_upcalls.user_fault(addr, fault_access(f->error));
	hal_irq_disable();
	return err == 0;
}

bool hal_interrupted(uintptr_t *ret_pc, uintptr_t *ret_fp)
{
	const struct trap_frame *f = this_cpu()->interrupted;

	if (f == NULL)
		return false;
	*ret_pc = f->rip;
	*ret_fp = f->rbp;
	return true;
}

void x86_trap_kernel(unsigned vector, struct trap_frame *f)
{
	uintptr_t addr = 0;

	if (vector >= VECTOR_EXCEPTIONS) {
		this_cpu()->interrupted = f;
		x86_irq_dispatch(vector);
		this_cpu()->interrupted = NULL;
		return;
	}
	if (vector == VECTOR_PAGE_FAULT) {
		addr = read_cr2();
		if (may_fault(f) && (user_fault(f, addr) || x86_fixup(f)))
			return;
	}
	if (vector == VECTOR_PROTECTION && may_fault(f) && x86_fixup(f))
		return;
	x86_fatal(vector, f, addr);
}

/* NMI carries two requests between CPUs; any other, a machine check and a double fault are the end. */
void x86_trap_own_stack(unsigned vector, struct trap_frame *f)
{
	if (vector == VECTOR_NMI) {
		bool flushed = x86_flush_requested();

		if (__atomic_load_n(&x86_stopping, __ATOMIC_ACQUIRE))
			cpu_halt_forever();
		if (f->rip == (uintptr_t)x86_idle_halt)
			f->rip++; /* `hlt` is one byte long */
		if (flushed)
			return;
	}
	x86_fatal(vector, f, vector == VECTOR_DOUBLE_FAULT ? read_cr2() : 0);
}
