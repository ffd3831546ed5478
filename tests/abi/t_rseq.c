/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences: registration, the CPU's number, leaving a sequence for a signal, a switch or another CPU, what is wrong with
 * descriptions. Each case runs in a process that shares this one's memory and has no area yet: the C library has registered one for us.
 */
#include "cases.h"
#include <linux/membarrier.h>
#include <linux/rseq.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#define SIGNATURE 0x53053053
#define SIZE	  32
#define TRIES	  2000

/*
 * int spin(struct rseq *area, struct rseq_cs *cs, volatile int word[2]): enters the sequence, sets word[0], and stays in it until word[1] is
 * not 0 (result 0) or it is left (result 1).
 */
#ifdef __x86_64__
__asm__(".text\n"
	".globl spin, spin_start, spin_end, spin_abort, spin_other\n"
	"spin: movq %rsi, 8(%rdi)\n"
	"spin_start: movl $1, (%rdx)\n"
	"1: cmpl $0, 4(%rdx)\n"
	"   je 1b\n"
	"spin_end: xorl %eax, %eax\n"
	"   ret\n"
	"   .long 0x53053053\n"
	"spin_abort: movl $1, %eax\n"
	"   ret\n"
	"   .long 0x53053054\n"
	"spin_other: movl $2, %eax\n"
	"   ret\n");
#else
__asm__(".text\n"
	".globl spin, spin_start, spin_end, spin_abort, spin_other\n"
	"spin: str x1, [x0, #8]\n"
	"spin_start: mov w3, #1\n"
	"   str w3, [x2]\n"
	"1: ldr w3, [x2, #4]\n"
	"   cbz w3, 1b\n"
	"spin_end: mov w0, #0\n"
	"   ret\n"
	"   .long 0x53053053\n"
	"spin_abort: mov w0, #1\n"
	"   ret\n"
	"   .long 0x53053054\n"
	"spin_other: mov w0, #2\n"
	"   ret\n");
#endif
int spin(volatile struct rseq *area, struct rseq_cs *cs, volatile int *word);
extern char spin_start[], spin_end[], spin_abort[], spin_other[];

static volatile struct rseq area __attribute__((aligned(64)));
static struct rseq_cs section __attribute__((aligned(32)));
static volatile int word[2];
static volatile bool over; /* an ordinary switch may have ended the sequence before a helper looked */

static int register_(volatile void *at, unsigned len, int flags, unsigned signature)
{
	return (int)syscall(SYS_rseq, at, len, flags, signature);
}

static void begin(void)
{
	memset((void *)&area, 0, sizeof(area));
	area.cpu_id = (uint32_t)RSEQ_CPU_ID_UNINITIALIZED;
	section = (struct rseq_cs){ .start_ip = (uintptr_t)spin_start, .post_commit_offset = (uint64_t)(spin_end - spin_start),
				    .abort_ip = (uintptr_t)spin_abort };
	word[0] = word[1] = 0;
	over = false;
	EXPECT(register_(&area, SIZE, 0, SIGNATURE) == 0);
}

static char stack[1 << 16] __attribute__((aligned(64)));

static int call(void *fn)
{
	((void (*)(void))fn)();
	_exit(0);
}

/* How the process that ran fn ended. */
static int run(void (*fn)(void))
{
	int status = -1;
	pid_t pid = clone(call, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)fn);

	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

/* ---- registration ---- */

static void register_in_child(void)
{
	EXPECT_ERRNO(register_(&area, SIZE, RSEQ_FLAG_UNREGISTER, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_(&area, SIZE, 2, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_(&area, SIZE, 3, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_(&area, 16, 0, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_((char *)&area + 8, SIZE, 0, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_((void *)0xffff800000000000ul, SIZE, 0, SIGNATURE), EFAULT);
	begin();
	EXPECT(area.cpu_id < 1024 && area.cpu_id_start == area.cpu_id);
	EXPECT_ERRNO(register_(&area, SIZE, 0, SIGNATURE), EBUSY);
	EXPECT_ERRNO(register_(&area, SIZE, 0, SIGNATURE + 1), EPERM);
	EXPECT_ERRNO(register_((char *)&area + 32, SIZE, 0, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_(&area, 16, 0, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_((char *)&area + 32, SIZE, RSEQ_FLAG_UNREGISTER, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_(&area, 16, RSEQ_FLAG_UNREGISTER, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_(&area, SIZE, RSEQ_FLAG_UNREGISTER | 2, SIGNATURE), EINVAL);
	EXPECT_ERRNO(register_(&area, SIZE, RSEQ_FLAG_UNREGISTER, SIGNATURE + 1), EPERM);
	EXPECT(register_(&area, SIZE, RSEQ_FLAG_UNREGISTER, SIGNATURE) == 0);
	EXPECT(area.cpu_id == (uint32_t)RSEQ_CPU_ID_UNINITIALIZED && area.cpu_id_start == 0);
	EXPECT_ERRNO(register_(&area, SIZE, RSEQ_FLAG_UNREGISTER, SIGNATURE), EINVAL);
	begin();
}

static void registering(void)
{
	EXPECT(run(register_in_child) == 0);
}

static void bind_to(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	EXPECT(sched_setaffinity(0, sizeof(set), &set) == 0);
}

static void move_about(void)
{
	cpu_set_t all;

	EXPECT(sched_getaffinity(0, sizeof(all), &all) == 0);
	begin();
	for (unsigned i = 0; i < 3; i++)
		for (unsigned cpu = 0; cpu < 4; cpu++) {
			if (!CPU_ISSET(cpu, &all))
				continue;
			bind_to(cpu);
			EXPECT(area.cpu_id == cpu && area.cpu_id_start == cpu);
		}
}

static void the_cpu_is_told(void)
{
	EXPECT(run(move_about) == 0);
}

static void in_copies(void)
{
	int status, pid;

	begin();
	pid = (int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) /* a copy of the memory: the area is its own, and registered */
		_exit(register_(&area, SIZE, 0, SIGNATURE) == -1 && errno == EBUSY &&
		      register_(&area, SIZE, RSEQ_FLAG_UNREGISTER, SIGNATURE) == 0 ? 5 : 6);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 5 << 8);
	EXPECT(area.cpu_id < 1024);
}

static void fork_keeps_it(void)
{
	EXPECT(run(in_copies) == 0);
}

/* ---- leaving a sequence ---- */

static volatile uintptr_t handler_pc, handler_cs;

static void on_alarm(int signo, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;

	(void)signo;
	(void)si;
#ifdef __x86_64__
	handler_pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#else
	handler_pc = uc->uc_mcontext.pc;
#endif
	handler_cs = area.rseq_cs;
}

static void set_alarm(long us)
{
	struct itimerval t = { .it_value = { .tv_usec = us } };

	EXPECT(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void leave_for_a_signal(void)
{
	struct sigaction act = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO };

	EXPECT(sigaction(SIGALRM, &act, NULL) == 0);
	begin();
	handler_pc = 0;
	for (int i = 0; i < 5 && !handler_pc; i++) { /* a switch may come before the signal */
		set_alarm(20000);
		EXPECT(spin(&area, &section, word) == 1 && word[0] == 1);
		EXPECT(area.rseq_cs == 0);
	}
	while (!handler_pc)
		sched_yield();
	EXPECT(handler_cs == 0 && handler_pc - (uintptr_t)spin_start >= section.post_commit_offset);
	word[1] = 1; /* nothing disturbs it: it comes to its end, as it does at last */
	for (int i = 0; i < TRIES; i++)
		if (spin(&area, &section, word) == 0)
			return;
	EXPECT(!"a sequence that is not disturbed comes to its end");
}

static void a_signal_breaks_it(void)
{
	EXPECT(run(leave_for_a_signal) == 0);
}

/* Two processes on one CPU: whoever is switched away from must leave. */
static void leave_for_another(void)
{
	pid_t pid;

	begin();
	bind_to((unsigned)sched_getcpu());
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		for (;;)
			;
	EXPECT(spin(&area, &section, word) == 1);
	kill(pid, SIGKILL);
	EXPECT(waitpid(pid, NULL, 0) == pid);
}

static void a_switch_breaks_it(void)
{
	EXPECT(run(leave_for_another) == 0);
}

static int mover(void *pid)
{
	cpu_set_t all, set;

	sched_getaffinity(0, sizeof(all), &all);
	while (!word[0] && !over)
		sched_yield();
	for (unsigned i = 0; word[0]; i = (i + 1) % 4) { /* until it was moved, or, with one CPU, switched */
		CPU_ZERO(&set);
		CPU_SET(i, &set);
		if (CPU_ISSET(i, &all))
			sched_setaffinity(*(pid_t *)pid, sizeof(set), &set);
	}
	_exit(0);
}

static void leave_for_a_move(void)
{
	static char mover_stack[1 << 14] __attribute__((aligned(64)));
	pid_t self = getpid(), pid;

	begin();
	pid = clone(mover, mover_stack + sizeof(mover_stack), CLONE_VM | SIGCHLD, &self);
	EXPECT(pid > 0 && spin(&area, &section, word) == 1);
	over = true;
	word[0] = 0;
	EXPECT(waitpid(pid, NULL, 0) == pid);
}

static void a_move_breaks_it(void)
{
	EXPECT(run(leave_for_a_move) == 0);
}

static int barrier_maker(void *unused)
{
	(void)unused;
	while (!word[0] && !over)
		sched_yield();
	while (word[0]) { /* with rests, in which the others come to something */
		syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0);
		usleep(500);
	}
	_exit(0);
}

static void leave_for_a_barrier(void)
{
	static char maker_stack[1 << 14] __attribute__((aligned(64)));
	pid_t pid;

	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) & MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
	EXPECT_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 2, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_FLAG_CPU, 0), EINVAL);
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0);
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, 0) == 0);
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, 100000) == 0);
	begin();
	pid = clone(barrier_maker, maker_stack + sizeof(maker_stack), CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL);
	EXPECT(pid > 0 && spin(&area, &section, word) == 1);
	over = true;
	word[0] = 0;
	EXPECT(waitpid(pid, NULL, 0) == pid);
}

static void a_barrier_breaks_it(void)
{
	EXPECT(run(leave_for_a_barrier) == 0);
}

/* ---- what is wrong ---- */

static void (*spoil)(void);

/* In a sequence until a signal comes, with a description that spoil() has changed. */
static void spoiled(void)
{
	begin();
	signal(SIGALRM, SIG_DFL);
	spoil();
	set_alarm(900000); /* never comes */
	bind_to((unsigned)sched_getcpu());
	if (syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == 0) {
		set_alarm(100000); /* the other one on this CPU */
		for (;;)
			;
	}
	spin(&area, &section, word);
}

static void other_abort(void)
{
	section.abort_ip = (uintptr_t)spin_other;
}

static void abort_inside(void)
{
	section.abort_ip = (uintptr_t)spin_start + 1;
}

static void abort_in_kernel(void)
{
	section.abort_ip = UINT64_C(0xffff800000000000);
}

static void abort_unmapped(void)
{
	section.abort_ip = 64;
}

static void long_section(void)
{
	section.post_commit_offset = UINT64_MAX;
}

static void new_version(void)
{
	section.version = 1;
}

static void with_flags(void)
{
	section.flags = 1;
}

static void area_with_flags(void)
{
	area.flags = 2;
}

static void errors_end_it(void)
{
	static void (*const all[])(void) = { other_abort,  abort_inside, abort_in_kernel, abort_unmapped,
					     long_section, new_version,	 with_flags,	  area_with_flags };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		spoil = all[i];
		EXPECT((run(spoiled) & 0x7f) == SIGSEGV);
	}
}

static void wild_pointer(void)
{
	begin();
	bind_to((unsigned)sched_getcpu());
	area.rseq_cs = 64;
	for (int i = 0; i < TRIES; i++) {
		usleep(1000);
		sched_yield();
	}
}

static void area_goes(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT(register_(page, SIZE, 0, SIGNATURE) == 0);
	munmap(page, 4096);
	for (int i = 0; i < TRIES; i++)
		usleep(1000);
}

static void bad_memory_ends_it(void)
{
	EXPECT((run(wild_pointer) & 0x7f) == SIGSEGV);
	EXPECT((run(area_goes) & 0x7f) == SIGSEGV);
}

/* Outside of the sequence the pointer is taken back, and nothing else happens. */
static void pointer_left(void)
{
	begin();
	area.rseq_cs = (uintptr_t)&section;
	for (int i = 0; i < TRIES && area.rseq_cs; i++)
		usleep(1000);
	EXPECT(area.rseq_cs == 0);
}

static void outside_of_it(void)
{
	EXPECT(run(pointer_left) == 0);
}

/* A new program has none, and can register one. */
static void exec_drops_it(void)
{
	static char *const argv[] = { "t_rseq", "again", NULL }, *const envp[] = { "GLIBC_TUNABLES=glibc.pthread.rseq=0", NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execve("/proc/self/exe", argv, envp);
		_exit(9);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && status == 3 << 8);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return register_(&area, SIZE, 0, SIGNATURE) == 0 ? 3 : 4;
	CASE(registering);
	CASE(the_cpu_is_told);
	CASE(fork_keeps_it);
	CASE(a_signal_breaks_it);
	CASE(a_switch_breaks_it);
	CASE(a_move_breaks_it);
	CASE(a_barrier_breaks_it);
	CASE(errors_end_it);
	CASE(bad_memory_ends_it);
	CASE(outside_of_it);
	CASE(exec_drops_it);
	return abi_result();
}
