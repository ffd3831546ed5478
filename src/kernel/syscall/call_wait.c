/* SPDX-License-Identifier: MIT */
/* Time-outs and signal masks as poll, select and epoll take them from user programs. */
#include <linux/time_types.h>
#include <cloudos/clock.h>
#include <cloudos/errno.h>
#include <cloudos/proc.h>
#include <cloudos/uaccess.h>
#include "call_wait.h"

#define SECONDS_MAX (INT64_MAX / (int64_t)NSEC_PER_SEC - 1)

uint64_t deadline_from_ns(uint64_t duration_ns)
{
	uint64_t now;

	if (duration_ns == 0)
		return 0;
	now = hal_clock_ns();
	return duration_ns < HAL_TIMER_NEVER - now ? now + duration_ns : HAL_TIMER_NEVER;
}

uint64_t deadline_from_ms(int64_t ms)
{
	if (ms < 0 || ms > (int64_t)(INT64_MAX / NSEC_PER_MSEC))
		return HAL_TIMER_NEVER;
	return deadline_from_ns((uint64_t)ms * NSEC_PER_MSEC);
}

static int deadline_from(int64_t seconds, int64_t ns, uint64_t *ret)
{
	if (seconds < 0 || ns < 0 || ns >= (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	if (seconds > SECONDS_MAX)
		*ret = HAL_TIMER_NEVER;
	else
		*ret = deadline_from_ns((uint64_t)seconds * NSEC_PER_SEC + (uint64_t)ns);
	return 0;
}

int deadline_from_timespec(uaddr_t addr, uint64_t *ret)
{
	struct __kernel_timespec ts;

	if (!addr) {
		*ret = HAL_TIMER_NEVER;
		return 0;
	}
	if (get_user(ts, addr))
		return -EFAULT;
	return deadline_from(ts.tv_sec, ts.tv_nsec, ret);
}

int deadline_at_timespec(uaddr_t addr, int clock, uint64_t *ret)
{
	struct __kernel_timespec ts;

	*ret = HAL_TIMER_NEVER;
	if (!addr)
		return 0;
	if (get_user(ts, addr))
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	if (ts.tv_sec > SECONDS_MAX)
		return 0;
	return clock_deadline(clock, (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec, ret);
}

/* A timeval's microseconds may exceed a second, as select(2) always let them. */
int deadline_from_timeval(uaddr_t addr, uint64_t *ret)
{
	struct __kernel_old_timeval tv;

	if (!addr) {
		*ret = HAL_TIMER_NEVER;
		return 0;
	}
	if (get_user(tv, addr))
		return -EFAULT;
	if (tv.tv_usec < 0 || tv.tv_sec < 0 || tv.tv_sec > SECONDS_MAX)
		return tv.tv_usec < 0 || tv.tv_sec < 0 ? -EINVAL : deadline_from(tv.tv_sec, 0, ret);
	return deadline_from(tv.tv_sec + tv.tv_usec / 1000000, tv.tv_usec % 1000000 * 1000, ret);
}

static uint64_t time_left(uint64_t deadline_ns)
{
	uint64_t now;

	if (deadline_ns == 0)
		return 0;
	now = hal_clock_ns();
	return deadline_ns > now ? deadline_ns - now : 0;
}

static int64_t result_of(int64_t result, int error)
{
	return error && result == -ERESTARTNOHAND ? -EINTR : result;
}

int64_t deadline_to_timespec(uaddr_t addr, uint64_t deadline_ns, int64_t result)
{
	uint64_t left = time_left(deadline_ns);
	struct __kernel_timespec ts = { .tv_sec = (int64_t)(left / NSEC_PER_SEC),
					.tv_nsec = (int64_t)(left % NSEC_PER_SEC) };

	if (!addr || deadline_ns == HAL_TIMER_NEVER)
		return result;
	return result_of(result, put_user(ts, addr));
}

int64_t deadline_to_timeval(uaddr_t addr, uint64_t deadline_ns, int64_t result)
{
	uint64_t left = time_left(deadline_ns);
	struct __kernel_old_timeval tv = { .tv_sec = (int64_t)(left / NSEC_PER_SEC),
					   .tv_usec = (int64_t)(left % NSEC_PER_SEC / NSEC_PER_USEC) };

	if (!addr || deadline_ns == HAL_TIMER_NEVER)
		return result;
	return result_of(result, put_user(tv, addr));
}

int call_mask_begin(uaddr_t mask, uint64_t size)
{
	uint64_t blocked;

	if (!mask)
		return 0;
	if (size != sizeof(blocked))
		return -EINVAL;
	if (get_user(blocked, mask))
		return -EFAULT;
	signal_mask_begin(blocked);
	return 0;
}

void call_mask_end(uaddr_t mask, int64_t result)
{
	if (mask)
		signal_mask_end(result == -ERESTARTNOHAND || result == -EINTR);
}
