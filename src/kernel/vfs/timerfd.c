/* SPDX-License-Identifier: MIT */
/*
 * timerfd_create(2): a timer whose expiries are read as a number.
 *
 * `next_ns` is the next expiry, 0 when disarmed: on hal_clock_ns()'s scale or, if it was set as a time on the wall clock (`on_wall`), on that
 * clock's, so that it moves when that one is set. The kernel's timer only wakes sleepers; expiries are counted
 * from the clock when somebody looks (settle()), so that a short period costs nothing while nobody reads. After the first
 * expiry that nobody has read, the timer is not armed again before a read.
 * With TFD_TIMER_CANCEL_ON_SET a step of the wall clock ends the wait, which is told once (ECANCELED). The machine is never suspended, so that clocks
 * that would wake it are the others.
 */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/errno.h>
#include <cloudos/eventfd.h>
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/timer.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include <cloudos/wall.h>

/* Fields: L = by lock; C = constant. */
struct timerfd {
	struct spinlock lock;
	uint64_t next_ns, interval_ns; /* L */
	uint64_t expired;	       /* L: not read yet */
	uint32_t jumps;		       /* L: of the wall clock, that it knows of */
	bool on_wall;		       /* L */
	bool cancel;		       /* L: a step ends it */
	bool wall;		       /* C */
	int clock;		       /* C: CLOCK_* */
	struct timer timer;
	struct wall_watch watch; /* on the list while on_wall */
	struct wait_queue expiry;
};

static uint64_t scale_now(const struct timerfd *t)
{
	return t->on_wall ? hal_wall_ns() : hal_clock_ns();
}

static bool is_cancelled(const struct timerfd *t)
{
	return t->cancel && t->jumps != wall_jumps();
}

/* By the lock: the kernel's timer goes off for the next expiry, if there is one. */
static void arm(struct timerfd *t)
{
	uint32_t jumps;

	do {
		jumps = wall_jumps();
		if (t->next_ns > 0)
			timer_arm(&t->timer, t->on_wall ? wall_deadline(t->next_ns) : t->next_ns);
	} while (t->on_wall && jumps != wall_jumps());
}

/* The time has come, or the wall clock was set. */
static void timerfd_fire(struct timer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);
	unsigned long flags = spin_lock_irq(&t->lock);
	bool due = (t->next_ns > 0 && scale_now(t) >= t->next_ns) || is_cancelled(t);

	if (!due)
		arm(t);
	spin_unlock_irq(&t->lock, flags);
	if (due)
		wake_events(&t->expiry, POLLIN | POLLRDNORM, false);
}

static void timerfd_wall_moved(struct wall_watch *w)
{
	timer_arm(&container_of(w, struct timerfd, watch)->timer, 0);
}

/* Counts the expiries up to now. */
static void settle(struct timerfd *t)
{
	uint64_t now = scale_now(t), periods;

	if (t->next_ns == 0 || now < t->next_ns)
		return;
	if (t->interval_ns == 0) {
		t->expired++;
		t->next_ns = 0;
		return;
	}
	periods = (now - t->next_ns) / t->interval_ns + 1;
	t->expired += periods;
	t->next_ns += periods * t->interval_ns;
}

static bool pending(struct timerfd *t)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	bool some;

	settle(t);
	some = t->expired > 0 || is_cancelled(t);
	spin_unlock_irq(&t->lock, flags);
	return some;
}

/* The expiries that nobody has read, or -ECANCELED. */
static int64_t take(struct timerfd *t)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	int64_t taken;

	settle(t);
	taken = is_cancelled(t) ? -ECANCELED : (int64_t)t->expired;
	t->jumps = wall_jumps();
	t->expired = 0;
	if (taken != 0)
		arm(t);
	spin_unlock_irq(&t->lock, flags);
	return taken;
}

static ssize_t timerfd_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct timerfd *t = f->private;
	int64_t taken;

	(void)pos;
	if (to->count < sizeof(taken))
		return -EINVAL;
	while ((taken = take(t)) == 0) {
		int error = file_nowait(f, to) ? -EAGAIN : wait_event_interruptible(&t->expiry, pending(t));

		if (error)
			return error;
	}
	if (taken < 0)
		return taken;
	return io_copy_to(to, &taken, sizeof(taken)) == sizeof(taken) ? (ssize_t)sizeof(taken) : -EFAULT;
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *pt)
{
	struct timerfd *t = f->private;

	poll_wait(pt, &t->expiry);
	return pending(t) ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->private;

	wall_watch_remove(&t->watch);
	timer_cancel(&t->timer);
	kfree(t);
}

static int timerfd_name(struct file *f, char *buf, size_t size)
{
	(void)f;
	return fmt_string(buf, size, "anon_inode:[timerfd]");
}

static const struct file_ops timerfd_ops = {
	.read = timerfd_read,
	.poll = timerfd_poll,
	.release = timerfd_release,
	.name = timerfd_name,
	.nowait = true,
	.rwf_nowait = NOWAIT_HEEDED,
};

int timerfd_file_create(int clock, bool wall, uint32_t flags, struct file **ret)
{
	struct timerfd *t = kzalloc(sizeof(*t));
	int error;

	if (!t)
		return -ENOMEM;
	t->wall = wall;
	t->clock = clock;
	spin_init(&t->lock, RANK_POLL);
	timer_setup(&t->timer, timerfd_fire);
	wall_watch_init(&t->watch, timerfd_wall_moved);
	wait_queue_init(&t->expiry);
	error = file_create_anonymous(&timerfd_ops, t, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR | flags, 0, ret);
	if (error)
		kfree(t);
	return error;
}

static struct timerfd *timerfd_of(struct file *f)
{
	return f->ops == &timerfd_ops ? f->private : NULL;
}

static void read_setting(struct timerfd *t, struct timerfd_setting *ret)
{
	uint64_t now;

	settle(t);
	now = scale_now(t);
	ret->interval_ns = t->interval_ns;
	ret->value_ns = t->next_ns > now ? t->next_ns - now : t->next_ns > 0;
}

int timerfd_get(struct file *f, struct timerfd_setting *ret)
{
	struct timerfd *t = timerfd_of(f);
	unsigned long flags;

	if (!t)
		return -EINVAL;
	flags = spin_lock_irq(&t->lock);
	read_setting(t, ret);
	spin_unlock_irq(&t->lock, flags);
	return 0;
}

/* The expiry, on its scale; never 0, which means disarmed. */
static uint64_t expiry_of(const struct timerfd *t, bool absolute, uint64_t value_ns)
{
	uint64_t now = scale_now(t);

	if (absolute)
		return value_ns;
	return value_ns < HAL_TIMER_NEVER - 1 - now ? now + value_ns : HAL_TIMER_NEVER - 1;
}

int timerfd_set(struct file *f, bool absolute, bool cancel, const struct timerfd_setting *setting, struct timerfd_setting *ret_old)
{
	struct timerfd *t = timerfd_of(f);
	unsigned long flags;
	bool cancelled;

	if (!t)
		return -EINVAL;
	timer_cancel(&t->timer);
	flags = spin_lock_irq(&t->lock);
	if (ret_old)
		read_setting(t, ret_old);
	cancelled = is_cancelled(t) && absolute && cancel && t->wall && setting->value_ns > 0;
	t->on_wall = t->wall && absolute;
	t->cancel = t->on_wall && cancel;
	t->jumps = wall_jumps();
	t->expired = 0;
	t->next_ns = setting->value_ns > 0 ? expiry_of(t, absolute, setting->value_ns) : 0;
	t->interval_ns = setting->interval_ns;
	if (t->on_wall)
		wall_watch_add(&t->watch);
	else
		wall_watch_remove(&t->watch);
	arm(t);
	spin_unlock_irq(&t->lock, flags);
	return cancelled ? -ECANCELED : 0;
}
