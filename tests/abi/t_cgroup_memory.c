/* SPDX-License-Identifier: MIT */
/*
 * Memory of control groups: what is charged to whom, until when, and what becomes of who wants more than there may be. Where the machine's unified
 * hierarchy has no memory controller, there is no oracle.
 */
#include "control.h"
#include "scratch.h"
#include <poll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

#define MIB   (UINT64_C(1) << 20)
#define SLACK (MIB / 2) /* what a process has besides, and CPUs in stock */

static unsigned long number_in(const char *path, const char *name)
{
	const char *at = get("%s", path);

	if (*name) {
		at = strstr(at, name);
		at = at ? at + strlen(name) : "";
	}
	return strtoul(at, NULL, 10);
}

static bool about(unsigned long value, unsigned long wanted)
{
	return value + SLACK >= wanted && value <= wanted + 2 * SLACK;
}

/* Comes to be less than that within some seconds. */
static bool falls_under(const char *path, const char *name, unsigned long wanted)
{
	for (int i = 0; i < 500 && number_in(path, name) >= wanted; i++)
		rest_ms(10);
	return number_in(path, name) < wanted;
}

static void touch(size_t len)
{
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(at != MAP_FAILED);
	for (size_t i = 0; i < len; i += 4096)
		at[i] = 1;
}

/* A process that goes into the group, touches so much, says so, and sleeps. */
static pid_t holder(const char *procs, size_t len)
{
	int pipes[2];
	char done = 0;
	pid_t pid;

	EXPECT(pipe(pipes) == 0);
	pid = fork();
	if (pid == 0) {
		NEED(write_file(procs, "0") == 0);
		touch(len);
		NEED(write(pipes[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	close(pipes[1]);
	EXPECT(read(pipes[0], &done, 1) == 1);
	close(pipes[0]);
	return pid;
}

static void eater(void)
{
	NEED(write_file("a/cgroup.procs", "0") == 0);
	touch(64 * MIB);
}

static void its_files(void)
{
	EXPECT(mkdir("a", 0755) == 0);
	EXPECT(file_is("a/memory.current", "0\n") && file_is("a/memory.max", "max\n") && file_is("a/memory.high", "max\n"));
	EXPECT(file_is("a/memory.low", "0\n") && file_is("a/memory.min", "0\n") && file_is("a/memory.oom.group", "0\n"));
	EXPECT(file_is("a/memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"));
	EXPECT(file_is("a/memory.events.local", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"));
	EXPECT(has("a/memory.stat", "anon 0\n") && has("a/memory.stat", "shmem 0\n") && has("a/memory.stat", "pgfault "));
	EXPECT(access("memory.max", F_OK) == -1 && access("memory.stat", F_OK) == 0);
	EXPECT(write_file("a/memory.max", "5000") == 0 && file_is("a/memory.max", "4096\n"));
	EXPECT(write_file("a/memory.max", "3M\n") == 0 && file_is("a/memory.max", "3145728\n"));
	EXPECT(write_file("a/memory.high", "2g") == 0 && file_is("a/memory.high", "2147483648\n"));
	EXPECT(write_file("a/memory.low", "max") == 0 && file_is("a/memory.low", "max\n") && write_file("a/memory.low", "0") == 0);
	EXPECT(write_file("a/memory.min", "64K") == 0 && file_is("a/memory.min", "65536\n"));
	EXPECT_ERRNO(write_file("a/memory.max", "lots"), EINVAL);
	EXPECT_ERRNO(write_file("a/memory.max", "-1"), EINVAL);
	EXPECT_ERRNO(write_file("a/memory.high", ""), EINVAL);
	EXPECT_ERRNO(write_file("a/memory.oom.group", "2"), EINVAL);
	EXPECT_ERRNO(write_file("a/memory.current", "0"), EINVAL);
	EXPECT(rmdir("a") == 0);
}

static void anonymous_memory(void)
{
	pid_t one, two;

	EXPECT(mkdir("a", 0755) == 0 && write_file("a/cgroup.subtree_control", "+memory") == 0 && mkdir("a/b", 0755) == 0 && mkdir("a/c", 0755) == 0);
	one = holder("a/b/cgroup.procs", 8 * MIB);
	EXPECT(about(number_in("a/b/memory.current", ""), 8 * MIB) && about(number_in("a/b/memory.stat", "anon "), 8 * MIB));
	EXPECT(number_in("a/b/memory.stat", "pgfault ") >= 8 * MIB / 4096 - 64);
	two = holder("a/c/cgroup.procs", 4 * MIB);
	EXPECT(about(number_in("a/memory.current", ""), 12 * MIB) && about(number_in("a/c/memory.current", ""), 4 * MIB));
	EXPECT(put_number("a/c/cgroup.procs", one) == 0 && about(number_in("a/b/memory.current", ""), 8 * MIB)); /* charges stay */
	end(one);
	EXPECT(falls_under("a/b/memory.stat", "anon ", 1) && number_in("a/b/memory.peak", "") >= 8 * MIB);
	end(two);
	EXPECT(falls_under("a/memory.stat", "anon ", 1));
	EXPECT(rmdir("a/b") == 0 && rmdir("a/c") == 0 && rmdir("a") == 0);
}

static int file;

static void fill_file(void)
{
	static char block[4096];

	NEED(write_file("a/b/cgroup.procs", "0") == 0);
	for (unsigned i = 0; i < 4 * MIB / sizeof(block); i++)
		NEED(write(file, block, sizeof(block)) == sizeof(block));
}

/* A file is charged to who wrote it, also when he and his group are gone. */
static void shared_memory(void)
{
	file = memfd_create("file", 0);
	EXPECT(mkdir("a", 0755) == 0 && write_file("a/cgroup.subtree_control", "+memory") == 0 && mkdir("a/b", 0755) == 0);
	EXPECT(file >= 0 && ends(fill_file) == 0);
	EXPECT(about(number_in("a/b/memory.current", ""), 4 * MIB) && number_in("a/b/memory.stat", "shmem ") == 4 * MIB);
	EXPECT(rmdir("a/b") == 0 && number_in("a/memory.stat", "shmem ") == 4 * MIB);
	EXPECT(ftruncate(file, MIB) == 0 && falls_under("a/memory.stat", "shmem ", MIB + 1));
	EXPECT(close(file) == 0 && falls_under("a/memory.stat", "shmem ", 1));
	EXPECT(rmdir("a") == 0);
}

static bool without_swap(const char *path)
{
	return access(path, F_OK) == -1 || write_file(path, "0") == 0;
}

static void too_much(void)
{
	pid_t inside, outside = sleeper();
	struct pollfd change;
	char buf[256];

	EXPECT(mkdir("a", 0755) == 0 && write_file("a/memory.max", "16M") == 0 && without_swap("a/memory.swap.max"));
	inside = holder("a/cgroup.procs", MIB);
	change = (struct pollfd){ .fd = open("a/memory.events", O_RDONLY), .events = POLLPRI };
	EXPECT(read(change.fd, buf, sizeof(buf)) > 0 && poll(&change, 1, 0) == 0);
	EXPECT(ends(eater) == -SIGKILL);
	EXPECT(poll(&change, 1, 5000) == 1 && (change.revents & POLLPRI) && close(change.fd) == 0);
	EXPECT(has("a/memory.events", "oom_kill 1\n") && has("a/memory.events.local", "oom_kill 1\n"));
	EXPECT(number_in("a/memory.events", "\nmax ") > 0 && number_in("a/memory.events", "\noom ") > 0);
	EXPECT(kill(inside, 0) == 0 && waitpid(inside, NULL, WNOHANG) == 0 && waitpid(outside, NULL, WNOHANG) == 0);
	EXPECT(falls_under("a/memory.current", "", 16 * MIB) && number_in("a/memory.peak", "") <= 16 * MIB + SLACK);
	end(inside);
	end(outside);
	EXPECT(rmdir("a") == 0);
}

static int go[2];

/* Goes into the group, and to its end when it is told to. */
static void leaver(void)
{
	char c;

	NEED(write_file("a/cgroup.procs", "0") == 0);
	touch(MIB);
	NEED(read(go[0], &c, 1) == 1);
	_exit(0);
}

static void small_eater(void)
{
	NEED(write_file("a/cgroup.procs", "0") == 0);
	touch(7 * MIB);
}

/* One that its tracer keeps from its end is not what the others wait for: somebody else dies, and who needs memory gets it. */
static void kept_from_its_end(void)
{
	int status = 0;
	pid_t kept, large;

	EXPECT(mkdir("a", 0755) == 0 && write_file("a/memory.max", "16M") == 0 && without_swap("a/memory.swap.max") && pipe(go) == 0);
	kept = fork();
	if (kept == 0)
		leaver();
	EXPECT(ptrace(PTRACE_SEIZE, kept, 0, PTRACE_O_TRACEEXIT) == 0 && write(go[1], "x", 1) == 1);
	EXPECT(waitpid(kept, &status, 0) == kept && status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8));
	large = holder("a/cgroup.procs", 10 * MIB);
	EXPECT(ends(small_eater) == 0);
	EXPECT(has("a/memory.events", "oom_kill 1\n") && ended_by(large, SIGKILL));
	EXPECT(ptrace(PTRACE_CONT, kept, 0, 0) == 0 && waitpid(kept, &status, 0) == kept && WIFEXITED(status));
	EXPECT(close(go[0]) == 0 && close(go[1]) == 0 && rmdir("a") == 0);
}

static void together(void)
{
	pid_t inside, spared;

	EXPECT(mkdir("a", 0755) == 0 && write_file("a/memory.max", "16M") == 0 && without_swap("a/memory.swap.max"));
	EXPECT(write_file("a/memory.oom.group", "1") == 0 && file_is("a/memory.oom.group", "1\n"));
	inside = holder("a/cgroup.procs", MIB);
	spared = sleeper();
	EXPECT(write_file("/proc/self/oom_score_adj", "0") == 0);
	snprintf(text, sizeof(text), "/proc/%d/oom_score_adj", spared);
	EXPECT(write_file(text, "-1000") == 0 && put_number("a/cgroup.procs", spared) == 0);
	EXPECT(ends(eater) == -SIGKILL && ended_by(inside, SIGKILL));
	EXPECT(waitpid(spared, NULL, WNOHANG) == 0 && has("a/memory.events", "oom_group_kill 1\n"));
	end(spared);
	EXPECT(rmdir("a") == 0);
}

/* A limit that is lowered below what is there. */
static void less_than_there_is(void)
{
	pid_t pid;

	EXPECT(mkdir("a", 0755) == 0 && without_swap("a/memory.swap.max"));
	pid = holder("a/cgroup.procs", 8 * MIB);
	EXPECT(write_file("a/memory.max", "2M") == 0 && ended_by(pid, SIGKILL));
	EXPECT(falls_under("a/memory.stat", "anon ", 1) && rmdir("a") == 0);
}

/* What is above memory.high costs time, and nobody his life. */
static void slow(void)
{
	pid_t pid;

	EXPECT(mkdir("a", 0755) == 0 && write_file("a/memory.high", "4M") == 0 && without_swap("a/memory.swap.max"));
	pid = holder("a/cgroup.procs", 5 * MIB);
	EXPECT(number_in("a/memory.events", "high ") > 0 && has("a/memory.events", "oom_kill 0\n"));
	end(pid);
	EXPECT(rmdir("a") == 0);
}

int main(void)
{
	if (scratch_enter("cgroup") || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mkdir("tree", 0755) ||
	    mount("none", "tree", "cgroup2", 0, NULL) || chdir("tree"))
		return 1;
	if (controller("memory")) {
		CASE(its_files);
		CASE(anonymous_memory);
		CASE(shared_memory);
		CASE(too_much);
		CASE(kept_from_its_end);
		CASE(together);
		CASE(less_than_there_is);
		CASE(slow);
		if (write_file("cgroup.subtree_control", "-memory"))
			return 1;
	} else {
		printf("skipped: the unified hierarchy has no memory controller\n");
	}
	if (chdir("..") || umount("tree"))
		return 1;
	scratch_leave();
	return abi_result();
}
