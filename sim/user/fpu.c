/* SPDX-License-Identifier: MIT */
/*
 * FPU, vector and thread-pointer state, and behind a system call the registers that it does not pass. It
 * lives in the stub while its thread runs there; moving it costs the host two copies of some kilobytes, so
 * that is done only when another thread needs the stub, or the thread another stub. A stub holds a thread's
 * state when both say so (stub->fpu_user, u->fpu_stub): either side alone may be out of date.
 */
#include <asm/errno.h>

#include <sim/user.h>

void *memcpy(void *, const void *, size_t);

size_t hal_user_fpu_size(void)
{
	return x86_fpu_size();
}

void hal_user_init(struct hal_user *u, void *fpu)
{
	*u = (struct hal_user){
	    .regs = {.cs = X86_USER_CS,
		     .ss = X86_USER_SS,
		     .rflags = X86_FLAG_ONE | X86_FLAG_IF,
		     .orig_rax = ~UINT64_C(0)},
	    .x86 = {.fpu = fpu},
	};
	x86_fpu_init_area(fpu);
}

void x86_regs_complete(struct hal_user *u)
{
	if (!u->regs_partial) /* nothing is written: a debugger may be reading them (hal_user_lend) */
		return;
	host_stub_complete(u->fpu_stub->host, &u->regs);
	u->regs_partial = false;
}

void hal_user_sync(struct hal_user *u)
{
	x86_regs_complete(u);
	if (!u->fpu_live || u->x86.fpu_memory_newer)
		return;
	host_stub_get_fpu(u->fpu_stub->host, u->x86.fpu, x86_fpu_size());
	u->fpu_live = false;
}

void hal_user_save(struct hal_user *u)
{
	hal_user_sync(u);
}

void hal_user_load(struct hal_user *u)
{
	(void)u;
}

void x86_user_reload(struct hal_user *u)
{
	u->fpu_stub = NULL;
	u->fpu_live = false;
	u->regs_partial = false;
}

void hal_user_fork(struct hal_user *dst, void *fpu, struct hal_user *src)
{
	hal_user_sync(src);
	*dst = *src;
	dst->x86.fpu = fpu;
	dst->fpu_stub = NULL;
	memcpy(fpu, src->x86.fpu, x86_fpu_size());
}

int sim_fpu_enter(struct hal_user *u, struct sim_stub *stub)
{
	if (stub->fpu_user == u && u->fpu_stub == stub)
		return 0;
	if (host_stub_set_fpu(stub->host, u->x86.fpu, x86_fpu_size()) < 0)
		return -EINVAL;
	stub->fpu_user = u;
	u->fpu_stub = stub;
	return 0;
}

int x86_fpu_to_user(struct hal_user *u, uaddr_t dst)
{
	return x86_fpu_area_to_user(u, dst);
}

int x86_fpu_from_user(struct hal_user *u, uaddr_t src, size_t len)
{
	return x86_fpu_area_from_user(u, src, len);
}

void x86_fpu_reset(struct hal_user *u)
{
	x86_fpu_area_reset(u);
}
