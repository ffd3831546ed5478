/* SPDX-License-Identifier: MIT */
/*
 * Stubs by seccomp (hosted): the fast way.
 *
 * A stub stands under a filter (host_stub_filter.c) whose listener is ours. Stopped, it is blocked in the
 * host's kernel, in a call that waits for our answer; that call is one of two:
 *
 *   STUB_AT_CALL     a system call of its program. The host tells number, arguments and program counter, no
 *                    more, and that is all that most calls need: no signal, no frame, no other register is
 *                    moved. Answering it is returning from it.
 *   STUB_AT_HANDLER  STUB_STOP, made by its handler of signals (host_stub_x86_64.S): after a fault or a trap,
 *                    after a kick, or because we wanted to see or change more than a call's result: a signal
 *                    sent before the answer (to_handler()) leads from the first state to the second. The
 *                    registers and FPU state are in the signal frame in its data, and we read and write them
 *                    there. Answering it, with the secret, lets it make the queued calls and return to its
 *                    program by rt_sigreturn().
 *
 * What isolates. User code can jump anywhere, write the data page, call with any arguments:
 * I1  All that it calls comes here and is never made (host_stub_filter.c, I1); in the stub's own code the
 * filter lets calls through that carry the secret, 64 random bits of this process alone.
 * I2  The secret is given only as the answer to STUB_STOP at the handler's one place for it, into a register,
 * never into memory. From that place on the code believes nothing but the data page, which we have written
 * while the stub was blocked; it ends in rt_sigreturn(), which replaces all registers. rt_sigreturn() needs
 * the secret as well, or a forged frame could move the alternate stack to where another stub can read it. I3
 * If the program arranged for a signal to come between (a trap flag set, a jump to that place without the
 * handler's mask), the frame, and so perhaps the secret, is in the data page, but the handler stops here
 * before user code runs; a stop whose program counter is in the stub's pages is the end of that process, and
 * of its secret. The program gets a page fault there (SIM_STOP_LOST).
 * I4  That a stub has stopped is told by the host's kernel, not by shared memory, so it cannot be feigned:
 * while we handle a stop, and while its unmapped pages are given to others, no user code of this stub runs.
 * I5  The data page is hostile whenever user code has run. All that we take from there is copied once and
 * may be anything that the program could have had in its registers; offsets are checked, and everything that
 * rt_sigreturn() takes besides registers and FPU state (mask, alternate stack, flags) is written anew.
 * I6  The data page keeps nothing of one program for the next (forget()).
 *
 * No kick is lost: a kick is a signal of the host, which stays pending while the handler runs, and interrupts
 * a call that we have not yet received, which then starts again behind the handler. One that comes while we
 * have the call (WAIT_KILLABLE_RECV) waits for the answer.
 *
 * The stub dies with the thread that made it (PDEATHSIG). If it is killed, our wait for it ends: by
 * somebody's SIGKILL that is fatal for us, by a signal that its program brought about (no room for a frame on
 * a stack pointer inside our pages) it is SIM_STOP_LOST.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <asm/hwcap2.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sim/stub_private.h> /* before what includes <hal/mmu.h> */
#include <sim/host.h>
#include <sim/sanitizer.h>

#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS	   SECCOMP_IOW(4, __u64)
#endif

#define USER_CODE      0x33
#define USER_DATA      0x2b
#define LEGACY_STATE   UINT64_C(3)
#define RESTART	       UINT64_C(0xfffffffffffffe00) /* -ERESTARTSYS */
#define UC_FLAGS       7			    /* UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
#define SA_RESTORER    0x04000000
#define CONTEXT_SIZE   304 /* of the kernel's struct ucontext; the C library's is longer */
#define MASK_OFFSET    296
#define SOFTWARE_MAGIC 0x46505853 /* FP_XSTATE_MAGIC1 */
#define FPU_SOFTWARE   464	  /* where software's own bytes are in the legacy part */
#define FPU_LEGACY     512
#define FPU_MINIMUM    576 /* with XSAVE's header */
#define FPU_MXCSR      24
#define SCRUBBED       16384 /* bytes at the end of the stack, where the host puts frames */
#define OLDEST_MAJOR   6     /* the release since which a listener hears of its process's end */
#define OLDEST_MINOR   11

/* ---- does the host have it? ---- */

const char *host_stub_seccomp_lacks(void)
{
	struct utsname host;
	unsigned major = 0, minor = 0;
	uint32_t action = SECCOMP_RET_USER_NOTIF;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE))
		return "FSGSBASE instructions";
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return "SECCOMP_RET_USER_NOTIF";
	if (uname(&host) < 0 || sscanf(host.release, "%u.%u", &major, &minor) != 2 || major < OLDEST_MAJOR ||
	    (major == OLDEST_MAJOR && minor < OLDEST_MINOR))
		return "Linux 6.11 or later";
	if (getauxval(AT_MINSIGSTKSZ) > sizeof(((struct stub_page *)0)->stack))
		return "signal frames that fit in a stub";
	return NULL;
}

/* ---- notifications ---- */

/* The process has ended: true when its program brought that about. */
static bool ended(const struct host_stub *stub)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PID, (id_t)stub->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		host_fatal("waiting for stub process %d: %s", stub->pid, strerror(errno));
	if (!info.si_pid)
		return false;
	if (info.si_code == CLD_KILLED && info.si_status == SIGKILL)
		host_fatal("somebody killed stub process %d", stub->pid);
	return true;
}

/* Waits for the stub's next stop; false when there will be none. */
static bool receive(struct host_stub *stub, struct seccomp_notif *n)
{
	for (;;) {
		memset(n, 0, sizeof(*n));
		if (ioctl(stub->listener, SECCOMP_IOCTL_NOTIF_RECV, n) == 0)
			break;
		if (errno != ENOENT && errno != EINTR)
			host_fatal("listening to stub process %d: %s", stub->pid, strerror(errno));
		if (errno == ENOENT && ended(stub))
			return false; /* else a signal came before we could hear of the call */
	}
	stub->notification = n->id;
	return true;
}

static void answer(struct host_stub *stub, uint64_t value, uint32_t flags)
{
	struct seccomp_notif_resp response = {
	    .id = stub->notification, .val = (int64_t)value, .flags = flags};

	if (ioctl(stub->listener, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0 && errno != ENOENT)
		host_fatal("answering stub process %d: %s", stub->pid, strerror(errno));
}

static bool is_stop(const struct seccomp_data *call)
{
	return call->nr == STUB_STOP && call->instruction_pointer == stub_address(host_stub_stopped);
}

/* ---- making a stub ---- */

SIM_NO_TSAN static int child(void *arg)
{
	static char *const none[] = {NULL};
	struct host_stub *stub = arg;

	stub_child_begin();
	stub->listener = host_stub_filter_install(stub->secret);
	if (stub->listener < 0)
		return 1;
	syscall(SYS_execveat, stub_image_fd(), "", none, none, AT_EMPTY_PATH, stub->secret);
	return 1;
}

static void queue_close(struct host_stub *stub, unsigned from, unsigned end)
{
	if (from < end)
		stub_queue(stub, (struct stub_call){SYS_close_range, {from, end - 1}});
}

/* All descriptors but RAM's; the data page's goes when it is mapped. */
static void queue_descriptors(struct host_stub *stub)
{
	unsigned ram = (unsigned)host_ram_fd();

	queue_close(stub, 0, ram);
	queue_close(stub, ram + 1, ~0U);
}

/* The handler for all that a program can bring about, and for kicks, on a stack in the data. */
static void queue_signals(struct host_stub *stub)
{
	static const int signals[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, STUB_KICK_SIGNAL};
	struct {
		uint64_t handler, flags, restorer, mask;
	} *action = (void *)stub->page->stack;
	stack_t *stack = (void *)(action + 1);
	const uint64_t at = SIM_STUB_DATA + offsetof(struct stub_page, stack);

	action->handler = stub_address(host_stub_handler);
	action->flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER | SA_RESTART;
	action->mask = ~UINT64_C(0);
	stack->ss_sp = (void *)(uintptr_t)at;
	stack->ss_size = sizeof(stub->page->stack);
	stub_queue(stub, (struct stub_call){SYS_sigaltstack, {at + sizeof(*action)}});
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		stub_queue(stub, (struct stub_call){SYS_rt_sigaction,
						    {(uint64_t)signals[i], at, 0, sizeof(uint64_t)}});
}

static bool at_handler(struct host_stub *stub, const struct seccomp_data *call);

/*
 * The new process runs our code alone until its first stop, so each of its calls is let through: first it
 * asks where its data is, then it maps that and makes the queued calls. The last thing that it does is a
 * trap, which leads it to where all later stops begin.
 */
static bool settle(struct host_stub *stub)
{
	uint64_t flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	struct seccomp_notif n;

	if (stub->listener < 0 || ioctl(stub->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags) < 0)
		return false;
	stub_queue_settling(stub);
	queue_signals(stub);
	queue_descriptors(stub);
	stub->page->end =
	    SIM_STUB_DATA + offsetof(struct stub_page, calls) + stub->calls * sizeof(struct stub_call);
	stub->calls = 0;
	if (!receive(stub, &n) || n.data.nr != STUB_STOP)
		return false;
	answer(stub, stub->page_offset | (unsigned)stub_data_fd(), 0);
	while (receive(stub, &n) && !is_stop(&n.data))
		answer(stub, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	return is_stop(&n.data) && n.data.args[0] == SIGILL && at_handler(stub, &n.data);
}

/* ---- the frame ---- */

static ucontext_t *context(struct host_stub *stub)
{
	return (void *)((char *)stub->page + stub->frame);
}

/* What the host's kernel writes into the legacy part of an FPU area with extended states. */
struct software {
	uint32_t magic, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, padding[7];
};
_Static_assert(sizeof(struct software) == FPU_LEGACY - FPU_SOFTWARE, "struct _fpx_sw_bytes");

/* The offset in the data of an address there, if `size` bytes at it lie in the stack. */
static bool in_stack(uint64_t addr, size_t size, size_t align, size_t *ret)
{
	const uint64_t start = SIM_STUB_DATA + offsetof(struct stub_page, stack);

	if (addr < start || addr > SIM_STUB_END - size || addr % align)
		return false;
	*ret = addr - SIM_STUB_DATA;
	return true;
}

/* Finds the parts of the frame of a stop: false when that is none of the host's making. */
static bool at_handler(struct host_stub *stub, const struct seccomp_data *call)
{
	static size_t states; /* bytes of the FPU area; the host's choice, and the same in all frames */
	struct software software;
	uint64_t fpu;

	if (!in_stack(call->args[2], CONTEXT_SIZE, 8, &stub->frame))
		return false;
	fpu = (uint64_t)(uintptr_t)context(stub)->uc_mcontext.fpregs;
	if (!in_stack(fpu, FPU_MINIMUM, 64, &stub->fpu))
		return false;
	memcpy(&software, (char *)stub->page + stub->fpu + FPU_SOFTWARE, sizeof(software));
	if (stub->where == STUB_NEW)
		__atomic_store_n(&states, software.xstate_size, __ATOMIC_RELAXED);
	stub->fpu_size = __atomic_load_n(&states, __ATOMIC_RELAXED);
	if (stub->fpu < stub->frame + CONTEXT_SIZE || software.magic != SOFTWARE_MAGIC ||
	    software.xstate_size != stub->fpu_size || stub->fpu_size < FPU_MINIMUM ||
	    !in_stack(fpu, stub->fpu_size + 4, 64, &stub->fpu))
		return false;
	stub->fs_base = call->args[3];
	stub->gs_base = call->args[4];
	stub->where = STUB_AT_HANDLER;
	return true;
}

/* The registers that a system call does not pass. */
static void take_rest(struct host_stub *stub, struct user_regs_struct *r)
{
	const greg_t *g = context(stub)->uc_mcontext.gregs;

	r->rbx = (uint64_t)g[REG_RBX];
	r->rbp = (uint64_t)g[REG_RBP];
	r->r11 = (uint64_t)g[REG_R11];
	r->r12 = (uint64_t)g[REG_R12];
	r->r13 = (uint64_t)g[REG_R13];
	r->r14 = (uint64_t)g[REG_R14];
	r->r15 = (uint64_t)g[REG_R15];
	r->rsp = (uint64_t)g[REG_RSP];
	r->eflags = (uint64_t)g[REG_EFL];
	r->fs_base = stub->fs_base;
	r->gs_base = stub->gs_base;
}

static void take_all(struct host_stub *stub, struct user_regs_struct *r)
{
	const greg_t *g = context(stub)->uc_mcontext.gregs;
	uint64_t selectors = (uint64_t)g[REG_CSGSFS];

	take_rest(stub, r);
	r->rax = (uint64_t)g[REG_RAX];
	r->rcx = (uint64_t)g[REG_RCX];
	r->rdx = (uint64_t)g[REG_RDX];
	r->rsi = (uint64_t)g[REG_RSI];
	r->rdi = (uint64_t)g[REG_RDI];
	r->r8 = (uint64_t)g[REG_R8];
	r->r9 = (uint64_t)g[REG_R9];
	r->r10 = (uint64_t)g[REG_R10];
	r->rip = (uint64_t)g[REG_RIP];
	r->cs = selectors & 0xffff;
	r->ss = selectors >> 48;
	r->orig_rax = ~0ULL;
	r->ds = r->es = r->fs = r->gs = 0;
}

static void put_registers(greg_t *g, const struct user_regs_struct *r)
{
	g[REG_RAX] = (greg_t)r->rax;
	g[REG_RBX] = (greg_t)r->rbx;
	g[REG_RCX] = (greg_t)r->rcx;
	g[REG_RDX] = (greg_t)r->rdx;
	g[REG_RSI] = (greg_t)r->rsi;
	g[REG_RDI] = (greg_t)r->rdi;
	g[REG_RBP] = (greg_t)r->rbp;
	g[REG_RSP] = (greg_t)r->rsp;
	g[REG_R8] = (greg_t)r->r8;
	g[REG_R9] = (greg_t)r->r9;
	g[REG_R10] = (greg_t)r->r10;
	g[REG_R11] = (greg_t)r->r11;
	g[REG_R12] = (greg_t)r->r12;
	g[REG_R13] = (greg_t)r->r13;
	g[REG_R14] = (greg_t)r->r14;
	g[REG_R15] = (greg_t)r->r15;
	g[REG_RIP] = (greg_t)r->rip;
	g[REG_EFL] = (greg_t)r->eflags;
	g[REG_CSGSFS] = (greg_t)((r->cs & 0xffff) | r->ss << 48);
	g[REG_ERR] = g[REG_TRAPNO] = g[REG_OLDMASK] = g[REG_CR2] = 0;
}

/* The whole frame but for the FPU state, and what the stub's code reads. */
static void put_frame(struct host_stub *stub, const struct user_regs_struct *r)
{
	struct stub_page *page = stub->page;
	ucontext_t *c = context(stub);

	c->uc_flags = UC_FLAGS;
	c->uc_link = NULL;
	c->uc_stack =
	    (stack_t){.ss_sp = (void *)(uintptr_t)(SIM_STUB_DATA + offsetof(struct stub_page, stack)),
		      .ss_size = sizeof(page->stack)};
	put_registers(c->uc_mcontext.gregs, r);
	c->uc_mcontext.fpregs = (void *)(uintptr_t)(SIM_STUB_DATA + stub->fpu);
	memset((char *)c + MASK_OFFSET, 0, sizeof(uint64_t));
	page->bases = stub->fs_base != r->fs_base || stub->gs_base != r->gs_base;
	page->fs_base = r->fs_base;
	page->gs_base = r->gs_base;
	page->frame = SIM_STUB_DATA + stub->frame;
	page->end =
	    SIM_STUB_DATA + offsetof(struct stub_page, calls) + stub->calls * sizeof(struct stub_call);
	stub->calls = 0;
}

/*
 * The stub may become another program's: what frames have left of this one goes, but for the present frame,
 * all of which is written before the other runs.
 */
static void forget(struct host_stub *stub)
{
	char *start = (char *)stub->page + sizeof(*stub->page) - SCRUBBED,
	     *end = (char *)stub->page + sizeof(*stub->page), *frame, *fpu;

	if (stub->where != STUB_AT_HANDLER) {
		memset(start, 0, SCRUBBED);
		return;
	}
	frame = (char *)stub->page + stub->frame;
	fpu = (char *)stub->page + stub->fpu;
	if (frame > start)
		memset(start, 0, (size_t)(frame - start));
	memset(frame + CONTEXT_SIZE, 0, (size_t)(fpu - frame) - CONTEXT_SIZE);
	memset(fpu + stub->fpu_size + 4, 0, (size_t)(end - fpu) - stub->fpu_size - 4);
}

/* ---- stops ---- */

static void lost(struct host_stub *stub, uint64_t addr, struct sim_stop *ret)
{
	stub->where = STUB_LOST;
	stub->calls = 0;
	*ret = (struct sim_stop){.kind = SIM_STOP_LOST, .addr = addr};
}

/* From a system call to the handler, with that call's registers in the frame. */
static bool to_handler(struct host_stub *stub)
{
	struct seccomp_notif n;

	if (stub->where == STUB_AT_HANDLER)
		return true;
	if (stub->where != STUB_AT_CALL)
		return false;
	kill(stub->pid, STUB_KICK_SIGNAL);
	answer(stub, 0, 0);
	return receive(stub, &n) && is_stop(&n.data) && at_handler(stub, &n.data) &&
	       !stub_is_own((uint64_t)context(stub)->uc_mcontext.gregs[REG_RIP]);
}

static void stopped_at_call(struct host_stub *stub, const struct seccomp_data *call,
			    struct user_regs_struct *r, struct sim_stop *ret)
{
	stub->where = STUB_AT_CALL;
	stub->call = *call;
	r->rdi = call->args[0];
	r->rsi = call->args[1];
	r->rdx = call->args[2];
	r->r10 = call->args[3];
	r->r8 = call->args[4];
	r->r9 = call->args[5];
	r->rip = r->rcx = call->instruction_pointer;
	r->rax = (uint64_t)-ENOSYS;
	r->orig_rax = (uint64_t)(int64_t)call->nr;
	r->cs = USER_CODE;
	r->ss = USER_DATA;
	r->ds = r->es = r->fs = r->gs = 0;
	*ret = (struct sim_stop){.kind = SIM_STOP_SYSCALL, .partial = true};
}

/*
 * A call that a kick interrupted starts again; the host does not do that for number -1, which it takes for
 * "none".
 */
static void restart_call(struct user_regs_struct *r)
{
	if (r->rax != RESTART || r->rcx != r->rip)
		return;
	r->rip -= 2;
	r->rax = ~0ULL;
}

/* Not a signal, but a queued call that the host refused: only the stub's own code can say so. */
static bool call_failed(const struct host_stub *stub, const struct seccomp_data *call)
{
	return call->args[0] == 0 && call->args[1] == (stub->secret & ~UINT64_C(0xffffffff)) &&
	       call->args[2] == stub->secret << 32;
}

static void stopped_at_handler(struct host_stub *stub, const struct seccomp_data *call,
			       struct user_regs_struct *r, struct sim_stop *ret)
{
	siginfo_t info = {.si_signo = 0};
	uint64_t pc;
	size_t at;

	if (call_failed(stub, call)) {
		host_stub_unmap(stub, 0, SIM_STUB_CODE);
		*ret = (struct sim_stop){.kind = SIM_STOP_FULL};
		return;
	}
	if (!at_handler(stub, call) || !in_stack(call->args[1], sizeof(info), 8, &at)) {
		lost(stub, SIM_STUB_CODE, ret);
		return;
	}
	pc = (uint64_t)context(stub)->uc_mcontext.gregs[REG_RIP];
	if (stub_is_own(pc)) {
		lost(stub, pc, ret);
		return;
	}
	take_all(stub, r);
	*ret = (struct sim_stop){.kind = SIM_STOP_KICK};
	if (call->args[0] == STUB_KICK_SIGNAL) {
		restart_call(r);
		return;
	}
	memcpy(&info, (char *)stub->page + at, sizeof(info));
	stub_signal_stop((int)call->args[0], &info, r, ret);
}

/* ---- running ---- */

static bool call_unchanged(const struct host_stub *stub, const struct user_regs_struct *r)
{
	const struct seccomp_data *call = &stub->call;

	return r->rip == call->instruction_pointer && r->rdi == call->args[0] && r->rsi == call->args[1] &&
	       r->rdx == call->args[2] && r->r10 == call->args[3] && r->r8 == call->args[4] &&
	       r->r9 == call->args[5];
}

static void complete(struct host_stub *stub, struct user_regs_struct *regs)
{
	if (to_handler(stub)) {
		take_rest(stub, regs);
		return;
	}
	stub->where = STUB_LOST;
	regs->rip = SIM_STUB_CODE; /* its program, wherever it runs next, has to fault */
}

/* Lets the stub go; false when it stays. */
static bool go(struct host_stub *stub, struct user_regs_struct *regs, bool partial, struct sim_stop *ret)
{
	if (stub->where == STUB_AT_CALL && partial && !stub->calls && call_unchanged(stub, regs)) {
		answer(stub, regs->rax, 0);
		return true;
	}
	if (!to_handler(stub)) {
		lost(stub, SIM_STUB_CODE, ret);
		return false;
	}
	if (partial)
		take_rest(stub, regs);
	if (regs->fs_base >= STUB_HOST_TOP || regs->gs_base >= STUB_HOST_TOP) {
		*ret = (struct sim_stop){.kind = SIM_STOP_REGS};
		return false;
	}
	put_frame(stub, regs);
	answer(stub, stub->secret, 0);
	return true;
}

static void run(struct host_stub *stub, struct user_regs_struct *regs, bool partial, struct sim_stop *ret)
{
	struct seccomp_notif n;

	if (!go(stub, regs, partial, ret))
		return;
	if (!receive(stub, &n))
		lost(stub, SIM_STUB_DATA, ret);
	else if (is_stop(&n.data))
		stopped_at_handler(stub, &n.data, regs, ret);
	else if (stub_is_own(n.data.instruction_pointer))
		lost(stub, n.data.instruction_pointer, ret);
	else
		stopped_at_call(stub, &n.data, regs, ret);
	if (ret->kind == SIM_STOP_LOST)
		regs->rip = ret->addr;
}

/* ---- FPU ---- */

static int get_fpu(struct host_stub *stub, void *area, size_t len)
{
	const char *from;
	size_t size;

	if (!to_handler(stub))
		return -EINVAL;
	from = (char *)stub->page + stub->fpu;
	size = len < stub->fpu_size ? len : stub->fpu_size;
	memcpy(area, from, size);
	memset((char *)area + FPU_SOFTWARE, 0, FPU_LEGACY - FPU_SOFTWARE);
	memset((char *)area + size, 0, len - size);
	return 0;
}

/* What ptrace refuses, as it would make rt_sigreturn() fail. */
static bool acceptable(const char *area, size_t len, const char *now)
{
	uint32_t mxcsr, mask;
	uint64_t header[3];
	struct software software;

	memcpy(&mxcsr, area + FPU_MXCSR, sizeof(mxcsr));
	memcpy(&mask, now + FPU_MXCSR + sizeof(mxcsr), sizeof(mask));
	if (mxcsr & ~(mask ? mask : 0xffbf))
		return false;
	if (len == FPU_LEGACY)
		return true;
	memcpy(header, area + FPU_LEGACY, sizeof(header));
	memcpy(&software, now + FPU_SOFTWARE, sizeof(software));
	return !(header[0] & ~software.xfeatures) && !header[1] && !header[2];
}

static int set_fpu(struct host_stub *stub, const void *area, size_t len)
{
	const uint64_t legacy = LEGACY_STATE;
	size_t size;
	char *to;

	if (!to_handler(stub))
		return -EINVAL;
	to = (char *)stub->page + stub->fpu;
	size = len < stub->fpu_size ? len : stub->fpu_size;
	if (!acceptable(area, len, to))
		return -EINVAL;
	memcpy(to, area, FPU_SOFTWARE);
	memset(to + FPU_LEGACY, 0, stub->fpu_size - FPU_LEGACY);
	memcpy(to + FPU_LEGACY, (const char *)area + FPU_LEGACY, size - FPU_LEGACY);
	if (len == FPU_LEGACY)
		memcpy(to + FPU_LEGACY, &legacy, sizeof(legacy));
	return 0;
}

const struct stub_ops host_stub_seccomp = {
    .name = "seccomp",
    .more_clone_flags = 0x400, /* CLONE_FILES: until it executes the image, so that the listener is ours */
    .child = child,
    .settle = settle,
    .run = run,
    .complete = complete,
    .forget = forget,
    .get_fpu = get_fpu,
    .set_fpu = set_fpu,
};
