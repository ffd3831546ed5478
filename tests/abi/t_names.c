/* SPDX-License-Identifier: MIT */
/* Names: walking paths, making, removing, linking and moving files and folders, and what is refused. */
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include "cases.h"
#include "scratch.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE	 2
#endif

static int touch(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0644);

	return fd < 0 ? -1 : close(fd);
}

static ino_t ino(const char *name)
{
	struct stat st;

	return lstat(name, &st) ? 0 : st.st_ino;
}

static nlink_t links(const char *name)
{
	struct stat st;

	return lstat(name, &st) ? 0 : st.st_nlink;
}

static int exists(const char *name)
{
	return ino(name) != 0;
}

static int rename2(const char *from, const char *to, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void walking(void)
{
	char name[300], path[PATH_MAX + 2];

	EXPECT(mkdir("w", 0755) == 0 && mkdir("w/x", 0755) == 0 && touch("w/x/f") == 0);
	EXPECT(ino("w/x/f") == ino("./w//x/./f"));
	EXPECT(ino("w/x/../x/f") == ino("w/x/f"));
	EXPECT(ino("w/x/") == ino("w/x") && ino("w/x/.") == ino("w/x") && ino("w/x/..") == ino("w"));
	EXPECT(ino("/..") == ino("/") && ino("/../../") == ino("/"));
	EXPECT_ERRNO(access("w/x/f/", F_OK), ENOTDIR);
	EXPECT_ERRNO(access("w/x/f/.", F_OK), ENOTDIR);
	EXPECT_ERRNO(access("w/x/f/..", F_OK), ENOTDIR);
	EXPECT_ERRNO(access("w/no/f", F_OK), ENOENT);
	memset(name, 'n', 256);
	name[256] = 0;
	EXPECT_ERRNO(access(name, F_OK), ENAMETOOLONG);
	EXPECT_ERRNO(mkdir(name, 0700), ENAMETOOLONG);
	name[255] = 0;
	EXPECT_ERRNO(access(name, F_OK), ENOENT);
	EXPECT(mkdir(name, 0700) == 0 && rmdir(name) == 0);
	memset(path, '/', sizeof path);
	path[PATH_MAX] = 0;
	EXPECT_ERRNO(access(path, F_OK), ENAMETOOLONG);
	path[PATH_MAX - 1] = 0;
	EXPECT(access(path, F_OK) == 0);
}

static void following(void)
{
	char name[32], target[32], buf[64];

	EXPECT(mkdir("dir", 0755) == 0 && touch("dir/f") == 0);
	EXPECT(symlink("dir", "to_dir") == 0 && symlink("dir/f", "to_file") == 0 && symlink("/", "to_root") == 0);
	EXPECT(ino("to_dir/f") == ino("dir/f") && ino("to_dir/") == ino("dir") && ino("to_dir") != ino("dir"));
	EXPECT(ino("to_root/") == ino("/") && ino("to_dir/../dir") == ino("dir"));
	EXPECT_ERRNO(access("to_file/", F_OK), ENOTDIR);
	EXPECT_ERRNO(access("to_file/x", F_OK), ENOTDIR);
	EXPECT(readlink("to_dir", buf, sizeof buf) == 3 && !memcmp(buf, "dir", 3));
	EXPECT(readlink("to_dir", buf, 2) == 2);
	EXPECT_ERRNO(readlink("dir", buf, sizeof buf), EINVAL);
	EXPECT_ERRNO(readlink("to_dir", buf, 0), EINVAL);
	EXPECT_ERRNO(symlink("x", "to_dir"), EEXIST);
	EXPECT_ERRNO(symlink("", "empty"), ENOENT);
	for (int i = 0; i < 42; i++) {
		snprintf(name, sizeof name, "chain%d", i);
		snprintf(target, sizeof target, i ? "chain%d" : "dir", i - 1);
		EXPECT(symlink(target, name) == 0);
	}
	EXPECT(access("chain39/f", F_OK) == 0);
	EXPECT_ERRNO(access("chain40/f", F_OK), ELOOP);
	EXPECT(access("chain38/../chain0/f", F_OK) == 0);
	EXPECT_ERRNO(access("chain39/../chain0/f", F_OK), ELOOP);
}

static void making(void)
{
	struct stat st;

	umask(022);
	EXPECT(mkdir("m", 0777) == 0 && stat("m", &st) == 0 && st.st_mode == (S_IFDIR | 0755) && st.st_nlink == 2);
	EXPECT_ERRNO(mkdir("m", 0777), EEXIST);
	EXPECT_ERRNO(mkdir("m/", 0777), EEXIST);
	EXPECT_ERRNO(mkdir(".", 0777), EEXIST);
	EXPECT_ERRNO(mkdir("..", 0777), EEXIST);
	EXPECT_ERRNO(mkdir("/", 0777), EEXIST);
	EXPECT_ERRNO(mkdir("no/m", 0777), ENOENT);
	EXPECT_ERRNO(mkdir("", 0777), ENOENT);
	EXPECT(mkdir("m/sub/", 0700) == 0 && links("m") == 3);
	EXPECT(touch("m/f") == 0);
	EXPECT_ERRNO(mkdir("m/f", 0700), EEXIST);
	EXPECT_ERRNO(mkdir("m/f/g", 0700), ENOTDIR);
	EXPECT(mkfifo("m/p", 0666) == 0 && stat("m/p", &st) == 0 && st.st_mode == (S_IFIFO | 0644));
	EXPECT(mknod("m/reg", 0600, 0) == 0 && stat("m/reg", &st) == 0 && S_ISREG(st.st_mode));
	EXPECT_ERRNO(mknod("m/dir", S_IFDIR | 0600, 0), EPERM);
	EXPECT_ERRNO(mknod("m/reg", 0600, 0), EEXIST);
	EXPECT_ERRNO(mknod("m/link", S_IFLNK | 0600, 0), EINVAL);
	EXPECT(symlink("nowhere", "dangling") == 0);
	EXPECT_ERRNO(mkdir("dangling", 0700), EEXIST);
	EXPECT_ERRNO(mkdirat(99, "x", 0700), EBADF);
}

static void removing(void)
{
	int fd;

	EXPECT(mkdir("r", 0755) == 0 && mkdir("r/sub", 0755) == 0 && touch("r/f") == 0);
	EXPECT_ERRNO(rmdir("r"), ENOTEMPTY);
	EXPECT_ERRNO(rmdir("r/f"), ENOTDIR);
	EXPECT_ERRNO(rmdir("r/no"), ENOENT);
	EXPECT_ERRNO(rmdir("r/."), EINVAL);
	EXPECT_ERRNO(rmdir("r/sub/.."), ENOTEMPTY);
	EXPECT_ERRNO(rmdir("/"), EBUSY);
	EXPECT_ERRNO(unlink("r"), EISDIR);
	EXPECT_ERRNO(unlink("r/f/"), ENOTDIR);
	EXPECT_ERRNO(unlink("r/no"), ENOENT);
	EXPECT_ERRNO(unlink("."), EISDIR);
	EXPECT_ERRNO(unlinkat(AT_FDCWD, "r/f", 0x8000), EINVAL);
	fd = open("r", O_RDONLY | O_DIRECTORY);
	EXPECT(unlinkat(fd, "sub", AT_REMOVEDIR) == 0);
	EXPECT(links("r") == 2);
	EXPECT(unlinkat(fd, "f", 0) == 0);
	EXPECT(rmdir("r") == 0);
	EXPECT_ERRNO(openat(fd, "x", O_WRONLY | O_CREAT, 0600), ENOENT);
	EXPECT_ERRNO(mkdirat(fd, "x", 0700), ENOENT);
	close(fd);
}

static void linking(void)
{
	EXPECT(mkdir("l", 0755) == 0 && touch("l/a") == 0);
	EXPECT(link("l/a", "l/b") == 0 && ino("l/a") == ino("l/b") && links("l/a") == 2);
	EXPECT_ERRNO(link("l/a", "l/b"), EEXIST);
	EXPECT_ERRNO(link("l", "l2"), EPERM);
	EXPECT_ERRNO(link("l/no", "l/c"), ENOENT);
	EXPECT_ERRNO(link("l/a", "no/c"), ENOENT);
	EXPECT(symlink("a", "l/s") == 0 && link("l/s", "l/s2") == 0 && ino("l/s") == ino("l/s2"));
	EXPECT(linkat(AT_FDCWD, "l/s", AT_FDCWD, "l/c", AT_SYMLINK_FOLLOW) == 0 && ino("l/c") == ino("l/a") && links("l/a") == 3);
	EXPECT(unlink("l/a") == 0 && links("l/b") == 2);
	EXPECT_ERRNO(linkat(AT_FDCWD, "l/b", AT_FDCWD, "l/d", 0x8000), EINVAL);
}

static void moving(void)
{
	ino_t a, b;

	EXPECT(mkdir("v", 0755) == 0 && mkdir("v/d1", 0755) == 0 && mkdir("v/d2", 0755) == 0);
	EXPECT(touch("v/a") == 0 && touch("v/b") == 0);
	a = ino("v/a");
	b = ino("v/b");
	EXPECT(rename("v/a", "v/c") == 0 && ino("v/c") == a && !exists("v/a"));
	EXPECT(rename("v/c", "v/b") == 0 && ino("v/b") == a && !exists("v/c"));
	EXPECT(touch("v/x") == 0 && rename("v/x", "v/d1/x") == 0 && exists("v/d1/x"));
	EXPECT_ERRNO(rename("v/no", "v/y"), ENOENT);
	EXPECT_ERRNO(rename("v/b", "v/d1"), EISDIR);
	EXPECT_ERRNO(rename("v/d1", "v/b"), ENOTDIR);
	EXPECT_ERRNO(rename("v/d2", "v/d1"), ENOTEMPTY);
	EXPECT_ERRNO(rename("v", "v/d2/v"), EINVAL);
	EXPECT_ERRNO(rename("v/d2/../d2", "v/d2/in"), EINVAL);
	EXPECT_ERRNO(rename("v/d1/x", "v"), ENOTEMPTY);
	EXPECT_ERRNO(rename("v/.", "v/z"), EBUSY);
	EXPECT_ERRNO(rename("v/b", "v/z/"), ENOTDIR);
	EXPECT(links("v") == 4);
	EXPECT(rename("v/d1", "v/d2") == 0 && exists("v/d2/x") && links("v") == 3);
	EXPECT(mkdir("v/e", 0755) == 0 && rename("v/e", "v/d2/e") == 0 && links("v") == 3 && links("v/d2") == 3);
	EXPECT(ino("v/d2/e/..") == ino("v/d2"));
	EXPECT(link("v/b", "v/same") == 0 && rename("v/b", "v/same") == 0 && exists("v/b") && exists("v/same"));
	EXPECT(rename("v/b", "v/b") == 0 && exists("v/b"));
	(void)b;
}

static void moving_with_flags(void)
{
	ino_t a, d;

	EXPECT(mkdir("g", 0755) == 0 && mkdir("g/d", 0755) == 0 && touch("g/a") == 0 && touch("g/d/inside") == 0);
	a = ino("g/a");
	d = ino("g/d");
	EXPECT_ERRNO(rename2("g/a", "g/d", RENAME_NOREPLACE), EEXIST);
	EXPECT(rename2("g/a", "g/b", RENAME_NOREPLACE) == 0);
	EXPECT_ERRNO(rename2("g/b", "g/no", RENAME_EXCHANGE), ENOENT);
	EXPECT(rename2("g/b", "g/d", RENAME_EXCHANGE) == 0 && ino("g/d") == a && ino("g/b") == d && exists("g/b/inside"));
	EXPECT_ERRNO(rename2("g/b", "g/d", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	EXPECT_ERRNO(rename2("g/b", "g/d", 0x100), EINVAL);
	EXPECT_ERRNO(rename2("g/b", "g/b/inside", RENAME_EXCHANGE), EINVAL);
}

static void whiteout(void)
{
	struct stat st;

	EXPECT(touch("shown") == 0);
	EXPECT_ERRNO(rename2("shown", "hidden", RENAME_WHITEOUT | RENAME_EXCHANGE), EINVAL);
	EXPECT(rename2("shown", "hidden", RENAME_WHITEOUT) == 0);
	EXPECT(stat("hidden", &st) == 0 && S_ISREG(st.st_mode));
	EXPECT(stat("shown", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0 && st.st_nlink == 1);
	EXPECT_ERRNO(rename2("hidden", "shown", RENAME_WHITEOUT | RENAME_NOREPLACE), EEXIST);
	EXPECT(rename2("hidden", "shown", RENAME_WHITEOUT) == 0);
	EXPECT(stat("hidden", &st) == 0 && S_ISCHR(st.st_mode) && stat("shown", &st) == 0 && S_ISREG(st.st_mode));
	EXPECT(unlink("hidden") == 0 && unlink("shown") == 0);
}

static void where_am_i(void)
{
	char buf[PATH_MAX], want[128];
	int fd = open(".", O_RDONLY | O_DIRECTORY);

	EXPECT(mkdir("cwd", 0755) == 0 && mkdir("cwd/deep", 0755) == 0 && chdir("cwd/deep") == 0);
	snprintf(want, sizeof want, "%s/cwd/deep", scratch_path);
	EXPECT(getcwd(buf, sizeof buf) && !strcmp(buf, want));
	EXPECT(syscall(SYS_getcwd, buf, sizeof buf) == (long)strlen(want) + 1);
	EXPECT_ERRNO(syscall(SYS_getcwd, buf, 5), ERANGE);
	EXPECT_ERRNO(syscall(SYS_getcwd, (void *)16, sizeof buf), EFAULT);
	EXPECT(rename("../../cwd", "../../moved") == 0);
	snprintf(want, sizeof want, "%s/moved/deep", scratch_path);
	EXPECT(getcwd(buf, sizeof buf) && !strcmp(buf, want));
	EXPECT(rmdir("../deep") == 0);
	EXPECT_ERRNO(syscall(SYS_getcwd, buf, sizeof buf), ENOENT);
	EXPECT_ERRNO(open("x", O_WRONLY | O_CREAT, 0600), ENOENT);
	EXPECT(access("..", F_OK) == 0);
	EXPECT(fchdir(fd) == 0 && getcwd(buf, sizeof buf) && !strcmp(buf, scratch_path));
	EXPECT_ERRNO(chdir("moved/no"), ENOENT);
	EXPECT(touch("plain") == 0);
	EXPECT_ERRNO(chdir("plain"), ENOTDIR);
	EXPECT_ERRNO(fchdir(99), EBADF);
	close(fd);
}

static void many_in_one_folder(void)
{
	char name[32];
	int fine = 1;

	EXPECT(mkdir("many", 0755) == 0);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "many/file-number-%d", i);
		fine &= touch(name) == 0;
	}
	for (int i = 0; i < 3000; i += 2) {
		snprintf(name, sizeof name, "many/file-number-%d", i);
		fine &= unlink(name) == 0;
	}
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "many/file-number-%d", i);
		fine &= exists(name) == i % 2;
	}
	EXPECT(fine);
}

static int open_within(int root, const char *name, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .mode = flags & (O_CREAT | __O_TMPFILE) ? 0600 : 0, .resolve = resolve };

	return (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
}

static ino_t ino_within(int root, const char *name, uint64_t flags, uint64_t resolve)
{
	int fd = open_within(root, name, flags, resolve);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return 0;
	close(fd);
	return st.st_ino;
}

/* RESOLVE_IN_ROOT: an absolute name begins in the root that was given, and no kind of opening leads out of it. */
static void in_a_root(void)
{
	int root, fd;

	EXPECT(mkdir("root", 0755) == 0 && mkdir("root/tmp", 0755) == 0 && touch("root/tmp/file") == 0 && symlink("/tmp", "root/link") == 0);
	root = open("root", O_PATH | O_DIRECTORY);
	EXPECT(ino_within(root, "/", O_PATH, RESOLVE_IN_ROOT) == ino("root"));
	EXPECT(ino_within(root, "//../tmp/file", O_RDONLY, RESOLVE_IN_ROOT) == ino("root/tmp/file"));
	EXPECT(ino_within(root, "/link/file", O_RDONLY, RESOLVE_IN_ROOT) == ino("root/tmp/file"));
	EXPECT(ino_within(root, "/tmp/new", O_WRONLY | O_CREAT, RESOLVE_IN_ROOT) == ino("root/tmp/new") && exists("root/tmp/new"));
	EXPECT_ERRNO(open_within(root, "/root", O_RDONLY, RESOLVE_IN_ROOT), ENOENT);
	EXPECT_ERRNO(open_within(root, "/root", O_RDWR | O_TMPFILE, RESOLVE_IN_ROOT), ENOENT);
	EXPECT_ERRNO(open_within(root, "..", O_RDWR | O_TMPFILE, RESOLVE_BENEATH), EXDEV);
	EXPECT_ERRNO(open_within(root, "/tmp", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	fd = open_within(root, "/tmp", O_RDWR | O_TMPFILE, RESOLVE_IN_ROOT);
	EXPECT(fd >= 0 && close(fd) == 0 && close(root) == 0);
}

int main(void)
{
	if (scratch_enter("names"))
		return 1;
	CASE(walking);
	CASE(following);
	CASE(making);
	CASE(removing);
	CASE(linking);
	CASE(moving);
	CASE(moving_with_flags);
	CASE(whiteout);
	CASE(in_a_root);
	CASE(where_am_i);
	CASE(many_in_one_folder);
	scratch_leave();
	return abi_result();
}
