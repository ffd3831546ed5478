/* SPDX-License-Identifier: MIT */
/*
 * x86_64 user registers and their meaning in the Linux ABI: what the bootable kernel and the simulator on an
 * x86_64 host have in common. The simulator's <hal/arch.h> includes this file and compiles arch/x86_64/abi/.
 *
 * Each of the two machines declares
 *
 *   struct hal_user {
 *           struct hal_regs regs;
 *           struct x86_state x86;
 *           ... what else that machine keeps of a user thread
 *   };
 *
 * and implements the functions of the section "supplied by the machine".
 */
#ifndef HAL_X86_REGS_H
#define HAL_X86_REGS_H

#include <hal/exit.h>
#include <hal/types.h>

/*
 * The order is Linux's struct user_regs_struct (of which this is a prefix), and that of a hardware trap
 * frame.
 */
struct hal_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax; /* number of the system call; ~0 after anything else */
	uint64_t rip, cs, rflags, rsp, ss;
	uint64_t fs_base, gs_base;
};
_Static_assert(sizeof(struct hal_regs) == 23 * 8, "prefix of user_regs_struct");

/* The part of a user thread that lies outside the general registers. */
struct x86_state {
	void *fpu; /* x86_fpu_size() bytes, 64-byte aligned: XSAVE's standard format, or FXSAVE's         */
	bool regs_partial; /* entered by `syscall`: regs.rcx and regs.r11 are stale, stand for rip and rflags
			    */
	bool fpu_memory_newer; /* the area is being written by the kernel: save must not overwrite, load must
				  not read it, or others look at it (hal_user_lend) */
	bool step, step_forced; /* a debugger wants a step; the trap flag is there for that alone */
	uint64_t trap_number;  /* of the last trap that it caused, with the error code and, for a page fault,
				  the address: */
	uint64_t trap_error;   /*   sigcontext shows them */
	uint64_t trap_address;
};

#define HAL_USER_ALIGN 64 /* of the FPU area (XSAVE) */

#define X86_USER_CS 0x33 /* as on Linux: debuggers look at them */
#define X86_USER_SS 0x2b

#define X86_FLAG_CF   (UINT64_C(1) << 0)
#define X86_FLAG_ONE  (UINT64_C(1) << 1)
#define X86_FLAG_PF   (UINT64_C(1) << 2)
#define X86_FLAG_AF   (UINT64_C(1) << 4)
#define X86_FLAG_ZF   (UINT64_C(1) << 6)
#define X86_FLAG_SF   (UINT64_C(1) << 7)
#define X86_FLAG_TF   (UINT64_C(1) << 8)
#define X86_FLAG_IF   (UINT64_C(1) << 9)
#define X86_FLAG_DF   (UINT64_C(1) << 10)
#define X86_FLAG_OF   (UINT64_C(1) << 11)
#define X86_FLAG_IOPL (UINT64_C(3) << 12)
#define X86_FLAG_NT   (UINT64_C(1) << 14)
#define X86_FLAG_RF   (UINT64_C(1) << 16)
#define X86_FLAG_AC   (UINT64_C(1) << 18)
#define X86_FLAG_ID   (UINT64_C(1) << 21)

/* The flags that a program may choose, and with it sigreturn and a debugger (Linux's FIX_EFLAGS). */
#define X86_FLAGS_USER                                                                                       \
	(X86_FLAG_CF | X86_FLAG_PF | X86_FLAG_AF | X86_FLAG_ZF | X86_FLAG_SF | X86_FLAG_TF | X86_FLAG_DF |   \
	 X86_FLAG_OF | X86_FLAG_RF | X86_FLAG_AC)

#define HAL_ABI_CLONE_TLS_FOURTH 0
#define HAL_ABI_MACHINE	    "x86_64"
#define HAL_ABI_ELF_MACHINE 62 /* EM_X86_64 */
#define HAL_ABI_MINSIGSTKSZ x86_minsigstksz()

static inline uint64_t hal_abi_syscall_number(const struct hal_regs *r)
{
	return r->orig_rax;
}

static inline uint64_t hal_abi_syscall_arg(const struct hal_regs *r, unsigned n)
{
	switch (n) {
	case 0:
		return r->rdi;
	case 1:
		return r->rsi;
	case 2:
		return r->rdx;
	case 3:
		return r->r10;
	case 4:
		return r->r8;
	default:
		return r->r9;
	}
}

static inline void hal_abi_set_result(struct hal_regs *r, int64_t value)
{
	r->rax = (uint64_t)value;
}

static inline int64_t hal_abi_result(const struct hal_regs *r)
{
	return (int64_t)r->rax;
}

/* `syscall` is two bytes long, and the kernel leaves the argument registers as they were. */
static inline void hal_abi_call_rollback(struct hal_regs *r)
{
	r->rax = r->orig_rax;
}

static inline void hal_abi_restart_as(struct hal_regs *r, uint64_t number)
{
	r->rax = number;
	r->rip -= 2;
}

static inline void hal_abi_restart(struct hal_regs *r)
{
	hal_abi_restart_as(r, r->orig_rax);
}

#define HAL_ABI_RESTART_FIRST 0
#define HAL_ABI_STEP_CODE     1 /* TRAP_BRKPT */

static inline bool hal_abi_in_call(const struct hal_regs *r)
{
	return (int64_t)r->orig_rax >= 0;
}

static inline uaddr_t hal_abi_behind_call(uaddr_t pc)
{
	return pc + 2;
}

static inline uaddr_t hal_abi_pc(const struct hal_regs *r)
{
	return r->rip;
}

static inline void hal_abi_set_pc(struct hal_regs *r, uaddr_t pc)
{
	r->rip = pc;
}

static inline uaddr_t hal_abi_sp(const struct hal_regs *r)
{
	return r->rsp;
}

static inline uaddr_t hal_abi_fp(const struct hal_regs *r)
{
	return r->rbp;
}

struct hal_user;

/* ---- in arch/x86_64/abi/, for both machines ---- */

extern uint64_t x86_fpu_known_features;
extern size_t x86_fpu_known_size; /* 0: not asked yet */
void x86_fpu_ask(void);

/* Bytes of an FPU area. */
static inline size_t x86_fpu_size(void)
{
	if (x86_fpu_known_size == 0)
		x86_fpu_ask();
	return x86_fpu_known_size;
}

/* The extended states that this machine gives to programs (XCR0), 0 without XSAVE. */
static inline uint64_t x86_fpu_features(void)
{
	if (x86_fpu_known_size == 0)
		x86_fpu_ask();
	return x86_fpu_known_features;
}

/* The state of a new program, in an area of x86_fpu_size() bytes. */
void x86_fpu_init_area(void *area);

/* x86_fpu_to_user(), x86_fpu_from_user(), x86_fpu_reset(), by way of the area in memory. */
int x86_fpu_area_to_user(struct hal_user *u, uaddr_t dst);
int x86_fpu_area_from_user(struct hal_user *u, uaddr_t src, size_t len);
void x86_fpu_area_reset(struct hal_user *u);

/* Fills trap_number, trap_error and trap_address from how user mode ended; `present`: the page of a fault was mapped. */
void x86_trap_note(struct hal_user *u, enum hal_exit_kind kind, const struct hal_exit *e, bool present);

/* Bytes of the largest signal frame. */
size_t x86_minsigstksz(void);

/* ---- supplied by the machine ---- */

/*
 * The running thread's FPU state, from and to a signal frame. to_user writes what XSAVE or FXSAVE does, not the bytes for
 * software's own use; the XSAVE header there is zero before. from_user takes `len` bytes: all states, or the legacy part
 * (512), when the others become initial; nothing in it is trusted. 0 or -EFAULT; then the state is initial.
 */
int x86_fpu_to_user(struct hal_user *u, uaddr_t dst);
int x86_fpu_from_user(struct hal_user *u, uaddr_t src, size_t len);
void x86_fpu_reset(struct hal_user *u);

/*
 * u->regs.fs_base, gs_base and the FPU area were changed in memory: if u's state is live in this CPU, load it
 * again.
 */
void x86_user_reload(struct hal_user *u);

/* The running thread's registers as Linux shows them, those too that the entry to a system call leaves out. */
void x86_regs_complete(struct hal_user *u);

/* What CPUID says to programs. */
struct x86_cpuid {
	uint32_t eax, ebx, ecx, edx;
};
struct x86_cpuid x86_cpuid(uint32_t leaf, uint32_t subleaf);

/* The time-stamp counter's frequency, for /proc/cpuinfo; 0 when unknown. */
uint64_t x86_tsc_khz(void);

#endif
