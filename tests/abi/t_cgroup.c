/* SPDX-License-Identifier: MIT */
/*
 * Control groups: folders and their files, who is in which, freezing, killing, limits of the tree, delegation, namespaces. Controllers are tried
 * where the machine's unified hierarchy has them.
 */
#include "control.h"
#include "scratch.h"
#include <linux/magic.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#define NOBODY 65534

/* ---- the tree ---- */

static void the_file_system(void)
{
	struct statfs fs;
	struct stat st;

	EXPECT(statfs(".", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC);
	EXPECT(has("/proc/filesystems", "nodev\tcgroup2\n"));
	EXPECT(has("/proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"));
	EXPECT(has("/sys/kernel/cgroup/delegate", "cgroup.procs\n") && has("/sys/kernel/cgroup/features", "nsdelegate\n"));
	EXPECT(stat("cgroup.procs", &st) == 0 && (st.st_mode & 07777) == 0644);
	EXPECT(access("cgroup.events", F_OK) == -1 && access("cgroup.freeze", F_OK) == -1 && access("cgroup.type", F_OK) == -1);
	EXPECT_ERRNO(open("new", O_WRONLY | O_CREAT, 0644), EACCES);
	EXPECT_ERRNO(mkdir("with\nline", 0755), EINVAL);
	EXPECT_ERRNO(mkdir("cgroup.procs", 0755), EEXIST);
	EXPECT_ERRNO(unlink("cgroup.procs"), EPERM);
	EXPECT_ERRNO(mount("none", "/tmp", "cgroup2", 0, "nonsense"), EINVAL);
}

static void a_folder(void)
{
	static const struct {
		const char *name;
		mode_t mode;
		const char *text;
	} files[] = {
		{ "a/cgroup.controllers", 0444, NULL }, { "a/cgroup.events", 0444, "populated 0\nfrozen 0\n" },
		{ "a/cgroup.freeze", 0644, "0\n" },	{ "a/cgroup.kill", 0200, NULL },
		{ "a/cgroup.max.depth", 0644, "max\n" }, { "a/cgroup.max.descendants", 0644, "max\n" },
		{ "a/cgroup.procs", 0644, "" },		{ "a/cgroup.stat", 0444, NULL },
		{ "a/cgroup.subtree_control", 0644, "" }, { "a/cgroup.threads", 0644, "" },
		{ "a/cgroup.type", 0644, "domain\n" },	{ "a/cpu.stat", 0444, NULL },
	};
	struct stat st;

	EXPECT(mkdir("a", 0755) == 0);
	EXPECT(stat("a", &st) == 0 && (st.st_mode & 07777) == 0755 && st.st_nlink == 2);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		EXPECT(stat(files[i].name, &st) == 0 && (st.st_mode & 07777) == files[i].mode && st.st_size == 0);
		EXPECT(!files[i].text || file_is(files[i].name, files[i].text));
	}
	EXPECT(has("a/cgroup.stat", "nr_descendants 0\n") && has("a/cpu.stat", "usage_usec 0\nuser_usec 0\nsystem_usec 0\n"));
	EXPECT_ERRNO(write_file("a/cgroup.events", "1"), EINVAL);
	EXPECT_ERRNO(write_file("a/cgroup.freeze", "2"), ERANGE);
	EXPECT_ERRNO(write_file("a/cgroup.freeze", "x"), EINVAL);
	EXPECT_ERRNO(write_file("a/cgroup.kill", "0"), ERANGE);
	EXPECT_ERRNO(write_file("a/cgroup.type", "domain"), EINVAL);
	EXPECT_ERRNO(write_file("a/cgroup.subtree_control", "+nonsense"), EINVAL);
	EXPECT_ERRNO(write_file("a/cgroup.subtree_control", "cpu"), EINVAL);
	EXPECT_ERRNO(rename("a", "b"), EPERM);
	EXPECT(rmdir("a") == 0);
}

static void what_was_removed(void)
{
	char c;
	int fd, procs, folder;

	EXPECT(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0);
	EXPECT_ERRNO(rmdir("a"), EBUSY);
	fd = open("a/b/cgroup.events", O_RDONLY);
	procs = open("a/b/cgroup.procs", O_WRONLY);
	folder = open("a/b", O_RDONLY | O_DIRECTORY);
	EXPECT(fd >= 0 && procs >= 0 && read(fd, &c, 1) == 1);
	EXPECT(rmdir("a/b") == 0);
	EXPECT_ERRNO(pread(fd, &c, 1, 0), ENODEV);
	EXPECT_ERRNO(write(procs, "0\n", 2), ENODEV);
	EXPECT_ERRNO(mkdirat(folder, "c", 0755), ENOENT);
	EXPECT_ERRNO(openat(folder, "cgroup.procs", O_RDONLY), ENOENT);
	EXPECT(close(fd) == 0 && close(procs) == 0 && close(folder) == 0 && rmdir("a") == 0);
}

static void limits_of_the_tree(void)
{
	EXPECT(mkdir("a", 0755) == 0);
	EXPECT_ERRNO(write_file("a/cgroup.max.depth", "-1"), ERANGE);
	EXPECT_ERRNO(write_file("a/cgroup.max.depth", "much"), EINVAL);
	EXPECT(write_file("a/cgroup.max.depth", "0") == 0 && file_is("a/cgroup.max.depth", "0\n"));
	EXPECT_ERRNO(mkdir("a/b", 0755), EAGAIN);
	EXPECT(write_file("a/cgroup.max.depth", "1") == 0 && mkdir("a/b", 0755) == 0);
	EXPECT_ERRNO(mkdir("a/b/c", 0755), EAGAIN);
	EXPECT(write_file("a/cgroup.max.depth", "max\n") == 0 && write_file("a/cgroup.max.descendants", "2") == 0 && mkdir("a/b/c", 0755) == 0);
	EXPECT(has("a/cgroup.stat", "nr_descendants 2\n"));
	EXPECT_ERRNO(mkdir("a/d", 0755), EAGAIN);
	EXPECT_ERRNO(mkdir("a/b/c/d", 0755), EAGAIN);
	EXPECT(rmdir("a/b/c") == 0 && mkdir("a/d", 0755) == 0);
	EXPECT(rmdir("a/b") == 0 && rmdir("a/d") == 0 && rmdir("a") == 0);
}

/* ---- who is in it ---- */

static void moving(void)
{
	char line[64];
	pid_t pid;

	EXPECT(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
	EXPECT_ERRNO(write_file("a/cgroup.procs", "x"), EINVAL);
	EXPECT_ERRNO(write_file("a/cgroup.procs", "-1"), EINVAL);
	EXPECT_ERRNO(write_file("a/cgroup.procs", "4194303"), ESRCH);
	pid = sleeper_in("a/cgroup.procs");
	snprintf(line, sizeof(line), "%d\n", pid);
	EXPECT(file_is("a/cgroup.procs", line) && file_is("a/cgroup.threads", line) && file_is("a/cgroup.events", "populated 1\nfrozen 0\n"));
	EXPECT(strstr(get("/proc/%d/cgroup", pid), "0::/a\n"));
	EXPECT_ERRNO(rmdir("a"), EBUSY);
	EXPECT(write_file("b/cgroup.procs", line) == 0 && file_is("a/cgroup.procs", "") && file_is("b/cgroup.procs", line));
	EXPECT(has("a/cgroup.events", "populated 0\n") && write_file("b/cgroup.threads", line) == 0);
	EXPECT(kill(pid, SIGKILL) == 0 && comes("b/cgroup.events", "populated 0\n") && file_is("b/cgroup.procs", ""));
	EXPECT(strstr(get("/proc/%d/cgroup", pid), "0::/b\n") && rmdir("b") == 0); /* a zombie keeps nobody */
	EXPECT(strstr(get("/proc/%d/cgroup", pid), "0::/b (deleted)\n"));
	EXPECT(ended_by(pid, SIGKILL) && rmdir("a") == 0);
}

static void born_where_its_parent_is(void)
{
	NEED(write_file("a/b/cgroup.procs", "0") == 0 && strstr(get("/proc/self/cgroup"), "0::/a/b\n"));
	pid_t pid = fork();
	if (pid == 0)
		_exit(strstr(get("/proc/self/cgroup"), "0::/a/b\n") ? 0 : 1);
	NEED(ending_of(pid) == 0);
	NEED(file_is("a/cgroup.procs", "") && has("a/cgroup.events", "populated 1\n")); /* but something below it is */
}

static void births(void)
{
	EXPECT(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0);
	EXPECT(ends(born_where_its_parent_is) == 0);
	EXPECT(has("a/cgroup.events", "populated 0\n") && rmdir("a/b") == 0 && rmdir("a") == 0);
}

static void *wait_in_thread(void *barrier)
{
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return NULL;
}

static void with_threads(void)
{
	pthread_barrier_t barrier;
	pthread_t thread;
	char line[64];

	pthread_barrier_init(&barrier, NULL, 2);
	NEED(pthread_create(&thread, NULL, wait_in_thread, &barrier) == 0);
	pthread_barrier_wait(&barrier);
	NEED(put_number("a/cgroup.procs", getpid()) == 0);
	snprintf(line, sizeof(line), "%d\n", getpid());
	NEED(file_is("a/cgroup.procs", line));
	get("a/cgroup.threads");
	NEED(strchr(text, '\n') && strchr(strchr(text, '\n') + 1, '\n')); /* two */
	NEED(write_file("b/cgroup.threads", line) == -1 && errno == EOPNOTSUPP);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	NEED(file_is("a/cgroup.threads", line));
}

static void threads(void)
{
	EXPECT(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
	EXPECT(ends(with_threads) == 0);
	EXPECT(rmdir("a") == 0 && rmdir("b") == 0);
}

static pid_t clone_into(int folder, uint64_t flags)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP | flags, .exit_signal = SIGCHLD, .cgroup = (uint64_t)folder };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void cloning_into(void)
{
	int folder, other = open("/", O_RDONLY);
	pid_t pid;

	EXPECT(mkdir("a", 0755) == 0);
	folder = open("a", O_RDONLY | O_DIRECTORY);
	pid = clone_into(folder, 0);
	if (pid == 0)
		_exit(strstr(get("/proc/self/cgroup"), "0::/a\n") ? 0 : 1);
	EXPECT(ending_of(pid) == 0);
	EXPECT_ERRNO(clone_into(other, 0), EBADF);
	EXPECT_ERRNO(clone_into(1000, 0), EBADF);
	EXPECT(rmdir("a") == 0);
	EXPECT_ERRNO(clone_into(folder, 0), ENOENT);
	EXPECT(close(folder) == 0 && close(other) == 0);
}

/* ---- telling of changes ---- */

static short ready(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	return poll(&p, 1, timeout_ms) < 0 ? -1 : p.revents;
}

static void events(void)
{
	char c[64];
	int fd, in = inotify_init1(IN_NONBLOCK);
	struct inotify_event event;
	pid_t pid;

	EXPECT(mkdir("a", 0755) == 0);
	fd = open("a/cgroup.events", O_RDONLY);
	EXPECT(inotify_add_watch(in, "a/cgroup.events", IN_MODIFY) > 0);
	EXPECT(read(fd, c, sizeof(c)) > 0 && ready(fd, 0) == 0);
	pid = sleeper_in("a/cgroup.procs");
	EXPECT(ready(fd, 5000) == (POLLPRI | POLLERR));
	EXPECT(ready(in, 0) >= 0);
	for (int i = 0; i < 500 && read(in, &event, sizeof(event)) != sizeof(event); i++)
		rest_ms(10);
	EXPECT(event.mask == IN_MODIFY);
	EXPECT(ready(fd, 0) == (POLLPRI | POLLERR)); /* until it is read again */
	EXPECT(lseek(fd, 0, SEEK_SET) == 0 && read(fd, c, sizeof(c)) > 0 && ready(fd, 0) == 0);
	end(pid);
	EXPECT(ready(fd, 5000) == (POLLPRI | POLLERR));
	EXPECT(close(fd) == 0 && close(in) == 0 && rmdir("a") == 0);
}

/* ---- freezing and killing ---- */

static void count_up(volatile unsigned *counter)
{
	for (;;)
		++*counter;
}

static void end_well(int signo)
{
	(void)signo;
	_exit(7);
}

static void freezing(void)
{
	volatile unsigned *counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned seen;
	pid_t busy, idle;

	EXPECT(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0);
	busy = fork();
	if (busy == 0)
		count_up(counter);
	idle = fork();
	if (idle == 0) {
		signal(SIGUSR1, end_well);
		for (;;)
			pause();
	}
	rest_ms(20);
	EXPECT(put_number("a/cgroup.procs", idle) == 0 && put_number("a/b/cgroup.procs", busy) == 0);
	EXPECT(write_file("a/cgroup.freeze", "1") == 0 && comes("a/b/cgroup.events", "frozen 1\n") && comes("a/cgroup.events", "frozen 1\n"));
	EXPECT(file_is("a/cgroup.freeze", "1\n") && file_is("a/b/cgroup.freeze", "0\n"));
	seen = *counter;
	rest_ms(50);
	EXPECT(*counter == seen);
	EXPECT(kill(idle, SIGUSR1) == 0); /* it has a handler, and waits for it to go on */
	rest_ms(20);
	EXPECT(waitpid(idle, NULL, WNOHANG) == 0);
	EXPECT(write_file("a/b/cgroup.freeze", "1") == 0 && write_file("a/cgroup.freeze", "0") == 0 && comes("a/cgroup.events", "frozen 0\n"));
	EXPECT(ending_of(idle) == 7 && has("a/b/cgroup.events", "frozen 1\n") && *counter == seen);
	EXPECT(write_file("a/b/cgroup.freeze", "0") == 0 && comes("a/b/cgroup.events", "frozen 0\n"));
	for (int i = 0; i < 500 && *counter == seen; i++)
		rest_ms(10);
	EXPECT(*counter != seen);
	EXPECT(write_file("a/cgroup.freeze", "1") == 0 && comes("a/cgroup.events", "frozen 1\n"));
	EXPECT(kill(busy, SIGTERM) == 0 && ended_by(busy, SIGTERM)); /* without a handler: at once */
	EXPECT(comes("a/cgroup.events", "populated 0\nfrozen 1\n") && mkdir("a/c", 0755) == 0 && has("a/c/cgroup.events", "frozen 1\n"));
	EXPECT(rmdir("a/c") == 0 && rmdir("a/b") == 0 && rmdir("a") == 0 && munmap((void *)counter, 4096) == 0);
}

/* What stands still for another reason is frozen, too; and what comes into a frozen group. */
static void frozen_otherwise(void)
{
	pid_t stopped, comer;

	EXPECT(mkdir("a", 0755) == 0);
	stopped = sleeper_in("a/cgroup.procs");
	EXPECT(kill(stopped, SIGSTOP) == 0 && waitpid(stopped, NULL, WUNTRACED) == stopped);
	EXPECT(write_file("a/cgroup.freeze", "1") == 0 && comes("a/cgroup.events", "frozen 1\n"));
	comer = sleeper_in("a/cgroup.procs");
	EXPECT(comes("a/cgroup.events", "frozen 1\n"));
	EXPECT(kill(stopped, SIGCONT) == 0);
	rest_ms(20);
	EXPECT(comes("a/cgroup.events", "frozen 1\n"));
	EXPECT(put_number("cgroup.procs", comer) == 0 && kill(comer, SIGTERM) == 0 && ended_by(comer, SIGTERM));
	end(stopped);
	EXPECT(rmdir("a") == 0);
}

static void killing(void)
{
	pid_t pids[3];

	EXPECT(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0);
	pids[0] = sleeper_in("a/cgroup.procs");
	pids[1] = sleeper_in("a/b/cgroup.procs");
	pids[2] = sleeper();
	EXPECT_ERRNO(write_file("a/cgroup.kill", "2"), ERANGE);
	EXPECT(write_file("a/cgroup.kill", "1") == 0 && ended_by(pids[0], SIGKILL) && ended_by(pids[1], SIGKILL));
	EXPECT(waitpid(pids[2], NULL, WNOHANG) == 0);
	end(pids[2]);
	EXPECT(has("a/cgroup.events", "populated 0\n") && rmdir("a/b") == 0 && rmdir("a") == 0);
}

/* ---- delegation ---- */

static void as_nobody(void)
{
	NEED(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
	NEED(write_file("a/cgroup.procs", "0") == -1 && errno == EACCES);   /* not its own */
	NEED(write_file("b/c/cgroup.procs", "0") == -1 && errno == EACCES); /* what is above both is not */
	NEED(mkdir("a/x", 0755) == -1 && errno == EACCES);
	NEED(mkdir("b/x", 0755) == 0 && rmdir("b/x") == 0);
}

static void as_nobody_within(void)
{
	NEED(write_file("b/c/cgroup.procs", "0") == 0);
	NEED(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
	NEED(write_file("b/d/cgroup.procs", "0") == 0 && write_file("b/cgroup.procs", "0") == 0 && write_file("b/c/cgroup.procs", "0") == 0);
	NEED(write_file("cgroup.procs", "0") == -1 && errno == EACCES);
}

static void delegation(void)
{
	EXPECT(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
	EXPECT(chown("b", NOBODY, NOBODY) == 0 && chown("b/cgroup.procs", NOBODY, NOBODY) == 0);
	EXPECT(mkdir("b/c", 0755) == 0 && mkdir("b/d", 0755) == 0);
	EXPECT(chown("b/c/cgroup.procs", NOBODY, NOBODY) == 0 && chown("b/d/cgroup.procs", NOBODY, NOBODY) == 0);
	EXPECT(ends(as_nobody) == 0);
	EXPECT(ends(as_nobody_within) == 0);
	EXPECT(rmdir("b/c") == 0 && rmdir("b/d") == 0 && rmdir("b") == 0 && rmdir("a") == 0);
}

/* ---- namespaces ---- */

static void within_a_namespace(void)
{
	int outside = open("/proc/self/ns/cgroup", O_RDONLY);
	const char *line;
	pid_t pid;

	NEED(write_file("a/cgroup.procs", "0") == 0 && unshare(CLONE_NEWCGROUP) == 0);
	NEED(strstr(get("/proc/self/cgroup"), "0::/\n"));
	pid = fork();
	if (pid == 0)
		_exit(write_file("a/c/cgroup.procs", "0") == 0 && strstr(get("/proc/self/cgroup"), "0::/c\n") ? 0 : 1);
	NEED(ending_of(pid) == 0);
	NEED(strstr(get("/proc/%d/cgroup", getppid()), "0::/../b\n"));
	NEED(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	NEED(mount("none", "/tmp", "cgroup2", 0, NULL) == 0 && access("/tmp/c/cgroup.procs", F_OK) == 0 && access("/tmp/a", F_OK) == -1);
	line = strstr(get("/proc/self/mountinfo"), " / /tmp ");
	NEED(line);
	NEED(setns(outside, CLONE_NEWCGROUP) == 0 && strstr(get("/proc/self/cgroup"), "0::/a\n"));
	NEED(strstr(get("/proc/self/mountinfo"), " /a /tmp "));
	NEED(umount("/tmp") == 0 && close(outside) == 0);
}

static void namespaces_in_child(void)
{
	NEED(mkdir("a", 0755) == 0 && mkdir("a/c", 0755) == 0 && mkdir("b", 0755) == 0 && write_file("b/cgroup.procs", "0") == 0);
	NEED(ends(within_a_namespace) == 0);
	NEED(write_file("cgroup.procs", "0") == 0 && rmdir("a/c") == 0 && rmdir("a") == 0 && rmdir("b") == 0);
}

static void namespaces(void)
{
	EXPECT(ends(namespaces_in_child) == 0);
}

/* ---- controllers, where there are some ---- */

static void limited(void)
{
	NEED(write_file("a/cgroup.procs", "0") == 0 && file_is("a/pids.current", "1\n") && write_file("a/pids.max", "2") == 0);
	pid_t one = sleeper();
	NEED(one > 0 && fork() == -1 && errno == EAGAIN && has("a/pids.events", "max 1\n"));
	NEED(kill(one, SIGKILL) == 0 && ended_by(one, SIGKILL) && file_is("a/pids.current", "1\n") && file_is("a/pids.peak", "2\n"));
}

static void numbers_of_processes(void)
{
	if (!controller("pids"))
		return;
	EXPECT(mkdir("a", 0755) == 0 && file_is("a/pids.max", "max\n") && file_is("a/pids.current", "0\n"));
	EXPECT_ERRNO(write_file("a/pids.max", "-2"), EINVAL);
	EXPECT(ends(limited) == 0);
	EXPECT_ERRNO(write_file("a/cgroup.subtree_control", "+memory +pids -nothing"), EINVAL);
	EXPECT(write_file("a/cgroup.subtree_control", "+pids") == 0 && mkdir("a/b", 0755) == 0 && access("a/b/pids.max", F_OK) == 0);
	EXPECT_ERRNO(write_file("cgroup.subtree_control", "-pids"), EBUSY);
	EXPECT(write_file("a/cgroup.subtree_control", "-pids") == 0 && access("a/b/pids.max", F_OK) == -1);
	EXPECT_ERRNO(write_file("a/b/cgroup.subtree_control", "+pids"), ENOENT);
	EXPECT(rmdir("a/b") == 0 && rmdir("a") == 0 && write_file("cgroup.subtree_control", "-pids") == 0);
}

static uint64_t usage(const char *path)
{
	unsigned long usec = 0;

	sscanf(get("%s", path), "usage_usec %lu", &usec);
	return usec;
}

static void a_share_of_time(void)
{
	static volatile unsigned counter;
	uint64_t used;
	pid_t pid;

	if (!controller("cpu"))
		return;
	EXPECT(mkdir("a", 0755) == 0 && file_is("a/cpu.max", "max 100000\n") && file_is("a/cpu.weight", "100\n") && file_is("a/cpu.weight.nice", "0\n"));
	EXPECT_ERRNO(write_file("a/cpu.weight", "0"), ERANGE);
	EXPECT_ERRNO(write_file("a/cpu.weight", "10001"), ERANGE);
	EXPECT_ERRNO(write_file("a/cpu.weight.nice", "20"), ERANGE);
	EXPECT_ERRNO(write_file("a/cpu.max", "10"), EINVAL);
	EXPECT_ERRNO(write_file("a/cpu.max", "1000 1000000000"), EINVAL);
	EXPECT(write_file("a/cpu.weight.nice", "-20") == 0 && file_is("a/cpu.weight.nice", "-20\n") && write_file("a/cpu.weight", "1") == 0);
	EXPECT(write_file("a/cpu.max", "10000 50000") == 0 && file_is("a/cpu.max", "10000 50000\n"));
	pid = fork();
	if (pid == 0)
		count_up(&counter);
	EXPECT(put_number("a/cgroup.procs", pid) == 0);
	rest_ms(100);
	used = usage("a/cpu.stat");
	rest_ms(1000);
	used = usage("a/cpu.stat") - used;
	EXPECT(used > 2000 && used < 300000); /* a fifth, and what this machine makes of a second */
	EXPECT(has("a/cpu.stat", "nr_throttled ") && !has("a/cpu.stat", "nr_throttled 0\n"));
	end(pid);
	EXPECT(rmdir("a") == 0 && write_file("cgroup.subtree_control", "-cpu") == 0);
}

static void sets_of_cpus(void)
{
	cpu_set_t all, set;
	pid_t pid;

	if (!controller("cpuset"))
		return;
	EXPECT(mkdir("a", 0755) == 0 && file_is("a/cpuset.cpus", "\n") && file_is("a/cpuset.mems.effective", "0\n"));
	EXPECT_ERRNO(write_file("a/cpuset.cpus", "1-0"), EINVAL);
	EXPECT_ERRNO(write_file("a/cpuset.cpus", "x"), EINVAL);
	EXPECT(sched_getaffinity(0, sizeof(all), &all) == 0);
	pid = sleeper_in("a/cgroup.procs");
	EXPECT(write_file("a/cpuset.cpus", "0") == 0 && file_is("a/cpuset.cpus.effective", "0\n"));
	EXPECT(sched_getaffinity(pid, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set));
	EXPECT(CPU_COUNT(&all) < 2 || (CPU_CLR(0, &all), sched_setaffinity(pid, sizeof(all), &all) == -1 && errno == EINVAL));
	end(pid);
	EXPECT(rmdir("a") == 0 && write_file("cgroup.subtree_control", "-cpuset") == 0);
}

/* What was never set is what is above; a limit counts where nobody set anything in between. */
static void inherited_sets_of_cpus(void)
{
	cpu_set_t all, set;
	pid_t pid;

	EXPECT(sched_getaffinity(0, sizeof(all), &all) == 0 && mkdir("a", 0755) == 0);
	pid = sleeper_in("a/cgroup.procs");
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	EXPECT(sched_setaffinity(pid, sizeof(set), &set) == 0 && sched_setaffinity(pid, sizeof(all), &all) == 0);
	end(pid);
	EXPECT(rmdir("a") == 0);
	if (!controller("cpuset"))
		return;
	EXPECT(mkdir("a", 0755) == 0 && write_file("a/cgroup.subtree_control", "+cpuset") == 0 && mkdir("a/b", 0755) == 0);
	EXPECT(!file_is("a/b/cpuset.cpus.effective", "\n") && write_file("a/b/cpuset.cpus", "0") == 0 && file_is("a/b/cpuset.cpus.effective", "0\n"));
	pid = sleeper_in("a/b/cgroup.procs");
	EXPECT(sched_getaffinity(pid, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set));
	end(pid);
	EXPECT(rmdir("a/b") == 0 && rmdir("a") == 0 && write_file("cgroup.subtree_control", "-cpuset") == 0);
}

/* A group may have the name that a file would have: then the controller does not come, and the group stays. */
static void named_like_a_file(void)
{
	if (!controller("cpu"))
		return;
	EXPECT(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0 && mkdir("a/c", 0755) == 0 && mkdir("a/b/cpu.max", 0755) == 0 &&
	       mkdir("a/c/cpu.weight", 0755) == 0);
	EXPECT_ERRNO(write_file("a/cgroup.subtree_control", "+cpu"), EEXIST);
	EXPECT(access("a/b/cpu.max/cgroup.procs", F_OK) == 0 && access("a/c/cpu.weight/cgroup.procs", F_OK) == 0);
	EXPECT(file_is("a/cgroup.subtree_control", "") && rmdir("a/b/cpu.max") == 0 && rmdir("a/c/cpu.weight") == 0);
	EXPECT(write_file("a/cgroup.subtree_control", "+cpu") == 0 && access("a/b/cpu.max", F_OK) == 0 && access("a/c/cpu.weight", F_OK) == 0);
	EXPECT(rmdir("a/b") == 0 && rmdir("a/c") == 0 && rmdir("a") == 0 && write_file("cgroup.subtree_control", "-cpu") == 0);
}

/* Files of a controller that is gone, open still, are of no use. */
static void a_controller_that_is_gone(void)
{
	int fd = -1;

	if (!controller("pids"))
		return;
	EXPECT(mkdir("a", 0755) == 0 && (fd = open("a/pids.max", O_RDWR)) >= 0);
	EXPECT(write(fd, "5", 1) == 1 && write_file("cgroup.subtree_control", "-pids") == 0);
	EXPECT_ERRNO(write(fd, "6", 1), ENODEV);
	EXPECT(close(fd) == 0 && write_file("cgroup.subtree_control", "+pids") == 0 && file_is("a/pids.max", "max\n"));
	EXPECT(rmdir("a") == 0 && write_file("cgroup.subtree_control", "-pids") == 0);
}

int main(void)
{
	if (scratch_enter("cgroup") || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mkdir("tree", 0755) ||
	    mount("none", "tree", "cgroup2", 0, NULL) || chdir("tree"))
		return 1;
	CASE(the_file_system);
	CASE(a_folder);
	CASE(what_was_removed);
	CASE(limits_of_the_tree);
	CASE(moving);
	CASE(births);
	CASE(threads);
	CASE(cloning_into);
	CASE(events);
	CASE(freezing);
	CASE(frozen_otherwise);
	CASE(killing);
	CASE(delegation);
	CASE(namespaces);
	CASE(numbers_of_processes);
	CASE(a_share_of_time);
	CASE(sets_of_cpus);
	CASE(inherited_sets_of_cpus);
	CASE(named_like_a_file);
	CASE(a_controller_that_is_gone);
	if (chdir("..") || umount("tree"))
		return 1;
	scratch_leave();
	return abi_result();
}
