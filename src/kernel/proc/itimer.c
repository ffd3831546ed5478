/* SPDX-License-Identifier: MIT */
/*
 * Interval timers (setitimer(2)) and RLIMIT_CPU.
 *
 * ITIMER_REAL is a kernel timer. For those of CPU time a kernel timer looks again and again (cpu_clock.c).
 *
 * Locking: S. The functions of timers run in interrupts, on a process that is not reaped before timers_exit() cancelled them.
 */
#include "cpu_clock.h"
#include "proc_internal.h"
#include <cloudos/clock.h>

#define REAL_REST_NS (100 * NSEC_PER_USEC) /* between two expiries: the interrupt must end, however short the interval */

static void send_locked(struct process *p, int signo)
{
	struct signal_info info;

	signal_info_kernel(&info, signo);
	(void)signal_send_locked(p, NULL, &info);
}

/* Moves an expired timer on to its next time; 0 if it was to go off once. */
static void advance_locked(struct interval_timer *it, uint64_t now)
{
	if (!it->interval_ns)
		it->expires_ns = 0;
	else
		it->expires_ns += ((now - it->expires_ns) / it->interval_ns + 1) * it->interval_ns;
}

static void real_expired(struct timer *timer)
{
	struct process *p = container_of(timer, struct process, real.timer);
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	uint64_t now = hal_clock_ns();

	if (p->real.expires_ns && p->real.expires_ns <= now) {
		send_locked(p, SIGALRM);
		advance_locked(&p->real, now);
	}
	if (p->real.expires_ns)
		timer_arm(&p->real.timer, max(p->real.expires_ns, now + REAL_REST_NS));
	spin_unlock_irq(&p->signal_lock, flags);
}

/* ---- timers of CPU time ---- */

static void cpu_arm_locked(struct process *p, struct timer *timer, uint64_t left)
{
	timer_arm(timer, cpu_time_look(p, left));
}

static void cpu_expired(struct process *p, struct interval_timer *it, bool user_only, int signo)
{
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	uint64_t now = cpu_time_locked(p, user_only);

	if (it->expires_ns && it->expires_ns <= now) {
		send_locked(p, signo);
		advance_locked(it, now);
	}
	if (it->expires_ns && p->task_count > 0)
		cpu_arm_locked(p, &it->timer, it->expires_ns - now);
	spin_unlock_irq(&p->signal_lock, flags);
}

static void virtual_expired(struct timer *timer)
{
	struct process *p = container_of(timer, struct process, virtual.timer);

	cpu_expired(p, &p->virtual, true, SIGVTALRM);
}

static void profile_expired(struct timer *timer)
{
	struct process *p = container_of(timer, struct process, profile.timer);

	cpu_expired(p, &p->profile, false, SIGPROF);
}

/* SIGXCPU each second beyond the soft limit, SIGKILL at the hard one (setrlimit(2)). */
static void cpu_limit_reached(struct timer *timer)
{
	struct process *p = container_of(timer, struct process, cpu_limit);
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	const struct rlimit64 *limit = &p->limits[RLIMIT_CPU];
	uint64_t used = cpu_time_locked(p, false), seconds = used / NSEC_PER_SEC;

	if (seconds >= limit->rlim_max) {
		send_locked(p, SIGKILL);
	} else if (seconds >= limit->rlim_cur) {
		send_locked(p, SIGXCPU);
		cpu_arm_locked(p, timer, NSEC_PER_SEC);
	} else if (limit->rlim_cur < UINT64_MAX / NSEC_PER_SEC) {
		cpu_arm_locked(p, timer, limit->rlim_cur * NSEC_PER_SEC - used);
	}
	spin_unlock_irq(&p->signal_lock, flags);
}

void cpu_limit_arm(struct process *p)
{
	if (READ_ONCE(p->limits[RLIMIT_CPU].rlim_cur) >= UINT64_MAX / NSEC_PER_SEC)
		return;
	p->cpu_limit_used = true;
	timer_arm(&p->cpu_limit, cpu_time_look(p, 0));
}

/* ---- the calls ---- */

struct which {
	struct interval_timer *it;
	bool cpu, user_only;
};

static int find(int which, struct which *ret)
{
	struct process *p = process_self();

	switch (which) {
	case ITIMER_REAL:
		*ret = (struct which){ .it = &p->real };
		return 0;
	case ITIMER_VIRTUAL:
		*ret = (struct which){ .it = &p->virtual, .cpu = true, .user_only = true };
		return 0;
	case ITIMER_PROF:
		*ret = (struct which){ .it = &p->profile, .cpu = true };
		return 0;
	default:
		return -EINVAL;
	}
}

static uint64_t now_of_locked(struct process *p, const struct which *w)
{
	return w->cpu ? cpu_time_locked(p, w->user_only) : hal_clock_ns();
}

/* A timer that is set never says that nothing is left. */
static void setting_locked(const struct interval_timer *it, uint64_t now, struct itimer_setting *ret)
{
	ret->interval_ns = it->interval_ns;
	ret->value_ns = !it->expires_ns ? 0 : it->expires_ns > now ? it->expires_ns - now : NSEC_PER_USEC;
}

int itimer_get(int which, struct itimer_setting *ret)
{
	struct process *p = process_self();
	struct which w;
	unsigned long flags;
	int err = find(which, &w);

	if (err < 0)
		return err;
	flags = spin_lock_irq(&p->signal_lock);
	setting_locked(w.it, now_of_locked(p, &w), ret);
	spin_unlock_irq(&p->signal_lock, flags);
	return 0;
}

int itimer_set(int which, const struct itimer_setting *new, struct itimer_setting *ret_old)
{
	struct process *p = process_self();
	struct which w;
	unsigned long flags;
	uint64_t now;
	int err = find(which, &w);

	if (err < 0)
		return err;
	if (w.it->used)
		(void)timer_cancel(&w.it->timer);
	flags = spin_lock_irq(&p->signal_lock);
	now = now_of_locked(p, &w);
	setting_locked(w.it, now, ret_old);
	w.it->used = true;
	w.it->interval_ns = new->interval_ns;
	w.it->expires_ns = !new->value_ns ? 0 : new->value_ns < UINT64_MAX - now ? now + new->value_ns : UINT64_MAX;
	if (w.it->expires_ns && w.cpu)
		cpu_arm_locked(p, &w.it->timer, new->value_ns);
	else if (w.it->expires_ns)
		timer_arm(&w.it->timer, w.it->expires_ns);
	spin_unlock_irq(&p->signal_lock, flags);
	return 0;
}

void timers_process_init(struct process *p)
{
	timer_setup(&p->real.timer, real_expired);
	timer_setup(&p->virtual.timer, virtual_expired);
	timer_setup(&p->profile.timer, profile_expired);
	timer_setup(&p->cpu_limit, cpu_limit_reached);
}

/* A timer's function may arm it again while it is being cancelled: it is disarmed first, under S. */
void timers_exit(struct process *p)
{
	struct interval_timer *all[] = { &p->real, &p->virtual, &p->profile };
	unsigned long flags;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (!all[i]->used)
			continue;
		flags = spin_lock_irq(&p->signal_lock);
		all[i]->expires_ns = 0;
		spin_unlock_irq(&p->signal_lock, flags);
		(void)timer_cancel(&all[i]->timer);
	}
	if (p->cpu_limit_used) {
		flags = spin_lock_irq(&p->signal_lock);
		p->limits[RLIMIT_CPU] = (struct rlimit64){ RLIM64_INFINITY, RLIM64_INFINITY };
		spin_unlock_irq(&p->signal_lock, flags);
		(void)timer_cancel(&p->cpu_limit);
	}
	timers_exec(p);
}
