/* SPDX-License-Identifier: MIT */
/*
 * timerfd_create(2): a timer whose expiries are read as a number.
 *
 * `next_ns` is the next expiry on hal_clock_ns()'s scale, 0 when disarmed. The kernel's timer only wakes sleepers; expiries are counted
 * from the clock when somebody looks (settle()), so that a short period costs nothing while nobody reads. After the first
 * expiry that nobody has read, the timer is not armed again before a read.
 * Deadlines on the wall clock are translated when they are set; a later step of the wall clock does not move them.
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

/* Fields: L = by lock; C = constant. */
struct timerfd {
	struct spinlock lock;
	uint64_t next_ns, interval_ns; /* L */
	uint64_t expired;	       /* L: not read yet */
	bool wall;		       /* C */
	int clock;		       /* C: CLOCK_*, for fdinfo */
	struct timer timer;
	struct wait_queue expiry;
};

static void timerfd_fire(struct timer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);

	wake_events(&t->expiry, POLLIN | POLLRDNORM, false);
}

/* Counts the expiries up to now. */
static void settle(struct timerfd *t)
{
	uint64_t now = hal_clock_ns(), periods;

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

static uint64_t pending(struct timerfd *t)
{
	uint64_t expired;

	spin_lock(&t->lock);
	settle(t);
	expired = t->expired;
	spin_unlock(&t->lock);
	return expired;
}

static uint64_t take(struct timerfd *t)
{
	uint64_t taken, next;

	spin_lock(&t->lock);
	settle(t);
	taken = t->expired;
	t->expired = 0;
	next = t->next_ns;
	spin_unlock(&t->lock);
	if (taken > 0 && next > 0)
		timer_arm(&t->timer, next);
	return taken;
}

static ssize_t timerfd_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct timerfd *t = f->private;
	uint64_t taken;

	(void)pos;
	if (to->count < sizeof(taken))
		return -EINVAL;
	while ((taken = take(t)) == 0) {
		int error = file_nowait(f, to) ? -EAGAIN : wait_event_interruptible(&t->expiry, pending(t) > 0);

		if (error)
			return error;
	}
	return io_copy_to(to, &taken, sizeof(taken)) == sizeof(taken) ? (ssize_t)sizeof(taken) : -EFAULT;
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *pt)
{
	struct timerfd *t = f->private;

	poll_wait(pt, &t->expiry);
	return pending(t) > 0 ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->private;

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
};

int timerfd_file_create(int clock, bool wall, uint32_t flags, struct file **ret)
{
	struct timerfd *t = kzalloc(sizeof(*t));
	int error;

	if (!t)
		return -ENOMEM;
	t->wall = wall;
	t->clock = clock;
	spin_init(&t->lock, RANK_LEAF);
	timer_setup(&t->timer, timerfd_fire);
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
	uint64_t now = hal_clock_ns();

	settle(t);
	ret->interval_ns = t->interval_ns;
	ret->value_ns = t->next_ns > now ? t->next_ns - now : t->next_ns > 0;
}

int timerfd_get(struct file *f, struct timerfd_setting *ret)
{
	struct timerfd *t = timerfd_of(f);

	if (!t)
		return -EINVAL;
	spin_lock(&t->lock);
	read_setting(t, ret);
	spin_unlock(&t->lock);
	return 0;
}

/* The expiry on hal_clock_ns()'s scale; never 0, which means disarmed. */
static uint64_t expiry_of(const struct timerfd *t, bool absolute, uint64_t value_ns)
{
	uint64_t now = hal_clock_ns(), wall = hal_wall_ns();

	if (!absolute)
		return value_ns < HAL_TIMER_NEVER - 1 - now ? now + value_ns : HAL_TIMER_NEVER - 1;
	if (!t->wall)
		return value_ns;
	if (value_ns <= wall)
		return now > 0 ? now : 1;
	return value_ns - wall < HAL_TIMER_NEVER - 1 - now ? now + (value_ns - wall) : HAL_TIMER_NEVER - 1;
}

int timerfd_set(struct file *f, bool absolute, const struct timerfd_setting *setting, struct timerfd_setting *ret_old)
{
	struct timerfd *t = timerfd_of(f);
	uint64_t next = 0;

	if (!t)
		return -EINVAL;
	if (setting->value_ns > 0)
		next = expiry_of(t, absolute, setting->value_ns);
	timer_cancel(&t->timer);
	spin_lock(&t->lock);
	if (ret_old)
		read_setting(t, ret_old);
	t->expired = 0;
	t->next_ns = next;
	t->interval_ns = setting->interval_ns;
	spin_unlock(&t->lock);
	if (next > 0)
		timer_arm(&t->timer, next);
	return 0;
}
