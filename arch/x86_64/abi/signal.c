/* SPDX-License-Identifier: MIT */
/*
 * Signal frames (System V ABI, x86-64 supplement, 3.2.2 for the red zone; Linux's
 * arch/x86/include/uapi/asm/sigcontext.h for the layout). From low to high addresses:
 *
 *   rsp  return address: the restorer, which calls rt_sigreturn()
 *        struct ucontext, siginfo_t
 *        up to 63 bytes of padding
 *        the FPU area, 64-byte aligned, its software bytes filled, then FP_XSTATE_MAGIC2
 *        128 bytes of red zone, unless the handler has an alternate stack
 *
 * A handler starts with the FPU in its initial state. On the way back nothing in the frame is trusted: the
 * selectors are the constant ones, flags are filtered, and an FPU area that would fault when it is loaded is
 * either mended or refused.
 */
#include "abi_internal.h"

#include <asm/errno.h>
#include <asm/sigcontext.h>
#include <asm/signal.h>
#include <asm/ucontext.h>

#define RED_ZONE		  128u
#define SIGINFO_SIZE		  128u
#define FLAGS_CLEARED_FOR_HANDLER (X86_FLAG_DF | X86_FLAG_RF | X86_FLAG_TF)

struct rt_sigframe {
	uint64_t restorer;
	struct ucontext uc;
	uint8_t siginfo[SIGINFO_SIZE];
};
_Static_assert(sizeof(struct sigcontext) == 256, "Linux's layout");
_Static_assert(offsetof(struct ucontext, uc_mcontext) == 40, "Linux's layout");
_Static_assert(offsetof(struct ucontext, uc_sigmask) == 296, "Linux's layout");
_Static_assert(sizeof(struct rt_sigframe) == 8 + 304 + 128, "Linux's layout");
_Static_assert(sizeof(struct _fpx_sw_bytes) == 48, "Linux's layout");
_Static_assert(sizeof(stack_t) == sizeof(struct hal_altstack), "stack_t");

static bool has_states(void)
{
	return x86_fpu_features() != 0;
}

/* Bytes of the FPU area with the magic number behind it. */
static size_t fpu_frame_size(void)
{
	return x86_fpu_size() + (has_states() ? FP_XSTATE_MAGIC2_SIZE : 0);
}

size_t x86_minsigstksz(void)
{
	return sizeof(struct rt_sigframe) + fpu_frame_size() + 64 + 16;
}

static bool user_range(uaddr_t addr, size_t len)
{
	return addr < HAL_USER_TOP && len <= HAL_USER_TOP - addr;
}

/* ---- push ---- */

static int put(uaddr_t dst, const void *src, size_t len)
{
	return hal_copy_to_user(dst, src, len) == 0 ? 0 : -EFAULT;
}

/* What stands between the legacy part and the extended states: software's bytes, and a header for XSAVE to
 * fill. */
struct fpu_middle {
	struct _fpx_sw_bytes sw;
	uint64_t header[8];
};
_Static_assert(FXSAVE_SW + offsetof(struct fpu_middle, header) == XSAVE_HEADER, "they touch");

static int put_fpu(struct hal_user *u, uaddr_t at)
{
	const struct fpu_middle middle = {
	    .sw.magic1 = has_states() ? FP_XSTATE_MAGIC1 : 0,
	    .sw.extended_size = (uint32_t)fpu_frame_size(),
	    .sw.xfeatures = x86_fpu_features(),
	    .sw.xstate_size = (uint32_t)x86_fpu_size(),
	};
	uint32_t present;

	if (put(at + FXSAVE_SW, &middle, has_states() ? sizeof(middle) : sizeof(middle.sw)) != 0 ||
	    x86_fpu_to_user(u, at) != 0)
		return -EFAULT;
	if (!has_states())
		return 0;
	/* Old readers look at the legacy part alone: it always counts as present. */
	if (hal_user_load32(at + XSAVE_HEADER, &present) != 0 ||
	    hal_user_store32(at + XSAVE_HEADER, present | STATE_LEGACY) != 0)
		return -EFAULT;
	return hal_user_store32(at + x86_fpu_size(), FP_XSTATE_MAGIC2);
}

static void fill_sigcontext(const struct hal_user *u, const struct hal_signal *sig, struct sigcontext *sc)
{
	const struct hal_regs *r = &u->regs;

	*sc = (struct sigcontext){
	    .r8 = r->r8,
	    .r9 = r->r9,
	    .r10 = r->r10,
	    .r11 = r->r11,
	    .r12 = r->r12,
	    .r13 = r->r13,
	    .r14 = r->r14,
	    .r15 = r->r15,
	    .rdi = r->rdi,
	    .rsi = r->rsi,
	    .rbp = r->rbp,
	    .rbx = r->rbx,
	    .rdx = r->rdx,
	    .rax = r->rax,
	    .rcx = r->rcx,
	    .rsp = r->rsp,
	    .rip = r->rip,
	    .eflags = r->rflags,
	    .cs = X86_USER_CS,
	    .ss = X86_USER_SS,
	    .err = u->x86.trap_error,
	    .trapno = u->x86.trap_number,
	    .cr2 = u->x86.trap_address,
	    .oldmask = sig->blocked,
	};
}

static void fill_frame(const struct hal_user *u, const struct hal_signal *sig, uaddr_t fpu,
		       struct rt_sigframe *f)
{
	f->restorer = sig->restorer;
	f->uc.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (has_states() ? UC_FP_XSTATE : 0);
	f->uc.uc_link = NULL;
	__builtin_memcpy(&f->uc.uc_stack, &sig->altstack, sizeof(sig->altstack));
	fill_sigcontext(u, sig, &f->uc.uc_mcontext);
	f->uc.uc_mcontext.fpstate = (void *)fpu;
	f->uc.uc_sigmask = sig->blocked;
	__builtin_memcpy(f->siginfo, sig->siginfo, sizeof(f->siginfo));
}

static void enter_handler(struct hal_user *u, const struct hal_signal *sig, uaddr_t frame)
{
	struct hal_regs *r = &u->regs;

	r->rdi = (uint64_t)sig->signo;
	r->rsi = frame + offsetof(struct rt_sigframe, siginfo);
	r->rdx = frame + offsetof(struct rt_sigframe, uc);
	r->rax = 0;
	r->rip = sig->handler;
	r->rsp = frame;
	r->rflags &= ~FLAGS_CLEARED_FOR_HANDLER;
	x86_fpu_reset(u);
}

int hal_abi_signal_push(struct hal_user *u, const struct hal_signal *sig)
{
	uaddr_t sp, fpu, frame;
	struct rt_sigframe f;

	x86_regs_complete(u);
	sp = sig->stack_top != 0 ? sig->stack_top : u->regs.rsp - RED_ZONE;
	fpu = (sp - fpu_frame_size()) & ~UINT64_C(63);
	frame = ((fpu - sizeof(struct rt_sigframe)) & ~UINT64_C(15)) - 8; /* as behind a call */
	if (!(sig->flags & SA_RESTORER) || frame > sp || !user_range(frame, sp - frame))
		return -EFAULT;
	fill_frame(u, sig, fpu, &f);
	if (put_fpu(u, fpu) != 0 || put(frame, &f, sizeof(f)) != 0)
		return -EFAULT;
	enter_handler(u, sig, frame);
	return 0;
}

/* ---- pop ---- */

static int get(void *dst, uaddr_t src, size_t len)
{
	if (!user_range(src, len))
		return -EFAULT;
	return hal_copy_from_user(dst, src, len) == 0 ? 0 : -EFAULT;
}

/*
 * How much of the frame's area is there: all, or the legacy part alone when the magic numbers do not fit (a
 * moved copy).
 */
static int frame_area_size(uaddr_t at, size_t *ret_size)
{
	struct _fpx_sw_bytes sw;
	uint32_t magic2;

	*ret_size = FXSAVE_SIZE;
	if (!has_states())
		return 0;
	if (get(&sw, at + FXSAVE_SW, sizeof(sw)) != 0)
		return -EFAULT;
	if (sw.magic1 != FP_XSTATE_MAGIC1 || sw.xstate_size < XSAVE_MINIMUM ||
	    sw.xstate_size > x86_fpu_size() || sw.xstate_size > sw.extended_size)
		return 0;
	if (get(&magic2, at + sw.xstate_size, sizeof(magic2)) != 0)
		return -EFAULT;
	if (magic2 == FP_XSTATE_MAGIC2)
		*ret_size = sw.xstate_size;
	return 0;
}

static int get_fpu(struct hal_user *u, uaddr_t at)
{
	size_t size;

	if (at != 0 && user_range(at, FXSAVE_SIZE) && frame_area_size(at, &size) == 0)
		return x86_fpu_from_user(u, at, size);
	x86_fpu_reset(u);
	return at == 0 ? 0 : -EFAULT;
}

static void take_sigcontext(struct hal_regs *r, const struct sigcontext *sc)
{
	uint64_t fs_base = r->fs_base, gs_base = r->gs_base;

	*r = (struct hal_regs){
	    .r8 = sc->r8,
	    .r9 = sc->r9,
	    .r10 = sc->r10,
	    .r11 = sc->r11,
	    .r12 = sc->r12,
	    .r13 = sc->r13,
	    .r14 = sc->r14,
	    .r15 = sc->r15,
	    .rdi = sc->rdi,
	    .rsi = sc->rsi,
	    .rbp = sc->rbp,
	    .rbx = sc->rbx,
	    .rdx = sc->rdx,
	    .rax = sc->rax,
	    .rcx = sc->rcx,
	    .rsp = sc->rsp,
	    .rip = sc->rip,
	    .rflags = (sc->eflags & X86_FLAGS_USER) | X86_FLAG_ONE | X86_FLAG_IF,
	    .cs = X86_USER_CS,
	    .ss = X86_USER_SS,
	    .orig_rax = UINT64_MAX,
	    .fs_base = fs_base,
	    .gs_base = gs_base,
	};
}

int hal_abi_signal_pop(struct hal_user *u, uint64_t *ret_blocked, struct hal_altstack *ret_altstack)
{
	struct ucontext uc;
	int err;

	x86_regs_complete(u);
	/* The handler's `ret` has taken the restorer's address off. */
	if (get(&uc, u->regs.rsp - 8 + offsetof(struct rt_sigframe, uc), sizeof(uc)) != 0)
		return -EFAULT;
	err = get_fpu(u, (uaddr_t)uc.uc_mcontext.fpstate);
	if (err != 0)
		return err;
	take_sigcontext(&u->regs, &uc.uc_mcontext);
	u->x86.regs_partial = false;
	*ret_blocked = uc.uc_sigmask;
	__builtin_memcpy(ret_altstack, &uc.uc_stack, sizeof(*ret_altstack));
	return 0;
}
