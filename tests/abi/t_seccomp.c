/* SPDX-License-Identifier: MIT */
/* seccomp: both modes, what a filter may look at and answer, chains, threads, what is inherited, and programs that are refused. */
#include "cases.h"
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_ARG(n)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define IF(value)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1)
#define IF_NOT(value)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0)
#define ANSWER(value)	BPF_STMT(BPF_RET | BPF_K, value)
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static int install_with(struct sock_filter *insns, size_t n, unsigned flags)
{
	struct sock_fprog program = { .len = (unsigned short)n, .filter = insns };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static int install(struct sock_filter *insns, size_t n)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -1 : install_with(insns, n, 0);
}

#define INSTALL(insns) install(insns, COUNT(insns))

/* Answers `value` to the call of that number, and allows all others. */
static int install_answer(int number, uint32_t value)
{
	struct sock_filter insns[] = { LOAD(nr), IF((uint32_t)number), ANSWER(value), ANSWER(SECCOMP_RET_ALLOW) };

	return INSTALL(insns);
}

/* How a child ends: its exit status, or minus the signal. */
static int ends(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define NEED(condition)                   \
	do {                              \
		if (!(condition))         \
			_exit(__LINE__ & 127 ? __LINE__ & 127 : 1); \
	} while (0)

/* ---- strict mode ---- */

static void strict_child(void)
{
	int fd[2];
	char c;

	NEED(pipe(fd) == 0);
	NEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	if (write(fd[1], "x", 1) != 1 || read(fd[0], &c, 1) != 1)
		syscall(SYS_exit, 3);
	syscall(SYS_exit, 7);
}

static void strict_and_more(void)
{
	NEED(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL) == 0);
	getpid();
}

static void strict_asks_its_mode(void)
{
	NEED(prctl(PR_GET_SECCOMP) == 0);
	NEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	prctl(PR_GET_SECCOMP);
}

static void strict_mode_reads_and_writes(void)
{
	EXPECT(ends(strict_child) == 7);
	EXPECT(ends(strict_and_more) == -SIGKILL);
	EXPECT(ends(strict_asks_its_mode) == -SIGKILL);
	EXPECT_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, ""), EINVAL);
	EXPECT_ERRNO(prctl(PR_SET_SECCOMP, 7), EINVAL);
}

/* ---- answers ---- */

static void errno_child(void)
{
	NEED(install_answer(SYS_getppid, SECCOMP_RET_ERRNO | ENOTTY) == 0);
	NEED(prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER);
	NEED(syscall(SYS_getppid) == -1 && errno == ENOTTY);
	NEED(getpid() > 0);
	NEED(install_answer(SYS_getpid, SECCOMP_RET_ERRNO | 0) == 0);
	NEED(syscall(SYS_getpid) == 0);
	NEED(install_answer(SYS_getuid, SECCOMP_RET_ERRNO | 0xffff) == 0);
	NEED(syscall(SYS_getuid) == -1 && errno == 4095);
	NEED(syscall(SYS_getppid) == -1 && errno == ENOTTY);
}

static void kill_child(void)
{
	NEED(install_answer(SYS_getppid, SECCOMP_RET_KILL_PROCESS) == 0);
	syscall(SYS_getppid);
}

static void kill_only_thread(void)
{
	NEED(install_answer(SYS_getppid, SECCOMP_RET_KILL_THREAD) == 0);
	syscall(SYS_getppid);
}

static void unknown_answer(void)
{
	NEED(install_answer(SYS_getppid, 0x12340000) == 0);
	syscall(SYS_getppid);
}

static void nobody_listens(void)
{
	NEED(install_answer(SYS_getppid, SECCOMP_RET_TRACE | 5) == 0);
	NEED(install_answer(SYS_getuid, SECCOMP_RET_USER_NOTIF) == 0);
	NEED(install_answer(SYS_getgid, SECCOMP_RET_LOG) == 0);
	NEED(syscall(SYS_getppid) == -1 && errno == ENOSYS);
	NEED(syscall(SYS_getuid) == -1 && errno == ENOSYS);
	NEED(syscall(SYS_getgid) == (long)getegid());
}

static void answers_are_given(void)
{
	EXPECT(ends(errno_child) == 0);
	EXPECT(ends(kill_child) == -SIGSYS);
	EXPECT(ends(kill_only_thread) == -SIGSYS);
	EXPECT(ends(unknown_answer) == -SIGSYS);
	EXPECT(ends(nobody_listens) == 0);
}

static void *calls_what_is_forbidden(void *arg)
{
	(void)arg;
	install_answer(SYS_getppid, SECCOMP_RET_KILL_THREAD);
	syscall(SYS_getppid);
	_exit(1);
}

static void kill_one_thread(void)
{
	pthread_t t;

	NEED(pthread_create(&t, NULL, calls_what_is_forbidden, NULL) == 0);
	NEED(pthread_join(t, NULL) == 0);
	NEED(syscall(SYS_getppid) > 0);
	_exit(9);
}

static void *calls_what_kills_all(void *arg)
{
	(void)arg;
	kill_child();
	return NULL;
}

static void kill_all_threads(void)
{
	pthread_t t;

	NEED(pthread_create(&t, NULL, calls_what_kills_all, NULL) == 0);
	for (;;)
		pause();
}

static void a_thread_or_all_end(void)
{
	EXPECT(ends(kill_one_thread) == 9);
	EXPECT(ends(kill_all_threads) == -SIGSYS);
}

/* ---- SIGSYS ---- */

static volatile sig_atomic_t trapped;
static siginfo_t trap_info;
static void *trap_pc;

static void set_result(ucontext_t *u, long value)
{
#ifdef __x86_64__
	trap_pc = (void *)u->uc_mcontext.gregs[REG_RIP];
	u->uc_mcontext.gregs[REG_RAX] = value;
#else
	trap_pc = (void *)u->uc_mcontext.pc;
	u->uc_mcontext.regs[0] = (unsigned long)value;
#endif
}

static void on_sigsys(int signo, siginfo_t *info, void *context)
{
	trapped += signo == SIGSYS;
	trap_info = *info;
	set_result(context, 1234);
}

static void trap_child(void)
{
	struct sigaction act = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &act, NULL);
	NEED(install_answer(SYS_getppid, SECCOMP_RET_TRAP | 77) == 0);
	NEED(syscall(SYS_getppid, -512L) == 1234); /* what looks like ERESTARTSYS is restarted by nobody */
	NEED(trapped == 1);
	NEED(trap_info.si_code == 1 && trap_info.si_errno == 77);
	NEED(trap_info.si_syscall == SYS_getppid && trap_info.si_call_addr == trap_pc);
#ifdef __x86_64__
	NEED(trap_info.si_arch == AUDIT_ARCH_X86_64);
#else
	NEED(trap_info.si_arch == AUDIT_ARCH_AARCH64);
#endif
}

static void trap_blocked(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	NEED(install_answer(SYS_getppid, SECCOMP_RET_TRAP) == 0);
	syscall(SYS_getppid);
}

static void a_trap_is_a_signal(void)
{
	EXPECT(ends(trap_child) == 0);
	EXPECT(ends(trap_blocked) == -SIGSYS);
}

/* ---- what a filter sees ---- */

static void arguments_child(void)
{
	struct sock_filter insns[] = {
		LOAD(nr), IF_NOT(SYS_lseek), ANSWER(SECCOMP_RET_ALLOW),
		LOAD_ARG(0), IF_NOT(5), ANSWER(SECCOMP_RET_ERRNO | 5),
		LOAD_ARG(1), BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4), /* the high half */
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3), BPF_STMT(BPF_LD | BPF_IMM, 1000), BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0),
	};

	NEED(INSTALL(insns) == 0);
	NEED(getpid() > 0);
	NEED(syscall(SYS_lseek, 4, 0, 0) == -1 && errno == 5);
	NEED(syscall(SYS_lseek, 5, 100, 0) == -1 && errno == 900);
	NEED(syscall(SYS_lseek, 5, 0x300000100L, 0) == -1 && errno == 1000 - 0x103);
}

static void place_child(void)
{
	struct sock_filter insns[] = {
		LOAD(nr), IF_NOT(SYS_getppid), ANSWER(SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)), BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4), BPF_STMT(BPF_ALU | BPF_OR | BPF_X, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), ANSWER(SECCOMP_RET_ERRNO | 1),
		BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0), BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};

	NEED(INSTALL(insns) == 0);
	NEED(syscall(SYS_getppid) == -1 && errno == sizeof(struct seccomp_data));
}

static void architecture_child(void)
{
	struct sock_filter insns[] = {
		LOAD(arch),
#ifdef __x86_64__
		IF_NOT(AUDIT_ARCH_X86_64),
#else
		IF_NOT(AUDIT_ARCH_AARCH64),
#endif
		ANSWER(SECCOMP_RET_KILL_PROCESS), LOAD(nr), IF(SYS_getppid), ANSWER(SECCOMP_RET_ERRNO | 3), IF(100000),
		ANSWER(SECCOMP_RET_ERRNO | 4), ANSWER(SECCOMP_RET_ALLOW),
	};

	NEED(INSTALL(insns) == 0);
	NEED(syscall(SYS_getppid) == -1 && errno == 3);
	NEED(syscall(100000) == -1 && errno == 4);
	NEED(syscall(100001) == -1 && errno == ENOSYS);
}

/* A division by zero is not refused, as the divisor is not known: it answers 0, which is to kill the thread. */
static void divides_by_zero(void)
{
	struct sock_filter insns[] = {
		LOAD(nr), IF_NOT(SYS_lseek), ANSWER(SECCOMP_RET_ALLOW), LOAD_ARG(0), BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), ANSWER(SECCOMP_RET_ALLOW),
	};

	NEED(INSTALL(insns) == 0);
	syscall(SYS_lseek, 1, 0, SEEK_CUR);
	syscall(SYS_lseek, 0, 0, SEEK_CUR);
}

static void a_filter_sees_the_call(void)
{
	EXPECT(ends(arguments_child) == 0);
	EXPECT(ends(place_child) == 0);
	EXPECT(ends(architecture_child) == 0);
	EXPECT(ends(divides_by_zero) == -SIGSYS);
}

/* ---- chains ---- */

static void chain_child(void)
{
	NEED(install_answer(SYS_getppid, SECCOMP_RET_ERRNO | 1) == 0);
	NEED(install_answer(SYS_getppid, SECCOMP_RET_ERRNO | 2) == 0);
	NEED(syscall(SYS_getppid) == -1 && errno == 2); /* of equals the newest */
	NEED(install_answer(SYS_getppid, SECCOMP_RET_ALLOW) == 0);
	NEED(syscall(SYS_getppid) == -1 && errno == 2); /* the strictest */
	NEED(install_answer(SYS_getppid, SECCOMP_RET_LOG) == 0);
	NEED(syscall(SYS_getppid) == -1 && errno == 2);
	NEED(install_answer(SYS_getppid, SECCOMP_RET_KILL_PROCESS) == 0);
	syscall(SYS_getppid);
}

static void long_chain_child(void)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	int n = 0;

	for (size_t i = 0; i < COUNT(insns); i++)
		insns[i] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
	while (n < 20 && INSTALL(insns) == 0)
		n++;
	NEED(errno == ENOMEM && n >= 1 && n < 8); /* Linux counts the instructions that it makes of these */
	NEED(install(insns, 1) == 0);
}

static void filters_add_up(void)
{
	EXPECT(ends(chain_child) == -SIGSYS);
	EXPECT(ends(long_chain_child) == 0);
}

/* ---- who has it ---- */

static void inherits_child(void)
{
	char text[4096] = "";
	int status, fd;
	pid_t pid;

	NEED(install_answer(SYS_getppid, SECCOMP_RET_ERRNO | 6) == 0);
	pid = fork();
	if (pid == 0)
		_exit(syscall(SYS_getppid) == -1 && errno == 6 ? 0 : 1);
	NEED(waitpid(pid, &status, 0) == pid && status == 0);
	fd = open("/proc/self/status", O_RDONLY);
	NEED(read(fd, text, sizeof(text) - 1) > 0);
	NEED(strstr(text, "NoNewPrivs:\t1\n") && strstr(text, "Seccomp:\t2\n") && strstr(text, "Seccomp_filters:\t1\n"));
	execl("/proc/self/exe", "t_seccomp", "still", NULL);
	_exit(2);
}

static void children_and_programs_inherit(void)
{
	EXPECT(ends(inherits_child) == 10);
}

static volatile int go, seen;

static void *waits_and_calls(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		sched_yield();
	if (syscall(SYS_getppid) == -1 && errno == 8)
		__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void tsync_child(void)
{
	struct sock_filter insns[] = { LOAD(nr), IF(SYS_getppid), ANSWER(SECCOMP_RET_ERRNO | 8), ANSWER(SECCOMP_RET_ALLOW) };
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		NEED(pthread_create(&t[i], NULL, waits_and_calls, NULL) == 0);
	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	NEED(install_with(insns, COUNT(insns), SECCOMP_FILTER_FLAG_TSYNC) == 0);
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	NEED(seen == 8);
}

static volatile int other_tid;

static void *has_its_own(void *arg)
{
	(void)arg;
	install_answer(SYS_getuid, SECCOMP_RET_ERRNO | 9);
	__atomic_store_n(&other_tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	for (;;)
		pause();
	return NULL;
}

static void tsync_diverged(void)
{
	struct sock_filter insns[] = { ANSWER(SECCOMP_RET_ALLOW) };
	pthread_t t;

	NEED(pthread_create(&t, NULL, has_its_own, NULL) == 0);
	while (!__atomic_load_n(&other_tid, __ATOMIC_ACQUIRE))
		sched_yield();
	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	NEED(install_with(insns, 1, SECCOMP_FILTER_FLAG_TSYNC) == other_tid);
	NEED(install_with(insns, 1, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH) == -1 && errno == ESRCH);
	NEED(prctl(PR_GET_SECCOMP) == 0);
	_exit(0);
}

static void all_threads_at_once(void)
{
	EXPECT(ends(tsync_child) == 0);
	EXPECT(ends(tsync_diverged) == 0);
}

/* Threads come while filters are given to all: each has those of its creator at least. */
static void *asks_at_once(void *arg)
{
	return syscall(SYS_getppid) == -1 && errno == 8 ? NULL : arg;
}

static void *creates(void *arg)
{
	for (int i = 0; i < 200; i++) {
		pthread_t t;
		void *wrong = arg;

		if (pthread_create(&t, NULL, asks_at_once, arg) == 0)
			pthread_join(t, &wrong);
		if (wrong)
			_exit(1);
	}
	return NULL;
}

static void tsync_among_births(void)
{
	struct sock_filter insns[] = { LOAD(nr), IF(SYS_getppid), ANSWER(SECCOMP_RET_ERRNO | 8), ANSWER(SECCOMP_RET_ALLOW) };
	pthread_t t[3];

	NEED(INSTALL(insns) == 0);
	for (int i = 0; i < 3; i++)
		NEED(pthread_create(&t[i], NULL, creates, &t) == 0);
	for (int i = 0; i < 100; i++)
		NEED(install_with(insns, COUNT(insns), SECCOMP_FILTER_FLAG_TSYNC) == 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void threads_are_born_filtered(void)
{
	EXPECT(ends(tsync_among_births) == 0);
}

/* ---- what is refused ---- */

static void unprivileged_child(void)
{
	struct sock_filter insns[] = { ANSWER(SECCOMP_RET_ALLOW) };

	NEED(setresuid(65534, 65534, 65534) == 0);
	NEED(install_with(insns, 1, 0) == -1 && errno == EACCES);
	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	NEED(install_with(insns, 1, 0) == 0);
	NEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == -1 && errno == EINVAL);
}

static void bad_programs_child(void)
{
	static struct sock_filter bad[][4] = {
		{ LOAD(nr) },						  /* no return */
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ANSWER(0) },	  /* unaligned */
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ANSWER(0) },	  /* behind the data */
		{ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), ANSWER(0) },	  /* half a word */
		{ BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), ANSWER(0) },
		{ BPF_STMT(BPF_JMP | BPF_JA, 1), ANSWER(0) },		  /* out of the program */
		{ BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), ANSWER(0) },	  /* back */
		{ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), ANSWER(0) },
		{ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), ANSWER(0) },
		{ BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ANSWER(0) },
		{ BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), ANSWER(0) },
		{ BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ANSWER(0) },
		{ BPF_STMT(BPF_LD | BPF_MEM, 0), ANSWER(0) },		  /* never written */
		{ BPF_STMT(BPF_ST, 16), ANSWER(0) },
		{ BPF_STMT(0xffff, 0), ANSWER(0) },
		{ BPF_STMT(BPF_RET | BPF_X, 0) },
	};
	struct sock_filter one_way[] = {
		LOAD(nr), IF(1), BPF_STMT(BPF_ST, 2), BPF_STMT(BPF_LD | BPF_MEM, 2), ANSWER(SECCOMP_RET_ALLOW),
	};

	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		size_t n = bad[i][1].code || bad[i][1].k ? 2 : 1;

		if (!(install_with(bad[i], bad[i][1].code ? 2 : n, 0) == -1 && errno == EINVAL))
			_exit(100 + (int)i);
	}
	NEED(install_with(one_way, COUNT(one_way), 0) == -1 && errno == EINVAL);
	NEED(install_with(one_way, 0, 0) == -1 && errno == EINVAL);
	NEED(install_with(one_way, BPF_MAXINSNS + 1, 0) == -1 && errno == EINVAL);
	NEED(install_with((struct sock_filter *)16, 1, 0) == -1 && errno == EFAULT);
	NEED(install_with(one_way, 1, 1u << 20) == -1 && errno == EINVAL);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++)
		NEED(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, abi_bad_addresses[i]) == -1 && errno == EFAULT);
	NEED(syscall(SYS_seccomp, 99, 0, NULL) == -1 && errno == EINVAL);
	NEED(prctl(PR_GET_SECCOMP) == 0);
}

static void what_is_wrong_is_refused(void)
{
	uint32_t action = SECCOMP_RET_ERRNO, unknown = 0x12340000;

	EXPECT(ends(unprivileged_child) == 0);
	EXPECT(ends(bad_programs_child) == 0);
	EXPECT(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
	EXPECT_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown), EOPNOTSUPP);
	EXPECT_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, &action), EINVAL);
	EXPECT_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL), EFAULT);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "still") == 0)
		return syscall(SYS_getppid) == -1 && errno == 6 ? 10 : 11;
	CASE(strict_mode_reads_and_writes);
	CASE(answers_are_given);
	CASE(a_thread_or_all_end);
	CASE(a_trap_is_a_signal);
	CASE(a_filter_sees_the_call);
	CASE(filters_add_up);
	CASE(children_and_programs_inherit);
	CASE(all_threads_at_once);
	CASE(threads_are_born_filtered);
	CASE(what_is_wrong_is_refused);
	return abi_result();
}
