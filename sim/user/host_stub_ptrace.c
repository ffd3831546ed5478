/* SPDX-License-Identifier: MIT */
/*
 * Stubs by ptrace (hosted): the way that every host has.
 *
 * Running: PTRACE_SETREGS, PTRACE_SYSEMU (each system call stops and is not made), wait, PTRACE_GETREGS. The
 * queued calls lie in the stub's data page, which it can only read, and are made under PTRACE_CONT by the
 * loop of host_stub_x86_64.S, which ends in a trap.
 *
 * What isolates: the host stops the stub at each system call that user code makes, wherever it jumps, and
 * makes none. Only the loop's calls are made, with registers that we set; user code does not run meanwhile.
 *
 * ptrace knows one tracing thread: all but host_stub_kick() is called by the thread that made the stub. When
 * that thread ends, the host's kernel kills the stub (EXITKILL).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sim/stub_private.h> /* before what includes <hal/mmu.h> */
#include <sim/host.h>
#include <sim/sanitizer.h>

#define USER_CODE    0x33
#define USER_DATA    0x2b
#define LEGACY_SIZE  512
#define STATES_MAX   16384 /* bytes of XSAVE's standard format on any processor so far */
#define LEGACY_STATE UINT64_C(3)
#define CLOEXEC	     4 /* of close_range() */

SIM_NO_TSAN static int child(void *arg)
{
	static char *const none[] = {NULL};

	(void)arg;
	stub_child_begin();
	if (host_stub_filter_install_vsyscall() < 0)
		return 1;
	syscall(SYS_close_range, 0, ~0U, CLOEXEC);
	syscall(SYS_fcntl, host_ram_fd(), F_SETFD, 0);
	syscall(SYS_fcntl, stub_data_fd(), F_SETFD, 0);
	if (syscall(SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL) < 0)
		return 1;
	syscall(SYS_execveat, stub_image_fd(), "", none, none, AT_EMPTY_PATH);
	return 1;
}

/* Waits for the stub's next stop; the signal, with 0x80 set for a system call. */
static int wait_stop(const struct host_stub *stub)
{
	int status;

	while (waitpid(stub->pid, &status, __WALL) < 0) {
		if (errno != EINTR)
			host_fatal("waiting for stub process %d: %s", stub->pid, strerror(errno));
	}
	if (!WIFSTOPPED(status))
		host_fatal("somebody killed stub process %d (status %#x)", stub->pid, status);
	return WSTOPSIG(status);
}

static void resume(const struct host_stub *stub, int request)
{
	if (ptrace(request, stub->pid, NULL, NULL) < 0)
		host_fatal("continuing stub process %d: %s", stub->pid, strerror(errno));
}

/* Runs the stub's own code with these registers to its end; false if it ended otherwise than in its
 * breakpoint. */
static bool run_own_code(struct host_stub *stub, struct user_regs_struct *regs)
{
	int signal;

	regs->cs = USER_CODE;
	regs->ss = USER_DATA;
	regs->eflags = 0x202;
	regs->orig_rax = ~0ULL;
	if (ptrace(PTRACE_SETREGS, stub->pid, NULL, regs) < 0)
		host_fatal("setting registers of stub process %d: %s", stub->pid, strerror(errno));
	do {
		resume(stub, PTRACE_CONT);
		signal = wait_stop(stub);
	} while (signal != SIGTRAP && signal != SIGILL && signal != SIGSEGV);
	return signal == SIGTRAP;
}

/* Makes the queued calls; false when one failed, with those after it not made. */
static bool run_calls(struct host_stub *stub)
{
	const uint64_t first = SIM_STUB_DATA + offsetof(struct stub_page, calls);
	struct user_regs_struct regs = {
	    .rip = stub_address(host_stub_batch),
	    .rbx = first,
	    .r15 = first + stub->calls * sizeof(struct stub_call),
	};

	stub->calls = 0;
	return run_own_code(stub, &regs);
}

/* The new process has executed the image: gives it its data page, and takes away all that is not ours. */
static bool settle(struct host_stub *stub)
{
	struct user_regs_struct regs = {
	    .rip = stub_address(host_stub_traced),
	    .rax = SYS_mmap,
	    .rdi = SIM_STUB_DATA,
	    .rsi = PAGE_SIZE,
	    .rdx = PROT_READ,
	    .r10 = MAP_SHARED | MAP_FIXED,
	    .r8 = (unsigned)stub_data_fd(),
	    .r9 = stub->page_offset,
	};

	if (wait_stop(stub) != SIGTRAP)
		return false;
	if (ptrace(PTRACE_SETOPTIONS, stub->pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
		return false;
	if (!run_own_code(stub, &regs))
		return false;
	stub_queue_settling(stub);
	stub_queue(stub, (struct stub_call){SYS_close, {(uint64_t)stub_data_fd()}});
	return run_calls(stub);
}

static void stop_signal(const struct host_stub *stub, int signal, struct user_regs_struct *regs,
			struct sim_stop *ret)
{
	siginfo_t info;

	if (signal == STUB_KICK_SIGNAL) {
		*ret = (struct sim_stop){.kind = SIM_STOP_KICK};
		return;
	}
	if (ptrace(PTRACE_GETSIGINFO, stub->pid, NULL, &info) < 0)
		host_fatal("asking stub process %d for its signal: %s", stub->pid, strerror(errno));
	stub_signal_stop(signal, &info, regs, ret);
}

static void run(struct host_stub *stub, struct user_regs_struct *regs, bool partial, struct sim_stop *ret)
{
	int signal;

	(void)partial;
	*ret = (struct sim_stop){.kind = SIM_STOP_REGS};
	if (stub->calls && !run_calls(stub)) {
		host_stub_unmap(stub, 0, SIM_STUB_CODE);
		ret->kind = SIM_STOP_FULL;
		return;
	}
	if (ptrace(PTRACE_SETREGS, stub->pid, NULL, regs) < 0) {
		if (errno == ESRCH)
			host_fatal("somebody killed stub process %d", stub->pid);
		return;
	}
	resume(stub, PTRACE_SYSEMU);
	signal = wait_stop(stub);
	if (ptrace(PTRACE_GETREGS, stub->pid, NULL, regs) < 0)
		host_fatal("reading registers of stub process %d: %s", stub->pid, strerror(errno));
	regs->ds = regs->es = regs->fs = regs->gs = 0;
	regs->orig_rax = (uint64_t)(int64_t)(int)regs->orig_rax;
	if (stub_is_own(regs->rip))
		*ret = (struct sim_stop){.kind = SIM_STOP_LOST, .addr = regs->rip};
	else if (signal == (SIGTRAP | 0x80))
		ret->kind = SIM_STOP_SYSCALL;
	else
		stop_signal(stub, signal, regs, ret);
}

static void complete(struct host_stub *stub, struct user_regs_struct *regs)
{
	(void)stub;
	(void)regs;
}

/* ---- FPU ---- */

static int get_fpu(struct host_stub *stub, void *area, size_t len)
{
	struct iovec vec = {area, len};
	uintptr_t which = len == LEGACY_SIZE ? NT_PRFPREG : NT_X86_XSTATE;

	return ptrace(PTRACE_GETREGSET, stub->pid, (void *)which, &vec) < 0 ? -errno : 0;
}

/* The legacy registers alone: the others, if the processor has any, become initial. */
static int set_legacy(struct host_stub *stub, const void *area)
{
	struct {
		char legacy[LEGACY_SIZE];
		uint64_t present;
		char rest[STATES_MAX - LEGACY_SIZE - sizeof(uint64_t)];
	} *all = calloc(1, sizeof(*all));
	struct iovec vec = {all, sizeof(*all)};
	int err = -ENOMEM;

	if (!all)
		return err;
	if (ptrace(PTRACE_GETREGSET, stub->pid, (void *)NT_X86_XSTATE, &vec) < 0) {
		vec = (struct iovec){(void *)area, LEGACY_SIZE};
		err = ptrace(PTRACE_SETREGSET, stub->pid, (void *)NT_PRFPREG, &vec) < 0 ? -errno : 0;
	} else {
		memcpy(all->legacy, area, LEGACY_SIZE);
		memset(&all->present, 0, sizeof(*all) - LEGACY_SIZE);
		all->present = LEGACY_STATE;
		err = ptrace(PTRACE_SETREGSET, stub->pid, (void *)NT_X86_XSTATE, &vec) < 0 ? -errno : 0;
	}
	free(all);
	return err;
}

static int set_fpu(struct host_stub *stub, const void *area, size_t len)
{
	struct iovec vec = {(void *)area, len};

	if (len == LEGACY_SIZE)
		return set_legacy(stub, area);
	return ptrace(PTRACE_SETREGSET, stub->pid, (void *)NT_X86_XSTATE, &vec) < 0 ? -errno : 0;
}

const struct stub_ops host_stub_ptrace = {
    .name = "ptrace",
    .child = child,
    .settle = settle,
    .run = run,
    .complete = complete,
    .get_fpu = get_fpu,
    .set_fpu = set_fpu,
};
