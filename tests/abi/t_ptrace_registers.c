/* SPDX-License-Identifier: MIT */
/* ptrace: registers, memory, single steps, breakpoints. What differs between architectures is at the head. */
#include "tracing.h"
#include <stddef.h>
#include <time.h>

#ifdef __x86_64__
typedef struct user_regs_struct registers;
#define PC(r)		  ((r).rip)
#define SP(r)		  ((r).rsp)
#define RESULT(r)	  ((r).rax)
#define NUMBER(r)	  ((r).orig_rax)
#define BREAKPOINT	  0xcc
#define BREAKPOINT_BYTES  1
#define BREAKPOINT_CODE	  SI_KERNEL
#define FPU_SIZE	  512
#define STOP_HERE	  __asm__ volatile("int3")
#define VECTOR		  "xmm7"
#define VECTOR_CLASS	  "x"
#define VECTOR_AT	  (160 + 7 * 16)
#define STEP_CODE	  TRAP_BRKPT
#else
typedef struct user_regs_struct registers;
#define PC(r)		  ((r).pc)
#define SP(r)		  ((r).sp)
#define RESULT(r)	  ((r).regs[0])
#define NUMBER(r)	  ((r).regs[8])
#define BREAKPOINT	  0xd4200000
#define BREAKPOINT_BYTES  4
#define BREAKPOINT_CODE	  TRAP_BRKPT
#define FPU_SIZE	  528
#define STOP_HERE	  __asm__ volatile("brk #0")
#define VECTOR		  "d7"
#define VECTOR_CLASS	  "w"
#define VECTOR_AT	  (7 * 16)
#define STEP_CODE	  SI_USER
#endif

static long get_set(pid_t pid, int type, void *data, size_t *len)
{
	struct iovec v = { data, *len };
	long result = trace(PTRACE_GETREGSET, pid, (uintptr_t)type, (uintptr_t)&v);

	*len = v.iov_len;
	return result;
}

static long set_set(pid_t pid, int type, void *data, size_t len)
{
	struct iovec v = { data, len };

	return trace(PTRACE_SETREGSET, pid, (uintptr_t)type, (uintptr_t)&v);
}

static registers get(pid_t pid)
{
	registers r;
	size_t len = sizeof(r);

	memset(&r, 0, sizeof(r));
	EXPECT(get_set(pid, NT_PRSTATUS, &r, &len) == 0 && len == sizeof(r));
	return r;
}

static void nothing(void)
{
}

/* ---- registers ---- */

static void traps(void)
{
	volatile long stays = 0x1122334455667788;

	STOP_HERE;
	_exit(stays == 0x1122334455667788 ? 5 : 1);
}

static void sets_of_registers(void)
{
	pid_t pid = traced_child(traps);
	char big[16384];
	registers r = get(pid);
	size_t len = sizeof(big);

	EXPECT(PC(r) > 0x10000 && SP(r) > 0x10000);
	EXPECT(get_set(pid, NT_PRSTATUS, big, &len) == 0 && len == sizeof(r) && memcmp(big, &r, sizeof(r)) == 0);
	len = 16;
	EXPECT(get_set(pid, NT_PRSTATUS, big, &len) == 0 && len == 16);
	len = 7;
	EXPECT_ERRNO(get_set(pid, NT_PRSTATUS, big, &len), EINVAL);
	len = 64;
	EXPECT_ERRNO(get_set(pid, 0x7777, big, &len), EINVAL);
	EXPECT_ERRNO(trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, 16), EFAULT);
	EXPECT(set_set(pid, NT_PRSTATUS, &r, sizeof(r)) == 0);
	len = sizeof(big);
	EXPECT(get_set(pid, NT_PRFPREG, big, &len) == 0 && len == FPU_SIZE);
	EXPECT(set_set(pid, NT_PRFPREG, big, FPU_SIZE) == 0);
	EXPECT_ERRNO(trace(0x7fff, pid, 0, 0), EIO);
	kill_and_wait(pid);
}

static void calls_getppid(void)
{
	_exit(syscall(SYS_getppid) == 4321 ? 6 : 1);
}

/* The number of a call is changed at its entry, its result at its exit. */
static void calls_can_be_changed(void)
{
	pid_t pid = traced_child(calls_getppid);
	registers r;

	EXPECT(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
	do {
		EXPECT(trace(PTRACE_SYSCALL, pid, 0, 0) == 0);
		EXPECT(next_stop(pid) == (SIGTRAP | 0x80));
		r = get(pid);
	} while (!abi_failed && NUMBER(r) != SYS_getppid);
#ifdef __x86_64__
	EXPECT((long)RESULT(r) == -ENOSYS);
	NUMBER(r) = (unsigned long)-1;
	EXPECT(set_set(pid, NT_PRSTATUS, &r, sizeof(r)) == 0);
#else
	int number = SYS_getppid;
	size_t len = sizeof(number);

	EXPECT(get_set(pid, NT_ARM_SYSTEM_CALL, &number, &len) == 0 && number == SYS_getppid);
	number = -1;
	EXPECT(set_set(pid, NT_ARM_SYSTEM_CALL, &number, sizeof(number)) == 0);
#endif
	EXPECT(trace(PTRACE_SYSCALL, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == (SIGTRAP | 0x80));
	r = get(pid);
	RESULT(r) = 4321;
	EXPECT(set_set(pid, NT_PRSTATUS, &r, sizeof(r)) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(6));
}

/* ---- memory ---- */

static long variable = 0x0123456789abcdef;

static void looks_at_variable(void)
{
	STOP_HERE;
	_exit(variable == 42 ? 7 : 1);
}

static void memory_is_read_and_written(void)
{
	pid_t pid = traced_child(looks_at_variable);
	unsigned long word = 0;
	char path[64], old[16], text[16];
	int fd;

	EXPECT(trace(PTRACE_PEEKDATA, pid, (uintptr_t)&variable, (uintptr_t)&word) == 0 && word == 0x0123456789abcdef);
	EXPECT(trace(PTRACE_POKEDATA, pid, (uintptr_t)&variable, 42) == 0);
	EXPECT(variable == 0x0123456789abcdef);
	EXPECT_ERRNO(trace(PTRACE_PEEKDATA, pid, 16, (uintptr_t)&word), EIO);
	EXPECT_ERRNO(trace(PTRACE_POKEDATA, pid, 16, 0), EIO);
	EXPECT_ERRNO(trace(PTRACE_PEEKDATA, pid, (uintptr_t)&variable, 16), EFAULT);
	/* read-only text: the tracee's alone afterwards */
	memcpy(old, (void *)(uintptr_t)nothing, 8);
	EXPECT(trace(PTRACE_PEEKTEXT, pid, (uintptr_t)nothing, (uintptr_t)&word) == 0 && memcmp(&word, old, 8) == 0);
	EXPECT(trace(PTRACE_POKETEXT, pid, (uintptr_t)nothing, ~word) == 0);
	EXPECT(memcmp((void *)(uintptr_t)nothing, old, 8) == 0);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	EXPECT(fd >= 0 && pread(fd, text, 8, (off_t)(uintptr_t)nothing) == 8);
	word = ~word;
	EXPECT(memcmp(text, &word, 8) == 0);
	EXPECT(pwrite(fd, old, 8, (off_t)(uintptr_t)nothing) == 8);
	EXPECT(trace(PTRACE_PEEKTEXT, pid, (uintptr_t)nothing, (uintptr_t)&word) == 0 && memcmp(&word, old, 8) == 0);
	EXPECT_ERRNO(pread(fd, text, 8, 16), EIO);
	EXPECT_ERRNO(pwrite(fd, text, 8, 16), EIO);
	EXPECT(lseek(fd, (off_t)(uintptr_t)&variable, SEEK_SET) == (off_t)(uintptr_t)&variable && read(fd, &word, 8) == 8 && word == 42);
	EXPECT_ERRNO(lseek(fd, 0, SEEK_END), EINVAL);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	kill_and_wait(pid);
	EXPECT(read(fd, &word, 8) == 0);
	close(fd);
}

/* ---- breakpoints and steps ---- */

static void a_breakpoint_is_a_signal(void)
{
	pid_t pid = traced_child(traps);
	siginfo_t si;
	registers r;

	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	EXPECT(trace(PTRACE_GETSIGINFO, pid, 0, (uintptr_t)&si) == 0);
	EXPECT(si.si_signo == SIGTRAP && si.si_code == BREAKPOINT_CODE);
	r = get(pid);
#ifdef __aarch64__
	EXPECT((uintptr_t)si.si_addr == PC(r));
	PC(r) += 4; /* it points to the instruction */
	EXPECT(set_set(pid, NT_PRSTATUS, &r, sizeof(r)) == 0);
#endif
	EXPECT(PC(r) != 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(5));
}

static int reached(int n)
{
	return n * 2;
}

static int (*volatile reach)(int) = reached;

static void reaches(void)
{
	_exit(reach(4) == 8 ? 9 : 1);
}

/* As a debugger does it: a breakpoint put in, hit, taken out, stepped over and put in again. */
static void a_breakpoint_put_in(void)
{
	pid_t pid = traced_child(reaches);
	unsigned long word = 0, patched;
	registers r;

	EXPECT(trace(PTRACE_PEEKTEXT, pid, (uintptr_t)reached, (uintptr_t)&word) == 0);
	patched = (word & ~((1ul << 8 * BREAKPOINT_BYTES) - 1)) | BREAKPOINT;
	EXPECT(trace(PTRACE_POKETEXT, pid, (uintptr_t)reached, patched) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	r = get(pid);
#ifdef __x86_64__
	PC(r)--;
#endif
	EXPECT(PC(r) == (uintptr_t)reached);
	EXPECT(set_set(pid, NT_PRSTATUS, &r, sizeof(r)) == 0);
	EXPECT(trace(PTRACE_POKETEXT, pid, (uintptr_t)reached, word) == 0);
	EXPECT(trace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	r = get(pid);
	EXPECT(PC(r) > (uintptr_t)reached && PC(r) < (uintptr_t)reached + 16);
	EXPECT(trace(PTRACE_POKETEXT, pid, (uintptr_t)reached, patched) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(9));
}

static void steps_through(void)
{
	variable = 1;
	variable += 2;
	__asm__ volatile("" : : : "memory");
	if (syscall(SYS_getppid) > 0 && variable == 3)
		_exit(10);
	_exit(1);
}

static void single_steps(void)
{
	pid_t pid = traced_child(steps_through);
	unsigned long last = 0;
	siginfo_t si;
	int stop, steps = 0, same = 0, calls = 0;
	registers r;

	for (;;) {
		EXPECT(trace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
		stop = next_stop(pid);
		if (stop != SIGTRAP || abi_failed)
			break;
		EXPECT(trace(PTRACE_GETSIGINFO, pid, 0, (uintptr_t)&si) == 0);
		if (si.si_code == STEP_CODE)
			calls++;
		else
			EXPECT(si.si_code == TRAP_TRACE);
		r = get(pid);
#ifdef __x86_64__
		EXPECT(!(r.eflags & 0x100)); /* the trap flag is not shown */
#endif
		same += PC(r) == last;
		last = PC(r);
		steps++;
	}
	EXPECT(stop == exited(10));
	EXPECT(steps > 30 && same == 0 && calls >= 1);
	kill(pid, SIGKILL);
}

static void handles(int signo)
{
	variable = signo;
}

static void raises(void)
{
	signal(SIGUSR1, handles);
	raise(SIGUSR1);
	_exit(variable == SIGUSR1 ? 11 : 1);
}

static void a_step_into_a_handler(void)
{
	pid_t pid = traced_child(raises);
	registers r;

	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGUSR1);
	EXPECT(trace(PTRACE_SINGLESTEP, pid, 0, SIGUSR1) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	r = get(pid);
	EXPECT(PC(r) == (uintptr_t)handles); /* its first instruction is not done */
	EXPECT(trace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	r = get(pid);
	EXPECT(PC(r) > (uintptr_t)handles && PC(r) < (uintptr_t)handles + 16);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(11));
}

/* A tracer that goes while its tracee makes single steps leaves it in peace. */
static void steps_end_with_the_tracer(void)
{
	pid_t pid = traced_child(nothing);

	EXPECT(trace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	EXPECT(trace(PTRACE_DETACH, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(0));
}

/* ---- a call that a debugger makes in the tracee ---- */

static volatile int called_with;

static void called(int n)
{
	called_with = n;
	STOP_HERE;
}

static void sleeps(void)
{
	struct timespec ts = { 0, 200000000 };

	_exit(nanosleep(&ts, NULL) == 0 && called_with == 77 ? 12 : 1);
}

/* In the middle of a sleep: registers are put back, and the sleep goes on. */
static void a_call_from_outside(void)
{
	pid_t pid = traced_child(sleeps);
	registers saved, r;

	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	usleep(30000);
	EXPECT(kill(pid, SIGUSR1) == 0);
	EXPECT(next_stop(pid) == SIGUSR1);
	saved = r = get(pid);
#ifdef __x86_64__
	EXPECT((long)r.rax == -516 && r.orig_rax == SYS_clock_nanosleep); /* -ERESTART_RESTARTBLOCK */
	r.orig_rax = (unsigned long)-1;
	r.rdi = 77;
#else
	r.regs[0] = 77;
#endif
	PC(r) = (uintptr_t)called;
	SP(r) = ((SP(r) - 1024) & ~15ul) - 8 * (BREAKPOINT_BYTES == 1);
	EXPECT(set_set(pid, NT_PRSTATUS, &r, sizeof(r)) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	EXPECT(set_set(pid, NT_PRSTATUS, &saved, sizeof(saved)) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(12));
}

#ifdef __x86_64__
static void requests_of_one_architecture(void)
{
	pid_t pid = traced_child(traps);
	struct user_regs_struct r, bad;
	struct user_fpregs_struct fpu;
	unsigned long word = 1;
	char area[16384];
	size_t len = sizeof(area);

	EXPECT(trace(PTRACE_GETREGS, pid, 0, (uintptr_t)&r) == 0);
	EXPECT(r.cs == 0x33 && r.ss == 0x2b && (r.eflags & 0x200));
	EXPECT(trace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), (uintptr_t)&word) == 0 && word == r.rip);
	EXPECT_ERRNO(trace(PTRACE_PEEKUSER, pid, 3, (uintptr_t)&word), EIO);
	EXPECT_ERRNO(trace(PTRACE_PEEKUSER, pid, 928, (uintptr_t)&word), EIO);
	EXPECT(trace(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg[7]), (uintptr_t)&word) == 0);
	EXPECT(trace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[7]), 0) == 0);
	bad = r;
	bad.cs = 0x10;
	EXPECT_ERRNO(trace(PTRACE_SETREGS, pid, 0, (uintptr_t)&bad), EIO);
	bad = r;
	bad.fs_base = 1ul << 63;
	EXPECT_ERRNO(trace(PTRACE_SETREGS, pid, 0, (uintptr_t)&bad), EIO);
	bad = r;
	bad.eflags |= 1ul << 17 | 3 << 12; /* VM, IOPL: not a program's */
	bad.r15 = 99;
	EXPECT(trace(PTRACE_SETREGS, pid, 0, (uintptr_t)&bad) == 0);
	EXPECT(trace(PTRACE_GETREGS, pid, 0, (uintptr_t)&bad) == 0 && bad.eflags == r.eflags && bad.r15 == 99);
	EXPECT(trace(PTRACE_SETREGS, pid, 0, (uintptr_t)&r) == 0);
	EXPECT(trace(PTRACE_GETFPREGS, pid, 0, (uintptr_t)&fpu) == 0 && fpu.mxcsr == 0x1f80);
	fpu.mxcsr = 0xffffffff;
	EXPECT_ERRNO(trace(PTRACE_SETFPREGS, pid, 0, (uintptr_t)&fpu), EINVAL);
	if (get_set(pid, NT_X86_XSTATE, area, &len) == 0) {
		EXPECT(set_set(pid, NT_X86_XSTATE, area, len) == 0);
		area[512 + 7] = (char)0x80; /* a state that there is not */
		EXPECT_ERRNO(set_set(pid, NT_X86_XSTATE, area, len), EINVAL);
	}
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(5));
}
#else
/* x86's requests are none here. */
static void requests_of_one_architecture(void)
{
	pid_t pid = traced_child(traps);
	char area[1024];

	EXPECT_ERRNO(trace(12 /* PTRACE_GETREGS */, pid, 0, (uintptr_t)area), EIO);
	EXPECT_ERRNO(trace(3 /* PTRACE_PEEKUSER */, pid, 0, (uintptr_t)area), EIO);
	kill(pid, SIGKILL);
	EXPECT(waitpid(pid, NULL, 0) == pid);
}
#endif

/* Vector registers that the tracer writes are what the tracee computes with. */
static void adds(void)
{
	register double a __asm__(VECTOR) = 1.5;

	__asm__ volatile("" : "+" VECTOR_CLASS(a));
	STOP_HERE;
	__asm__ volatile("" : "+" VECTOR_CLASS(a));
	_exit(a == 2.5 ? 13 : 1);
}

static void vectors_are_written(void)
{
	pid_t pid = traced_child(adds);
	char area[FPU_SIZE];
	size_t len = sizeof(area);
	double value = 0;
	registers r;

	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP);
	EXPECT(get_set(pid, NT_PRFPREG, area, &len) == 0);
	memcpy(&value, area + VECTOR_AT, sizeof(value));
	EXPECT(value == 1.5);
	value = 2.5;
	memcpy(area + VECTOR_AT, &value, sizeof(value));
	EXPECT(set_set(pid, NT_PRFPREG, area, sizeof(area)) == 0);
	r = get(pid);
	PC(r) += BREAKPOINT_BYTES == 4 ? 4 : 0;
	EXPECT(set_set(pid, NT_PRSTATUS, &r, sizeof(r)) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(13));
}

int main(void)
{
	CASE(sets_of_registers);
	CASE(calls_can_be_changed);
	CASE(memory_is_read_and_written);
	CASE(a_breakpoint_is_a_signal);
	CASE(a_breakpoint_put_in);
	CASE(single_steps);
	CASE(a_step_into_a_handler);
	CASE(steps_end_with_the_tracer);
	CASE(a_call_from_outside);
	CASE(vectors_are_written);
	CASE(requests_of_one_architecture);
	return abi_result();
}
