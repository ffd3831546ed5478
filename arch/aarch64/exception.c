/* SPDX-License-Identifier: MIT */
/*
 * What an exception means (Arm ARM D17.2.37, ESR_EL1). From user mode each one becomes an exit with the
 * signal that Linux would send. In the kernel a fault on a user address at an instruction of the exception
 * table asks the kernel to mend it; every other one is the kernel's own, and the end.
 */
#include "aarch64.h"
#include <linux/signal.h>

/* exception classes */
enum {
	EC_UNKNOWN = 0x00,
	EC_SYSREG = 0x18,
	EC_IABT_USER = 0x20,
	EC_IABT_KERNEL = 0x21,
	EC_PC_ALIGN = 0x22,
	EC_DABT_USER = 0x24,
	EC_DABT_KERNEL = 0x25,
	EC_SP_ALIGN = 0x26,
	EC_FPE = 0x2c,
	EC_SERROR = 0x2f,
	EC_STEP = 0x32,
	EC_BRK = 0x3c,
};
#define ESR_CLASS(esr) ((unsigned)((esr) >> 26) & 63)
#define ESR_WRITE      (1u << 6)
#define ESR_CACHE      (1u << 8) /* by cache maintenance, which counts as a read */
#define FSC_ALIGNMENT  0x21

enum fault_class { FAULT_TRANSLATION, FAULT_ACCESS_FLAG, FAULT_PERMISSION, FAULT_ALIGNMENT, FAULT_OTHER };

static enum fault_class fault_class(uint64_t esr)
{
	switch (esr & 0x3c) {
	case 0x04:
		return FAULT_TRANSLATION;
	case 0x08:
		return FAULT_ACCESS_FLAG;
	case 0x0c:
		return FAULT_PERMISSION;
	default:
		return (esr & 0x3f) == FSC_ALIGNMENT ? FAULT_ALIGNMENT : FAULT_OTHER;
	}
}

static enum hal_access fault_access(uint64_t esr)
{
	unsigned ec = ESR_CLASS(esr);

	if (ec == EC_IABT_USER || ec == EC_IABT_KERNEL)
		return HAL_ACCESS_EXEC;
	return (esr & ESR_WRITE) != 0 && (esr & ESR_CACHE) == 0 ? HAL_ACCESS_WRITE : HAL_ACCESS_READ;
}

/* ---- the kernel's own ---- */

static char *put_text(char *to, const char *text)
{
	while (*text != 0)
		*to++ = *text++;
	return to;
}

static char *put_register(char *to, const char *name, uint64_t value)
{
	to = put_text(put_text(to, name), " ");
	for (int shift = 60; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[value >> shift & 15];
	return to;
}

#define DUMP_SIZE 1024 /* 37 registers of at most 25 characters */

static void dump(char *to, const struct trap_frame *f, uint64_t esr, uint64_t far)
{
	char name[4] = "x";

	for (unsigned i = 0; i < 31; i++) {
		name[1] = (char)(i < 10 ? '0' + i : '0' + i / 10);
		name[2] = (char)(i < 10 ? ' ' : '0' + i % 10);
		to = put_text(put_register(to, name, f->x[i]), i % 4 == 3 ? "\n" : "  ");
	}
	to = put_text(put_register(to, "sp ", f->sp), "\n");
	to = put_text(put_register(to, "pc ", f->pc), "  ");
	to = put_text(put_register(to, "psr", f->pstate), "  ");
	to = put_text(put_register(to, "esr", esr), "  ");
	to = put_text(put_register(to, "far", far), "\n");
	*to = 0;
}

static _Noreturn void die(const char *what, struct trap_frame *f, uint64_t esr, uint64_t far)
{
	char text[DUMP_SIZE];

	dump(text, f, esr, far);
	if (hal_upcalls.kernel_fault != NULL)
		hal_upcalls.kernel_fault(what, f->pc, f->x[29], far, text);
	hal_console_write("kernel fault\r\n", 14);
	hal_console_write(text, (size_t)__builtin_strlen(text));
	smp_park();
}

static const char *memory_fault_name(uint64_t esr, uint64_t far)
{
	static const char *const names[3][3] = {
	    {"page fault: read of unmapped", "page fault: write to unmapped",
	     "page fault: execution of unmapped"},
	    {"page fault: read of forbidden", "page fault: write to read-only",
	     "page fault: execution of data"},
	    {"user address read by the kernel", "user address written by the kernel",
	     "user address executed by the kernel"},
	};
	enum hal_access access = fault_access(esr);
	unsigned column = access == HAL_ACCESS_READ ? 0 : access == HAL_ACCESS_WRITE ? 1 : 2;

	if (fault_class(esr) == FAULT_OTHER)
		return "memory error";
	if (fault_class(esr) == FAULT_ALIGNMENT)
		return "unaligned access";
	return names[far < HAL_USER_TOP ? 2 : fault_class(esr) == FAULT_PERMISSION][column];
}

static const char *fault_name(uint64_t esr, uint64_t far)
{
	switch (ESR_CLASS(esr)) {
	case EC_IABT_KERNEL:
	case EC_DABT_KERNEL:
		return memory_fault_name(esr, far);
	case EC_UNKNOWN:
		return "undefined instruction";
	case EC_BRK:
		return "breakpoint instruction";
	case EC_PC_ALIGN:
		return "program counter not aligned";
	case EC_SP_ALIGN:
		return "stack pointer not aligned";
	case EC_SERROR:
		return "SError: asynchronous memory error";
	default:
		return "unexpected exception";
	}
}

void exception_bad_vector(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	die(fault_name(esr, far), f, esr, far);
}

void exception_stack_overflow(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	die("kernel stack overflow", f, esr, far);
}

/* ---- faults on user memory inside hal_copy_*() ---- */

struct extable_entry {
	int32_t at, fixup; /* relative to their own addresses */
};
extern const struct extable_entry __extable_start[], __extable_end[];

static uintptr_t extable_at(const struct extable_entry *e)
{
	return (uintptr_t)&e->at + (uintptr_t)(intptr_t)e->at;
}

/* The entries are in the order of the instructions: one section's both (uaccess.S). */
static uintptr_t extable_fixup(uintptr_t pc)
{
	const struct extable_entry *low = __extable_start, *high = __extable_end;

	while (low < high) {
		const struct extable_entry *e = low + (high - low) / 2;

		if (extable_at(e) == pc)
			return (uintptr_t)&e->fixup + (uintptr_t)(intptr_t)e->fixup;
		if (extable_at(e) < pc)
			low = e + 1;
		else
			high = e;
	}
	return 0;
}

/* Has the kernel mend the fault; interrupts are on meanwhile. */
static bool user_fault_mended(uint64_t esr, uint64_t far)
{
	enum fault_class class = fault_class(esr);
	int error = -1;

	if (class == FAULT_ACCESS_FLAG && aspace_mark_accessed(far))
		return true;
	if (class != FAULT_TRANSLATION && class != FAULT_PERMISSION)
		return false;
	hal_irq_enable();
	if (hal_upcalls.user_fault != NULL)
		error = hal_upcalls.user_fault(far, fault_access(esr));
	hal_irq_disable();
	return error == 0;
}

void exception_kernel(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	uintptr_t fixup = 0;

	if (ESR_CLASS(esr) == EC_DABT_KERNEL && far < HAL_USER_TOP)
		fixup = extable_fixup(f->pc);
	if (fixup == 0)
		die(fault_name(esr, far), f, esr, far);
	if (!user_fault_mended(esr, far))
		f->pc = fixup;
}

/* ---- from user mode ---- */

static enum hal_exit_kind trap(struct hal_exit *ret, int signo, int code, uaddr_t addr)
{
	ret->signo = signo;
	ret->code = code;
	ret->addr = addr;
	return HAL_EXIT_TRAP;
}

static enum hal_exit_kind user_memory(struct hal_exit *ret, uint64_t esr, uint64_t far)
{
	uaddr_t addr =
	    (far & UINT64_C(1) << 55) != 0 ? far : far & ~(UINT64_C(0xff) << 56); /* without the tag */
	enum fault_class class = fault_class(esr);

	if (class == FAULT_ALIGNMENT)
		return trap(ret, SIGBUS, BUS_ADRALN, addr);
	if (class == FAULT_OTHER)
		return trap(ret, SIGBUS, BUS_OBJERR, addr);
	if (addr >= HAL_USER_TOP)
		return trap(ret, SIGSEGV, SEGV_MAPERR, addr);
	if (class == FAULT_ACCESS_FLAG && aspace_mark_accessed(addr))
		return HAL_EXIT_INTERRUPT;
	ret->addr = addr;
	ret->access = fault_access(esr);
	return HAL_EXIT_FAULT;
}

/* ESR bits 0 to 4 say which floating-point exceptions were trapped. */
static int fpe_code(uint64_t esr)
{
	static const int8_t codes[5] = {FPE_FLTINV, FPE_FLTDIV, FPE_FLTOVF, FPE_FLTUND, FPE_FLTRES};

	for (unsigned i = 0; i < 5; i++) {
		if ((esr >> i & 1) != 0)
			return codes[i];
	}
	return FPE_FLTINV;
}

/* An undefined instruction may be a read of an ID register, which programs are promised (HWCAP_CPUID). */
static enum hal_exit_kind user_undefined(struct hal_user *u, struct hal_exit *ret)
{
	uint32_t instruction;

	if ((u->regs.pc & 3) == 0 && hal_user_load32(u->regs.pc, &instruction) == 0 &&
	    idreg_emulate(u, instruction))
		return HAL_EXIT_INTERRUPT;
	return trap(ret, SIGILL, ILL_ILLOPC, u->regs.pc);
}

enum hal_exit_kind exception_user(struct hal_user *u, struct hal_exit *ret, uint64_t esr, uint64_t far)
{
	unsigned ec = ESR_CLASS(esr);

	u->fault_esr = esr;
	u->fault_addr = ec == EC_IABT_USER || ec == EC_DABT_USER || ec == EC_PC_ALIGN ? far : 0;
	__asm__ volatile("msr daifclr, #6" ::: "memory");
	switch (ec) {
	case EC_IABT_USER:
	case EC_DABT_USER:
		return user_memory(ret, esr, far);
	case EC_UNKNOWN:
	case EC_SYSREG:
		return user_undefined(u, ret);
	case EC_PC_ALIGN:
		return trap(ret, SIGBUS, BUS_ADRALN, far);
	case EC_SP_ALIGN:
		return trap(ret, SIGBUS, BUS_ADRALN, u->regs.sp);
	case EC_FPE:
		return trap(ret, SIGFPE, fpe_code(esr), u->regs.pc);
	case EC_STEP:
		return trap(ret, SIGTRAP, TRAP_TRACE, u->regs.pc);
	case EC_BRK:
		return trap(ret, SIGTRAP, TRAP_BRKPT, u->regs.pc);
	default:
		return trap(ret, SIGILL, ILL_ILLOPC, u->regs.pc);
	}
}
