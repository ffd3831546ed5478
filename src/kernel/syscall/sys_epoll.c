/* SPDX-License-Identifier: MIT */
/* epoll_create, epoll_ctl, epoll_wait and their kin. */
#include <cloudos/epoll.h>
#include <cloudos/errno.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include "call_epoll.h"
#include "call_fd.h"
#include "call_wait.h"
#include "syscalls_gen.h"

#define EVENTS_MAX (INT32_MAX / (int)sizeof(struct epoll_event))

int64_t sys_epoll_create1(unsigned flags)
{
	struct file *f;
	int error;

	if (flags & ~(unsigned)EPOLL_CLOEXEC)
		return -EINVAL;
	error = epoll_file_create(&f);
	return error ? error : fd_give(f, flags & EPOLL_CLOEXEC);
}

int64_t sys_epoll_create(int size)
{
	return size > 0 ? sys_epoll_create1(0) : -EINVAL;
}

int call_epoll_ctl(int epfd, int op, int fd, const struct epoll_event *event)
{
	struct file *epoll, *target;
	bool put_epoll, put_target;
	int result = -EBADF;

	epoll = fd_begin(epfd, &put_epoll);
	if (!epoll)
		return -EBADF;
	target = fd_begin(fd, &put_target);
	if (target) {
		result = epoll_control(epoll, op, target, fd, event);
		fd_end(target, put_target);
	}
	fd_end(epoll, put_epoll);
	return result;
}

int64_t sys_epoll_ctl(int epfd, int op, int fd, uaddr_t event)
{
	struct epoll_event given = { 0 };

	if (op != EPOLL_CTL_DEL && get_user(given, event))
		return -EFAULT;
	return call_epoll_ctl(epfd, op, fd, &given);
}

static int64_t wait_on(int epfd, uaddr_t events, int max, uint64_t deadline_ns)
{
	struct file *epoll;
	int64_t result;
	bool put;

	if (max <= 0 || max > EVENTS_MAX)
		return -EINVAL;
	epoll = fd_begin(epfd, &put);
	if (!epoll)
		return -EBADF;
	result = epoll_collect(epoll, events, (uint32_t)max, deadline_ns);
	fd_end(epoll, put);
	return result;
}

static int64_t wait_masked(int epfd, uaddr_t events, int max, uint64_t deadline_ns, uaddr_t mask, size_t mask_size)
{
	int64_t result = call_mask_begin(mask, mask_size);

	if (result)
		return result;
	result = wait_on(epfd, events, max, deadline_ns);
	call_mask_end(mask, result);
	return result;
}

int64_t sys_epoll_wait(int epfd, uaddr_t events, int max, int timeout_ms)
{
	return wait_on(epfd, events, max, deadline_from_ms(timeout_ms));
}

int64_t sys_epoll_pwait(int epfd, uaddr_t events, int max, int timeout_ms, uaddr_t mask, size_t mask_size)
{
	return wait_masked(epfd, events, max, deadline_from_ms(timeout_ms), mask, mask_size);
}

int64_t sys_epoll_pwait2(int epfd, uaddr_t events, int max, uaddr_t timeout, uaddr_t mask, size_t mask_size)
{
	uint64_t deadline_ns;
	int error = deadline_from_timespec(timeout, &deadline_ns);

	return error ? error : wait_masked(epfd, events, max, deadline_ns, mask, mask_size);
}
