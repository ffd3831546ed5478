/* SPDX-License-Identifier: MIT */
/* File handles; sysfs, ustat, quotactl and vhangup. Run as root. */
#include "cases.h"
#include <fcntl.h>
#include <linux/quota.h>
#include <pthread.h>
#include <stdbool.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "inside.h"

static char base[] = "/tmp/t_handle.XXXXXX";

struct handle {
	struct file_handle head;
	unsigned char bytes[MAX_HANDLE_SZ];
};

static int handle_of(const char *name, struct handle *h, int flags)
{
	int mount_id;

	h->head.handle_bytes = sizeof(h->bytes);
	return name_to_handle_at(AT_FDCWD, name, &h->head, &mount_id, flags);
}

static void own_tmpfs(void)
{
	NEED(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	NEED(mount("x", base, "tmpfs", 0, NULL) == 0 && chdir(base) == 0);
	NEED(close(open("file", O_CREAT | O_WRONLY, 0600)) == 0 && mkdir("folder", 0755) == 0 && symlink("file", "link") == 0);
}

static void handles_child(void)
{
	struct handle h, other;
	struct stat a, b;
	int fd, mount_fd, mount_id;

	own_tmpfs();
	mount_fd = open(".", O_RDONLY | O_DIRECTORY);
	h.head.handle_bytes = 0;
	NEED(name_to_handle_at(AT_FDCWD, "file", &h.head, &mount_id, 0) == -1 && errno == EOVERFLOW && h.head.handle_bytes == 12);
	h.head.handle_bytes = MAX_HANDLE_SZ + 1;
	NEED(name_to_handle_at(AT_FDCWD, "file", &h.head, &mount_id, 0) == -1 && errno == EINVAL);
	NEED(handle_of("file", &h, 0x100) == -1 && errno == EINVAL);
	NEED(handle_of("nothing", &h, 0) == -1 && errno == ENOENT);
	NEED(handle_of("/proc/self", &h, 0) == -1 && errno == EOPNOTSUPP);
	NEED(handle_of("file", &h, 0) == 0 && h.head.handle_bytes == 12);
	NEED(handle_of("link", &other, AT_SYMLINK_FOLLOW) == 0 && memcmp(h.bytes, other.bytes, 12) == 0);
	fd = open_by_handle_at(mount_fd, &h.head, O_RDONLY);
	NEED(fd >= 0 && fstat(fd, &a) == 0 && stat("file", &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	NEED(rename("file", "folder/other") == 0); /* names do not count */
	close(open_by_handle_at(AT_FDCWD, &h.head, O_RDWR));
	NEED((fcntl(open_by_handle_at(mount_fd, &h.head, O_PATH), F_GETFL) & O_PATH) != 0);
	NEED(link("folder/other", "second") == 0 && unlink("folder/other") == 0);
	NEED(open_by_handle_at(mount_fd, &h.head, O_RDONLY) >= 0);
	NEED(unlink("second") == 0 && close(open_by_handle_at(mount_fd, &h.head, O_RDONLY)) == 0); /* it is open */
	NEED(close_range(mount_fd + 1, ~0u, 0) == 0 && open_by_handle_at(mount_fd, &h.head, O_RDONLY) == -1 && errno == ESTALE);
	NEED(handle_of("link", &h, 0) == 0 && open_by_handle_at(mount_fd, &h.head, O_RDONLY) == -1 && errno == ELOOP);
	NEED(handle_of("folder", &h, 0) == 0 && open_by_handle_at(mount_fd, &h.head, O_RDWR) == -1 && errno == EISDIR);
	NEED(handle_of(".", &h, 0) == 0 && open_by_handle_at(mount_fd, &h.head, O_RDONLY | O_DIRECTORY) >= 0);
	NEED(open_by_handle_at(99, &h.head, O_RDONLY) == -1 && errno == EBADF);
	NEED(open_by_handle_at(open(".", O_PATH), &h.head, O_RDONLY) == -1 && errno == EBADF);
	h.bytes[0] ^= 1; /* of another instance */
	NEED(open_by_handle_at(mount_fd, &h.head, O_RDONLY) == -1 && errno == ESTALE);
	h.head.handle_bytes = 8;
	NEED(open_by_handle_at(mount_fd, &h.head, O_RDONLY) == -1 && errno == ESTALE);
	h.head.handle_bytes = 0;
	NEED(open_by_handle_at(mount_fd, &h.head, O_RDONLY) == -1 && errno == EINVAL);
	NEED(open_by_handle_at(mount_fd, NULL, O_RDONLY) == -1 && errno == EFAULT);
	NEED(handle_of(".", &h, 0) == 0 && setresuid(65534, 65534, 65534) == 0);
	NEED(open_by_handle_at(mount_fd, &h.head, O_RDONLY) == -1 && errno == EPERM);
}

/* A descriptor is replaced, and its file freed, while another thread has a handle opened with it. */
#define REPLACED 2000

static int replaced;

static void *replace(void *unused)
{
	for (int i = 0; i < REPLACED; i++) {
		int fd = i & 1 ? open(".", O_RDONLY | O_DIRECTORY) : socket(AF_UNIX, SOCK_STREAM, 0);

		dup2(fd, replaced);
		close(fd);
	}
	return unused;
}

static void replaced_child(void)
{
	struct handle h;
	pthread_t t;
	int fd;

	own_tmpfs();
	NEED(handle_of("file", &h, 0) == 0);
	replaced = open(".", O_RDONLY | O_DIRECTORY);
	NEED(replaced >= 0 && pthread_create(&t, NULL, replace, NULL) == 0);
	for (int i = 0; i < REPLACED; i++) {
		fd = open_by_handle_at(replaced, &h.head, O_RDONLY);
		NEED(fd >= 0 ? close(fd) == 0 : errno == ESTALE);
	}
	NEED(pthread_join(t, NULL) == 0);
}

static void handles(void)
{
	EXPECT(ends(handles_child) == 0);
	EXPECT(ends(replaced_child) == 0);
}

static void quotas_child(void)
{
	int fd;

	own_tmpfs();
	fd = open(".", O_RDONLY);
	NEED(syscall(SYS_quotactl_fd, fd, QCMD(Q_GETQUOTA, USRQUOTA), 0, NULL) == -1 && errno == ENOSYS);
	NEED(syscall(SYS_quotactl_fd, fd, QCMD(Q_GETQUOTA, 3), 0, NULL) == -1 && errno == EINVAL);
	NEED(syscall(SYS_quotactl_fd, 99, QCMD(Q_GETQUOTA, 3), 0, NULL) == -1 && errno == EBADF);
	NEED(syscall(SYS_quotactl, QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL) == 0);
	NEED(syscall(SYS_quotactl, QCMD(Q_SYNC, 5), NULL, 0, NULL) == -1 && errno == EINVAL);
	NEED(syscall(SYS_quotactl, QCMD(Q_GETQUOTA, USRQUOTA), NULL, 0, NULL) == -1 && errno == ENODEV);
	NEED(syscall(SYS_quotactl, QCMD(Q_GETQUOTA, USRQUOTA), "file", 0, NULL) == -1 && errno == ENOTBLK);
	NEED(syscall(SYS_quotactl, QCMD(Q_GETQUOTA, USRQUOTA), "nothing", 0, NULL) == -1 && errno == ENOENT);
}

static void quotas(void)
{
	EXPECT(ends(quotas_child) == 0);
}

static void hang_up_child(void)
{
	NEED(setsid() > 0);
	NEED(syscall(SYS_vhangup) == 0); /* there is no terminal */
	NEED(setresuid(65534, 65534, 65534) == 0 && syscall(SYS_vhangup) == -1 && errno == EPERM);
}

static void hang_up(void)
{
	EXPECT(ends(hang_up_child) == 0);
}

#ifdef SYS_sysfs
static void types_child(void)
{
	char name[64] = "";
	long i = syscall(SYS_sysfs, 1, "tmpfs"), count = syscall(SYS_sysfs, 3);

	NEED(i >= 0 && i < count && syscall(SYS_sysfs, 2, i, name) == 0 && strcmp(name, "tmpfs") == 0);
	NEED(syscall(SYS_sysfs, 1, "nothing") == -1 && errno == EINVAL);
	NEED(syscall(SYS_sysfs, 2, count, name) == -1 && errno == EINVAL);
	NEED(syscall(SYS_sysfs, 4) == -1 && errno == EINVAL);
	NEED(syscall(SYS_sysfs, 1, NULL) == -1 && errno == EFAULT);
	NEED(syscall(SYS_sysfs, 2, 0, 8) == -1 && errno == EFAULT);
}

static void space_child(void)
{
	struct {
		int32_t free;
		uint64_t files;
		char names[12];
	} u = { .names = "x" };
	struct stat st;

	own_tmpfs();
	NEED(stat(".", &st) == 0 && syscall(SYS_ustat, (unsigned)st.st_dev, &u) == 0 && u.free > 0 && u.files > 0 && !u.names[0]);
	NEED(syscall(SYS_ustat, 0xfff, &u) == -1 && errno == EINVAL);
	NEED(syscall(SYS_ustat, (unsigned)st.st_dev, NULL) == -1 && errno == EFAULT);
}
#endif

/* Of calls that newer machines do not have. */
static void old_calls(void)
{
#ifdef SYS_sysfs
	EXPECT(ends(types_child) == 0);
	EXPECT(ends(space_child) == 0);
#endif
}

int main(void)
{
	if (!mkdtemp(base))
		return 1;
	CASE(handles);
	CASE(quotas);
	CASE(hang_up);
	CASE(old_calls);
	rmdir(base);
	return abi_result();
}
