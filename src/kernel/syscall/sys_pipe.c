/* SPDX-License-Identifier: MIT */
/* Calls that make files without a name, for talking, waiting and sharing: pipe, eventfd, memfd, timerfd. */
#include <asm/fcntl.h>
#include <linux/capability.h>
#include <linux/memfd.h>
#include <linux/time.h>
#include <linux/timerfd.h>
#include <cloudos/clock.h>
#include <cloudos/cred.h>
#include <cloudos/errno.h>
#include <cloudos/eventfd.h>
#include <cloudos/fs.h>
#include <cloudos/pipe.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include "call_fd.h"
#include "syscalls_gen.h"

/* ---- pipes ---- */

/* Reserves two descriptors and tells the user before it installs: what was installed cannot be taken back. */
static int64_t give_pair(struct file *reader, struct file *writer, bool close_on_exec, uaddr_t fds)
{
	int fd[2], error = 0;

	fd[0] = fd_reserve(0, close_on_exec);
	if (fd[0] < 0)
		return fd[0];
	fd[1] = fd_reserve(0, close_on_exec);
	if (fd[1] < 0)
		error = fd[1];
	else if (put_user(((struct { int32_t fd[2]; }){ { fd[0], fd[1] } }), fds))
		error = -EFAULT;
	if (error) {
		fd_release(fd[0]);
		if (fd[1] >= 0)
			fd_release(fd[1]);
		return error;
	}
	fd_install(fd[0], reader);
	fd_install(fd[1], writer);
	return 0;
}

int64_t sys_pipe2(uaddr_t fds, unsigned flags)
{
	struct file *reader, *writer;
	int64_t result;

	if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	result = pipe_create(flags & O_NONBLOCK, &reader, &writer);
	if (result)
		return result;
	result = give_pair(reader, writer, flags & O_CLOEXEC, fds);
	if (result) {
		file_put(reader);
		file_put(writer);
	}
	return result;
}

int64_t sys_pipe(uaddr_t fds)
{
	return sys_pipe2(fds, 0);
}

/* ---- event counters: <linux/eventfd.h> came only with Linux 6.7 ---- */

#define EFD_SEMAPHORE 1u
#define EFD_CLOEXEC   ((unsigned)O_CLOEXEC)
#define EFD_NONBLOCK  ((unsigned)O_NONBLOCK)

int64_t sys_eventfd2(unsigned count, unsigned flags)
{
	struct file *f;
	int error;

	if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
		return -EINVAL;
	error = eventfd_file_create(count, flags & EFD_SEMAPHORE, flags & O_NONBLOCK, &f);
	return error ? error : fd_give(f, flags & EFD_CLOEXEC);
}

int64_t sys_eventfd(unsigned count)
{
	return sys_eventfd2(count, 0);
}

/* ---- files in memory ---- */

int64_t sys_memfd_create(uaddr_t name, unsigned flags)
{
	char text[MEMFD_NAME_MAX + 1];
	struct file *f;
	int64_t result;

	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | (flags & MFD_HUGETLB ? MFD_HUGETLB | (unsigned)MFD_HUGE_MASK << MFD_HUGE_SHIFT : 0)))
		return -EINVAL;
	result = copy_string_from_user(text, name, sizeof(text));
	if (result < 0)
		return result == -ENAMETOOLONG ? -EINVAL : result;
	if (flags & MFD_HUGETLB)
		return -ENOSYS; /* as Linux without hugetlbfs */
	result = memfd_file_create(text, flags & MFD_ALLOW_SEALING, &f);
	return result ? result : fd_give(f, flags & MFD_CLOEXEC);
}

/* ---- timers ---- */

int64_t sys_timerfd_create(int clock, unsigned flags)
{
	struct file *f;
	int error;

	if (flags & ~(unsigned)(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && !clock_is_alarm(clock))
		return -EINVAL;
	if (clock_is_alarm(clock) && !cred_capable(thread_current()->cred, CAP_WAKE_ALARM))
		return -EPERM;
	error = timerfd_file_create(clock, clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM, flags & O_NONBLOCK, &f);
	return error ? error : fd_give(f, flags & TFD_CLOEXEC);
}

static int ns_from_timespec(const struct __kernel_timespec *ts, uint64_t *ret)
{
	const int64_t seconds_max = INT64_MAX / (int64_t)NSEC_PER_SEC - 1;

	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	*ret = (uint64_t)min((int64_t)ts->tv_sec, seconds_max) * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
	return 0;
}

static struct __kernel_timespec timespec_from_ns(uint64_t ns)
{
	return (struct __kernel_timespec){ .tv_sec = (int64_t)(ns / NSEC_PER_SEC), .tv_nsec = (int64_t)(ns % NSEC_PER_SEC) };
}

static int setting_to_user(const struct timerfd_setting *setting, uaddr_t addr)
{
	struct __kernel_itimerspec its = { .it_interval = timespec_from_ns(setting->interval_ns),
					   .it_value = timespec_from_ns(setting->value_ns) };

	return put_user(its, addr);
}

int64_t sys_timerfd_settime(int fd, unsigned flags, uaddr_t new_value, uaddr_t old_value)
{
	struct timerfd_setting setting, old;
	struct __kernel_itimerspec its;
	struct file *f;
	bool put;
	int error;

	if (flags & ~(unsigned)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		return -EINVAL;
	if (get_user(its, new_value))
		return -EFAULT;
	if (ns_from_timespec(&its.it_value, &setting.value_ns) || ns_from_timespec(&its.it_interval, &setting.interval_ns))
		return -EINVAL;
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	error = timerfd_set(f, flags & TFD_TIMER_ABSTIME, flags & TFD_TIMER_CANCEL_ON_SET, &setting, &old);
	fd_end(f, put);
	if (!error && old_value)
		error = setting_to_user(&old, old_value);
	return error;
}

int64_t sys_timerfd_gettime(int fd, uaddr_t value)
{
	struct timerfd_setting setting;
	struct file *f;
	bool put;
	int error;

	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	error = timerfd_get(f, &setting);
	fd_end(f, put);
	return error ? error : setting_to_user(&setting, value);
}
