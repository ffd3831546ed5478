/* SPDX-License-Identifier: MIT */
/* Signals: actions and their flags, masks, queues, waiting, alternate stacks, restarts, faults. */
#include "cases.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

static volatile sig_atomic_t count, last_code, last_value, last_pid;
static volatile void *last_addr;
static volatile char *volatile handler_sp;
static sigjmp_buf back;
static volatile int *volatile low = (volatile int *)32; /* nothing is mapped there */

static void on_plain(int signo)
{
	(void)signo;
	count++;
}

static void on_info(int signo, siginfo_t *si, void *context)
{

	(void)signo;
	(void)context;
	count++;
	last_code = si->si_code;
	last_pid = si->si_pid;
	last_value = si->si_value.sival_int;
	handler_sp = __builtin_frame_address(0);
}

static void on_fault(int signo, siginfo_t *si, void *context)
{
	(void)context;
	last_code = si->si_code;
	last_addr = si->si_addr;
	siglongjmp(back, signo);
}

static void handle(int signo, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction act = { .sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO };

	EXPECT(sigaction(signo, &act, NULL) == 0);
}

static void plain(int signo, void (*fn)(int), int flags)
{
	struct sigaction act = { .sa_handler = fn, .sa_flags = flags };

	EXPECT(sigaction(signo, &act, NULL) == 0);
}

static sigset_t only(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	return set;
}

static void kill_says_who_sent_it(void)
{
	count = 0;
	handle(SIGUSR1, on_info, 0);
	EXPECT(kill(getpid(), SIGUSR1) == 0);
	EXPECT(count == 1 && last_code == SI_USER && last_pid == getpid());
	EXPECT(raise(SIGUSR1) == 0);
	EXPECT(count == 2 && last_code == SI_TKILL && last_pid == getpid());
}

static void blocked_signals_wait(void)
{
	sigset_t set = only(SIGUSR1), old, pending;

	count = 0;
	handle(SIGUSR1, on_info, 0);
	EXPECT(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	EXPECT(count == 0);
	EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	EXPECT(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	EXPECT(count == 1); /* a standard signal is pending once */
	EXPECT(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
}

static void real_time_signals_queue_in_order(void)
{
	sigset_t set = only(SIGRTMIN);
	siginfo_t si;

	EXPECT(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	for (int i = 1; i <= 3; i++)
		EXPECT(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i }) == 0);
	for (int i = 1; i <= 3; i++) {
		EXPECT(sigwaitinfo(&set, &si) == SIGRTMIN);
		EXPECT(si.si_value.sival_int == i && si.si_code == SI_QUEUE && si.si_pid == getpid());
	}
	EXPECT_ERRNO(sigtimedwait(&set, &si, &(struct timespec){ 0, 1000 }), EAGAIN);
	EXPECT(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void ignored_signals_are_dropped(void)
{
	sigset_t set = only(SIGUSR2), pending;

	plain(SIGUSR2, SIG_IGN, 0);
	EXPECT(kill(getpid(), SIGUSR2) == 0);
	EXPECT(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	EXPECT(kill(getpid(), SIGUSR2) == 0);
	EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2)); /* blocked: kept */
	plain(SIGUSR2, SIG_IGN, 0);
	EXPECT(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR2));
	EXPECT(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
	plain(SIGUSR2, SIG_DFL, 0);
}

static volatile sig_atomic_t depth, deepest;

static void on_nested(int signo)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (depth < 3)
		raise(signo);
	depth--;
}

static void nodefer_and_resethand(void)
{
	struct sigaction act;

	deepest = depth = 0;
	plain(SIGUSR1, on_nested, SA_NODEFER);
	raise(SIGUSR1);
	EXPECT(deepest == 3);
	count = 0;
	plain(SIGUSR1, on_plain, SA_RESETHAND);
	raise(SIGUSR1);
	EXPECT(count == 1);
	EXPECT(sigaction(SIGUSR1, NULL, &act) == 0 && act.sa_handler == SIG_DFL);
}

static void handlers_run_on_the_alternate_stack(void)
{
	size_t size = 65536;
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t ss = { .ss_sp = mem, .ss_size = size }, old;

	EXPECT(sigaltstack(&ss, NULL) == 0);
	handle(SIGUSR1, on_info, SA_ONSTACK);
	raise(SIGUSR1);
	EXPECT(handler_sp > mem && handler_sp < mem + size);
	handle(SIGUSR1, on_info, 0);
	raise(SIGUSR1);
	EXPECT(!(handler_sp > mem && handler_sp < mem + size));
	EXPECT(sigaltstack(NULL, &old) == 0 && old.ss_sp == mem && old.ss_flags == 0);
	ss.ss_size = 100;
	EXPECT_ERRNO(sigaltstack(&ss, NULL), ENOMEM);
	ss.ss_flags = 0x40;
	EXPECT_ERRNO(sigaltstack(&ss, NULL), EINVAL);
	ss.ss_flags = SS_DISABLE;
	EXPECT(sigaltstack(&ss, NULL) == 0);
	munmap(mem, size);
}

static void faults_can_be_caught(void)
{
	char *mem = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	handle(SIGSEGV, on_fault, 0);
	if (sigsetjmp(back, 1) == 0)
		*low = 1;
	EXPECT(last_code == SEGV_MAPERR && last_addr == low);
	if (sigsetjmp(back, 1) == 0)
		*(volatile char *)(mem + 5) = 1;
	EXPECT(last_code == SEGV_ACCERR && last_addr == mem + 5);
	plain(SIGSEGV, SIG_DFL, 0);
	munmap(mem, 4096);
}

static int status_of(void (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	EXPECT(waitpid(pid, &status, 0) == pid);
	return status;
}

static void fault_while_blocked(void)
{
	sigset_t set = only(SIGSEGV);

	sigprocmask(SIG_BLOCK, &set, NULL);
	*low = 1;
}

static void fault_while_ignored(void)
{
	plain(SIGSEGV, SIG_IGN, 0);
	*low = 1;
}

static void jump_to_nowhere(void)
{
	((void (*)(void))(uintptr_t)0x123450)();
}

static void faults_kill_even_if_blocked_or_ignored(void)
{
	EXPECT((status_of(fault_while_blocked) & 0x7f) == SIGSEGV);
	EXPECT((status_of(fault_while_ignored) & 0x7f) == SIGSEGV);
	EXPECT((status_of(jump_to_nowhere) & 0x7f) == SIGSEGV);
	EXPECT((status_of(abort) & 0x7f) == SIGABRT);
}

static void alarm_in(long usec)
{
	struct itimerval it = { .it_value = { .tv_usec = usec } };

	setitimer(ITIMER_REAL, &it, NULL);
}

static void interrupted_calls_restart_or_not(void)
{
	struct timespec start, end;
	int p[2];
	char c;

	EXPECT(pipe(p) == 0);
	count = 0;
	plain(SIGALRM, on_plain, 0);
	alarm_in(20000);
	EXPECT_ERRNO(read(p[0], &c, 1), EINTR);
	plain(SIGALRM, on_plain, SA_RESTART);
	alarm_in(20000);
	if (fork() == 0) {
		usleep(60000);
		_exit(write(p[1], "x", 1) != 1);
	}
	EXPECT(read(p[0], &c, 1) == 1 && c == 'x');
	EXPECT(count == 2);
	while (wait(NULL) > 0)
		;
	alarm_in(20000);
	clock_gettime(CLOCK_MONOTONIC, &start);
	EXPECT_ERRNO(nanosleep(&(struct timespec){ 5, 0 }, &end), EINTR); /* never restarted behind a handler */
	EXPECT(end.tv_sec == 4);
	close(p[0]);
	close(p[1]);
}

static void sigsuspend_puts_the_mask_back(void)
{
	sigset_t set = only(SIGALRM), empty, now;

	sigemptyset(&empty);
	count = 0;
	plain(SIGALRM, on_plain, 0);
	sigprocmask(SIG_BLOCK, &set, NULL);
	alarm_in(10000);
	EXPECT_ERRNO(sigsuspend(&empty), EINTR);
	EXPECT(count == 1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	EXPECT(sigismember(&now, SIGALRM));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void *thread_waits(void *arg)
{
	sigset_t *set = arg;
	int signo = 0;

	sigwait(set, &signo);
	return (void *)(long)signo;
}

static void a_thread_takes_what_the_others_block(void)
{
	sigset_t set = only(SIGUSR2);
	pthread_t t;
	void *result = NULL;

	sigprocmask(SIG_BLOCK, &set, NULL);
	EXPECT(pthread_create(&t, NULL, thread_waits, &set) == 0);
	usleep(20000);
	EXPECT(kill(getpid(), SIGUSR2) == 0);
	EXPECT(pthread_join(t, &result) == 0 && result == (void *)(long)SIGUSR2);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void bad_arguments_are_refused(void)
{
	struct sigaction act = { .sa_handler = SIG_IGN };
	unsigned long mask = 0;

	EXPECT_ERRNO(sigaction(SIGKILL, &act, NULL), EINVAL);
	EXPECT_ERRNO(sigaction(SIGSTOP, &act, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigprocmask, 9, &mask, NULL, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigsuspend, &mask, 4), EINVAL);
	EXPECT_ERRNO(syscall(SYS_tgkill, -1, getpid(), 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_tgkill, getpid(), 0x7ffffff, 0), ESRCH);
	for (unsigned i = 1; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, abi_bad_addresses[i], NULL, 8), EFAULT);
		EXPECT_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, abi_bad_addresses[i], 8), EFAULT);
		EXPECT_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, abi_bad_addresses[i], NULL, 8), EFAULT);
		EXPECT_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, abi_bad_addresses[i], 8), EFAULT);
		EXPECT_ERRNO(syscall(SYS_rt_sigtimedwait, abi_bad_addresses[i], NULL, NULL, 8), EFAULT);
		EXPECT_ERRNO(syscall(SYS_sigaltstack, abi_bad_addresses[i], NULL), EFAULT);
	}
}

static void bad_stack_kills(void)
{
	plain(SIGUSR1, on_plain, SA_ONSTACK);
	sigaltstack(&(stack_t){ .ss_sp = (void *)0x10000, .ss_size = 65536 }, NULL);
	raise(SIGUSR1);
}

static void a_frame_that_cannot_be_written_kills(void)
{
	EXPECT((status_of(bad_stack_kills) & 0x7f) == SIGSEGV);
}

int main(void)
{
	CASE(kill_says_who_sent_it);
	CASE(blocked_signals_wait);
	CASE(real_time_signals_queue_in_order);
	CASE(ignored_signals_are_dropped);
	CASE(nodefer_and_resethand);
	CASE(handlers_run_on_the_alternate_stack);
	CASE(faults_can_be_caught);
	CASE(faults_kill_even_if_blocked_or_ignored);
	CASE(interrupted_calls_restart_or_not);
	CASE(sigsuspend_puts_the_mask_back);
	CASE(a_thread_takes_what_the_others_block);
	CASE(bad_arguments_are_refused);
	CASE(a_frame_that_cannot_be_written_kills);
	return abi_result();
}
