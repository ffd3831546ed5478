/* SPDX-License-Identifier: MIT */
/* Ids, groups and sessions, credentials, capabilities, limits, scheduling parameters, prctl: run as root. */
#include "cases.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>

/* Runs a case's dangerous part in a child: true if fn() was. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn() ? 0 : 1);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static int new_session(void)
{
	pid_t sid = setsid();

	return sid == getpid() && getsid(0) == sid && getpgrp() == sid && setsid() == -1 && errno == EPERM &&
	       setpgid(0, 0) == -1 && errno == EPERM;
}

static int group_moves(void)
{
	pid_t child = fork();
	int ok, status;

	if (child == 0)
		for (;;)
			pause();
	ok = setpgid(child, child) == 0 && getpgid(child) == child && setpgid(child, getpgrp()) == 0 &&
	     setpgid(child, 0x7ffffff) == -1 && errno == EPERM && setpgid(child, -1) == -1 && errno == EINVAL &&
	     setpgid(0x7ffffff, 0) == -1 && errno == ESRCH && getsid(child) == getsid(0);
	kill(child, SIGKILL);
	return waitpid(child, &status, 0) == child && ok;
}

static void groups_and_sessions(void)
{
	EXPECT(in_child(new_session));
	EXPECT(in_child(group_moves));
	EXPECT_ERRNO(getpgid(0x7ffffff), ESRCH);
	EXPECT_ERRNO(getsid(-5), ESRCH);
	EXPECT(syscall(SYS_gettid) == getpid());
}

static int drop_to_user(void)
{
	uid_t r, e, s;

	if (setresgid(100, 100, 100) || setresuid(1000, 1001, 1002))
		return 0;
	if (getresuid(&r, &e, &s) || r != 1000 || e != 1001 || s != 1002 || geteuid() != 1001)
		return 0;
	return seteuid(1002) == 0 && seteuid(1000) == 0 && seteuid(0) == -1 && errno == EPERM && setuid(0) == -1 &&
	       setresuid(-1, -1, 5) == -1 && setgid(0) == -1 && setgroups(0, NULL) == -1 && errno == EPERM;
}

static int setuid_is_for_good(void)
{
	return setuid(1000) == 0 && getuid() == 1000 && seteuid(0) == -1 && errno == EPERM && kill(1, 0) == -1 && errno == EPERM;
}

static int groups_are_kept(void)
{
	gid_t set[] = { 5, 3, 9 }, got[8];

	return setgroups(3, set) == 0 && getgroups(0, NULL) == 3 && getgroups(8, got) == 3 && getgroups(2, got) == -1 &&
	       errno == EINVAL && setgroups(0, NULL) == 0 && getgroups(8, got) == 0 && setgroups(-1, NULL) == -1 && errno == EINVAL;
}

static void user_ids(void)
{
	EXPECT(in_child(drop_to_user));
	EXPECT(in_child(setuid_is_for_good));
	EXPECT(in_child(groups_are_kept));
	EXPECT_ERRNO(syscall(SYS_setuid, -1), EINVAL);
}

static int capabilities_go_with_the_id(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) || !(d[0].effective & 1u << CAP_KILL))
		return 0;
	if (setresuid(1000, 1000, 1000) || syscall(SYS_capget, &h, d) || d[0].effective || d[0].permitted)
		return 0;
	d[0].effective = 1;
	return syscall(SYS_capset, &h, d) == -1 && errno == EPERM;
}

static int capabilities_can_be_kept(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	return prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(1000, 1000, 1000) == 0 && syscall(SYS_capget, &h, d) == 0 &&
	       d[0].permitted && !d[0].effective;
}

static void capabilities(void)
{
	struct __user_cap_header_struct h = { 0x1234, 0 };

	EXPECT(in_child(capabilities_go_with_the_id));
	EXPECT(in_child(capabilities_can_be_kept));
	EXPECT(syscall(SYS_capget, &h, NULL) == 0 && h.version == _LINUX_CAPABILITY_VERSION_3);
}

static int limits_are_lowered(void)
{
	struct rlimit r = { 10, 20 };

	if (setrlimit(RLIMIT_NOFILE, &r) || getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur != 10 || r.rlim_max != 20)
		return 0;
	for (int i = 0; i < 20; i++)
		if (open("/dev/null", O_RDONLY) >= 10)
			return 0;
	r = (struct rlimit){ 30, 20 };
	return errno == EMFILE && setrlimit(RLIMIT_NOFILE, &r) == -1 && errno == EINVAL && setresuid(7, 7, 7) == 0 &&
	       (r = (struct rlimit){ 10, 30 }, setrlimit(RLIMIT_NOFILE, &r)) == -1 && errno == EPERM;
}

static int fork_is_limited(void)
{
	struct rlimit r = { 1, 1 };

	return setrlimit(RLIMIT_NPROC, &r) == 0 && setresuid(4242, 4242, 4242) == 0 && fork() == -1 && errno == EAGAIN;
}

static int cpu_is_limited(void)
{
	struct rlimit r = { 1, 2 };

	setrlimit(RLIMIT_CPU, &r);
	signal(SIGXCPU, _exit);
	for (;;)
		;
	return 0;
}

static void limits(void)
{
	struct rlimit r;
	int status;
	pid_t pid;

	EXPECT(in_child(limits_are_lowered));
	EXPECT(in_child(fork_is_limited));
	EXPECT_ERRNO(syscall(SYS_prlimit64, 0, 99, NULL, &r), EINVAL);
	EXPECT_ERRNO(syscall(SYS_prlimit64, 0x7ffffff, RLIMIT_CPU, NULL, &r), ESRCH);
	pid = fork();
	if (pid == 0)
		cpu_is_limited();
	EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == SIGXCPU);
}

static int niceness(void)
{
	return setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5 &&
	       setpriority(PRIO_PROCESS, 0, -3) == 0 && getpriority(PRIO_PROCESS, 0) == -3 &&
	       setpriority(PRIO_PROCESS, 0, 100) == 0 && getpriority(PRIO_PROCESS, 0) == 19 && setresuid(7, 7, 7) == 0 &&
	       setpriority(PRIO_PROCESS, 0, 0) == -1 && errno == EACCES;
}

static int policies(void)
{
	struct sched_param p = { .sched_priority = 5 };

	return sched_setscheduler(0, SCHED_FIFO, &p) == 0 && sched_getscheduler(0) == SCHED_FIFO &&
	       sched_getparam(0, &p) == 0 && p.sched_priority == 5 && (p.sched_priority = 0, 1) &&
	       sched_setscheduler(0, SCHED_FIFO, &p) == -1 && errno == EINVAL && sched_setscheduler(0, SCHED_BATCH, &p) == 0 &&
	       sched_setscheduler(0, 42, &p) == -1 && errno == EINVAL;
}

static void scheduling(void)
{
	cpu_set_t set;

	EXPECT(in_child(niceness));
	EXPECT(in_child(policies));
	EXPECT(sched_get_priority_max(SCHED_RR) == 99 && sched_get_priority_min(SCHED_FIFO) == 1);
	EXPECT(sched_get_priority_max(SCHED_OTHER) == 0);
	EXPECT_ERRNO(sched_get_priority_max(77), EINVAL);
	EXPECT(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 1);
	EXPECT(sched_setaffinity(0, sizeof(set), &set) == 0);
	CPU_ZERO(&set);
	EXPECT_ERRNO(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	EXPECT_ERRNO(syscall(SYS_sched_getaffinity, 0, 3, &set), EINVAL);
	EXPECT_ERRNO(sched_getaffinity(-1, sizeof(set), &set), ESRCH); /* no wrong number, as it is elsewhere */
	EXPECT_ERRNO(sched_setaffinity(-1, sizeof(set), &set), ESRCH);
	EXPECT_ERRNO(sched_getscheduler(-1), EINVAL);
	EXPECT(sched_yield() == 0 && sched_getcpu() >= 0);
	EXPECT_ERRNO(sched_getscheduler(0x7ffffff), ESRCH);
	EXPECT_ERRNO(getpriority(9, 0), EINVAL);
}

static void names_and_prctl(void)
{
	char name[17] = { 0 };
	int signo = -1;

	EXPECT(prctl(PR_SET_NAME, "a very long name indeed") == 0);
	EXPECT(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "a very long nam") == 0);
	EXPECT(prctl(PR_SET_PDEATHSIG, SIGHUP) == 0 && prctl(PR_GET_PDEATHSIG, &signo) == 0 && signo == SIGHUP);
	EXPECT(prctl(PR_SET_PDEATHSIG, 0) == 0);
	EXPECT_ERRNO(prctl(PR_SET_PDEATHSIG, 99), EINVAL);
	EXPECT(prctl(PR_GET_DUMPABLE) == 1);
	EXPECT_ERRNO(prctl(PR_SET_DUMPABLE, 7), EINVAL);
	EXPECT(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
	EXPECT_ERRNO(prctl(PR_CAPBSET_READ, 1000), EINVAL);
	EXPECT_ERRNO(prctl(12345, 0), EINVAL);
	EXPECT_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0), EINVAL);
	for (unsigned i = 1; i < ABI_BAD_ADDRESSES; i++)
		EXPECT_ERRNO(prctl(PR_SET_NAME, abi_bad_addresses[i]), EFAULT);
}

static void the_system_describes_itself(void)
{
	unsigned char random[300] = { 0 };
	struct utsname u;
	struct sysinfo info;
	int sum = 0;

	EXPECT(uname(&u) == 0 && strcmp(u.sysname, "Linux") == 0);
	EXPECT(sysinfo(&info) == 0 && info.totalram > info.freeram && info.procs > 0 && info.mem_unit > 0);
	EXPECT(syscall(SYS_getrandom, random, sizeof(random), 0) == sizeof(random));
	for (unsigned i = 0; i < sizeof(random); i++)
		sum += random[i] != 0;
	EXPECT(sum > 200);
	EXPECT_ERRNO(syscall(SYS_getrandom, random, 10, 0x100), EINVAL);
	EXPECT_ERRNO(syscall(SYS_reboot, 1, 2, 3, NULL), EINVAL);
	for (unsigned i = 1; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(syscall(SYS_uname, abi_bad_addresses[i]), EFAULT);
		EXPECT_ERRNO(syscall(SYS_sysinfo, abi_bad_addresses[i]), EFAULT);
		EXPECT_ERRNO(syscall(SYS_getrandom, abi_bad_addresses[i], 10, 0), EFAULT);
	}
}

int main(void)
{
	CASE(groups_and_sessions);
	CASE(user_ids);
	CASE(capabilities);
	CASE(limits);
	CASE(scheduling);
	CASE(names_and_prctl);
	CASE(the_system_describes_itself);
	return abi_result();
}
