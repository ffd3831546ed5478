/* SPDX-License-Identifier: MIT */
/* Namespaces of mounts and of the system's names; setns, /proc/PID/ns, pivot_root. Run as root. */
#include "cases.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "inside.h"

static char base[] = "/tmp/t_namespaces.XXXXXX";

/* "NAME:[NUMBER]" of a process's namespace. */
static bool ns_text(pid_t pid, const char *name, char text[64])
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	n = readlink(path, text, 63);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0 && strncmp(text, name, strlen(name)) == 0;
}

static bool same_ns(pid_t a, pid_t b, const char *name)
{
	char of_a[64], of_b[64];

	return ns_text(a, name, of_a) && ns_text(b, name, of_b) && strcmp(of_a, of_b) == 0;
}

/* In a chroot that is no mount of its own, Linux neither exchanges roots nor makes mounts private. */
static bool root_is_a_mount(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char line[1024], place[1024];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= sscanf(line, "%*d %*d %*s %*s %1023s", place) == 1 && strcmp(place, "/") == 0;
	if (f)
		fclose(f);
	return found;
}

/* Mounts of a namespace of our own do not show elsewhere, on Linux only if they are private. */
static void own_mounts(void)
{
	NEED(unshare(CLONE_NEWNS) == 0);
	NEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static char text[512], moved[512];

static const char *in_base(const char *name)
{
	snprintf(text, sizeof(text), "%s/%s", base, name);
	return text;
}

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* Is something mounted on a name in the base, of a root that ends with `root`? */
static bool mountinfo_has(const char *root, const char *name)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char line[1024], wanted[512];
	bool found = false;

	snprintf(wanted, sizeof(wanted), "%s %s%s ", root, base, name);
	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, wanted) != NULL;
	if (f)
		fclose(f);
	return found;
}

/* ---- the system's names ---- */

static void names_child(void)
{
	struct utsname u;
	char before[65];

	NEED(uname(&u) == 0);
	strcpy(before, u.nodename);
	NEED(same_ns(getpid(), getppid(), "uts"));
	NEED(unshare(CLONE_NEWUTS) == 0);
	NEED(!same_ns(getpid(), getppid(), "uts") && same_ns(getpid(), getppid(), "mnt"));
	NEED(uname(&u) == 0 && strcmp(u.nodename, before) == 0);
	NEED(sethostname("inner", 5) == 0 && setdomainname("domain", 6) == 0);
	NEED(uname(&u) == 0 && strcmp(u.nodename, "inner") == 0 && strcmp(u.domainname, "domain") == 0);
}

static void names_are_apart(void)
{
	struct utsname before, after;

	EXPECT(uname(&before) == 0);
	EXPECT(ends(names_child) == 0);
	EXPECT(uname(&after) == 0);
	EXPECT(strcmp(before.nodename, after.nodename) == 0 && strcmp(before.domainname, after.domainname) == 0);
}

/* A child of clone() is in it, its own children with it; whoever enters by a descriptor sees it, also when its last process has gone. */
static void names_are_entered(void)
{
	int to_child[2], fd, status, own = open("/proc/self/ns/uts", O_RDONLY);
	struct utsname u, before;
	char path[64], c;
	pid_t pid;

	EXPECT(uname(&before) == 0);
	EXPECT(pipe(to_child) == 0);
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0) {
		sethostname("cloned", 6);
		_exit(read(to_child[0], &c, 1) == 1 && !same_ns(getpid(), getppid(), "uts") ? 0 : 1);
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/uts", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(fd >= 0);
	EXPECT(write(to_child[1], "x", 1) == 1);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWUTS);
	EXPECT_ERRNO(setns(fd, CLONE_NEWNS), EINVAL);
	EXPECT_ERRNO(setns(to_child[0], 0), EINVAL);
	EXPECT_ERRNO(setns(-1, 0), EBADF);
	EXPECT(setns(fd, 0) == 0);
	EXPECT(uname(&u) == 0 && strcmp(u.nodename, "cloned") == 0);
	EXPECT(setns(own, CLONE_NEWUTS) == 0);
	EXPECT(uname(&u) == 0 && strcmp(u.nodename, before.nodename) == 0);
	close(fd);
	close(own);
	close(to_child[0]);
	close(to_child[1]);
}

static void links_name_namespaces(void)
{
	struct stat link, again;
	char name[64];
	unsigned number = 0;
	DIR *d = opendir("/proc/self/ns");
	struct dirent *e;
	int found = 0, fd = open("/proc/self/ns/mnt", O_RDONLY);

	while (d && (e = readdir(d)))
		found += strcmp(e->d_name, "mnt") == 0 || strcmp(e->d_name, "uts") == 0;
	if (d)
		closedir(d);
	EXPECT(found == 2);
	EXPECT(ns_text(getpid(), "mnt", name) && sscanf(name, "mnt:[%u]", &number) == 1);
	EXPECT(fstat(fd, &link) == 0 && link.st_ino == number && S_ISREG(link.st_mode));
	EXPECT(stat("/proc/self/ns/mnt", &again) == 0 && again.st_ino == link.st_ino && again.st_dev == link.st_dev);
	EXPECT(lstat("/proc/self/ns/mnt", &again) == 0 && S_ISLNK(again.st_mode));
	EXPECT_ERRNO(open("/proc/self/ns/nothing", O_RDONLY), ENOENT);
	EXPECT_ERRNO(read(fd, name, 1), EINVAL);
	close(fd);
}

/* ---- mounts ---- */

static void mounts_child(void)
{
	char line[512];
	bool seen = false;
	FILE *f;

	own_mounts();
	NEED(!same_ns(getpid(), getppid(), "mnt") && same_ns(getpid(), getppid(), "uts"));
	NEED(mount("inner", in_base("point"), "tmpfs", 0, NULL) == 0);
	NEED(mkdir(in_base("point/made"), 0755) == 0);
	f = fopen("/proc/self/mounts", "r");
	NEED(f);
	while (fgets(line, sizeof(line), f))
		seen |= strncmp(line, "inner ", 6) == 0 && strstr(line, base);
	fclose(f);
	NEED(seen);
	snprintf(line, sizeof(line), "/proc/%d/mounts", getppid());
	f = fopen(line, "r");
	NEED(f);
	while (fgets(line, sizeof(line), f))
		NEED(strncmp(line, "inner ", 6) != 0);
	fclose(f);
	NEED(exists(in_base("point/made")));
	NEED(umount(in_base("point")) == 0);
	NEED(!exists(in_base("point/made")));
	NEED(exists(in_base("outer/there"))); /* what was mounted before is there as well, and can be taken away */
	NEED(umount(in_base("outer")) == 0);
	NEED(!exists(in_base("outer/there")));
}

static void mounts_are_apart(void)
{
	if (!root_is_a_mount())
		return;
	EXPECT(mount("outer", in_base("outer"), "tmpfs", 0, NULL) == 0);
	EXPECT(mkdir(in_base("outer/there"), 0755) == 0);
	EXPECT(ends(mounts_child) == 0);
	EXPECT(!exists(in_base("point/made")));
	EXPECT(exists(in_base("outer/there")));
	EXPECT(umount(in_base("outer")) == 0);
}

/* A working directory goes along into the copy; what is mounted over in the old tree stays visible from there. */
static void directories_go_along(void)
{
	char cwd[512];

	NEED(chdir(in_base("point")) == 0);
	own_mounts();
	NEED(mount("inner", ".", "tmpfs", 0, NULL) == 0);
	NEED(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, in_base("point")) == 0);
	NEED(chdir("/") == 0 && chdir(in_base("point")) == 0);
	NEED(mkdir("made", 0755) == 0);
	NEED(exists(in_base("point/made")));
	NEED(umount2(in_base("point"), MNT_DETACH) == 0);
	NEED(exists("made"));
	NEED(!exists(in_base("point/made")));
}

static void enters_mounts(void)
{
	int to_child[2], to_parent[2], own = open("/proc/self/ns/mnt", O_RDONLY), fd;
	char path[64], c;
	pid_t pid;

	NEED(pipe(to_child) == 0 && pipe(to_parent) == 0);
	pid = fork();
	if (pid == 0) {
		own_mounts();
		NEED(mount("inner", in_base("point"), "tmpfs", 0, NULL) == 0 && mkdir(in_base("point/made"), 0755) == 0);
		NEED(write(to_parent[1], "x", 1) == 1 && read(to_child[0], &c, 1) == 1);
		_exit(0);
	}
	NEED(read(to_parent[0], &c, 1) == 1);
	NEED(!exists(in_base("point/made")));
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	fd = open(path, O_RDONLY);
	NEED(fd >= 0);
	NEED(write(to_child[1], "x", 1) == 1 && waitpid(pid, NULL, 0) == pid);
	NEED(setns(fd, CLONE_NEWNS) == 0);
	NEED(exists(in_base("point/made")));
	NEED(setns(own, 0) == 0);
	NEED(!exists(in_base("point/made")));
}

static void *sleeps(void *arg)
{
	pause();
	return arg;
}

static void threads_share(void)
{
	int fd = open("/proc/self/ns/mnt", O_RDONLY);
	pthread_t t;

	NEED(pthread_create(&t, NULL, sleeps, NULL) == 0);
	NEED(setns(fd, CLONE_NEWNS) == -1 && errno == EINVAL);
}

static void mounts_are_entered(void)
{
	if (!root_is_a_mount())
		return;
	EXPECT(ends(directories_go_along) == 0);
	EXPECT(ends(enters_mounts) == 0);
	EXPECT(ends(threads_share) == 0);
}

/* What is hidden from a user namespace stays so, in whatever way its mounts are copied or taken away. */
static void hidden_child(void)
{
	int fd, root = open("/", O_RDONLY | O_DIRECTORY);
	char secret[512];

	own_mounts();
	NEED(mkdir(in_base("point/secret"), 0755) == 0);
	NEED(mount("cover", in_base("point"), "tmpfs", MS_NOSUID, NULL) == 0);
	NEED(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	NEED(umount2(in_base("point"), MNT_DETACH) == -1 && errno == EINVAL);
	NEED(mount("none", in_base("point"), NULL, MS_REMOUNT | MS_BIND, NULL) == -1 && errno == EPERM);
	NEED(mount("none", in_base("point"), NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_RDONLY, NULL) == 0);
	NEED(mount("x", in_base("outer"), "tmpfs", 0, NULL) == 0 && mkdir(in_base("outer/made"), 0755) == -1 && errno == EOVERFLOW);
	NEED(umount(in_base("outer")) == 0);
	NEED(mount("x", in_base("outer"), "tmpfs", 0, NULL) == 0);
	strcpy(secret, in_base("outer"));
	NEED(mount(base, secret, NULL, MS_BIND, NULL) == -1 && errno == EINVAL); /* without what covers */
	NEED(mount(base, secret, NULL, MS_BIND | MS_REC, NULL) == 0);
	strcat(secret, "/point/secret");
	NEED(!exists(secret));
	fd = open(in_base("outer"), O_RDONLY | O_DIRECTORY);
	NEED(fd >= 0 && openat(fd, "point/secret", O_RDONLY) == -1 && errno == ENOENT);
	NEED(umount2(in_base("outer"), MNT_DETACH) == 0);
	NEED(openat(fd, "point/secret", O_RDONLY) == -1 && errno == ENOENT);
	fd = open(base, O_RDONLY | O_DIRECTORY);
	NEED(unshare(CLONE_NEWNS) == 0); /* the namespace of fd goes */
	NEED(openat(fd, "point/secret", O_RDONLY) == -1 && errno == ENOENT);
	close(root);
}

static void hidden_stays_hidden(void)
{
	if (!root_is_a_mount())
		return;
	EXPECT(ends(hidden_child) == 0);
	EXPECT(rmdir(in_base("point/secret")) == 0);
}

/* ---- names and mounts ---- */

/* A folder is moved out of what a bind mount shows: who stands in it does not get up and out. */
static void moved_out_child(void)
{
	own_mounts();
	NEED(mkdir(in_base("a"), 0755) == 0 && mkdir(in_base("a/b"), 0755) == 0 && mkdir(in_base("a/b/c"), 0755) == 0);
	NEED(mkdir(in_base("a/stays"), 0755) == 0);
	NEED(chdir(base) == 0 && mount("a", "point", NULL, MS_BIND, NULL) == 0);
	snprintf(moved, sizeof(moved), "%s/a", base + strlen("/tmp"));
	NEED(mountinfo_has(moved, "/point"));
	NEED(chdir("point/b/c") == 0 && exists("../../stays"));
	strcpy(moved, in_base("a/b"));
	NEED(rename(moved, in_base("b2")) == 0);
	NEED(exists(".") && !exists("..") && errno == ENOENT);
	NEED(chdir("..") == -1 && errno == ENOENT);
	NEED(rename(in_base("b2"), moved) == 0);
	NEED(exists("../../stays"));
}

static void no_way_leads_out(void)
{
	if (!root_is_a_mount())
		return;
	EXPECT(ends(moved_out_child) == 0);
	EXPECT(rmdir(in_base("a/b/c")) == 0 && rmdir(in_base("a/b")) == 0 && rmdir(in_base("a/stays")) == 0 && rmdir(in_base("a")) == 0);
}

static int make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);

	return fd < 0 ? -1 : close(fd);
}

/* In a namespace of its own it mounts on names, and says so; then its parent, who does not see that, removes them. */
static void mounts_on_names(int said, int go)
{
	char c;

	own_mounts();
	NEED(mount("x", in_base("d1"), "tmpfs", 0, NULL) == 0 && mount("x", in_base("d1"), "tmpfs", 0, NULL) == 0);
	NEED(mkdir(in_base("d1/in"), 0755) == 0 && mount("x", in_base("d1/in"), "tmpfs", 0, NULL) == 0);
	NEED(mount("/proc/self/status", in_base("f1"), NULL, MS_BIND, NULL) == 0);
	NEED(mount("/proc/self/status", in_base("f2"), NULL, MS_BIND, NULL) == 0);
	NEED(unlink(in_base("f1")) == -1 && errno == EBUSY);
	NEED(rmdir(in_base("d1")) == -1 && errno == EBUSY);
	NEED(mountinfo_has("/", "/d1") && mountinfo_has("/status", "/f1"));
	NEED(write(said, "x", 1) == 1 && read(go, &c, 1) == 1);
	NEED(!exists(in_base("f1")) && !exists(in_base("d1")) && exists(in_base("f2")));
	NEED(!mountinfo_has("", "/d1") && !mountinfo_has("", "/f1") && !mountinfo_has("", "/f2"));
	_exit(0);
}

static void others_mounts_keep_no_name(void)
{
	int said[2], go[2];
	char c;
	pid_t pid;

	if (!root_is_a_mount())
		return;
	EXPECT(mkdir(in_base("d1"), 0755) == 0 && make_file(in_base("f1")) == 0 && make_file(in_base("f2")) == 0);
	EXPECT(make_file(in_base("f3")) == 0 && pipe(said) == 0 && pipe(go) == 0);
	pid = fork();
	if (pid == 0)
		mounts_on_names(said[1], go[0]);
	EXPECT(read(said[0], &c, 1) == 1);
	EXPECT(rmdir(in_base("d1")) == 0);
	EXPECT(unlink(in_base("f1")) == 0);
	strcpy(moved, in_base("f3"));
	EXPECT(rename(moved, in_base("f2")) == 0);
	EXPECT(write(go[1], "x", 1) == 1);
	EXPECT(ending_of(pid) == 0);
	EXPECT(unlink(in_base("f2")) == 0);
	for (int i = 0; i < 2; i++) {
		close(said[i]);
		close(go[i]);
	}
}

/* Many mounts on each other are bound as a tree, or not at all. */
static void deep_child(void)
{
	char place[512];

	own_mounts();
	for (int i = 0; i < 300; i++)
		NEED(mount("x", in_base("point"), "tmpfs", 0, NULL) == 0);
	NEED(mkdir(in_base("point/top"), 0755) == 0);
	strcpy(place, in_base("outer"));
	NEED(mount(base, place, NULL, MS_BIND | MS_REC, NULL) == 0);
	NEED(exists(in_base("outer/point/top")));
	NEED(umount2(place, MNT_DETACH) == 0 && umount2(in_base("point"), MNT_DETACH) == 0);
	NEED(!exists(in_base("point/top")));
}

static void deep_trees_are_bound(void)
{
	if (!root_is_a_mount())
		return;
	EXPECT(ends(deep_child) == 0);
}

/* ---- pivot_root ---- */

static void make_new_root(void)
{
	own_mounts();
	NEED(mount("newroot", in_base("point"), "tmpfs", 0, NULL) == 0);
	NEED(mkdir(in_base("point/old"), 0755) == 0 && mkdir(in_base("point/here"), 0755) == 0);
}

static void pivots(void)
{
	char cwd[512];
	int status;
	pid_t pid;
	int go[2];
	char c;

	make_new_root();
	NEED(pipe(go) == 0);
	pid = fork(); /* a process of the same namespace with the same root moves along */
	close(pid == 0 ? go[1] : go[0]);
	if (pid == 0)
		_exit(read(go[0], &c, 1) == 1 && exists("/here") && exists("/old/tmp") ? 0 : 1);
	NEED(chdir(in_base("point")) == 0);
	NEED(syscall(SYS_pivot_root, ".", "old") == 0);
	NEED(write(go[1], "x", 1) == 1);
	NEED(exists("/here") && exists("/old/tmp") && exists("here"));
	NEED(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
	NEED(waitpid(pid, &status, 0) == pid && status == 0);
	NEED(umount2("/old", MNT_DETACH) == 0);
	NEED(!exists("/old/tmp") && exists("/here"));
	NEED(rmdir("/old") == 0);
}

/* The way of container runtimes: the old root comes to stand on the new one, and is taken away from there. */
static void pivots_in_place(void)
{
	make_new_root();
	NEED(chdir(in_base("point")) == 0);
	NEED(syscall(SYS_pivot_root, ".", ".") == 0);
	NEED(umount2(".", MNT_DETACH) == 0);
	NEED(chdir("/") == 0 && exists("/here") && !exists("/tmp"));
}

static void pivots_wrongly(void)
{
	make_new_root();
	NEED(syscall(SYS_pivot_root, in_base("point/here"), base) == -1 && errno == EBUSY); /* base lies in the root's mount */
	NEED(syscall(SYS_pivot_root, base, base) == -1 && errno == EBUSY);
	NEED(chdir(in_base("point")) == 0);
	NEED(syscall(SYS_pivot_root, "here", "here") == -1 && errno == EINVAL); /* no mount's root */
	NEED(syscall(SYS_pivot_root, "nothing", ".") == -1 && errno == ENOENT);
	NEED(syscall(SYS_pivot_root, NULL, ".") == -1 && errno == EFAULT);
	NEED(setresuid(65534, 65534, 65534) == 0);
	NEED(syscall(SYS_pivot_root, ".", "old") == -1 && errno == EPERM);
}

static void roots_are_exchanged(void)
{
	if (!root_is_a_mount())
		return;
	EXPECT(ends(pivots) == 0);
	EXPECT(ends(pivots_in_place) == 0);
	EXPECT(ends(pivots_wrongly) == 0);
	EXPECT(exists("/tmp"));
}

/* ---- permissions, flags ---- */

static void nobody(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY);

	NEED(setresuid(65534, 65534, 65534) == 0);
	NEED(unshare(CLONE_NEWUTS) == -1 && errno == EPERM);
	NEED(unshare(CLONE_NEWNS) == -1 && errno == EPERM);
	NEED(syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL, 0) == -1 && errno == EPERM);
	NEED(setns(fd, 0) == -1 && errno == EPERM);
}

static void who_may(void)
{
	EXPECT(ends(nobody) == 0);
	EXPECT_ERRNO(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, NULL, NULL, NULL, 0), EINVAL);
}

/* ---- many at once ---- */

static void *makes_namespaces(void *arg)
{
	for (int i = 0; i < 30; i++)
		if (unshare(CLONE_NEWNS | CLONE_NEWUTS) || sethostname("thread", 6) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("t", base, "tmpfs", 0, NULL) || (i % 2 && umount2(base, MNT_DETACH)))
			return arg;
	return NULL;
}

static void busy_child(void)
{
	pthread_t t[4];
	void *wrong;

	for (int i = 0; i < 4; i++)
		NEED(pthread_create(&t[i], NULL, makes_namespaces, t) == 0);
	for (int i = 0; i < 4; i++) {
		NEED(pthread_join(t[i], &wrong) == 0);
		NEED(!wrong);
	}
}

static void many_at_once(void)
{
	if (!root_is_a_mount())
		return;
	EXPECT(ends(busy_child) == 0);
}

int main(void)
{
	abi_need_user_namespaces();
	if (!mkdtemp(base) || mkdir(in_base("point"), 0755) || mkdir(in_base("outer"), 0755))
		return 1;
	CASE(names_are_apart);
	CASE(names_are_entered);
	CASE(links_name_namespaces);
	CASE(mounts_are_apart);
	CASE(mounts_are_entered);
	CASE(hidden_stays_hidden);
	CASE(no_way_leads_out);
	CASE(others_mounts_keep_no_name);
	CASE(deep_trees_are_bound);
	CASE(roots_are_exchanged);
	CASE(who_may);
	CASE(many_at_once);
	rmdir(in_base("point"));
	rmdir(in_base("outer"));
	rmdir(base);
	return abi_result();
}
