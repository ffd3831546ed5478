/* SPDX-License-Identifier: MIT */
/* Capabilities of files: who may set them, in which form they come back, what takes them away, and what a program gets of them. */
#include "cases.h"
#include "scratch.h"
#include "inside.h"
#include <endian.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define CAPS	 "security.capability"
#define NOBODY	 65534
#define BIT(cap) (1ull << (cap))
#define RAW	 BIT(CAP_NET_RAW)
#define TIME	 BIT(CAP_SYS_TIME)

static struct vfs_ns_cap_data value(uint32_t revision, uint64_t permitted, uint64_t inheritable, bool effective)
{
	struct vfs_ns_cap_data d = { .magic_etc = htole32(revision | (effective ? VFS_CAP_FLAGS_EFFECTIVE : 0)) };

	for (int i = 0; i < 2; i++) {
		d.data[i].permitted = htole32((uint32_t)(permitted >> 32 * i));
		d.data[i].inheritable = htole32((uint32_t)(inheritable >> 32 * i));
	}
	return d;
}

static int set(const char *path, uint64_t permitted, uint64_t inheritable, bool effective)
{
	struct vfs_ns_cap_data d = value(VFS_CAP_REVISION_2, permitted, inheritable, effective);

	return setxattr(path, CAPS, &d, XATTR_CAPS_SZ_2, 0);
}

static int make(const char *name)
{
	return close(open(name, O_CREAT | O_RDWR, 0755));
}

static bool has_caps(const char *path)
{
	return getxattr(path, CAPS, NULL, 0) == XATTR_CAPS_SZ_2;
}

/* ---- the attribute ---- */

static void forms(void)
{
	struct vfs_ns_cap_data d = value(VFS_CAP_REVISION_2, RAW, TIME, true), got;

	EXPECT(make("a") == 0);
	EXPECT_ERRNO(getxattr("a", CAPS, &got, sizeof(got)), ENODATA);
	EXPECT_ERRNO(removexattr("a", CAPS), ENODATA);
	EXPECT(setxattr("a", CAPS, &d, XATTR_CAPS_SZ_2, 0) == 0);
	EXPECT(getxattr("a", CAPS, &got, sizeof(got)) == XATTR_CAPS_SZ_2 && !memcmp(&got, &d, XATTR_CAPS_SZ_2));
	EXPECT_ERRNO(getxattr("a", CAPS, &got, 5), ERANGE);
	EXPECT_ERRNO(setxattr("a", CAPS, &d, XATTR_CAPS_SZ_3, 0), EINVAL);
	EXPECT_ERRNO(setxattr("a", CAPS, &d, XATTR_CAPS_SZ_1, 0), EINVAL);
	EXPECT_ERRNO(setxattr("a", CAPS, "12345678901234567890", XATTR_CAPS_SZ_2, 0), EINVAL);
	EXPECT_ERRNO(setxattr("a", CAPS, &d, XATTR_CAPS_SZ_2, XATTR_CREATE), EEXIST);
	d = value(VFS_CAP_REVISION_3, RAW, 0, false);
	d.rootid = 1000;
	EXPECT(setxattr("a", CAPS, &d, XATTR_CAPS_SZ_3, 0) == 0);
	EXPECT(getxattr("a", CAPS, &got, sizeof(got)) == XATTR_CAPS_SZ_3 && !memcmp(&got, &d, XATTR_CAPS_SZ_3));
	d.rootid = 0; /* this namespace's: as if it was the other form */
	EXPECT(setxattr("a", CAPS, &d, XATTR_CAPS_SZ_3, 0) == 0 && getxattr("a", CAPS, &got, sizeof(got)) == XATTR_CAPS_SZ_2);
	EXPECT(removexattr("a", CAPS) == 0 && !has_caps("a"));
	unlink("a");
}

static void without_rights(void)
{
	struct vfs_ns_cap_data d = value(VFS_CAP_REVISION_2, RAW, 0, true);

	NEED(chown("a", NOBODY, NOBODY) == 0 && set("a", RAW, 0, true) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	NEED(setxattr("a", CAPS, &d, XATTR_CAPS_SZ_2, 0) == -1 && errno == EPERM);
	NEED(removexattr("a", CAPS) == -1 && errno == EPERM);
	NEED(has_caps("a"));
}

static void rights(void)
{
	EXPECT(make("a") == 0 && ends(without_rights) == 0);
	unlink("a");
}

static void what_takes_them(void)
{
	int fd;

	EXPECT(make("a") == 0 && set("a", RAW, 0, true) == 0);
	fd = open("a", O_RDWR);
	EXPECT(has_caps("a") && fchmod(fd, 0711) == 0 && has_caps("a"));
	EXPECT(write(fd, "x", 1) == 1 && !has_caps("a"));
	EXPECT(set("a", RAW, 0, true) == 0 && ftruncate(fd, 0) == 0 && !has_caps("a"));
	EXPECT(set("a", RAW, 0, true) == 0 && fchown(fd, NOBODY, -1) == 0 && !has_caps("a"));
	EXPECT(set("a", RAW, 0, true) == 0 && fchown(fd, -1, -1) == 0 && !has_caps("a"));
	EXPECT(set("a", RAW, 0, true) == 0 && rename("a", "b") == 0 && has_caps("b"));
	close(fd);
	unlink("b");
}

/* ---- programs ---- */

struct state {
	uint64_t permitted, effective, inheritable;
	bool secure, dumpable, ambient;
};

/* Shared with what is executed, by a descriptor that stays open. */
static struct state *seen;
static int seen_fd;

static void report(int fd)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { 0 };
	struct state s;

	syscall(SYS_capget, &h, d);
	s = (struct state){ .permitted = d[0].permitted | (uint64_t)d[1].permitted << 32,
			    .effective = d[0].effective | (uint64_t)d[1].effective << 32,
			    .inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32,
			    .secure = getauxval(AT_SECURE),
			    .dumpable = prctl(PR_GET_DUMPABLE),
			    .ambient = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SYS_TIME, 0, 0) == 1 };
	_exit(pwrite(fd, &s, sizeof(s), 0) == sizeof(s) ? 7 : 1);
}

static void set_inheritable(uint64_t caps)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	NEED(syscall(SYS_capget, &h, d) == 0);
	d[0].inheritable = (uint32_t)caps;
	NEED(syscall(SYS_capset, &h, d) == 0);
}

static void become_nobody(void)
{
	NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

static void run(void)
{
	char fd[16];

	snprintf(fd, sizeof(fd), "%d", seen_fd);
	execl("./prog", "prog", "report", fd, NULL);
	_exit(errno == EPERM ? 8 : 9);
}

static void as_nobody(void)
{
	become_nobody();
	run();
}

static void as_nobody_bounded(void)
{
	NEED(prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0) == 0);
	as_nobody();
}

static void as_nobody_inheriting(void)
{
	set_inheritable(RAW | TIME);
	as_nobody();
}

static void as_nobody_without_more(void)
{
	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	as_nobody();
}

static void with_ambient(void)
{
	set_inheritable(TIME);
	NEED(prctl(PR_SET_KEEPCAPS, 1) == 0);
	become_nobody();
	NEED(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_TIME, 0, 0) == 0);
	run();
}

static bool give(uint64_t permitted, uint64_t inheritable, bool effective)
{
	*seen = (struct state){ 0 };
	return set("prog", permitted, inheritable, effective) == 0;
}

static void permitted(void)
{
	EXPECT(give(RAW, 0, false) && ends(as_nobody) == 7);
	EXPECT(seen->permitted == RAW && seen->effective == 0 && seen->secure);
	EXPECT(give(RAW | TIME, 0, true) && ends(as_nobody) == 7);
	EXPECT(seen->permitted == (RAW | TIME) && seen->effective == (RAW | TIME) && seen->secure && !seen->dumpable);
	EXPECT(removexattr("prog", CAPS) == 0 && ends(as_nobody) == 7);
	EXPECT(seen->permitted == 0 && !seen->secure && seen->dumpable);
}

static void bounded(void)
{
	EXPECT(give(RAW | TIME, 0, false) && ends(as_nobody_bounded) == 7 && seen->permitted == TIME);
	EXPECT(give(RAW | TIME, 0, true) && ends(as_nobody_bounded) == 8); /* it would count on what it has not */
	EXPECT(give(TIME, 0, true) && ends(as_nobody_bounded) == 7 && seen->effective == TIME);
}

static void inheritable(void)
{
	EXPECT(give(0, RAW, true) && ends(as_nobody_inheriting) == 7);
	EXPECT(seen->permitted == RAW && seen->effective == RAW && seen->inheritable == (RAW | TIME));
	EXPECT(give(0, RAW, true) && ends(as_nobody) == 7 && seen->permitted == 0);
}

static void no_new_privileges(void)
{
	EXPECT(give(RAW, 0, false) && ends(as_nobody_without_more) == 7);
	EXPECT(seen->permitted == 0 && seen->effective == 0);
}

static void ambient(void)
{
	EXPECT(removexattr("prog", CAPS) == 0 && ends(with_ambient) == 7);
	EXPECT(seen->permitted == TIME && seen->effective == TIME && seen->ambient && !seen->secure);
	EXPECT(give(RAW, 0, false) && ends(with_ambient) == 7);
	EXPECT(seen->permitted == RAW && seen->effective == 0 && !seen->ambient);
}

static void set_user_id_root(void)
{
	EXPECT(give(RAW, 0, true) && chmod("prog", 04755) == 0 && has_caps("prog"));
	EXPECT(ends(as_nobody) == 7 && seen->permitted == RAW && seen->effective == RAW);
	EXPECT(removexattr("prog", CAPS) == 0 && ends(as_nobody) == 7 && (seen->effective & TIME));
	EXPECT(chmod("prog", 0755) == 0);
}

/* Root that has given capabilities up does not get them back where nothing new is to be had. */
static void root_without_more(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { .permitted = 1 << CAP_NET_RAW }, { 0 } };

	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_capset, &h, d) == 0);
	run();
}

static void root(void)
{
	*seen = (struct state){ 0 };
	EXPECT(ends(root_without_more) == 7 && seen->permitted == RAW && seen->effective == RAW);
}

/* ---- user namespaces ---- */

static void inside(void)
{
	struct vfs_ns_cap_data d = value(VFS_CAP_REVISION_2, RAW, 0, true), got;

	become_nobody();
	prctl(PR_SET_DUMPABLE, 1);
	NEED(unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/uid_map", "0 65534 1") == 0);
	NEED(write_file("/proc/self/setgroups", "deny") == 0 && write_file("/proc/self/gid_map", "0 65534 1") == 0);
	NEED(getxattr("prog", CAPS, &got, sizeof(got)) == XATTR_CAPS_SZ_2); /* from above */
	NEED(setxattr("prog", CAPS, &d, XATTR_CAPS_SZ_2, 0) == -1 && errno == EPERM);
	NEED(setxattr("mine", CAPS, &d, XATTR_CAPS_SZ_2, 0) == 0);
	NEED(getxattr("mine", CAPS, &got, sizeof(got)) == XATTR_CAPS_SZ_2);
	d = value(VFS_CAP_REVISION_3, RAW, 0, true);
	d.rootid = 5; /* nobody */
	NEED(setxattr("mine", CAPS, &d, XATTR_CAPS_SZ_3, 0) == -1 && errno == EINVAL);
}

static void user_namespaces(void)
{
	struct vfs_ns_cap_data got;

	EXPECT(give(RAW, 0, true) && make("mine") == 0 && chown("mine", NOBODY, NOBODY) == 0);
	EXPECT(ends(inside) == 0);
	EXPECT(getxattr("mine", CAPS, &got, sizeof(got)) == XATTR_CAPS_SZ_3 && got.rootid == NOBODY);
	EXPECT(rename("prog", "other") == 0 && rename("mine", "prog") == 0);
	EXPECT(unlink("prog") == 0 && rename("other", "prog") == 0);
}

/* What the namespace's root has given counts there, and nowhere else. */
static void foreign(void)
{
	struct vfs_ns_cap_data d = value(VFS_CAP_REVISION_3, RAW, 0, true);

	d.rootid = 1000;
	EXPECT(setxattr("prog", CAPS, &d, XATTR_CAPS_SZ_3, 0) == 0);
	EXPECT(ends(as_nobody) == 7 && seen->permitted == 0 && !seen->secure);
}

static int copy_self(void)
{
	char buf[65536];
	int from = open("/proc/self/exe", O_RDONLY), to = open("prog", O_CREAT | O_WRONLY, 0755);
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, (size_t)n) != n)
			return -1;
	close(from);
	return n < 0 ? -1 : close(to);
}

static int prepare(void)
{
	seen_fd = open("seen", O_CREAT | O_RDWR, 0666);
	if (seen_fd < 0 || ftruncate(seen_fd, 4096))
		return -1;
	seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, seen_fd, 0);
	return seen == MAP_FAILED || chmod(".", 0777) ? -1 : copy_self();
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "report"))
		report(atoi(argv[2]));
	if (geteuid()) {
		printf("skipped: for root alone\n");
		return 0;
	}
	umask(022);
	if (scratch_enter("file_caps") || prepare())
		return 1;
	CASE(forms);
	CASE(rights);
	CASE(what_takes_them);
	CASE(permitted);
	CASE(bounded);
	CASE(inheritable);
	CASE(no_new_privileges);
	CASE(ambient);
	CASE(set_user_id_root);
	CASE(root);
	CASE(user_namespaces);
	CASE(foreign);
	scratch_leave();
	return abi_result();
}
