/* SPDX-License-Identifier: MIT */
/*
 * POSIX timers (timer_create(2)). A timer carries the queue entry of its signal, so that its expiry never needs memory, and is
 * pending once: expiries in the meantime are counted as overruns, and told when the signal is delivered.
 *
 * Expiries are on one of three scales: hal_clock_ns()'s; the wall clock's, of absolute times on it, so that they move when it is set; or CPU time,
 * for which the kernel timer looks again and again (cpu_clock.c). The kernel timer may go off early on the latter two: it is armed again.
 *
 * Locking: S. CPU time may be another process's, whose S is not taken inside: it is read before. The kernel timer's function runs in interrupts. Who deletes a timer first marks it, then cancels, then takes its entry
 * off the queue; the process's own threads alone do so, one at a time (`deleting`).
 */
#include "cpu_clock.h"
#include "proc_internal.h"
#include <cloudos/clock.h>
#include <cloudos/wall.h>

#define REST_NS (100 * NSEC_PER_USEC) /* between two expiries that are looked at */

struct posix_timer {
	struct list link; /* S: process.timers */
	struct process *process;
	struct task *target; /* SIGEV_THREAD_ID: with a reference; else null */
	struct timer timer;
	struct wall_watch watch; /* on the list while the scale is the wall clock's */
	struct cpu_clock cpu;	 /* C */
	struct signal_entry entry;
	int id, clock;
	enum { ON_CLOCK, ON_WALL, ON_CPU } scale; /* S */
	bool silent;	 /* SIGEV_NONE */
	bool queued;	 /* S: the entry is on a queue */
	bool deleting;	 /* S */
	uint64_t interval_ns, expires_ns; /* S; 0: not set */
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

/* When the kernel timer is to go off, for an expiry that is `left` away. S held. */
static uint64_t deadline_of(const struct posix_timer *pt, uint64_t left)
{
	switch (pt->scale) {
	case ON_WALL:
		return wall_deadline(pt->expires_ns);
	case ON_CPU:
		return left ? cpu_clock_look(&pt->cpu, left) : 0;
	default:
		return pt->expires_ns;
	}
}

/* S held: arms the kernel timer, for what is not a matter of CPU time of something that has ended. */
static void arm_locked(struct posix_timer *pt, uint64_t now, bool stands)
{
	uint64_t left = pt->expires_ns > now ? pt->expires_ns - now : 0;
	uint32_t jumps;

	do {
		jumps = wall_jumps();
		timer_arm(&pt->timer, !pt->expires_ns || (stands && left) ? HAL_TIMER_NEVER : deadline_of(pt, left));
	} while (pt->scale == ON_WALL && jumps != wall_jumps());
}

/* The next expiry of a periodic timer, not sooner than REST_NS from now: the interrupt must end. What is due by then counts as overruns. S held. */
static void arm_again_locked(struct posix_timer *pt, uint64_t now, bool stands)
{
	uint64_t soonest = hal_clock_ns() + REST_NS;

	if (pt->scale == ON_CPU || pt->expires_ns > now + REST_NS)
		arm_locked(pt, now, stands);
	else
		timer_arm(&pt->timer, soonest);
}

static void wall_moved(struct wall_watch *w)
{
	struct posix_timer *pt = container_of(w, struct posix_timer, watch);

	timer_arm(&pt->timer, 0); /* it looks by itself */
}

/* What the scale says; CPU time is given. */
static uint64_t now_locked(const struct posix_timer *pt, uint64_t cpu_ns)
{
	return pt->scale == ON_CPU ? cpu_ns : pt->scale == ON_WALL ? hal_wall_ns() : hal_clock_ns();
}

/* Moves the expiry on; how often it has gone off. */
static uint64_t advance_locked(struct posix_timer *pt, uint64_t now)
{
	uint64_t times = 1;

	if (pt->interval_ns)
		times = (now - pt->expires_ns) / pt->interval_ns + 1;
	pt->expires_ns = pt->interval_ns ? pt->expires_ns + times * pt->interval_ns : 0;
	return times;
}

static void expired(struct timer *timer)
{
	struct posix_timer *pt = container_of(timer, struct posix_timer, timer);
	struct process *p = pt->process;
	bool cpu = pt->cpu.process, stands = cpu && cpu_clock_stands(&pt->cpu);
	uint64_t cpu_ns = cpu ? cpu_clock_lately(&pt->cpu) : 0, now, times;
	unsigned long flags = spin_lock_irq(&p->signal_lock);

	now = now_locked(pt, cpu_ns);
	if (pt->deleting || !pt->expires_ns || pt->expires_ns > now) {
		if (!pt->deleting && pt->expires_ns)
			arm_locked(pt, now, stands);
		spin_unlock_irq(&p->signal_lock, flags);
		return;
	}
	times = advance_locked(pt, now);
	if (pt->expires_ns)
		arm_again_locked(pt, now, stands);
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

/* -EINVAL: it is none; -EOPNOTSUPP: one that has no timers. */
static int set_clock(struct posix_timer *pt, int clock)
{
	uint64_t now;
	int err;

	pt->clock = clock;
	if (clock_has_timers(clock))
		return 0;
	pt->scale = ON_CPU;
	err = cpu_clock_get(clock, &pt->cpu);
	return err == -EOPNOTSUPP && clock >= 0 && clock_read(clock, &now) < 0 && !clock_is_alarm(clock) ? -EINVAL : err;
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
	cpu_clock_put(&pt->cpu);
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
	struct posix_timer *pt = kzalloc(sizeof(*pt));
	int err;

	if (!pt)
		return -EAGAIN;
	pt->process = process_self();
	wall_watch_init(&pt->watch, wall_moved);
	timer_setup(&pt->timer, expired);
	list_init(&pt->link);
	list_init(&pt->entry.link);
	err = set_clock(pt, clock);
	if (err == 0)
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

static void setting_locked(const struct posix_timer *pt, uint64_t now, struct itimer_setting *ret)
{
	ret->interval_ns = pt->interval_ns;
	ret->value_ns = !pt->expires_ns ? 0 : pt->expires_ns > now ? pt->expires_ns - now : 1;
}

/* What CPU time timer `id` counts, and whether that has ended; S is not held. Ids are not used again soon. */
static uint64_t sample(struct process *p, int id, bool *ret_stands)
{
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct posix_timer *pt = find_locked(p, id);
	struct cpu_clock c = { 0 };
	uint64_t now = 0;

	if (pt)
		c = cpu_clock_copy(&pt->cpu);
	spin_unlock_irq(&p->signal_lock, flags);
	*ret_stands = c.process && cpu_clock_stands(&c);
	if (c.process)
		now = cpu_clock_now(&c);
	cpu_clock_put(&c);
	return now;
}

/* Chooses the scale, and the expiry on it. */
static void set_expiry_locked(struct posix_timer *pt, bool absolute, uint64_t value_ns, uint64_t cpu_ns)
{
	uint64_t expires = value_ns, now;

	if (pt->scale != ON_CPU)
		pt->scale = absolute && clock_on_wall(pt->clock, value_ns, &expires) ? ON_WALL : ON_CLOCK;
	now = now_locked(pt, cpu_ns);
	if (!absolute)
		expires = value_ns < HAL_TIMER_NEVER - now ? now + value_ns : HAL_TIMER_NEVER;
	pt->expires_ns = value_ns ? max(expires, UINT64_C(1)) : 0;
}

int posix_timer_set(int id, bool absolute, const struct itimer_setting *new, struct itimer_setting *ret_old)
{
	struct process *p = process_self();
	bool stands;
	uint64_t cpu_ns = sample(p, id, &stands);
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct posix_timer *pt = find_locked(p, id);

	if (pt && !stands) {
		setting_locked(pt, now_locked(pt, cpu_ns), ret_old);
		pt->interval_ns = new->interval_ns;
		set_expiry_locked(pt, absolute, new->value_ns, cpu_ns);
		pt->overruns = 0;
		if (pt->scale == ON_WALL && pt->expires_ns)
			wall_watch_add(&pt->watch);
		else
			wall_watch_remove(&pt->watch);
		arm_locked(pt, now_locked(pt, cpu_ns), false);
	}
	spin_unlock_irq(&p->signal_lock, flags);
	return !pt ? -EINVAL : stands ? -ESRCH : 0;
}

int posix_timer_get(int id, struct itimer_setting *ret)
{
	struct process *p = process_self();
	bool stands;
	uint64_t cpu_ns = sample(p, id, &stands);
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct posix_timer *pt = find_locked(p, id);

	if (pt)
		setting_locked(pt, now_locked(pt, cpu_ns), ret);
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

	wall_watch_remove(&pt->watch);
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
