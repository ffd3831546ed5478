/* SPDX-License-Identifier: MIT */
/* Registers of new programs and threads, arch_prctl(2), and what the auxiliary vector says of the CPU. */
#include "abi_internal.h"

#include <asm/errno.h>
#include <asm/hwcap2.h>
#include <asm/prctl.h>

void hal_abi_start(struct hal_user *u, uaddr_t entry, uaddr_t sp)
{
	u->regs = (struct hal_regs){
	    .rip = entry,
	    .rsp = sp,
	    .cs = X86_USER_CS,
	    .ss = X86_USER_SS,
	    .rflags = X86_FLAG_ONE | X86_FLAG_IF,
	    .orig_rax = UINT64_MAX,
	};
	u->x86.regs_partial = false;
	u->x86.step_forced = false;
	x86_fpu_init_area(u->x86.fpu);
	x86_user_reload(u);
	hal_abi_step(u, u->x86.step);
}

void hal_abi_clone(struct hal_user *child, uaddr_t sp, bool set_tls, uaddr_t tls)
{
	child->regs.rax = 0;
	if (sp != 0)
		child->regs.rsp = sp;
	if (set_tls)
		child->regs.fs_base = tls;
}

static int64_t set_base(struct hal_user *u, uint64_t *base, uaddr_t addr)
{
	if (addr >= HAL_USER_TOP)
		return -EPERM;
	hal_user_sync(u);
	*base = addr;
	x86_user_reload(u);
	return 0;
}

static int64_t get_base(struct hal_user *u, const uint64_t *base, uaddr_t addr)
{
	hal_user_sync(u);
	if (addr > HAL_USER_TOP - sizeof(*base))
		return -EFAULT;
	return hal_copy_to_user(addr, base, sizeof(*base)) == 0 ? 0 : -EFAULT;
}

int64_t hal_abi_arch_prctl(struct hal_user *u, int code, uaddr_t addr)
{
	switch (code) {
	case ARCH_SET_FS:
		return set_base(u, &u->regs.fs_base, addr);
	case ARCH_SET_GS:
		return set_base(u, &u->regs.gs_base, addr);
	case ARCH_GET_FS:
		return get_base(u, &u->regs.fs_base, addr);
	case ARCH_GET_GS:
		return get_base(u, &u->regs.gs_base, addr);
	case ARCH_GET_CPUID:
		return 1; /* `cpuid` does not fault */
	default:
		return -EINVAL;
	}
}

uint64_t hal_abi_hwcap(void)
{
	return x86_cpuid(1, 0).edx;
}

uint64_t hal_abi_hwcap2(void)
{
	if (x86_cpuid(0, 0).eax >= 7 && (x86_cpuid(7, 0).ebx & 1))
		return HWCAP2_FSGSBASE;
	return 0;
}
