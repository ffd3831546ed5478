/* SPDX-License-Identifier: MIT */
/* Beginning and copying of user threads, as Linux's ABI for aarch64 has it. */
#include "../aarch64.h"
#include <linux/errno.h>

void hal_abi_start(struct hal_user *u, uaddr_t entry, uaddr_t sp)
{
	user_fpu_abandon(u);
	u->regs = (struct hal_regs){.pc = entry, .sp = sp};
	u->tpidr = 0;
	u->fault_esr = 0;
	hal_abi_step(u, u->step);
	user_fpu_reset(u->fpu);
}

void hal_abi_clone(struct hal_user *child, uaddr_t sp, bool set_tls, uaddr_t tls)
{
	child->regs.x[0] = 0;
	if (sp != 0)
		child->regs.sp = sp;
	if (set_tls)
		child->tpidr = tls;
}

int64_t hal_abi_arch_prctl(struct hal_user *u, int code, uaddr_t addr)
{
	(void)u;
	(void)code;
	(void)addr;
	return -ENOSYS;
}
