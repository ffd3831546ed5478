/* SPDX-License-Identifier: MIT */
/*
 * Requests: from block_submit() to done(), and what happens when a device does not answer.
 *
 * A submitted request is on `pending` or `started`, oldest first, and counts in `outstanding`. dispatch() moves it from the one to the other
 * as the driver takes it; block_end() takes it off. A write with BLOCK_FUA goes round a second time, as a flush.
 *
 * I1 every submitted request ends once: the driver ends what it has taken, this file what it has not. I2 while `paused`, nothing is
 * started. I3 while something is started, the watchdog is armed or attend() is queued or runs.
 *
 * When the oldest started request is overdue, attend() runs in a thread. It first has the driver look for itself, since what was lost may
 * be the interrupt alone; then it has the device reset, which ends all that was started: the overdue ones with -ETIMEDOUT. The device
 * goes on, unless the reset failed, the driver called it a liar (block_device_fault), or BLOCK_RESETS_MAX resets have not helped.
 * Then it is dead: what is pending or submitted later ends with -EIO, or -ENODEV if it is gone.
 *
 * Locking: d->lock (RANK_BLOCK_QUEUE, interrupts off) is held around ops->start(), and never around done(). d->attending keeps attend()
 * to one thread.
 */
#define LOG_SUBSYSTEM "block"
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include "block_internal.h"

/* ---- the shape of a request ---- */

static int check_segments(const struct block_device *d, struct block_request *r)
{
	uint64_t len = 0;

	if (r->segment_count < 1 || r->segment_count > d->segments_max)
		return -EINVAL;
	for (uint32_t i = 0; i < r->segment_count; i++) {
		const struct block_segment *s = &r->segments[i];

		if (s->len == 0 || s->len % BLOCK_SECTOR || s->len > d->segment_bytes_max || (uintptr_t)s->data % BLOCK_DATA_ALIGN)
			return -EINVAL;
		len += s->len;
	}
	if (len % d->block_size || len > UINT32_MAX || (r->sector << BLOCK_SECTOR_SHIFT) % d->block_size)
		return -EINVAL;
	r->len = (uint32_t)len;
	return 0;
}

static int check(const struct block_device *d, struct block_request *r)
{
	uint64_t size = READ_ONCE(d->sectors);
	int error;

	r->len = 0;
	if (r->op == BLOCK_FLUSH)
		return r->segment_count ? -EINVAL : 0;
	if (r->op == BLOCK_WRITE && d->read_only)
		return -EROFS;
	error = check_segments(d, r);
	if (error)
		return error;
	return r->sector > size || r->len >> BLOCK_SECTOR_SHIFT > size - r->sector ? -ENOSPC : 0;
}

/* ---- ending ---- */

/* Ends what is on the list, which the caller took off the device's; lock not held. */
static void end_all(struct list *requests, int error)
{
	while (!list_empty(requests)) {
		struct block_request *r = list_first(requests, struct block_request, link);

		list_del(&r->link);
		r->done(r, error);
	}
}

/* The figures of a request that ends. Lock held. */
static void account_locked(struct block_device *d, struct block_request *r, int error)
{
	uint64_t now = hal_clock_ns();

	d->stats.op[r->op].requests++;
	d->stats.op[r->op].sectors += r->len >> BLOCK_SECTOR_SHIFT;
	d->stats.op[r->op].ns += now - r->submitted_ns;
	if (error)
		d->stats.errors++;
	if (--d->outstanding == 0)
		d->stats.busy_ns += now - d->busy_since_ns;
}

/* ---- starting ---- */

/* The watchdog looks at the oldest. Lock held. */
static void watch_locked(struct block_device *d)
{
	if (!list_empty(&d->started) && !timer_armed(&d->watchdog))
		timer_arm(&d->watchdog, list_first(&d->started, struct block_request, link)->deadline_ns);
}

/* What to do with a flush that has nothing to do: a device without a cache. */
static bool needless(const struct block_device *d, const struct block_request *r)
{
	return r->now == BLOCK_FLUSH && !d->has_cache;
}

/*
 * Starts the first pending request; false when there is none, or no room. One that ends here and now goes to *ended with
 * *ret_error.
 */
static bool start_one_locked(struct block_device *d, struct list *ended, int *ret_error)
{
	struct block_request *r;
	int error;

	if (d->paused || list_empty(&d->pending))
		return false;
	r = list_first(&d->pending, struct block_request, link);
	list_del(&r->link);
	r->deadline_ns = hal_clock_ns() + d->timeout_ns;
	list_add_tail(&d->started, &r->link);
	error = d->dead || needless(d, r) ? -ECANCELED : d->ops->start(d, r);
	if (!error) {
		watch_locked(d);
		return true;
	}
	list_del(&r->link);
	if (error == -EBUSY && !list_empty(&d->started)) {
		list_add(&d->pending, &r->link);
		return false;
	}
	*ret_error = error == -ECANCELED ? d->dead : error == -EBUSY ? -EIO : error;
	account_locked(d, r, *ret_error);
	list_add_tail(ended, &r->link);
	return true;
}

static void dispatch(struct block_device *d)
{
	struct list ended = LIST_INIT(ended);
	bool more = true;

	while (more) {
		unsigned long irq = spin_lock_irq(&d->lock);
		int error = 0;

		more = start_one_locked(d, &ended, &error);
		spin_unlock(&d->lock);
		end_all(&ended, error);
		hal_irq_restore(irq);
	}
	wake_all(&d->room);
}

int block_submit(struct block_device *d, struct block_request *r)
{
	int error = check(d, r);
	unsigned long irq;

	if (error)
		return error;
	r->device = d;
	r->now = r->op;
	irq = spin_lock_irq(&d->lock);
	error = d->dead ? d->dead : d->outstanding == BLOCK_OUTSTANDING_MAX ? -EAGAIN : 0;
	if (!error) {
		r->submitted_ns = hal_clock_ns();
		if (d->outstanding++ == 0)
			d->busy_since_ns = r->submitted_ns;
		list_add_tail(&d->pending, &r->link);
	}
	spin_unlock_irq(&d->lock, irq);
	if (!error)
		dispatch(d);
	return error;
}

void block_end(struct block_request *r, int error)
{
	struct block_device *d = r->device;
	unsigned long irq = spin_lock_irq(&d->lock);
	bool again = !error && r->now == BLOCK_WRITE && (r->flags & BLOCK_FUA) && d->has_cache;

	list_del(&r->link);
	if (error && hal_clock_ns() >= r->deadline_ns)
		error = -ETIMEDOUT;
	if (!error)
		d->resets_in_a_row = 0;
	if (again) {
		r->now = BLOCK_FLUSH;
		list_add(&d->pending, &r->link);
	} else {
		account_locked(d, r, error);
	}
	spin_unlock(&d->lock);
	if (!again)
		r->done(r, error);
	hal_irq_restore(irq);
	dispatch(d);
}

/* ---- devices that do not answer ---- */

static bool overdue_locked(const struct block_device *d)
{
	return !list_empty(&d->started) && list_first(&d->started, struct block_request, link)->deadline_ns <= hal_clock_ns();
}

static void reset(struct block_device *d, bool restart)
{
	unsigned long irq;
	int error = d->ops->reset(d, restart);

	if (!restart && !error)
		error = -EIO;
	irq = spin_lock_irq(&d->lock);
	if (error && !d->dead)
		d->dead = error;
	d->faulted = false;
	d->paused = false;
	spin_unlock_irq(&d->lock, irq);
	if (error)
		log_err("%s: given up (%d)", d->name, error);
	dispatch(d);
}

static void attend(struct work *w)
{
	struct block_device *d = container_of(w, struct block_device, attend);
	bool overdue, restart, needed;
	unsigned long irq;
	int wish;

	mutex_lock(&d->attending);
	wish = READ_ONCE(d->dead) ? 0 : d->ops->poll(d);
	irq = spin_lock_irq(&d->lock);
	overdue = overdue_locked(d);
	needed = (overdue || wish || d->faulted) && !d->dead;
	restart = needed && !d->faulted && d->resets_in_a_row < BLOCK_RESETS_MAX;
	if (needed) {
		d->paused = true;
		d->stats.timeouts += overdue;
		d->stats.resets++;
		d->resets_in_a_row++;
	} else {
		watch_locked(d);
	}
	spin_unlock_irq(&d->lock, irq);
	if (needed) {
		log_warning("%s: %s; reset", d->name, overdue ? "no answer in time" : wish ? "it asks for it" : "it cannot be trusted");
		reset(d, restart);
	}
	mutex_unlock(&d->attending);
}

static void watchdog(struct timer *t)
{
	work_queue(&container_of(t, struct block_device, watchdog)->attend);
}

void block_device_attend(struct block_device *d)
{
	work_queue(&d->attend);
}

void block_device_fault(struct block_device *d)
{
	WRITE_ONCE(d->faulted, true);
	work_queue(&d->attend);
}

void block_device_resize(struct block_device *d, uint64_t sectors)
{
	sectors = min(sectors, BLOCK_SECTORS_MAX);
	WRITE_ONCE(d->sectors, sectors - sectors % (d->block_size / BLOCK_SECTOR));
}

/* ---- beginning and end ---- */

void block_requests_init(struct block_device *d)
{
	spin_init(&d->lock, RANK_BLOCK_QUEUE);
	list_init(&d->pending);
	list_init(&d->started);
	d->outstanding = 0;
	d->paused = d->faulted = false;
	d->dead = 0;
	d->resets_in_a_row = 0;
	d->stats = (struct block_stats){ .errors = 0 };
	wait_queue_init(&d->room);
	timer_setup(&d->watchdog, watchdog);
	work_setup(&d->attend, attend);
	mutex_init(&d->attending, RANK_BLOCK_ATTEND);
}

void block_requests_stop(struct block_device *d)
{
	unsigned long irq;

	mutex_lock(&d->attending);
	irq = spin_lock_irq(&d->lock);
	d->dead = -ENODEV;
	d->paused = true;
	spin_unlock_irq(&d->lock, irq);
	d->ops->reset(d, false);
	irq = spin_lock_irq(&d->lock);
	d->paused = false;
	spin_unlock_irq(&d->lock, irq);
	dispatch(d);
	mutex_unlock(&d->attending);
	timer_cancel(&d->watchdog);
	work_flush(); /* attend() may have been queued before */
	ASSERT(d->outstanding == 0);
}

void block_stats_get(struct block_device *d, struct block_stats *ret, uint32_t *ret_in_flight)
{
	unsigned long irq = spin_lock_irq(&d->lock);

	*ret = d->stats;
	*ret_in_flight = d->outstanding;
	if (d->outstanding)
		ret->busy_ns += hal_clock_ns() - d->busy_since_ns;
	spin_unlock_irq(&d->lock, irq);
}
