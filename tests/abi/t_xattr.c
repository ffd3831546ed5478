/* SPDX-License-Identifier: MIT */
/* Extended attributes of the name spaces that all file systems in memory have: trusted.* and security.*, for the superuser. */
#include <fcntl.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include "cases.h"
#include "scratch.h"

static char big[70000], text[70000];

static int make(const char *name)
{
	return open(name, O_CREAT | O_RDWR, 0644);
}

static void setting(void)
{
	int fd = make("a");

	EXPECT(setxattr("a", "trusted.one", "value", 5, 0) == 0);
	EXPECT(getxattr("a", "trusted.one", NULL, 0) == 5 && getxattr("a", "trusted.one", text, 5) == 5 && !memcmp(text, "value", 5));
	EXPECT_ERRNO(getxattr("a", "trusted.one", text, 4), ERANGE);
	EXPECT_ERRNO(getxattr("a", "trusted.two", text, 4), ENODATA);
	EXPECT_ERRNO(setxattr("a", "trusted.one", "x", 1, XATTR_CREATE), EEXIST);
	EXPECT_ERRNO(setxattr("a", "trusted.two", "x", 1, XATTR_REPLACE), ENODATA);
	EXPECT_ERRNO(setxattr("a", "trusted.one", "x", 1, 4), EINVAL);
	EXPECT(fsetxattr(fd, "trusted.one", "longer value", 12, XATTR_REPLACE) == 0);
	EXPECT(fgetxattr(fd, "trusted.one", text, 100) == 12);
	EXPECT(setxattr("a", "trusted.empty", "", 0, XATTR_CREATE) == 0 && getxattr("a", "trusted.empty", text, 10) == 0);
	EXPECT(removexattr("a", "trusted.one") == 0);
	EXPECT_ERRNO(removexattr("a", "trusted.one"), ENODATA);
	EXPECT_ERRNO(getxattr("a", "trusted.one", text, 10), ENODATA);
	EXPECT(fremovexattr(fd, "trusted.empty") == 0);
	close(fd);
	unlink("a");
}

static void names(void)
{
	int fd = make("a"), path = open("a", O_PATH), s[2];

	memset(big, 'n', 300);
	memcpy(big, "trusted.", 8);
	big[XATTR_NAME_MAX] = 0;
	EXPECT(setxattr("a", big, "x", 1, 0) == 0 && removexattr("a", big) == 0);
	big[XATTR_NAME_MAX] = 'n', big[XATTR_NAME_MAX + 1] = 0;
	EXPECT_ERRNO(setxattr("a", big, "x", 1, 0), ERANGE);
	EXPECT_ERRNO(setxattr("a", "", "x", 1, 0), ERANGE);
	EXPECT_ERRNO(setxattr("a", "trusted.", "x", 1, 0), EINVAL);
	EXPECT_ERRNO(setxattr("a", "nothing.like.that", "x", 1, 0), EOPNOTSUPP);
	EXPECT_ERRNO(getxattr("a", "nothing.like.that", text, 1), EOPNOTSUPP);
	EXPECT_ERRNO(setxattr("nothing", "trusted.x", "x", 1, 0), ENOENT);
	EXPECT_ERRNO(setxattr("a", "trusted.x", big, 65537, 0), E2BIG);
	EXPECT_ERRNO(syscall(SYS_setxattr, "a", "trusted.x", 8, 10, 0), EFAULT);
	EXPECT_ERRNO(syscall(SYS_setxattr, "a", 8, "x", 1, 0), EFAULT);
	EXPECT_ERRNO(fsetxattr(path, "trusted.x", "x", 1, 0), EBADF);
	EXPECT_ERRNO(fsetxattr(-1, "trusted.x", "x", 1, 0), EBADF);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	close(s[0]), close(s[1]), close(fd), close(path);
	unlink("a");
}

static bool lists(const char *name, const char *attr)
{
	ssize_t n = listxattr(name, text, sizeof(text));

	for (char *p = text; n > 0 && p < text + n; p += strlen(p) + 1)
		if (!strcmp(p, attr))
			return true;
	return false;
}

static void listing(void)
{
	ssize_t before, n;

	close(make("a"));
	before = listxattr("a", NULL, 0);
	EXPECT(before >= 0);
	EXPECT(setxattr("a", "trusted.b", "1", 1, 0) == 0 && setxattr("a", "trusted.cc", "2", 1, 0) == 0);
	n = listxattr("a", NULL, 0);
	EXPECT(n == before + 21 && listxattr("a", text, n) == n);
	EXPECT(lists("a", "trusted.b") && lists("a", "trusted.cc"));
	EXPECT_ERRNO(listxattr("a", text, 1), ERANGE);
	EXPECT(removexattr("a", "trusted.b") == 0 && !lists("a", "trusted.b") && lists("a", "trusted.cc"));
	unlink("a");
	close(make("a"));
	EXPECT(listxattr("a", NULL, 0) == before); /* a new file has none of the old one's */
	unlink("a");
}

static void links_and_folders(void)
{
	EXPECT(mkdir("d", 0755) == 0 && symlink("d", "s") == 0);
	EXPECT(setxattr("s", "trusted.x", "d", 1, 0) == 0 && lsetxattr("s", "trusted.x", "ss", 2, 0) == 0);
	EXPECT(getxattr("d", "trusted.x", text, 9) == 1 && lgetxattr("s", "trusted.x", text, 9) == 2);
	EXPECT(llistxattr("s", NULL, 0) >= 10 && lremovexattr("s", "trusted.x") == 0);
	EXPECT(getxattr("s", "trusted.x", text, 9) == 1);
	EXPECT(rename("d", "e") == 0 && getxattr("e", "trusted.x", text, 9) == 1);
	unlink("s"), rmdir("e");
}

static void as_nobody(void)
{
	int status;
	pid_t pid;

	close(make("a"));
	EXPECT(chmod("a", 0666) == 0 && setxattr("a", "trusted.secret", "x", 1, 0) == 0);
	pid = fork();
	if (pid == 0) {
		if (setgid(65534) || setuid(65534))
			_exit(1);
		if (setxattr("a", "trusted.x", "x", 1, 0) != -1 || errno != EPERM)
			_exit(2);
		if (getxattr("a", "trusted.secret", text, 10) != -1 || errno != ENODATA)
			_exit(3);
		if (lists("a", "trusted.secret"))
			_exit(4);
		if (removexattr("a", "trusted.secret") != -1 || errno != EPERM)
			_exit(5);
		_exit(setxattr("a", "security.x", "x", 1, 0) == -1 && errno == EPERM ? 0 : 6);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	unlink("a");
}

int main(void)
{
	if (scratch_enter("xattr") || chmod(".", 0755))
		return 1;
	close(make("probe"));
	if (geteuid() == 0 && (setxattr("probe", "trusted.probe", "x", 1, 0) == 0 || errno != EPERM)) { /* a superuser of all */
		CASE(setting);
		CASE(names);
		CASE(listing);
		CASE(links_and_folders);
		CASE(as_nobody);
	}
	unlink("probe");
	scratch_leave();
	return abi_result();
}
