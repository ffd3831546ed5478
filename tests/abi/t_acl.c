/* SPDX-License-Identifier: MIT */
/* Access control lists as extended attributes: what they allow and forbid, what they do to the mode and it to them, what is inherited. */
#include <fcntl.h>
#include <grp.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include "cases.h"
#include "scratch.h"

#define ACCESS	"system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
#define ALICE	1001
#define BOB	1002
#define STAFF	2001
#define GUESTS	2002
#define NOBODY	ACL_UNDEFINED_ID

struct list {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[16];
};

/* Entries are tag, permissions, id. */
#define LIST(...) (struct list){ { POSIX_ACL_XATTR_VERSION }, { __VA_ARGS__ } }
#define OWNER(p)  { ACL_USER_OBJ, p, NOBODY }
#define USER(u, p) { ACL_USER, p, u }
#define OWNERS(p) { ACL_GROUP_OBJ, p, NOBODY }
#define GROUP(g, p) { ACL_GROUP, p, g }
#define MASK(p)	  { ACL_MASK, p, NOBODY }
#define OTHERS(p) { ACL_OTHER, p, NOBODY }

static size_t size_of(const struct list *l)
{
	size_t n = 0;

	while (n < 16 && l->entries[n].e_tag)
		n++;
	return sizeof(l->header) + n * sizeof(l->entries[0]);
}

static int put(const char *name, const char *attr, struct list l)
{
	return setxattr(name, attr, &l, size_of(&l), 0);
}

static int is(const char *name, const char *attr, struct list want)
{
	struct list got = { 0 };
	ssize_t n = getxattr(name, attr, &got, sizeof(got));

	return n == (ssize_t)size_of(&want) && memcmp(&got, &want, n) == 0;
}

static unsigned mode(const char *name)
{
	struct stat st;

	return lstat(name, &st) ? 0xffff : st.st_mode & 07777;
}

static void make(const char *name, unsigned permissions)
{
	int fd = open(name, O_CREAT | O_RDWR, 0600);

	EXPECT(fd >= 0 && fchmod(fd, permissions) == 0);
	close(fd);
}

/* What user and groups may do with a file: R_OK | W_OK | X_OK. */
static int may(const char *name, uid_t uid, gid_t gid, gid_t further)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int all = 0;

		if (setgroups(further ? 1 : 0, &further) || setgid(gid) || setuid(uid))
			_exit(100);
		for (int bit = 1; bit < 8; bit <<= 1)
			all |= access(name, bit) == 0 ? bit : 0;
		_exit(all);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 101;
}

static void forms(void)
{
	struct list l = LIST(OWNER(6), USER(ALICE, 4), OWNERS(4), MASK(4), OTHERS(0));
	char text[4];

	make("a", 0644);
	EXPECT_ERRNO(getxattr("a", ACCESS, &l, sizeof(l)), ENODATA);
	EXPECT(put("a", ACCESS, l) == 0 && is("a", ACCESS, l));
	EXPECT(getxattr("a", ACCESS, NULL, 0) == 44);
	EXPECT_ERRNO(getxattr("a", ACCESS, text, 4), ERANGE);
	EXPECT_ERRNO(setxattr("a", ACCESS, &l, 3, 0), EINVAL);
	EXPECT_ERRNO(setxattr("a", ACCESS, &l, 43, 0), EINVAL);
	l.header.a_version = 1;
	EXPECT_ERRNO(setxattr("a", ACCESS, &l, 44, 0), EOPNOTSUPP);
	EXPECT_ERRNO(put("a", ACCESS, LIST(OWNER(6), OWNERS(4))), EINVAL);
	EXPECT_ERRNO(put("a", ACCESS, LIST(OWNER(8), OWNERS(4), OTHERS(0))), EINVAL);
	EXPECT_ERRNO(put("a", ACCESS, LIST(OWNERS(4), OWNER(6), OTHERS(0))), EINVAL);
	EXPECT_ERRNO(put("a", ACCESS, LIST(OWNER(6), OWNER(6), OWNERS(4), OTHERS(0))), EINVAL);
	EXPECT_ERRNO(put("a", ACCESS, LIST(OWNER(6), USER(ALICE, 4), OWNERS(4), OTHERS(0))), EINVAL);
	EXPECT_ERRNO(put("a", ACCESS, LIST(OWNER(6), GROUP(STAFF, 4), OWNERS(4), MASK(4), OTHERS(0))), EINVAL);
	EXPECT_ERRNO(put("a", ACCESS, LIST(OWNER(6), OWNERS(4), OTHERS(0), MASK(4))), EINVAL);
	EXPECT_ERRNO(put("a", ACCESS, LIST(OWNER(6), OWNERS(4), { 0x40, 4, 0 }, OTHERS(0))), EINVAL);
	EXPECT_ERRNO(put("a", ACCESS, LIST(OWNER(6), USER(-1, 4), OWNERS(4), MASK(4), OTHERS(0))), EINVAL);
	EXPECT(is("a", ACCESS, LIST(OWNER(6), USER(ALICE, 4), OWNERS(4), MASK(4), OTHERS(0))));
	EXPECT_ERRNO(put("a", DEFAULT, LIST(OWNER(6), OWNERS(4), OTHERS(0))), EACCES);
	EXPECT(removexattr("a", DEFAULT) == 0 && removexattr("a", ACCESS) == 0 && removexattr("a", ACCESS) == 0);
	EXPECT_ERRNO(getxattr("a", ACCESS, &l, sizeof(l)), ENODATA);
	EXPECT(mode("a") == 0640); /* the mask's, when there was one */
	EXPECT(symlink("a", "s") == 0);
	EXPECT_ERRNO(lgetxattr("s", ACCESS, &l, sizeof(l)), EOPNOTSUPP);
	EXPECT_ERRNO(lsetxattr("s", ACCESS, &l, 44, 0), EOPNOTSUPP);
	unlink("s"), unlink("a");
}

static void elsewhere(void)
{
	struct list l = LIST(OWNER(6), USER(ALICE, 4), OWNERS(4), MASK(4), OTHERS(0));

	EXPECT_ERRNO(setxattr("/proc/self/comm", ACCESS, &l, 44, 0), EOPNOTSUPP);
	EXPECT_ERRNO(getxattr("/proc/self/comm", ACCESS, &l, sizeof(l)), EOPNOTSUPP);
	EXPECT_ERRNO(setxattr("/proc/self/comm", ACCESS, &l, 3, 0), EINVAL);
	EXPECT_ERRNO(setxattr("/proc/self/comm", "user.x", "x", 1, 0), EOPNOTSUPP);
	EXPECT_ERRNO(setxattr("/proc/self/comm", "system.other", "x", 1, 0), EOPNOTSUPP);
	EXPECT_ERRNO(setxattr("/sys/kernel", "user.x", "x", 1, 0), EOPNOTSUPP);
	EXPECT_ERRNO(setxattr("/sys/kernel", ACCESS, &l, 44, 0), EOPNOTSUPP);
	if (setxattr("/sys/kernel", "trusted.x", "x", 1, 0) == 0)
		EXPECT(removexattr("/sys/kernel", "trusted.x") == 0);
	else
		EXPECT(errno == EROFS || errno == EPERM); /* in a container */
	EXPECT_ERRNO(setxattr("/dev/null", "user.x", "x", 1, 0), EPERM);
}

static void modes(void)
{
	make("a", 0644);
	EXPECT(put("a", ACCESS, LIST(OWNER(7), OWNERS(5), OTHERS(1))) == 0);
	EXPECT(mode("a") == 0751 && getxattr("a", ACCESS, NULL, 0) == -1 && errno == ENODATA); /* the mode says it all */
	EXPECT(put("a", ACCESS, LIST(OWNER(6), OWNERS(4), MASK(6), OTHERS(0))) == 0);
	EXPECT(mode("a") == 0660 && is("a", ACCESS, LIST(OWNER(6), OWNERS(4), MASK(6), OTHERS(0))));
	EXPECT(put("a", ACCESS, LIST(OWNER(6), USER(ALICE, 6), OWNERS(7), MASK(6), OTHERS(4))) == 0 && mode("a") == 0664);
	EXPECT(chmod("a", 0741) == 0);
	EXPECT(is("a", ACCESS, LIST(OWNER(7), USER(ALICE, 6), OWNERS(7), MASK(4), OTHERS(1))));
	EXPECT(chmod("a", 04755) == 0 && chown("a", BOB, STAFF) == 0 && mode("a") == 0755);
	EXPECT(is("a", ACCESS, LIST(OWNER(7), USER(ALICE, 6), OWNERS(7), MASK(5), OTHERS(5))));
	unlink("a");
}

static void permissions(void)
{
	make("a", 0640);
	EXPECT(chown("a", 0, STAFF) == 0 && may("a", ALICE, ALICE, 0) == 0 && may("a", BOB, STAFF, 0) == 4);
	EXPECT(put("a", ACCESS, LIST(OWNER(6), USER(ALICE, 6), USER(BOB, 0), OWNERS(4), GROUP(GUESTS, 2), MASK(7), OTHERS(1))) == 0);
	EXPECT(may("a", ALICE, ALICE, 0) == 6 && may("a", ALICE, STAFF, 0) == 6);
	EXPECT(may("a", BOB, STAFF, GUESTS) == 0); /* his own entry is what counts */
	EXPECT(may("a", 1003, STAFF, 0) == 4 && may("a", 1003, 1003, GUESTS) == 2);
	EXPECT(may("a", 1003, STAFF, GUESTS) == 6); /* each for itself: no entry has both */
	EXPECT(may("a", 1003, 1003, 0) == 1);
	EXPECT(chmod("a", 0641) == 0); /* a mask of reading */
	EXPECT(may("a", ALICE, ALICE, 0) == 4 && may("a", 1003, STAFF, GUESTS) == 4 && may("a", 1003, 1003, 0) == 1);
	EXPECT(chmod("a", 0601) == 0 && may("a", BOB, BOB, 0) == 1); /* an empty mask: Linux asks the mode alone */
	EXPECT(chown("a", ALICE, STAFF) == 0 && may("a", ALICE, STAFF, 0) == 6);
	unlink("a");
}

static int open_both(const char *name, uid_t uid, gid_t gid, gid_t further)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(1, &further) || setgid(gid) || setuid(uid))
			_exit(100);
		_exit(open(name, O_RDWR) < 0 ? errno : 0);
	}
	return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 101;
}

static void one_entry_must_have_all(void)
{
	make("a", 0600);
	EXPECT(put("a", ACCESS, LIST(OWNER(6), OWNERS(0), GROUP(STAFF, 4), GROUP(GUESTS, 2), MASK(7), OTHERS(0))) == 0);
	EXPECT(open_both("a", ALICE, STAFF, GUESTS) == EACCES);
	EXPECT(put("a", ACCESS, LIST(OWNER(6), OWNERS(0), GROUP(STAFF, 4), GROUP(GUESTS, 6), MASK(7), OTHERS(0))) == 0);
	EXPECT(open_both("a", ALICE, STAFF, GUESTS) == 0);
	unlink("a");
}

static void inheritance(void)
{
	mode_t before = umask(077);
	int fd;

	EXPECT(mkdir("d", 0755) == 0);
	EXPECT(put("d", DEFAULT, LIST(OWNER(7), USER(ALICE, 7), OWNERS(5), MASK(7), OTHERS(5))) == 0);
	EXPECT(mode("d") == 0700);
	fd = open("d/f", O_CREAT | O_RDWR, 0664);
	EXPECT(fd >= 0 && mode("d/f") == 0664); /* not the umask's */
	EXPECT(is("d/f", ACCESS, LIST(OWNER(6), USER(ALICE, 7), OWNERS(5), MASK(6), OTHERS(4))));
	EXPECT(getxattr("d/f", DEFAULT, NULL, 0) == -1 && errno == ENODATA);
	close(fd);
	EXPECT(mkdir("d/e", 0750) == 0 && mode("d/e") == 0750);
	EXPECT(is("d/e", ACCESS, LIST(OWNER(7), USER(ALICE, 7), OWNERS(5), MASK(5), OTHERS(0))));
	EXPECT(is("d/e", DEFAULT, LIST(OWNER(7), USER(ALICE, 7), OWNERS(5), MASK(7), OTHERS(5))));
	EXPECT(mkfifo("d/p", 0622) == 0 && is("d/p", ACCESS, LIST(OWNER(6), USER(ALICE, 7), OWNERS(5), MASK(2), OTHERS(0))));
	EXPECT(mode("d/p") == 0620);
	EXPECT(symlink("x", "d/s") == 0 && mode("d/s") == 0777);
	EXPECT(put("d", DEFAULT, LIST(OWNER(7), OWNERS(5), OTHERS(0))) == 0);
	fd = open("d/g", O_CREAT | O_RDWR, 0666);
	EXPECT(mode("d/g") == 0640 && getxattr("d/g", ACCESS, NULL, 0) == -1 && errno == ENODATA);
	close(fd);
	fd = open("d", O_TMPFILE | O_RDWR, 0666);
	if (fd >= 0) {
		struct stat st;

		EXPECT(fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0640);
		close(fd);
	}
	EXPECT(removexattr("d", DEFAULT) == 0);
	fd = open("d/h", O_CREAT | O_RDWR, 0666);
	EXPECT(mode("d/h") == 0600);
	close(fd);
	umask(before);
	unlink("d/f"), unlink("d/g"), unlink("d/h"), unlink("d/p"), unlink("d/s"), rmdir("d/e"), rmdir("d");
}

static void listing(void)
{
	char text[200];
	ssize_t before, n;

	EXPECT(mkdir("d", 0755) == 0);
	before = listxattr("d", NULL, 0);
	EXPECT(put("d", ACCESS, LIST(OWNER(7), OWNERS(5), MASK(5), OTHERS(5))) == 0);
	EXPECT(put("d", DEFAULT, LIST(OWNER(7), OWNERS(5), OTHERS(5))) == 0);
	n = listxattr("d", text, sizeof(text));
	EXPECT(n == before + (ssize_t)(sizeof(ACCESS) + sizeof(DEFAULT)) && memmem(text, n, ACCESS, sizeof(ACCESS)) && memmem(text, n, DEFAULT, sizeof(DEFAULT)));
	EXPECT_ERRNO(listxattr("d", text, sizeof(ACCESS)), ERANGE);
	rmdir("d");
}

static int as_alice(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(0, NULL) || setgid(ALICE) || setuid(ALICE))
			_exit(100);
		_exit(run());
	}
	return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 101;
}

static int try_hers(void)
{
	if (put("hers", ACCESS, LIST(OWNER(6), USER(BOB, 4), OWNERS(4), MASK(4), OTHERS(0))))
		return 1;
	if (put("his", ACCESS, LIST(OWNER(6), USER(ALICE, 4), OWNERS(4), MASK(4), OTHERS(0))) == 0 || errno != EPERM)
		return 2;
	if (removexattr("his", ACCESS) == 0 || errno != EPERM)
		return 3;
	if (getxattr("his", ACCESS, NULL, 0) != -1 || errno != ENODATA)
		return 4;
	return mode("hers") == 0640 ? 0 : 5; /* set-group-id has gone: the group is none of hers */
}

static void whose(void)
{
	make("hers", 0644), make("his", 0666);
	EXPECT(chown("hers", ALICE, STAFF) == 0 && chown("his", BOB, BOB) == 0 && chmod("hers", 02755) == 0);
	EXPECT(as_alice(try_hers) == 0);
	unlink("hers"), unlink("his");
}

static int try_user(void)
{
	char c;

	if (setxattr("open", "user.a", "x", 1, 0) || getxattr("open", "user.a", &c, 1) != 1 || c != 'x')
		return 1;
	if (setxattr("closed", "user.a", "x", 1, 0) == 0 || errno != EACCES)
		return 2;
	if (getxattr("closed", "user.a", &c, 1) != -1 || errno != EACCES)
		return 3;
	if (setxattr("sticky", "user.a", "x", 1, 0) == 0 || errno != EPERM)
		return 4;
	if (setxattr("fifo", "user.a", "x", 1, 0) == 0 || errno != EPERM)
		return 5;
	return getxattr("fifo", "user.a", &c, 1) == -1 && errno == ENODATA ? 0 : 6;
}

static void user_attributes(void)
{
	make("open", 0666), make("closed", 0600);
	EXPECT(mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0 && mkfifo("fifo", 0666) == 0 && chmod("fifo", 0666) == 0);
	EXPECT(setxattr("sticky", "user.mine", "", 0, 0) == 0);
	EXPECT(as_alice(try_user) == 0);
	EXPECT_ERRNO(setxattr("open", "user.", "x", 1, 0), EINVAL);
	unlink("open"), unlink("closed"), unlink("fifo"), rmdir("sticky");
}

int main(void)
{
	if (scratch_enter("acl") || chmod(".", 0755))
		return 1;
	if (geteuid() == 0) {
		CASE(forms);
		CASE(elsewhere);
		CASE(modes);
		CASE(permissions);
		CASE(one_entry_must_have_all);
		CASE(inheritance);
		CASE(listing);
		CASE(whose);
		CASE(user_attributes);
	}
	scratch_leave();
	return abi_result();
}
