/* SPDX-License-Identifier: MIT */
/* User namespaces: maps of ids and who may write them, capabilities over what is below, what unmapped ids look like. Run as root. */
#include "cases.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include "inside.h"

#define OVERFLOW 65534
#define SOMEBODY 1234

static void become(uid_t uid)
{
	NEED(setgroups(0, NULL) == 0);
	NEED(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
	NEED(prctl(PR_SET_DUMPABLE, 1) == 0);
}

static uint64_t effective(void)
{
	char line[256];
	unsigned long long caps = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		(void)sscanf(line, "CapEff: %llx", &caps);
	if (f)
		fclose(f);
	return caps;
}

/* ---- maps ---- */

static void nobody_makes_one(void)
{
	become(SOMEBODY);
	NEED(unshare(CLONE_NEWUSER) == 0);
	NEED(getuid() == OVERFLOW && geteuid() == OVERFLOW && getgid() == OVERFLOW);
	NEED(effective() != 0);
	NEED(file_is("/proc/self/uid_map", ""));
	NEED(setuid(0) == -1 && errno == EINVAL);
	NEED(write_file("/proc/self/uid_map", "0 1235 1") == -1 && errno == EPERM); /* somebody else */
	NEED(write_file("/proc/self/uid_map", "0 1234 2") == -1 && errno == EPERM); /* and others */
	NEED(write_file("/proc/self/gid_map", "0 1234 1") == -1 && errno == EPERM); /* setgroups is allowed */
	NEED(file_is("/proc/self/setgroups", "allow\n"));
	NEED(setgroups(0, NULL) == -1 && errno == EPERM);
	NEED(write_file("/proc/self/setgroups", "nothing") == -1 && errno == EINVAL);
	NEED(write_file("/proc/self/setgroups", "deny\n") == 0);
	NEED(write_file("/proc/self/setgroups", "allow") == -1 && errno == EPERM);
	NEED(write_file("/proc/self/uid_map", "0 1234 1\n") == 0);
	NEED(write_file("/proc/self/gid_map", "5 1234 1") == 0);
	NEED(file_is("/proc/self/uid_map", "         0       1234          1\n"));
	NEED(file_is("/proc/self/setgroups", "deny\n"));
	NEED(getuid() == 0 && geteuid() == 0 && getgid() == 5);
	NEED(write_file("/proc/self/uid_map", "0 1234 1") == -1 && errno == EPERM); /* once */
	NEED(setgroups(0, NULL) == -1 && errno == EPERM);
	NEED(setgid(5) == 0 && setgid(6) == -1 && errno == EINVAL);
	NEED(setresuid(0, 0, 0) == 0 && setuid(1) == -1 && errno == EINVAL);
}

static void texts_child(void)
{
	static const char *const wrong[] = {
		"", "0", "0 0", "0 0 0", "0 0 1 1", "a 0 1", "0 0 1\n0 5 1", "0 0 10\n20 9 1", "4294967295 0 1", "0 4294967295 1", "0 5 4294967295",
		"0 0 1x", "-1 0 1", "0 0 1\n\n",
	};

	NEED(unshare(CLONE_NEWUSER) == 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int fd = open("/proc/self/uid_map", O_WRONLY);

		NEED(fd >= 0);
		NEED(write(fd, wrong[i], strlen(wrong[i])) <= 0);
		NEED(!wrong[i][0] || errno == EINVAL || errno == EPERM);
		close(fd);
	}
	_exit(0);
}

/* Root writes any map for its child, of many lines, in any order. */
static void many_lines(void)
{
	char text[4096], path[64], c;
	int to_child[2], to_parent[2];
	size_t len = 0;
	pid_t pid;

	EXPECT(pipe(to_child) == 0 && pipe(to_parent) == 0);
	pid = fork();
	if (pid == 0) {
		NEED(unshare(CLONE_NEWUSER) == 0);
		NEED(write(to_parent[1], "x", 1) == 1 && read(to_child[0], &c, 1) == 1);
		NEED(getuid() == 1000 && setuid(3) == 0 && getuid() == 3);
		NEED(setuid(4) == -1 && errno == EINVAL);
		NEED(setuid(5) == 0 && getuid() == 5); /* nobody is root there, who would lose his capabilities */
		_exit(0);
	}
	EXPECT(read(to_parent[0], &c, 1) == 1);
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%d %d 1\n", 200 - 2 * i + 1, 5000 + i);
	snprintf(text + len, sizeof(text) - len, "1000 0 1\n");
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	EXPECT(write_file(path, text) == 0);
	EXPECT_ERRNO(write_file(path, text), EPERM);
	EXPECT(write(to_child[1], "x", 1) == 1);
	EXPECT(ending_of(pid) == 0);
	close(to_child[0]);
	close(to_child[1]);
	close(to_parent[0]);
	close(to_parent[1]);
}

static void maps(void)
{
	EXPECT(file_is("/proc/self/uid_map", "         0          0 4294967295\n"));
	EXPECT_ERRNO(write_file("/proc/self/uid_map", "0 0 1"), EPERM);
	EXPECT_ERRNO(write_file("/proc/self/setgroups", "deny"), EPERM);
	EXPECT(ends(nobody_makes_one) == 0);
	EXPECT(ends(texts_child) == 0);
	many_lines();
}

/* ---- capabilities ---- */

/* Enters a namespace as its root. */
static void enter(uid_t outside)
{
	char text[64];

	NEED(unshare(CLONE_NEWUSER) == 0);
	NEED(write_file("/proc/self/setgroups", "deny") == 0);
	snprintf(text, sizeof(text), "0 %u 1", outside);
	NEED(write_file("/proc/self/uid_map", text) == 0 && write_file("/proc/self/gid_map", text) == 0);
}

/* All there, nothing outside. */
static void capable_inside(void)
{
	struct utsname u;

	become(SOMEBODY);
	NEED(effective() == 0);
	enter(SOMEBODY);
	NEED(sethostname("x", 1) == -1 && errno == EPERM);
	NEED(mount("none", "/tmp", "tmpfs", 0, NULL) == -1 && errno == EPERM);
	NEED(kill(getppid(), 0) == -1 && errno == EPERM);
	NEED(setpriority(0, 0, -5) == -1);
	NEED(unshare(CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWIPC) == 0);
	NEED(sethostname("inner", 5) == 0 && uname(&u) == 0 && strcmp(u.nodename, "inner") == 0);
	NEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || errno == EINVAL);
	NEED(mount("none", "/tmp", "tmpfs", 0, NULL) == 0);
	NEED(mkdir("/tmp/made", 0755) == 0);
	NEED(chown("/tmp/made", 0, 0) == 0);
	NEED(chown("/tmp/made", 1, 0) == -1 && errno == EINVAL);
	NEED(mknod("/tmp/null", S_IFCHR | 0666, makedev(1, 3)) == -1 && errno == EPERM);
	NEED(mount("none", "/tmp", "devtmpfs", 0, NULL) == -1 && errno == EPERM);
	NEED(umount("/tmp") == 0);
}

static void what_it_owns_already(void)
{
	struct stat st;
	int fd;

	NEED(mkdir("/tmp/t_userns.d", 0700) == 0 && chown("/tmp/t_userns.d", SOMEBODY, SOMEBODY) == 0);
	fd = open("/tmp/t_userns.d/roots", O_CREAT | O_WRONLY, 0600);
	NEED(fd >= 0 && close(fd) == 0);
	become(SOMEBODY);
	enter(SOMEBODY);
	NEED(stat("/tmp/t_userns.d", &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
	NEED(stat("/tmp/t_userns.d/roots", &st) == 0 && st.st_uid == OVERFLOW && st.st_gid == OVERFLOW);
	NEED(open("/tmp/t_userns.d/roots", O_RDONLY) == -1 && errno == EACCES); /* CAP_DAC_OVERRIDE does not reach it */
	NEED(chmod("/tmp/t_userns.d/roots", 0666) == -1 && errno == EPERM);
	NEED(unlink("/tmp/t_userns.d/roots") == 0);
	fd = open("/tmp/t_userns.d/own", O_CREAT | O_RDWR, 0);
	NEED(fd >= 0 && open("/tmp/t_userns.d/own", O_RDWR) >= 0);
	NEED(unlink("/tmp/t_userns.d/own") == 0 && rmdir("/tmp/t_userns.d") == 0);
}

/* Nobody goes below what one with the right has set, or none has; the right is one over the first namespace. */
static void the_least_score(void)
{
	static const char file[] = "/proc/self/oom_score_adj";

	NEED(write_file(file, "100") == 0);
	become(SOMEBODY);
	NEED(write_file(file, "500") == 0 && write_file(file, "100") == 0);
	NEED(write_file(file, "-1") == -1 && errno == EACCES);
	enter(SOMEBODY);
	NEED(write_file(file, "-1000") == -1 && errno == EACCES);
	NEED(file_is(file, "100\n"));
}

static void capabilities(void)
{
	EXPECT(ends(the_least_score) == 0);
	EXPECT(ends(capable_inside) == 0);
	EXPECT(ends(what_it_owns_already) == 0);
}

/* Losing the root's id loses what comes with it; exec gives it back to root only. */
static void ids_and_capabilities(void)
{
	int to_child[2], to_parent[2];
	char path[64], c;
	pid_t pid;

	EXPECT(pipe(to_child) == 0 && pipe(to_parent) == 0);
	pid = fork();
	if (pid == 0) {
		NEED(unshare(CLONE_NEWUSER) == 0);
		NEED(write(to_parent[1], "x", 1) == 1 && read(to_child[0], &c, 1) == 1);
		NEED(setresuid(0, 0, 0) == 0 && effective() != 0);
		NEED(setresuid(1, 1, 1) == 0 && effective() == 0);
		NEED(setuid(0) == -1 && errno == EPERM);
		NEED(sethostname("x", 1) == -1 && errno == EPERM);
		_exit(0);
	}
	EXPECT(read(to_parent[0], &c, 1) == 1);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	EXPECT(write_file(path, "0 100000 1000") == 0);
	EXPECT(write(to_child[1], "x", 1) == 1);
	EXPECT(ending_of(pid) == 0);
	close(to_child[0]);
	close(to_child[1]);
	close(to_parent[0]);
	close(to_parent[1]);
}

/* ---- what is heard of others ---- */

static void credentials_child(void)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	int s[2], one = 1;
	char control[CMSG_SPACE(sizeof(cred))], c;
	struct iovec io = { &c, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	NEED(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) == 0);
	NEED(write(s[1], "x", 1) == 1); /* as root */
	enter(0);
	NEED(recvmsg(s[0], &m, 0) == 1 && CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_CREDENTIALS);
	memcpy(&cred, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(cred));
	NEED(cred.uid == 0 && cred.pid == getpid());
	NEED(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == 0);
}

static void credentials_unmapped(void)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	int s[2];

	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0); /* as root */
	become(SOMEBODY);
	enter(SOMEBODY);
	NEED(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == OVERFLOW && cred.gid == OVERFLOW);
}

/* A signal from somebody whom the receiver's namespace has no name for. */
static void signal_child(void)
{
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	become(SOMEBODY);
	enter(SOMEBODY);
	NEED(kill(getpid(), SIGUSR1) == 0);
	NEED(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_uid == 0 && info.si_pid == getpid());
	NEED(kill(getppid(), SIGCONT) == -1 || errno == 0); /* the same session: whatever the ids */
}

static void others(void)
{
	EXPECT(ends(credentials_child) == 0);
	EXPECT(ends(credentials_unmapped) == 0);
	EXPECT(ends(signal_child) == 0);
}

/* ---- the tree ---- */

static void nests(void)
{
	become(SOMEBODY);
	enter(SOMEBODY);
	for (int depth = 2; depth <= 33; depth++)
		if (unshare(CLONE_NEWUSER) != 0 || write_file("/proc/self/uid_map", "0 0 1") != 0) {
			NEED(depth > 30 && (errno == EUSERS || errno == ENOSPC));
			return;
		} else {
			NEED(write_file("/proc/self/gid_map", "0 0 1") == 0 && getuid() == 0);
		}
	NEED(unshare(CLONE_NEWUSER) == -1 && (errno == ENOSPC || errno == EUSERS));
}

static void asks(void)
{
	int own = open("/proc/self/ns/user", O_RDONLY), inner, uts, owner, up;
	struct stat a, b;
	uid_t uid;

	NEED(own >= 0);
	become(SOMEBODY);
	enter(SOMEBODY);
	NEED(unshare(CLONE_NEWUTS) == 0);
	inner = open("/proc/self/ns/user", O_RDONLY);
	uts = open("/proc/self/ns/uts", O_RDONLY);
	NEED(ioctl(inner, NS_GET_NSTYPE) == CLONE_NEWUSER);
	NEED(ioctl(inner, NS_GET_OWNER_UID, &uid) == 0 && uid == 0);
	NEED(ioctl(uts, NS_GET_OWNER_UID, &uid) == -1 && errno == EINVAL);
	owner = ioctl(uts, NS_GET_USERNS);
	NEED(owner >= 0 && fstat(owner, &a) == 0 && fstat(inner, &b) == 0 && a.st_ino == b.st_ino);
	NEED(ioctl(inner, NS_GET_PARENT) == -1 && errno == EPERM); /* beyond one's own */
	NEED(ioctl(inner, NS_GET_USERNS) == -1 && errno == EPERM);
	NEED(ioctl(uts, NS_GET_PARENT) == -1 && errno == EINVAL);
	NEED(ioctl(own, NS_GET_PARENT) == -1 && errno == EPERM);
	NEED(unshare(CLONE_NEWUSER) == 0);
	up = ioctl(open("/proc/self/ns/user", O_RDONLY), NS_GET_PARENT);
	NEED(up == -1 && errno == EPERM);
	NEED(setns(own, CLONE_NEWUSER) == -1 && errno == EPERM);
}

static void is_entered(void)
{
	int to_child[2], to_parent[2], fd;
	char path[64], c;
	pid_t pid;

	NEED(pipe(to_child) == 0 && pipe(to_parent) == 0);
	pid = fork();
	if (pid == 0) {
		become(SOMEBODY);
		enter(SOMEBODY);
		NEED(unshare(CLONE_NEWUTS) == 0 && sethostname("theirs", 6) == 0);
		NEED(write(to_parent[1], "x", 1) == 1 && read(to_child[0], &c, 1) == 1);
		_exit(0);
	}
	NEED(read(to_parent[0], &c, 1) == 1);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY);
	NEED(fd >= 0);
	NEED(setns(open("/proc/self/ns/user", O_RDONLY), 0) == -1 && errno == EINVAL); /* its own */
	NEED(setns((int)syscall(SYS_pidfd_open, pid, 0), CLONE_NEWUSER | CLONE_NEWUTS) == 0);
	NEED(getuid() == OVERFLOW && effective() != 0);
	NEED(setresuid(0, 0, 0) == 0 && getuid() == 0);
	NEED(sethostname("ours", 4) == 0);
	NEED(write(to_child[1], "x", 1) == 1);
}

/* Who comes in from above is not seen into by those whose namespace it is. */
static void visitors_keep_their_own(void)
{
	int to_child[2], to_parent[2];
	char path[64], c, secret = 's';
	pid_t pid, visitor = getpid();

	NEED(pipe(to_child) == 0 && pipe(to_parent) == 0);
	pid = fork();
	if (pid == 0) {
		struct iovec own = { &c, 1 }, theirs = { &secret, 1 };

		become(SOMEBODY);
		enter(SOMEBODY);
		NEED(write(to_parent[1], "x", 1) == 1 && read(to_child[0], &c, 1) == 1);
		NEED(process_vm_readv(visitor, &own, 1, &theirs, 1, 0) == -1 && errno == EPERM);
		NEED(ptrace(PTRACE_ATTACH, visitor, 0, 0) == -1 && errno == EPERM);
		_exit(0);
	}
	NEED(read(to_parent[0], &c, 1) == 1);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	NEED(setns(open(path, O_RDONLY), CLONE_NEWUSER) == 0);
	NEED(prctl(PR_GET_DUMPABLE) == 0);
	NEED(write(to_child[1], "x", 1) == 1);
	NEED(ending_of(pid) == 0);
	NEED(unshare(CLONE_NEWUSER) == -1 || prctl(PR_GET_DUMPABLE) == 0);
}

/* A new terminal's node is not what a path of the caller's leads to. */
static void terminals_are_no_paths(void)
{
	static const char roots[] = "/tmp/t_userns.roots";
	int fd = open(roots, O_CREAT | O_RDWR, 0600), master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	char path[64];
	struct stat st;
	pid_t pid;

	NEED(fd >= 0 && master >= 0);
	pid = fork();
	if (pid == 0) {
		become(SOMEBODY);
		enter(SOMEBODY);
		NEED(unshare(CLONE_NEWNS) == 0);
		NEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || errno == EINVAL);
		NEED(mount("none", "/dev/pts", "tmpfs", 0, NULL) == 0);
		for (int i = 0; i < 16; i++) {
			snprintf(path, sizeof(path), "/dev/pts/%d", i);
			NEED(close(open(path, O_CREAT | O_RDWR, 0600)) == 0 && mount(roots, path, NULL, MS_BIND, NULL) == 0);
		}
		(void)open("/dev/ptmx", O_RDWR | O_NOCTTY); /* Linux: no terminals without a devpts beside it */
		_exit(0);
	}
	NEED(ending_of(pid) == 0);
	NEED(fstat(fd, &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
	NEED(unlink(roots) == 0);
}

static void made_by_clone(void)
{
	int status;
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, 0);

	if (pid == 0)
		_exit(getuid() == OVERFLOW && sethostname("x", 1) == 0 ? 0 : 1);
	NEED(waitpid(pid, &status, 0) == pid && status == 0);
	NEED(syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, NULL, NULL, NULL, 0) == -1 && errno == EINVAL);
	NEED(syscall(SYS_clone, CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, NULL, NULL, NULL, 0) == -1 && errno == EINVAL);
}

static void in_a_chroot(void)
{
	NEED(chroot("/proc") == 0);
	NEED(unshare(CLONE_NEWUSER) == -1 && errno == EPERM);
}

static void the_tree(void)
{
	EXPECT(ends(nests) == 0);
	EXPECT(ends(asks) == 0);
	EXPECT(ends(is_entered) == 0);
	EXPECT(ends(visitors_keep_their_own) == 0);
	EXPECT(ends(made_by_clone) == 0);
	EXPECT(ends(in_a_chroot) == 0);
}

static void terminals(void)
{
	EXPECT(ends(terminals_are_no_paths) == 0);
}

int main(void)
{
	abi_need_user_namespaces();
	CASE(maps);
	CASE(capabilities);
	CASE(ids_and_capabilities);
	CASE(others);
	CASE(the_tree);
	CASE(terminals);
	return abi_result();
}
