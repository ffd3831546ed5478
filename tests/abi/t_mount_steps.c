/* SPDX-License-Identifier: MIT */
/* Mounting in steps: open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr. Run as root. */
#include "cases.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "inside.h"

static char base[] = "/tmp/t_mount_steps.XXXXXX";

/* In a chroot that is no mount of its own, Linux does not make mounts private. */
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

static void own_tree(void)
{
	NEED(unshare(CLONE_NEWNS) == 0);
	NEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	NEED(mount("base", base, "tmpfs", 0, NULL) == 0 && chdir(base) == 0);
	NEED(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0 && mkdir("c", 0755) == 0);
}

/* The last line of mountinfo about a place in the base, or "". */
static const char *line_of(const char *place)
{
	static char line[1024], found[1024];
	char at[512], wanted[512];
	FILE *f = fopen("/proc/self/mountinfo", "r");

	found[0] = '\0';
	snprintf(wanted, sizeof(wanted), "%s/%s", base, place);
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*u %*u %*s %*s %511s", at) == 1 && strcmp(at, wanted) == 0)
			strcpy(found, line);
	if (f)
		fclose(f);
	return found;
}

static int fs_open(const char *type)
{
	return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static int config(int fd, unsigned command, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, command, key, value, aux);
}

static int fs_mount(int fd, unsigned attributes)
{
	return (int)syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes);
}

static int move_to(int fd, const char *place)
{
	return (int)syscall(SYS_move_mount, fd, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH);
}

static int tree_of(const char *name, unsigned flags)
{
	return (int)syscall(SYS_open_tree, AT_FDCWD, name, flags | OPEN_TREE_CLOEXEC);
}

static int set_attributes(int fd, const char *name, unsigned flags, uint64_t set, uint64_t clear, uint64_t propagation)
{
	struct mount_attr a = { .attr_set = set, .attr_clr = clear, .propagation = propagation };

	return (int)syscall(SYS_mount_setattr, fd, name, flags, &a, sizeof(a));
}

static bool says(int fd, const char *text)
{
	char got[512];
	ssize_t n = read(fd, got, sizeof(got) - 1);

	got[n < 0 ? 0 : n] = '\0';
	return strcmp(got, text) == 0;
}

static bool is_there(const char *name)
{
	return access(name, F_OK) == 0;
}

/* ---- contexts ---- */

static void parameters_child(void)
{
	char text[4];
	int fd = fs_open("tmpfs");

	NEED(fd >= 0);
	NEED(fs_open("nothing") == -1 && errno == ENODEV);
	NEED(syscall(SYS_fsopen, "tmpfs", 4) == -1 && errno == EINVAL);
	NEED(read(fd, text, sizeof(text)) == -1 && errno == ENODATA);
	NEED(config(fd, FSCONFIG_SET_STRING, "foo", "bar", 0) == -1 && errno == EINVAL);
	NEED(read(fd, text, sizeof(text)) == -1 && errno == EMSGSIZE);
	NEED(config(fd, FSCONFIG_SET_FLAG, "size", NULL, 0) == -1 && errno == EINVAL);
	NEED(config(fd, FSCONFIG_SET_STRING, "source", "one", 0) == 0);
	NEED(config(fd, FSCONFIG_SET_STRING, "source", "two", 0) == -1 && errno == EINVAL);
	close(fd);
	fd = fs_open("tmpfs");
	NEED(config(fd, FSCONFIG_SET_STRING, "foo", "bar", 0) == -1 && says(fd, "e tmpfs: Unknown parameter 'foo'\n"));
	NEED(config(fd, FSCONFIG_SET_STRING, "size", "zz", 0) == -1 && says(fd, "e tmpfs: Bad value for 'size'\n"));
	NEED(config(fd, FSCONFIG_SET_STRING, "mode", "99", 0) == -1 && says(fd, "e tmpfs: Bad value for 'mode'\n"));
	NEED(config(fd, FSCONFIG_SET_FLAG, "source", NULL, 0) == -1 && says(fd, "e Non-string source\n"));
	NEED(config(fd, FSCONFIG_SET_BINARY, "size", "xx", 2) == -1 && errno == EINVAL);
	NEED(config(fd, FSCONFIG_SET_FD, "size", NULL, 99) == -1 && errno == EBADF);
	NEED(config(fd, 99, NULL, NULL, 0) == -1 && errno == EOPNOTSUPP);
	NEED(config(fd, FSCONFIG_SET_FLAG, NULL, NULL, 0) == -1 && errno == EINVAL);
	NEED(config(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 1) == -1 && errno == EINVAL);
	NEED(config(-1, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1 && errno == EINVAL);
	NEED(config(77, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1 && errno == EBADF);
	NEED(config(open("/", O_RDONLY), FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1 && errno == EINVAL);
	NEED(config(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == -1 && errno == EBUSY);
	NEED(fs_mount(fd, 0) == -1 && errno == EINVAL);
}

static void cgroup_child(void)
{
	int fd = fs_open("cgroup2");

	NEED(fd >= 0);
	NEED(config(fd, FSCONFIG_SET_FLAG, "nsdelegate", NULL, 0) == 0);
	NEED(config(fd, FSCONFIG_SET_STRING, "nsdelegate", "x", 0) == -1 && errno == EINVAL);
	NEED(config(fd, FSCONFIG_SET_FLAG, "nothing", NULL, 0) == -1 && errno == EINVAL);
}

static void messages_child(void)
{
	int fd = fs_open("proc");
	char key[300] = "", text[64];

	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		NEED(config(fd, FSCONFIG_SET_STRING, key, "v", 0) == -1 && errno == EINVAL);
	}
	for (int i = 2; i < 10; i++) { /* the last eight are kept */
		snprintf(text, sizeof(text), "e proc: Unknown parameter 'k%d'\n", i);
		NEED(says(fd, text));
	}
	NEED(read(fd, text, sizeof(text)) == -1 && errno == ENODATA);
	memset(key, 'k', 256);
	NEED(config(fd, FSCONFIG_SET_STRING, key, "v", 0) == -1 && errno == EINVAL);
	NEED(config(fd, FSCONFIG_SET_STRING, (char *)8, "v", 0) == -1 && errno == EFAULT);
}

static void mounting_child(void)
{
	int fd = fs_open("tmpfs"), m;

	own_tree();
	NEED(config(fd, FSCONFIG_SET_STRING, "size", "1m", 0) == 0 && config(fd, FSCONFIG_SET_STRING, "source", "mine", 0) == 0);
	NEED(config(fd, FSCONFIG_SET_STRING, "mode", "0700", 0) == 0 && config(fd, FSCONFIG_SET_FLAG, "ro", NULL, 0) == 0);
	NEED(config(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0);
	NEED(config(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1 && errno == EBUSY);
	NEED(config(fd, FSCONFIG_SET_STRING, "size", "2m", 0) == -1 && errno == EBUSY);
	NEED(syscall(SYS_fsmount, fd, 2, 0) == -1 && errno == EINVAL);
	NEED(fs_mount(fd, 0x10000) == -1 && errno == EINVAL);
	NEED(fs_mount(fd, MOUNT_ATTR__ATIME) == -1 && errno == EINVAL);
	NEED(fs_mount(0, 0) == -1 && errno == EINVAL);
	NEED(fs_mount(77, 0) == -1 && errno == EBADF);
	m = fs_mount(fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
	NEED(m >= 0 && (fcntl(m, F_GETFL) & O_PATH));
	NEED(fs_mount(fd, 0) == -1 && errno == EBUSY);
	NEED(mkdirat(m, "x", 0755) == -1 && errno == EROFS);
	NEED(config(fd, FSCONFIG_SET_FLAG, "rw", NULL, 0) == 0 && config(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0);
	NEED(mkdirat(m, "x", 0755) == 0);
	NEED(syscall(SYS_move_mount, m, "", AT_FDCWD, "a", 0) == -1 && errno == ENOENT);
	NEED(syscall(SYS_move_mount, m, "", AT_FDCWD, "a", 0x1000) == -1 && errno == EINVAL);
	NEED(move_to(m, "a") == 0 && is_there("a/x"));
	NEED(strstr(line_of("a"), " rw,nosuid,noatime - tmpfs mine rw,size=1024k,mode=700") != NULL);
	NEED(move_to(m, "a") == -1 && errno == ELOOP);
	close(m);
	close(fd);
	NEED(is_there("a/x") && umount2("a", 0) == 0);
}

static void changing_child(void)
{
	int fd;

	own_tree();
	NEED(mount("x", "a", "tmpfs", 0, NULL) == 0 && mkdir("a/in", 0755) == 0);
	NEED(syscall(SYS_fspick, AT_FDCWD, "a/in", 0) == -1 && errno == EINVAL); /* no mount's root */
	NEED(syscall(SYS_fspick, AT_FDCWD, "a", 16) == -1 && errno == EINVAL);
	fd = (int)syscall(SYS_fspick, AT_FDCWD, "a", FSPICK_CLOEXEC);
	NEED(fd >= 0);
	NEED(config(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1 && errno == EBUSY);
	NEED(fs_mount(fd, 0) == -1 && errno == EBUSY);
	NEED(config(fd, FSCONFIG_SET_FLAG, "ro", NULL, 0) == 0 && config(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0);
	NEED(mkdir("a/y", 0755) == -1 && errno == EROFS);
}

static void contexts(void)
{
	EXPECT(ends(parameters_child) == 0);
	EXPECT(ends(cgroup_child) == 0);
	EXPECT(ends(messages_child) == 0);
	EXPECT(ends(mounting_child) == 0);
	EXPECT(ends(changing_child) == 0);
}

/* ---- trees ---- */

static void trees_child(void)
{
	int fd, plain;

	own_tree();
	NEED(mount("x", "a", "tmpfs", 0, NULL) == 0 && mkdir("a/in", 0755) == 0 && mount("x", "a/in", "tmpfs", 0, NULL) == 0);
	NEED(mkdir("a/in/deep", 0755) == 0);
	NEED(tree_of("a", 2) == -1 && errno == EINVAL);
	NEED(tree_of("a", AT_RECURSIVE) == -1 && errno == EINVAL);
	plain = tree_of("a", 0);
	NEED(plain >= 0 && move_to(plain, "c") == 0 && is_there("c/in/deep") && !is_there("a/in")); /* the mount itself */
	NEED(move_to(plain, "a") == 0);
	fd = tree_of("a", OPEN_TREE_CLONE);
	NEED(fd >= 0 && faccessat(fd, "in", F_OK, 0) == 0 && faccessat(fd, "in/deep", F_OK, 0) == -1);
	close(fd);
	fd = tree_of("a", OPEN_TREE_CLONE | AT_RECURSIVE);
	NEED(fd >= 0 && faccessat(fd, "in/deep", F_OK, 0) == 0);
	NEED(umount2("a", MNT_DETACH) == 0 && !is_there("a/in") && faccessat(fd, "in/deep", F_OK, 0) == 0);
	NEED(move_to(fd, "b") == 0 && is_there("b/in/deep"));
	close(fd);
	NEED(is_there("b/in/deep"));
	fd = tree_of("b/in/deep", OPEN_TREE_CLONE); /* of a folder */
	NEED(fd >= 0 && move_to(fd, "a") == 0 && strstr(line_of("a"), " /deep ") != NULL);
	NEED(set_attributes(AT_FDCWD, "b", 0, 0, 0, MS_UNBINDABLE) == 0);
	NEED(tree_of("b", OPEN_TREE_CLONE) == -1 && errno == EINVAL);
}

/* What was attached goes with the descriptor if it was not put anywhere, and is passed on if it was. */
static void detached_child(void)
{
	int fd, in;

	own_tree();
	NEED(mount("x", "a", "tmpfs", 0, NULL) == 0 && mkdir("a/in", 0755) == 0 && set_attributes(AT_FDCWD, "a", 0, 0, 0, MS_SHARED) == 0);
	NEED(mount("a", "b", NULL, MS_BIND, NULL) == 0);
	NEED(mount("y", "c", "tmpfs", 0, NULL) == 0 && mkdir("c/there", 0755) == 0);
	fd = tree_of("c", OPEN_TREE_CLONE);
	NEED(umount2("c", 0) == 0 && move_to(fd, "a/in") == 0 && is_there("b/in/there"));
	close(fd);
	fd = tree_of("a/in", OPEN_TREE_CLONE);
	in = openat(fd, "there", O_RDONLY | O_DIRECTORY);
	NEED(in >= 0);
	close(fd);
	NEED(fchdir(in) == 0 && is_there(".") && chdir(base) == 0); /* lives on for who is in it */
}

static void groups_child(void)
{
	int from, to;

	own_tree();
	NEED(mount("x", "a", "tmpfs", 0, NULL) == 0 && mkdir("a/in", 0755) == 0 && mount("a", "b", NULL, MS_BIND, NULL) == 0);
	from = tree_of("a", 0);
	to = tree_of("b", 0);
	NEED(syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == -1 && errno == EINVAL);
	NEED(set_attributes(from, "", AT_EMPTY_PATH, 0, 0, MS_SHARED) == 0);
	NEED(syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0);
	NEED(mount("y", "a/in", "tmpfs", 0, NULL) == 0 && mkdir("a/in/more", 0755) == 0 && is_there("b/in/more"));
}

static void trees(void)
{
	EXPECT(ends(trees_child) == 0);
	EXPECT(ends(detached_child) == 0);
	EXPECT(ends(groups_child) == 0);
}

/* ---- attributes ---- */

static void attributes_child(void)
{
	struct mount_attr a = { 0 };
	char longer[64] = { 0 };

	own_tree();
	NEED(mount("x", "a", "tmpfs", 0, NULL) == 0 && mkdir("a/in", 0755) == 0 && mount("y", "a/in", "tmpfs", 0, NULL) == 0);
	NEED(symlink("in", "a/link") == 0);
	NEED(strstr(line_of("a"), " rw,relatime - ") != NULL);
	NEED(syscall(SYS_mount_setattr, AT_FDCWD, "a", 0, &a, 16) == -1 && errno == EINVAL);
	NEED(syscall(SYS_mount_setattr, AT_FDCWD, "a", 0, &a, 5000) == -1 && errno == E2BIG);
	NEED(syscall(SYS_mount_setattr, AT_FDCWD, "a", 8, &a, sizeof(a)) == -1 && errno == EINVAL);
	longer[40] = 1;
	NEED(syscall(SYS_mount_setattr, AT_FDCWD, "a", 0, longer, sizeof(longer)) == -1 && errno == E2BIG);
	NEED(set_attributes(AT_FDCWD, "a", 0, MOUNT_ATTR_NOATIME, 0, 0) == -1 && errno == EINVAL);
	NEED(set_attributes(AT_FDCWD, "a", 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NOATIME, 0) == -1 && errno == EINVAL);
	NEED(set_attributes(AT_FDCWD, "a", 0, 0, 0, MS_SHARED | MS_SLAVE) == -1 && errno == EINVAL);
	NEED(set_attributes(AT_FDCWD, "a", 0, 0, 0, MS_REC) == -1 && errno == EINVAL);
	NEED(set_attributes(AT_FDCWD, "a/link", AT_SYMLINK_NOFOLLOW, MOUNT_ATTR_RDONLY, 0, 0) == -1 && errno == EINVAL); /* no root */
	NEED(set_attributes(AT_FDCWD, "a", 0, MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODIRATIME, MOUNT_ATTR__ATIME, 0) == 0);
	NEED(strstr(line_of("a"), " rw,noatime,nodiratime - ") != NULL && strstr(line_of("a/in"), " rw,relatime - ") != NULL);
	NEED(set_attributes(AT_FDCWD, "a", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, MOUNT_ATTR__ATIME, MS_SHARED) == 0);
	NEED(strstr(line_of("a"), " ro,noexec,nodiratime,relatime shared:") != NULL);
	NEED(strstr(line_of("a/in"), " ro,noexec,relatime shared:") != NULL);
	NEED(mkdir("a/in/x", 0755) == -1 && errno == EROFS);
	NEED(set_attributes(AT_FDCWD, "a", AT_RECURSIVE, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, MS_PRIVATE) == 0);
	NEED(mkdir("a/in/x", 0755) == 0 && strstr(line_of("a/in"), " rw,relatime,nosymfollow - ") != NULL);
	NEED(open("a/link", O_RDONLY) == -1 && errno == ELOOP);
}

static void locked_child(void)
{
	own_tree();
	NEED(mount("x", "a", "tmpfs", MS_NOSUID | MS_RDONLY, NULL) == 0);
	NEED(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	NEED(set_attributes(AT_FDCWD, "a", 0, 0, MOUNT_ATTR_RDONLY, 0) == -1 && errno == EPERM);
	NEED(set_attributes(AT_FDCWD, "a", 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, 0) == -1 && errno == EPERM);
	NEED(set_attributes(AT_FDCWD, "a", 0, MOUNT_ATTR_NOEXEC, 0, 0) == 0);
}

static void nobody_child(void)
{
	NEED(setresuid(65534, 65534, 65534) == 0);
	NEED(fs_open("tmpfs") == -1 && errno == EPERM);
	NEED(tree_of("/", OPEN_TREE_CLONE) == -1 && errno == EPERM);
	NEED(tree_of("/", 0) >= 0);
	NEED(move_to(0, "/") == -1 && errno == EPERM);
	NEED(fs_mount(0, 0) == -1 && errno == EPERM);
	NEED(syscall(SYS_fspick, AT_FDCWD, "/", 0) == -1 && errno == EPERM);
	NEED(set_attributes(AT_FDCWD, "/", 0, MOUNT_ATTR_NOEXEC, 0, 0) == -1 && errno == EPERM);
}

static void attributes(void)
{
	EXPECT(ends(attributes_child) == 0);
	EXPECT(ends(locked_child) == 0);
	EXPECT(ends(nobody_child) == 0);
}

/* ---- staying on a mount ---- */

static int open_here(int from, const char *name, uint64_t resolve)
{
	struct open_how how = { .flags = O_PATH, .resolve = resolve };

	return (int)syscall(SYS_openat2, from, name, &how, sizeof(how));
}

static void stays_child(void)
{
	int in;

	own_tree();
	NEED(mkdir("a/in", 0755) == 0 && symlink("/", "link") == 0 && symlink("../b", "a/beside") == 0);
	in = open("a/in", O_RDONLY | O_DIRECTORY);
	NEED(open_here(AT_FDCWD, "link", 0) >= 0 && open_here(AT_FDCWD, "a/beside", RESOLVE_NO_XDEV) >= 0);
	NEED(open_here(AT_FDCWD, "link", RESOLVE_NO_XDEV) == -1 && errno == EXDEV); /* the root is another mount's */
	NEED(open_here(in, "..", RESOLVE_NO_XDEV) >= 0);
	NEED(mount("x", "a", "tmpfs", 0, NULL) == 0 && open_here(in, "..", 0) >= 0);
	NEED(open_here(in, "..", RESOLVE_NO_XDEV) == -1 && errno == EXDEV); /* into what is mounted there now */
	NEED(open_here(AT_FDCWD, "a", RESOLVE_NO_XDEV) == -1 && errno == EXDEV);
	NEED(chroot(".") == 0 && open_here(AT_FDCWD, "/link/b", RESOLVE_NO_XDEV) >= 0);
}

static void stays(void)
{
	EXPECT(ends(stays_child) == 0);
}

int main(void)
{
	if (!mkdtemp(base))
		return 1;
	if (root_is_a_mount()) {
		CASE(contexts);
		CASE(trees);
		CASE(attributes);
		CASE(stays);
	}
	rmdir(base);
	return abi_result();
}
