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
 * within bounds. A frame that fails half way leaves the thread with some of it, which is about to get
 * SIGSEGV.
 *
 * Parts of the frame that lie in memory as the frame wants them (registers, FP state) are copied from there.
 */
#include "../aarch64.h"
#include "../vdso/vdso_data.h"
#include <asm/sigcontext.h>
#include <cloudos/string.h>
#include <linux/errno.h>
#include <linux/signal.h>
#include <asm/ucontext.h>

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

#define UC_AT	    offsetof(struct rt_sigframe, uc)
#define STACK_AT    (UC_AT + offsetof(struct ucontext, uc_stack))
#define CONTEXT_AT  (UC_AT + offsetof(struct ucontext, uc_mcontext))
#define REGS_AT	    (CONTEXT_AT + offsetof(struct sigcontext, regs))
#define PC_AT	    (CONTEXT_AT + offsetof(struct sigcontext, pc))
#define RESERVED_AT (CONTEXT_AT + offsetof(struct sigcontext, __reserved))
#define REGS_SIZE   (offsetof(struct hal_regs, pstate) + 8)

_Static_assert(offsetof(struct hal_regs, sp) == 31 * 8 && REGS_SIZE == RESERVED_AT - REGS_AT - 8,
	       "in sigcontext's order");
_Static_assert(sizeof(struct aarch64_fpu) == sizeof(struct fpsimd_context) &&
		   offsetof(struct aarch64_fpu, v) == offsetof(struct fpsimd_context, vregs),
	       "in fpsimd_context's order");

/* The beginning of the ucontext. Of the signal mask's 1024 bits Linux writes 64, too. */
struct uc_head {
	uint64_t flags, link;
	struct hal_altstack stack;
	uint64_t blocked;
};
_Static_assert(offsetof(struct uc_head, blocked) == offsetof(struct ucontext, uc_sigmask), "ucontext");

/* What follows the FP state: the syndrome of a fault, if the signal is for one, and the end. */
struct records {
	struct esr_context esr;
	struct _aarch64_ctx end;
};

static bool is_fault(const struct hal_user *u, const struct hal_signal *sig)
{
	return u->fault_esr != 0 && (sig->signo == SIGSEGV || sig->signo == SIGBUS || sig->signo == SIGILL ||
				     sig->signo == SIGTRAP);
}

static bool put(uaddr_t to, const void *from, size_t len)
{
	return hal_copy_to_user(to, from, len) == 0;
}

static bool get(void *to, uaddr_t from, size_t len)
{
	return hal_copy_from_user(to, from, len) == 0;
}

static bool put_records(uaddr_t at, const struct hal_user *u, bool fault)
{
	const struct records both = {
	    .esr = {{ESR_MAGIC, sizeof(struct esr_context)}, u->fault_esr},
	    .end = {0, 0},
	};

	return fault ? put(at, &both, sizeof(both)) : put(at, &both.end, sizeof(both.end));
}

static bool put_frame(uaddr_t at, struct hal_user *u, const struct hal_signal *sig)
{
	const struct uc_head head = {0, 0, sig->altstack, sig->blocked};
	bool fault = is_fault(u, sig);
	uint64_t address = fault ? u->fault_addr : 0;

	hal_user_sync(u);
	return put(at, sig->siginfo, sizeof(sig->siginfo)) && put(at + UC_AT, &head, sizeof(head)) &&
	       put(at + CONTEXT_AT, &address, sizeof(address)) && put(at + REGS_AT, &u->regs, REGS_SIZE) &&
	       put(at + RESERVED_AT, u->fpu, sizeof(*u->fpu)) &&
	       put_records(at + RESERVED_AT + sizeof(*u->fpu), u, fault);
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
	const struct frame_record record = {r->x[29], r->x[30]};

	if (top < sizeof(struct rt_sigframe) + 2 * sizeof(record) ||
	    !user_range(frame_at, sizeof(struct rt_sigframe) + sizeof(record)))
		return -EFAULT;
	if (!put_frame(frame_at, u, sig) || !put(record_at, &record, sizeof(record)))
		return -EFAULT;
	r->x[0] = (uint64_t)sig->signo;
	r->x[1] = frame_at;
	r->x[2] = frame_at + UC_AT;
	r->x[29] = record_at;
	r->x[30] = (sig->flags & SA_RESTORER) != 0 ? sig->restorer : sig->vdso + VDSO_SIGRETURN;
	r->sp = frame_at;
	r->pc = sig->handler;
	return 0;
}

/* ---- sigreturn ---- */

static bool get_fpu(uaddr_t at, uint32_t size, struct hal_user *u)
{
	if (size != sizeof(*u->fpu))
		return false;
	user_fpu_abandon(u);
	bool ok = get(u->fpu, at, sizeof(*u->fpu));
	u->fpu->magic = FPSIMD_MAGIC; /* the program may have changed them since they were looked at */
	u->fpu->size = sizeof(*u->fpu);
	return ok;
}

/* The FP record among the reserved bytes, of which there must be one; records nobody knows are an error, as
 * on Linux. */
static bool get_records(uaddr_t frame, struct hal_user *u)
{
	uaddr_t at = frame + RESERVED_AT;
	uint32_t left = sizeof(((struct sigcontext *)0)->__reserved);
	bool found = false;

	for (;;) {
		struct _aarch64_ctx head;

		if (left < sizeof(head) || !get(&head, at, sizeof(head)))
			return false;
		if (head.magic == 0)
			return found && head.size == 0;
		if (head.size < sizeof(head) || head.size > left || (head.size & 15) != 0)
			return false;
		if (head.magic == FPSIMD_MAGIC && (found || !get_fpu(at, head.size, u)))
			return false;
		if (head.magic != FPSIMD_MAGIC && head.magic != ESR_MAGIC)
			return false;
		found |= head.magic == FPSIMD_MAGIC;
		at += head.size;
		left -= head.size;
	}
}

/*
 * PSTATE goes by way of a local: at no time may *u hold one that has not been cut to what is a program's. One
 * that names another mode or masks interrupts is refused, as on Linux.
 */
static bool get_registers(uaddr_t frame, struct hal_user *u)
{
	uint64_t pc_pstate[2];

	if (!get(u->regs.x, frame + REGS_AT, offsetof(struct hal_regs, pc)) ||
	    !get(pc_pstate, frame + PC_AT, sizeof(pc_pstate)))
		return false;
	u->regs.pc = pc_pstate[0];
	u->regs.pstate = pc_pstate[1] & AARCH64_PSTATE_USER;
	u->regs.orig_x0 = u->regs.x[0];
	return (pc_pstate[1] & AARCH64_PSTATE_FORBIDDEN) == 0;
}

int hal_abi_signal_pop(struct hal_user *u, uint64_t *ret_blocked, struct hal_altstack *ret_altstack)
{
	uaddr_t frame = u->regs.sp;
	struct {
		struct hal_altstack stack;
		uint64_t blocked;
	} in;

	if ((frame & 15) != 0 || !user_range(frame, sizeof(struct rt_sigframe)) ||
	    !get(&in, frame + STACK_AT, sizeof(in)) || !get_registers(frame, u) || !get_records(frame, u))
		return -EFAULT;
	*ret_blocked = in.blocked;
	*ret_altstack = in.stack;
	return 0;
}
