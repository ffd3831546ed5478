/* SPDX-License-Identifier: MIT */
/*
 * What of the Linux ABI differs between architectures. In <hal/arch.h>, inline:
 *
 *   uint64_t hal_abi_syscall_number(const struct hal_regs *)
 *   uint64_t hal_abi_syscall_arg(const struct hal_regs *, unsigned n)      n = 0..5
 *   void hal_abi_set_result(struct hal_regs *, int64_t)                    the value that the call returns
 *   int64_t hal_abi_result(const struct hal_regs *)
 *   void hal_abi_restart(struct hal_regs *)        run the same call again: program counter back, first argument as at entry
 *   void hal_abi_restart_as(struct hal_regs *, uint64_t number)            the same with another number (restart_syscall)
 *   void hal_abi_call_rollback(struct hal_regs *)  as the program had them at entry: a debugger's look at the call has changed them
 *   void hal_abi_set_pc(struct hal_regs *, uaddr_t)
 *   uaddr_t hal_abi_pc(const struct hal_regs *), hal_abi_sp(const struct hal_regs *)     the latter after hal_user_sync()
 *   uaddr_t hal_abi_fp(const struct hal_regs *)    the frame pointer, by the architecture's convention
 *   bool hal_abi_in_call(const struct hal_regs *)  not if a debugger has said that what interrupted the program is no call
 *   HAL_ABI_RESTART_FIRST    1: debuggers see an interrupted call as if it was to be made again; 0: they see its -ERESTART*
 *   uaddr_t hal_abi_behind_call(uaddr_t)           the program counter behind a call, from that of the call
 *   HAL_ABI_STEP_CODE        si_code of the SIGTRAP that ends a step over a system call
 *   HAL_ABI_MACHINE          "x86_64" or "aarch64": uname's machine and AT_PLATFORM
 *   HAL_ABI_CLONE_TLS_FOURTH 1: clone(2) takes (flags, stack, parent_tid, tls, child_tid); 0: tls last
 *   HAL_ABI_ELF_MACHINE      EM_X86_64 or EM_AARCH64
 *   HAL_ABI_MINSIGSTKSZ      AT_MINSIGSTKSZ
 */
#ifndef HAL_ABI_H
#define HAL_ABI_H

#include <hal/types.h>

struct hal_user;

/* AT_HWCAP and AT_HWCAP2. */
uint64_t hal_abi_hwcap(void);
uint64_t hal_abi_hwcap2(void);

/* A new program: all registers clear but the entry point and the stack; FPU and thread pointer in their initial state. */
void hal_abi_start(struct hal_user *u, uaddr_t entry, uaddr_t sp);

/* The child of clone(): result 0; a new stack unless sp is 0; a new thread pointer if set_tls. */
void hal_abi_clone(struct hal_user *child, uaddr_t sp, bool set_tls, uaddr_t tls);

/* arch_prctl(2) on x86_64 for the running thread; -ENOSYS elsewhere. */
int64_t hal_abi_arch_prctl(struct hal_user *u, int code, uaddr_t addr);

/* Linux's stack_t, in our own words (both 64-bit ABIs agree on it). */
struct hal_altstack {
	uaddr_t sp;
	int32_t flags;
	uint32_t pad;
	uint64_t size;
};
_Static_assert(sizeof(struct hal_altstack) == 24, "stack_t");

/* One signal to deliver to a handler. */
struct hal_signal {
	int signo;
	uint64_t flags;		     /* SA_*                                                    */
	uaddr_t handler, restorer;   /* restorer is used if flags has SA_RESTORER, else the vDSO's */
	uaddr_t vdso;		     /* where the vDSO is mapped, or 0                          */
	uaddr_t stack_top;	     /* the alternate stack's end to push from, or 0: where sp is */
	uint64_t blocked;	     /* mask to restore at sigreturn                            */
	struct hal_altstack altstack; /* for uc_stack                                            */
	_Alignas(8) uint8_t siginfo[128]; /* siginfo_t                                               */
	uint64_t fault_addr, fault_code, fault_trap; /* sigcontext's cr2/err/trapno; fault_address on aarch64 */
};

/* Pushes an rt_sigframe for the running thread and points it at the handler; 0 or -EFAULT (then nothing changed). */
int hal_abi_signal_push(struct hal_user *u, const struct hal_signal *sig);

/* rt_sigreturn(2): takes the frame off again; hostile frames give -EFAULT or are made harmless. */
int hal_abi_signal_pop(struct hal_user *u, uint64_t *ret_blocked, struct hal_altstack *ret_altstack);

/*
 * Registers as ptrace(2) and core files show them: NT_* of linux/elf.h, of the running thread after hal_user_sync() or of one that has lent
 * its registers (hal_user_lend). The size of a set in bytes, 0: there is none; reading the whole of it; writing its first `len` bytes, a
 * multiple of its unit that is no more than its size: 0, or an errno with nothing changed.
 */
size_t hal_abi_regset_size(unsigned type);
void hal_abi_regset_get(const struct hal_user *u, unsigned type, void *ret);
int hal_abi_regset_set(struct hal_user *u, unsigned type, const void *data, size_t len);

/* The sets that a core file has of each thread, beside NT_PRSTATUS's: the n-th; 0: there are no more. */
unsigned hal_abi_core_set(unsigned n);

/* Does an old request of ptrace(2), PTRACE_GETREGS and its kin, stand for a set, and is it to write it? */
bool hal_abi_regset_request(unsigned long request, unsigned *ret_type, bool *ret_set);

/* PTRACE_PEEKUSR and POKEUSR: the word at an offset of struct user. 0, -EIO; -ENOSPC: a debug register. */
int hal_abi_user_peek(const struct hal_user *u, uint64_t at, uint64_t *ret);
int hal_abi_user_poke(struct hal_user *u, uint64_t at, uint64_t value);

/* From the next stay in user mode on the thread is to trap (SIGTRAP, TRAP_TRACE) behind each instruction, or no longer. Thread: as above, or
 * not started yet. */
void hal_abi_step(struct hal_user *u, bool on);
bool hal_abi_stepping(const struct hal_user *u);

/*
 * A debugger is about to see a system call that is not made yet; it has seen it: the number that it wants, and hal_abi_syscall_arg() gives its
 * arguments. A negative number: none is to be made, and the result register is what it made of it.
 */
void hal_abi_call_stop(struct hal_regs *r);
uint64_t hal_abi_call_stopped(struct hal_regs *r);

/*
 * The vDSO: an ELF image of whole pages to map read-only and executable (null: none), preceded in memory by one data
 * page (read-only to the user) that the machine keeps up to date.
 */
const void *hal_vdso_image(size_t *ret_len);
paddr_t hal_vdso_data(void);

/* Text of /proc/cpuinfo for one CPU, as Linux prints it on this architecture; returns its length, at most size. */
size_t hal_cpuinfo(unsigned cpu, char *buf, size_t size);

#endif
