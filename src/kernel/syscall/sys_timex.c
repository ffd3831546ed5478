/* SPDX-License-Identifier: MIT */
/* adjtimex(2), clock_adjtime(2): what a program may say to the discipline of the wall clock (sched/ntp.c). */
#include <cloudos/clock.h>
#include <cloudos/cred.h>
#include <cloudos/errno.h>
#include <cloudos/thread.h>
#include <cloudos/uaccess.h>
#include <cloudos/wall.h>
#include <linux/capability.h>
#include <linux/timex.h>
#include "syscalls_gen.h"

#define TICK_LEAST 9000 /* us: a tenth off */
#define TICK_MOST  11000
#define PPM_SCALE  (INT64_C(1000) << 16) /* sched/ntp.c multiplies by it */

static bool changes(const struct __kernel_timex *t)
{
	return t->modes & NTP_ADJTIME ? !(t->modes & NTP_ASK_ONLY) || (t->modes & ADJ_SETOFFSET) : t->modes != 0;
}

static int check(const struct __kernel_timex *t)
{
	if (changes(t) && !cred_capable(thread_current()->cred, CAP_SYS_TIME))
		return -EPERM;
	if (!(t->modes & NTP_ADJTIME) && (t->modes & ADJ_TICK) && (t->tick < TICK_LEAST || t->tick > TICK_MOST))
		return -EINVAL;
	if ((t->modes & ADJ_SETOFFSET) &&
	    (t->time.tv_usec < 0 || t->time.tv_usec >= (long long)(t->modes & ADJ_NANO ? NSEC_PER_SEC : NSEC_PER_SEC / NSEC_PER_USEC)))
		return -EINVAL;
	if ((t->modes & ADJ_FREQUENCY) && (t->freq < INT64_MIN / PPM_SCALE || t->freq > INT64_MAX / PPM_SCALE))
		return -EINVAL;
	return 0;
}

static int64_t adjust(struct __kernel_timex *t, uaddr_t timex)
{
	int64_t result = check(t);

	if (result == 0)
		result = ntp_adjust(t);
	return result >= 0 && copy_to_user(timex, t, sizeof(*t)) < 0 ? -EFAULT : result;
}

int64_t sys_adjtimex(uaddr_t timex)
{
	struct __kernel_timex t;

	return copy_from_user(&t, timex, sizeof(t)) < 0 ? -EFAULT : adjust(&t, timex);
}

int64_t sys_clock_adjtime(int clock, uaddr_t timex)
{
	struct __kernel_timex t;
	uint64_t now;

	if (copy_from_user(&t, timex, sizeof(t)) < 0)
		return -EFAULT;
	if (clock != CLOCK_REALTIME)
		return clock_is_alarm(clock) || clock == CLOCK_THREAD_CPUTIME_ID || clock < 0 || clock_read(clock, &now) == 0 ? -EOPNOTSUPP : -EINVAL;
	return adjust(&t, timex);
}
