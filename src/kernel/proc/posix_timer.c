/* SPDX-License-Identifier: MIT */
/*
 * POSIX timers (timer_create(2)). A timer carries the queue entry of its signal, so that its expiry never needs memory, and is
 * pending once: expiries in the meantime are counted as overruns, and told when the signal is delivered.
 *
 * Times on the wall clock become deadlines when the timer is set; a later step of that clock does not move them. Timers on CPU-time
 * clocks are not there (EINVAL... as for any clock that cannot have timers: ENOTSUP).
 *
 * Locking: S. The kernel timer's function runs in interrupts. Who deletes a timer first marks it, then cancels, then takes its entry
 * off the queue; the process's own threads alone do so, one at a time (`deleting`).
 */
#include "proc_internal.h"
#include <cloudos/clock.h>

struct posix_timer {
	struct list link; /* S: process.timers */
	struct process *process;
	struct task *target; /* SIGEV_THREAD_ID: with a reference; else null */
	struct timer timer;
	struct signal_entry entry;
	int id, clock;
	bool silent;	 /* SIGEV_NONE */
	bool queued;	 /* S: the entry is on a queue */
	bool deleting;	 /* S */
	uint64_t interval_ns, expires_ns; /* S: deadline scale; 0: not set */
	uint64_t overruns;		  /* S: of the signal that is queued */
	int last_overrun;		  /* S: of the one delivered last */
};

static int clamp_overrun(uint64_t n)
{
	return n > INT32_MAX ? INT32_MAX : (int)n;
}

/* The signal is being delivered: its overruns are known now. S held. */
static void dequeued(struct signal_entry *e)
{
	struct posix_timer *pt = container_of(e, struct posix_timer, entry);

	pt->queued = false;
	pt->last_overrun = clamp_overrun(pt->overruns);
	pt->overruns = 0;
	e->info.fields._timer._overrun = pt->last_overrun;
}

static void expired(struct timer *timer)
{
	struct posix_timer *pt = container_of(timer, struct posix_timer, timer);
	struct process *p = pt->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	uint64_t now = hal_clock_ns(), times = 1;

	if (pt->deleting || !pt->expires_ns || pt->expires_ns > now) {
		spin_unlock_irq(&p->signal_lock, flags);
		return;
	}
	if (pt->interval_ns) {
		times = (now - pt->expires_ns) / pt->interval_ns + 1;
		pt->expires_ns += times * pt->interval_ns;
		timer_arm(&pt->timer, pt->expires_ns);
	} else {
		pt->expires_ns = 0;
	}
	if (pt->queued) {
		pt->overruns += times;
	} else if (!pt->silent && (!pt->target || !list_empty(&pt->target->process_link))) {
		pt->overruns = times - 1;
		pt->queued = signal_send_entry_locked(p, pt->target, &pt->entry);
	}
	spin_unlock_irq(&p->signal_lock, flags);
}

static struct posix_timer *find_locked(struct process *p, int id)
{
	struct posix_timer *pt;

	list_for_each(pt, &p->timers, link)
		if (pt->id == id && !pt->deleting)
			return pt;
	return NULL;
}

/* ---- creating ---- */

static int check_clock(int clock)
{
	uint64_t deadline;

	if (clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
		return -EOPNOTSUPP;
	return clock_deadline(clock, 0, &deadline);
}

static int set_event(struct posix_timer *pt, const struct sigevent *event)
{
	struct task *t;

	pt->entry.info = (struct signal_info){ .signo = event->sigev_signo, .code = SI_TIMER };
	pt->entry.info.fields._timer._sigval = event->sigev_value;
	pt->entry.dequeued = dequeued;
	switch (event->sigev_notify) {
	case SIGEV_NONE:
		pt->silent = true;
		return 0;
	case SIGEV_SIGNAL:
		return signal_valid(event->sigev_signo) ? 0 : -EINVAL;
	case SIGEV_SIGNAL | SIGEV_THREAD_ID:
		t = task_find(event->sigev_notify_thread_id);
		if (!t)
			return -EINVAL;
		pt->target = t;
		return t->process == process_self() && signal_valid(event->sigev_signo) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static void timer_free(struct posix_timer *pt)
{
	if (pt->target)
		task_put(pt->target);
	kfree(pt);
}

/* Numbers rise, and go round; one in use is passed over. */
static int link_timer(struct process *p, struct posix_timer *pt)
{
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct posix_timer *other;
	uint32_t count = 0;

	list_for_each(other, &p->timers, link)
		count++;
	if (count >= POSIX_TIMERS_MAX) {
		spin_unlock_irq(&p->signal_lock, flags);
		return -EAGAIN;
	}
	do {
		pt->id = p->next_timer;
		p->next_timer = pt->id == INT32_MAX ? 0 : pt->id + 1;
	} while (find_locked(p, pt->id));
	pt->entry.info.fields._timer._tid = pt->id;
	list_add_tail(&p->timers, &pt->link);
	spin_unlock_irq(&p->signal_lock, flags);
	return 0;
}

int posix_timer_create(int clock, const struct sigevent *event, int *ret_id)
{
	struct posix_timer *pt;
	int err = check_clock(clock);

	if (err < 0)
		return err;
	pt = kzalloc(sizeof(*pt));
	if (!pt)
		return -EAGAIN;
	pt->process = process_self();
	pt->clock = clock;
	timer_setup(&pt->timer, expired);
	list_init(&pt->link);
	list_init(&pt->entry.link);
	err = set_event(pt, event);
	if (err == 0)
		err = link_timer(pt->process, pt);
	if (err < 0) {
		timer_free(pt);
		return err;
	}
	*ret_id = pt->id;
	return 0;
}

int posix_timer_without_event(int clock, int *ret_id)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };

	event.sigev_value.sival_int = process_self()->next_timer;
	return posix_timer_create(clock, &event, ret_id);
}

/* ---- setting and asking ---- */

static void setting_locked(const struct posix_timer *pt, struct itimer_setting *ret)
{
	uint64_t now = hal_clock_ns();

	ret->interval_ns = pt->interval_ns;
	ret->value_ns = !pt->expires_ns ? 0 : pt->expires_ns > now ? pt->expires_ns - now : 1;
}

static uint64_t deadline_of(const struct posix_timer *pt, bool absolute, uint64_t value_ns)
{
	uint64_t deadline;

	if (!value_ns)
		return 0;
	if (!absolute)
		return clock_deadline_in(value_ns);
	if (clock_deadline(pt->clock, value_ns, &deadline) < 0)
		return 0;
	return max(deadline, UINT64_C(1));
}

int posix_timer_set(int id, bool absolute, const struct itimer_setting *new, struct itimer_setting *ret_old)
{
	struct process *p = process_self();
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct posix_timer *pt = find_locked(p, id);

	if (pt) {
		setting_locked(pt, ret_old);
		pt->interval_ns = new->interval_ns;
		pt->expires_ns = deadline_of(pt, absolute, new->value_ns);
		pt->overruns = 0;
		timer_arm(&pt->timer, pt->expires_ns ? pt->expires_ns : HAL_TIMER_NEVER);
	}
	spin_unlock_irq(&p->signal_lock, flags);
	return pt ? 0 : -EINVAL;
}

int posix_timer_get(int id, struct itimer_setting *ret)
{
	struct process *p = process_self();
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct posix_timer *pt = find_locked(p, id);

	if (pt)
		setting_locked(pt, ret);
	spin_unlock_irq(&p->signal_lock, flags);
	return pt ? 0 : -EINVAL;
}

int posix_timer_overrun(int id)
{
	struct process *p = process_self();
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct posix_timer *pt = find_locked(p, id);
	int n = pt ? pt->last_overrun : -EINVAL;

	spin_unlock_irq(&p->signal_lock, flags);
	return n;
}

/* ---- deleting ---- */

static void take_off_queue_locked(struct process *p, struct posix_timer *pt)
{
	struct signal_queue *q = pt->target ? &pt->target->pending : &p->pending;
	int signo = pt->entry.info.signo;
	struct signal_entry *e;

	if (!pt->queued)
		return;
	pt->queued = false;
	list_del(&pt->entry.link);
	list_for_each(e, &q->entries, link)
		if (e->info.signo == signo)
			return;
	WRITE_ONCE(q->set, q->set & ~signal_bit(signo));
}

static void delete(struct process *p, struct posix_timer *pt)
{
	unsigned long flags;

	(void)timer_cancel(&pt->timer);
	flags = spin_lock_irq(&p->signal_lock);
	take_off_queue_locked(p, pt);
	list_del(&pt->link);
	spin_unlock_irq(&p->signal_lock, flags);
	timer_free(pt);
}

int posix_timer_delete(int id)
{
	struct process *p = process_self();
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct posix_timer *pt = find_locked(p, id);

	if (pt)
		pt->deleting = true;
	spin_unlock_irq(&p->signal_lock, flags);
	if (!pt)
		return -EINVAL;
	delete(p, pt);
	return 0;
}

/* The process has one thread left, so that nobody else deletes. */
void timers_exec(struct process *p)
{
	while (!list_empty(&p->timers)) {
		struct posix_timer *pt = list_first(&p->timers, struct posix_timer, link);

		pt->deleting = true;
		delete(p, pt);
	}
}
