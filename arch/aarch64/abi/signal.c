/* SPDX-License-Identifier: MIT */
/*
 * Signal frames, byte for byte as Linux's on aarch64 (asm/sigcontext.h, asm/ucontext.h). From the stack's top
 * downwards:
 *
 *   frame record { x29, x30 }    the handler's x29 points here, so that a debugger walks on through it
 *   struct rt_sigframe           siginfo, ucontext with the registers; the handler's sp
 *
 * The ucontext ends in 4096 reserved bytes that hold records (FP state, then the fault's syndrome if there
 * was one, then an empty one); only what is used of them is written. What comes back at sigreturn is the
 * program's to forge: registers are anything it likes, PSTATE is cut to the flags, and records are read
 * within bounds.
 */
#include "../aarch64.h"
#include "../vdso/vdso_data.h"
#include <asm/sigcontext.h>
#include <cloudos/string.h>
#include <linux/errno.h>
#include <linux/signal.h>
#include <asm/ucontext.h>

#define PSTATE_NZCV 0xf0000000u
#define PSTATE_DIT  (1u << 24)
#define PSTATE_SSBS (1u << 12)

struct rt_sigframe {
	uint8_t siginfo[128];
	struct ucontext uc;
};
struct frame_record {
	uint64_t fp, lr;
};
_Static_assert(sizeof(struct rt_sigframe) == 4688, "Linux's struct rt_sigframe");
_Static_assert(offsetof(struct rt_sigframe, uc.uc_mcontext) == 128 + 176, "vdso.S tells unwinders");
_Static_assert(sizeof(struct rt_sigframe) + 2 * sizeof(struct frame_record) == HAL_ABI_MINSIGSTKSZ,
	       "with alignment");
_Static_assert(offsetof(struct ucontext, uc_stack) == 16 && sizeof(stack_t) == sizeof(struct hal_altstack),
	       "stack_t");

#define RESERVED_AT (offsetof(struct rt_sigframe, uc) + offsetof(struct ucontext, uc_mcontext.__reserved))

/* The part of a frame that is written. */
struct frame_image {
	uint8_t siginfo[128];
	uint64_t uc_flags, uc_link;
	struct hal_altstack uc_stack;
	uint64_t uc_sigmask[16];
	uint64_t pad;
	uint64_t fault_address;
	uint64_t regs[31];
	uint64_t sp, pc, pstate;
	uint64_t pad2;
	struct fpsimd_context fpsimd;
	struct esr_context esr;
	struct _aarch64_ctx end;
	uint64_t pad3;
};
_Static_assert(offsetof(struct frame_image, fault_address) == offsetof(struct rt_sigframe, uc.uc_mcontext),
	       "mcontext");
_Static_assert(offsetof(struct frame_image, fpsimd) == RESERVED_AT, "records");
_Static_assert(sizeof(struct aarch64_fpu) >= 520 && sizeof(struct fpsimd_context) == 528, "FP state");

static void put_fpu(struct fpsimd_context *to, const struct aarch64_fpu *fpu)
{
	to->head = (struct _aarch64_ctx){FPSIMD_MAGIC, sizeof(*to)};
	to->fpsr = fpu->fpsr;
	to->fpcr = fpu->fpcr;
	memcpy(to->vregs, fpu->v, sizeof(to->vregs));
}

/* Linux tells the syndrome of the fault that a signal is for. */
static bool is_fault(const struct hal_signal *sig)
{
	return sig->signo == SIGSEGV || sig->signo == SIGBUS || sig->signo == SIGILL || sig->signo == SIGTRAP;
}

static void put_end(struct frame_image *f, const struct hal_user *u, const struct hal_signal *sig)
{
	f->end = (struct _aarch64_ctx){0, 0};
	f->pad3 = 0;
	if (u->fault_esr != 0 && is_fault(sig)) {
		f->esr.head = (struct _aarch64_ctx){ESR_MAGIC, sizeof(f->esr)};
		f->esr.esr = u->fault_esr;
	} else {
		memset(&f->esr, 0, sizeof(f->esr));
	}
}

static void put_frame(struct frame_image *f, struct hal_user *u, const struct hal_signal *sig)
{
	const struct hal_regs *r = &u->regs;

	memcpy(f->siginfo, sig->siginfo, sizeof(f->siginfo));
	f->uc_flags = f->uc_link = 0;
	f->uc_stack = sig->altstack;
	memset(f->uc_sigmask, 0, sizeof(f->uc_sigmask));
	f->uc_sigmask[0] = sig->blocked;
	f->pad = f->pad2 = 0;
	f->fault_address = is_fault(sig) ? u->fault_addr : 0;
	memcpy(f->regs, r->x, sizeof(f->regs));
	f->sp = r->sp;
	f->pc = r->pc;
	f->pstate = r->pstate;
	hal_user_sync(u);
	put_fpu(&f->fpsimd, u->fpu);
	put_end(f, u, sig);
}

static bool user_range(uaddr_t addr, uint64_t len)
{
	return addr >= HAL_USER_MIN && addr <= HAL_USER_TOP - len;
}

int hal_abi_signal_push(struct hal_user *u, const struct hal_signal *sig)
{
	struct hal_regs *r = &u->regs;
	uaddr_t top = sig->stack_top != 0 ? sig->stack_top : r->sp;
	uaddr_t record_at = (top & ~UINT64_C(15)) - sizeof(struct frame_record);
	uaddr_t frame_at = record_at - sizeof(struct rt_sigframe);
	struct frame_record record = {r->x[29], r->x[30]};
	struct frame_image image;

	if (top < sizeof(struct rt_sigframe) + 2 * sizeof(record) ||
	    !user_range(frame_at, sizeof(struct rt_sigframe) + sizeof(record)))
		return -EFAULT;
	put_frame(&image, u, sig);
	if (hal_copy_to_user(frame_at, &image, sizeof(image)) != 0 ||
	    hal_copy_to_user(record_at, &record, sizeof(record)) != 0)
		return -EFAULT;
	r->x[0] = (uint64_t)sig->signo;
	r->x[1] = frame_at;
	r->x[2] = frame_at + offsetof(struct rt_sigframe, uc);
	r->x[29] = record_at;
	r->x[30] = (sig->flags & SA_RESTORER) != 0 ? sig->restorer : sig->vdso + VDSO_SIGRETURN;
	r->sp = frame_at;
	r->pc = sig->handler;
	return 0;
}

/* ---- sigreturn ---- */

static int get_fpu(uaddr_t at, uint32_t size, struct aarch64_fpu *ret)
{
	struct fpsimd_context in;

	if (size != sizeof(in) || hal_copy_from_user(&in, at, sizeof(in)) != 0)
		return -EFAULT;
	ret->fpsr = in.fpsr;
	ret->fpcr = in.fpcr;
	memcpy(ret->v, in.vregs, sizeof(ret->v));
	return 0;
}

/* The FP record among the reserved bytes, of which there must be one; records nobody knows are an error, as
 * on Linux. */
static int find_fpu(uaddr_t frame, struct aarch64_fpu *ret)
{
	uaddr_t at = frame + RESERVED_AT;
	uint32_t left = sizeof(((struct sigcontext *)0)->__reserved);
	bool found = false;

	for (;;) {
		struct _aarch64_ctx head;

		if (left < sizeof(head) || hal_copy_from_user(&head, at, sizeof(head)) != 0)
			return -EFAULT;
		if (head.magic == 0)
			return found && head.size == 0 ? 0 : -EFAULT;
		if (head.size < sizeof(head) || head.size > left || (head.size & 15) != 0)
			return -EFAULT;
		if (head.magic == FPSIMD_MAGIC && (found || get_fpu(at, head.size, ret) != 0))
			return -EFAULT;
		if (head.magic != FPSIMD_MAGIC && head.magic != ESR_MAGIC)
			return -EFAULT;
		found |= head.magic == FPSIMD_MAGIC;
		at += head.size;
		left -= head.size;
	}
}

/* What of a frame is read: ucontext up to the registers' end. */
struct frame_registers {
	uint64_t uc_flags, uc_link;
	struct hal_altstack uc_stack;
	uint64_t uc_sigmask[16];
	uint64_t pad, fault_address;
	uint64_t regs[31];
	uint64_t sp, pc, pstate;
};

int hal_abi_signal_pop(struct hal_user *u, uint64_t *ret_blocked, struct hal_altstack *ret_altstack)
{
	uaddr_t frame = u->regs.sp;
	struct frame_registers in;
	struct aarch64_fpu fpu;

	if ((frame & 15) != 0 || !user_range(frame, sizeof(struct rt_sigframe)) ||
	    hal_copy_from_user(&in, frame + offsetof(struct rt_sigframe, uc), sizeof(in)) != 0 ||
	    find_fpu(frame, &fpu) != 0)
		return -EFAULT;
	memcpy(u->regs.x, in.regs, sizeof(u->regs.x));
	u->regs.sp = in.sp;
	u->regs.pc = in.pc;
	u->regs.pstate = in.pstate & (PSTATE_NZCV | PSTATE_DIT | PSTATE_SSBS);
	u->regs.orig_x0 = u->regs.x[0];
	hal_user_sync(u); /* the thread pointer; the FP state is then replaced */
	user_reload(u);
	*u->fpu = fpu;
	*ret_blocked = in.uc_sigmask[0];
	*ret_altstack = in.uc_stack;
	return 0;
}
