/* SPDX-License-Identifier: MIT */
/* System calls, in the forms that both architectures have (the *at calls, clone, dup3, wait4). */

#include "init.h"
#include "syscall.h"

#include <linux/fcntl.h>
#include <linux/reboot.h>
#include <linux/signal.h>

#define CALL(number, ...) CALL_PAD(number, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_PAD(number, a, b, c, d, e, f, ...)                                                            \
	syscall6(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

int sys_open(const char *path, int flags)
{
	return (int)CALL(__NR_openat, AT_FDCWD, path, flags, 0);
}

long sys_read(int fd, void *buf, size_t len)
{
	return CALL(__NR_read, fd, buf, len);
}

long sys_write(int fd, const void *buf, size_t len)
{
	return CALL(__NR_write, fd, buf, len);
}

int sys_close(int fd)
{
	return (int)CALL(__NR_close, fd);
}

int sys_dup3(int from, int to)
{
	return (int)CALL(__NR_dup3, from, to, 0);
}

int sys_mount(const char *source, const char *target, const char *type, unsigned long flags)
{
	return (int)CALL(__NR_mount, source, target, type, flags, 0);
}

int sys_mkdir(const char *path, unsigned mode)
{
	return (int)CALL(__NR_mkdirat, AT_FDCWD, path, mode);
}

int sys_symlink(const char *target, const char *path)
{
	return (int)CALL(__NR_symlinkat, target, AT_FDCWD, path);
}

int sys_chdir(const char *path)
{
	return (int)CALL(__NR_chdir, path);
}

int sys_execve(const char *path, char *const argv[], char *const envp[])
{
	return (int)CALL(__NR_execve, path, argv, envp);
}

int sys_fork(void)
{
	return (int)CALL(__NR_clone, SIGCHLD);
}

int sys_wait(int *ret_status)
{
	return (int)CALL(__NR_wait4, -1, ret_status, 0, 0);
}

int sys_setsid(void)
{
	return (int)CALL(__NR_setsid, 0);
}

int sys_ioctl(int fd, unsigned long request, long argument)
{
	return (int)CALL(__NR_ioctl, fd, request, argument);
}

void sys_sync(void)
{
	(void)CALL(__NR_sync, 0);
}

int sys_reboot(unsigned command)
{
	return (int)CALL(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, 0);
}

_Noreturn void sys_exit(int status)
{
	for (;;)
		(void)CALL(__NR_exit_group, status);
}
