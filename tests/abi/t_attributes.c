/* SPDX-License-Identifier: MIT */
/* Attributes and permissions: stat, statx, access, modes, owners, times, for root and for a user. */
#include <grp.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include "cases.h"
#include "scratch.h"

static int make(const char *name, mode_t mode)
{
	int fd = open(name, O_RDWR | O_CREAT, mode);

	return fd < 0 ? -1 : close(fd);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	return stat(name, &st) ? 0 : st.st_mode & 07777;
}

static void looking(void)
{
	struct stat st, by_fd;
	struct statx sx;
	struct statfs fs;
	int fd = open("look", O_RDWR | O_CREAT, 0640);

	EXPECT(write(fd, "12345", 5) == 5);
	EXPECT(stat("look", &st) == 0 && fstat(fd, &by_fd) == 0);
	EXPECT(st.st_ino == by_fd.st_ino && st.st_dev == by_fd.st_dev && st.st_size == 5 && st.st_nlink == 1);
	EXPECT(st.st_mode == (S_IFREG | 0640) && st.st_uid == 0 && st.st_gid == 0 && st.st_blksize == 4096);
	EXPECT(st.st_mtim.tv_sec > 1600000000 && st.st_mtim.tv_nsec < 1000000000);
	EXPECT(fstatat(fd, "", &by_fd, AT_EMPTY_PATH) == 0 && by_fd.st_ino == st.st_ino);
	EXPECT_ERRNO(fstatat(fd, "", &by_fd, 0), ENOENT);
	EXPECT_ERRNO(fstatat(fd, "x", &by_fd, 0), ENOTDIR);
	EXPECT_ERRNO(fstatat(AT_FDCWD, "look", &by_fd, 0x10000000), EINVAL);
	EXPECT(statx(AT_FDCWD, "look", 0, STATX_BASIC_STATS, &sx) == 0 && sx.stx_size == 5 && sx.stx_mode == (S_IFREG | 0640) &&
	       sx.stx_ino == st.st_ino && makedev(sx.stx_dev_major, sx.stx_dev_minor) == st.st_dev);
	EXPECT_ERRNO(statx(AT_FDCWD, "look", 0, 0x80000000u, &sx), EINVAL);
	EXPECT(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
	EXPECT(statfs(".", &fs) == 0 && fs.f_namelen == 255 && fstatfs(fd, &fs) == 0);
	EXPECT_ERRNO(statfs("no", &fs), ENOENT);
	close(fd);
}

static void modes(void)
{
	umask(027);
	EXPECT(make("m1", 0666) == 0 && mode_of("m1") == 0640);
	EXPECT(chmod("m1", 04755) == 0 && mode_of("m1") == 04755);
	EXPECT(chmod("m1", 0177777) == 0 && mode_of("m1") == 07777);
	EXPECT_ERRNO(chmod("no", 0600), ENOENT);
	EXPECT(symlink("m1", "to_m1") == 0 && chmod("to_m1", 0600) == 0 && mode_of("m1") == 0600);
	EXPECT(mkdir("setgid", 0755) == 0 && chown("setgid", 0, 77) == 0 && chmod("setgid", 02775) == 0);
	EXPECT(mkdir("setgid/sub", 0755) == 0 && (mode_of("setgid/sub") & 02000) && make("setgid/f", 0600) == 0);
	EXPECT(umask(022) == 027);
}

static void owners(void)
{
	struct stat st;

	EXPECT(make("o", 0755) == 0 && chown("o", 10, 20) == 0 && stat("o", &st) == 0 && st.st_uid == 10 && st.st_gid == 20);
	EXPECT(chown("o", -1, 30) == 0 && stat("o", &st) == 0 && st.st_uid == 10 && st.st_gid == 30);
	EXPECT(chmod("o", 06755) == 0 && chown("o", 11, -1) == 0 && mode_of("o") == 0755);
	EXPECT(symlink("o", "to_o") == 0 && lchown("to_o", 5, 5) == 0 && lstat("to_o", &st) == 0 && st.st_uid == 5);
	EXPECT(stat("to_o", &st) == 0 && st.st_uid == 11);
	EXPECT_ERRNO(fchownat(AT_FDCWD, "o", 0, 0, 0x8000), EINVAL);
	EXPECT_ERRNO(fchown(99, 0, 0), EBADF);
}

static void times(void)
{
	struct timespec ts[2] = { { 1000, 5 }, { 2000, 7 } };
	struct stat st;
	int fd;

	EXPECT(make("t", 0644) == 0 && utimensat(AT_FDCWD, "t", ts, 0) == 0 && stat("t", &st) == 0);
	EXPECT(st.st_atim.tv_sec == 1000 && st.st_atim.tv_nsec == 5 && st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 7);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	EXPECT(utimensat(AT_FDCWD, "t", ts, 0) == 0 && stat("t", &st) == 0 && st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec > 1600000000);
	ts[0].tv_nsec = -5;
	EXPECT_ERRNO(utimensat(AT_FDCWD, "t", ts, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_utimensat, AT_FDCWD, "t", 16, 0), EFAULT);
	EXPECT_ERRNO(utimensat(AT_FDCWD, "no", NULL, 0), ENOENT);
#ifdef SYS_futimesat
	EXPECT_ERRNO(syscall(SYS_futimesat, AT_FDCWD, "t", (long[4]){ 1, 0, 2, -9209243096847338958L }), EINVAL);
	EXPECT(syscall(SYS_futimesat, AT_FDCWD, "t", (long[4]){ 4000, 8, 2, 9 }) == 0 && stat("t", &st) == 0 && st.st_atim.tv_nsec == 8000);
#endif
	fd = open("t", O_RDWR);
	ts[0] = (struct timespec){ 3000, 0 };
	ts[1] = (struct timespec){ -5, 1 };
	EXPECT(futimens(fd, ts) == 0 && fstat(fd, &st) == 0 && st.st_atim.tv_sec == 3000 && st.st_mtim.tv_sec == -5 && st.st_mtim.tv_nsec == 1);
	EXPECT(write(fd, "x", 1) == 1 && fstat(fd, &st) == 0 && st.st_mtim.tv_sec > 1600000000 && st.st_ctim.tv_sec > 1600000000);
	EXPECT(utimensat(AT_FDCWD, ".", (struct timespec[]){ { 1, 0 }, { 1, 0 } }, 0) == 0 && make("t2", 0600) == 0);
	EXPECT(stat(".", &st) == 0 && st.st_mtim.tv_sec > 1600000000);
	close(fd);
}

/* As user 1000, group 1000 and 77. */
static int as_user(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		gid_t groups[] = { 77 };

		if (setgroups(1, groups) || setgid(1000) || setuid(1000))
			_exit(90);
		_exit(fn());
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define USER_CHECK(expression)    \
	do {                      \
		if (!(expression)) \
			return __LINE__ & 127; \
	} while (0)
#define FAILS(expression, wanted) ((expression) == -1 && errno == (wanted))

static int user_opens(void)
{
	USER_CHECK(FAILS(open("p/root_only", O_RDONLY), EACCES));
	USER_CHECK(open("p/for_all", O_RDONLY) >= 0 && FAILS(open("p/for_all", O_RDWR), EACCES));
	USER_CHECK(open("p/for_group", O_RDWR) >= 0);
	USER_CHECK(FAILS(open("p/not_for_group", O_RDONLY), EACCES));
	USER_CHECK(FAILS(open("p/mine", O_RDONLY), EACCES)); /* the owner's bits count, not the others' */
	USER_CHECK(FAILS(open("p/new", O_RDWR | O_CREAT, 0600), EACCES));
	USER_CHECK(FAILS(access("p/closed/x", F_OK), EACCES) && FAILS(access("p/for_all", W_OK), EACCES));
	USER_CHECK(access("p/for_all", R_OK) == 0 && FAILS(access("p/for_all", X_OK), EACCES));
	USER_CHECK(FAILS(mkdir("p/d", 0700), EACCES) && FAILS(unlink("p/for_all"), EACCES));
	return 0;
}

static int user_changes(void)
{
	struct stat st;

	USER_CHECK(FAILS(chmod("p/for_all", 0777), EPERM) && chmod("p/mine", 0644) == 0);
	USER_CHECK(FAILS(chown("p/mine", 0, -1), EPERM) && chown("p/mine", -1, 77) == 0 && FAILS(chown("p/mine", -1, 5), EPERM));
	USER_CHECK(FAILS(utimensat(AT_FDCWD, "p/for_all", (struct timespec[]){ { 1, 0 }, { 1, 0 } }, 0), EPERM));
	USER_CHECK(FAILS(utimensat(AT_FDCWD, "p/for_all", NULL, 0), EACCES) && utimensat(AT_FDCWD, "p/for_group", NULL, 0) == 0);
	USER_CHECK(chmod("p/mine", 02755) == 0 && stat("p/mine", &st) == 0 && (st.st_mode & S_ISGID));
	USER_CHECK(chmod("p/suid", 04755) == -1);
	USER_CHECK(FAILS(chown("p/suid", -1, -1), EPERM) && stat("p/suid", &st) == 0 && (st.st_mode & S_ISUID)); /* nothing changes: nothing goes */
	USER_CHECK(chown("p/for_all", -1, -1) == 0);
	return 0;
}

static int user_in_sticky(void)
{
	USER_CHECK(FAILS(unlink("sticky/roots"), EPERM) && FAILS(rename("sticky/roots", "sticky/x"), EPERM));
	USER_CHECK(make("sticky/own", 0600) == 0 && rename("sticky/own", "sticky/own2") == 0 && unlink("sticky/own2") == 0);
	return 0;
}

static int user_makes_programs_of_a_group(void)
{
	struct stat st;

	USER_CHECK(make("theirs/program", 02755) == 0 && stat("theirs/program", &st) == 0); /* it is the folder's group's, and he is not in it */
	USER_CHECK(st.st_gid == 78 && (st.st_mode & 07777) == 0755);
	USER_CHECK(make("ours/program", 02755) == 0 && stat("ours/program", &st) == 0 && st.st_gid == 77 && (st.st_mode & 07777) == 02755);
	USER_CHECK(mkdir("theirs/folder", 0755) == 0 && stat("theirs/folder", &st) == 0 && (st.st_mode & 07777) == 02755);
	return 0;
}

/* Who owns a file while its owner changes: its mode and its owner are decided upon together. */
static void changing_owners(void)
{
	pid_t pid = fork();
	struct stat st;
	int status;

	if (pid == 0) {
		if (setgid(1000) || setuid(1000))
			_exit(90);
		for (int i = 0; i < 3000; i++)
			(void)chmod("p/passed", 04755);
		_exit(0);
	}
	for (int i = 0; i < 1000; i++) {
		EXPECT(chown("p/passed", 0, 0) == 0 && stat("p/passed", &st) == 0);
		if (st.st_mode & S_ISUID) {
			EXPECT(!"root's, and set-user-ID by somebody else");
			break;
		}
		EXPECT(chmod("p/passed", 0755) == 0 && chown("p/passed", 1000, 1000) == 0);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

static int user_writes_suid(void)
{
	int fd = open("p/suid", O_WRONLY);
	struct stat st;

	USER_CHECK(fd >= 0 && write(fd, "x", 1) == 1 && fstat(fd, &st) == 0 && !(st.st_mode & S_ISUID));
	return 0;
}

static int user_is_no_admin(void)
{
	char buf[64];

	USER_CHECK(FAILS(chroot("."), EPERM) && FAILS(mknod("sticky/dev", S_IFCHR | 0600, makedev(1, 3)), EPERM));
	USER_CHECK(FAILS(readlink("/proc/1/exe", buf, sizeof buf), EACCES) && FAILS(access("/proc/1/cwd/", F_OK), EACCES));
	USER_CHECK(FAILS(syscall(SYS_mount, "none", ".", "tmpfs", 0, NULL), EPERM) && FAILS(syscall(SYS_umount2, "/", 0), EPERM));
	return 0;
}

static void permissions(void)
{
	umask(0);
	EXPECT(chmod(".", 0755) == 0 && mkdir("p", 0755) == 0 && mkdir("p/closed", 0700) == 0 && make("p/closed/x", 0666) == 0);
	EXPECT(make("p/root_only", 0600) == 0 && make("p/for_all", 0644) == 0 && make("p/for_group", 0660) == 0 && chown("p/for_group", 0, 77) == 0);
	EXPECT(make("p/not_for_group", 0606) == 0 && chown("p/not_for_group", 0, 77) == 0);
	EXPECT(make("p/mine", 0077) == 0 && chown("p/mine", 1000, 1000) == 0);
	EXPECT(make("p/suid", 0777) == 0 && chmod("p/suid", 04777) == 0);
	EXPECT(mkdir("theirs", 0777) == 0 && chown("theirs", 0, 78) == 0 && chmod("theirs", 02777) == 0);
	EXPECT(mkdir("ours", 0777) == 0 && chown("ours", 0, 77) == 0 && chmod("ours", 02777) == 0);
	EXPECT(make("p/passed", 0755) == 0 && chown("p/passed", 1000, 1000) == 0);
	EXPECT(mkdir("sticky", 01777) == 0 && make("sticky/roots", 0666) == 0);
	EXPECT(as_user(user_opens) == 0);
	EXPECT(as_user(user_changes) == 0);
	EXPECT(as_user(user_in_sticky) == 0);
	EXPECT(as_user(user_makes_programs_of_a_group) == 0);
	EXPECT(as_user(user_writes_suid) == 0);
	changing_owners();
	EXPECT(as_user(user_is_no_admin) == 0);
	EXPECT(access("p/root_only", R_OK | W_OK) == 0);
	EXPECT_ERRNO(access("p/root_only", X_OK), EACCES);
	EXPECT_ERRNO(access("p/root_only", 8), EINVAL);
	umask(022);
}

int main(void)
{
	if (scratch_enter("attributes"))
		return 1;
	CASE(looking);
	CASE(modes);
	CASE(owners);
	CASE(times);
	CASE(permissions);
	scratch_leave();
	return abi_result();
}
