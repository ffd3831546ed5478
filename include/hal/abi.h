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
 *   void hal_abi_set_pc(struct hal_regs *, uaddr_t)
 *   uaddr_t hal_abi_pc(const struct hal_regs *), hal_abi_sp(const struct hal_regs *)     the latter after hal_user_sync()
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
 * The vDSO: an ELF image of whole pages to map read-only and executable (null: none), preceded in memory by one data
 * page (read-only to the user) that the machine keeps up to date.
 */
const void *hal_vdso_image(size_t *ret_len);
paddr_t hal_vdso_data(void);

/* Text of /proc/cpuinfo for one CPU, as Linux prints it on this architecture; returns its length, at most size. */
size_t hal_cpuinfo(unsigned cpu, char *buf, size_t size);

#endif
