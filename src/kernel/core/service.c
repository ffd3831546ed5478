/* SPDX-License-Identifier: MIT */
/*
 * The service registry: see <cloudos/service.h>. A service goes
 *
 *   WAITING → STARTING → RUNNING | FAILED        BLOCKED: something that it requires failed, is blocked or is not there
 *   RUNNING → STOPPED → STARTING → ...           (restart, shut-down)
 *
 * The boot thread alone decides what starts; start() runs there or in a thread of its own. Locking: service_lock (RANK_LEAF)
 * guards every struct service_status.
 */
#define LOG_SUBSYSTEM "service"
#include <cloudos/errno.h>
#include <cloudos/lock.h>
#include <cloudos/log.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include "core_internal.h"

extern const struct service __start_cloudos_services[], __stop_cloudos_services[];

static struct spinlock service_lock = SPINLOCK_INIT(RANK_LEAF);
static uint32_t starting, started;
struct service_threads service_threads;

static const struct service *first_service = __start_cloudos_services, *end_of_services = __stop_cloudos_services;

#define for_each_service(s) for (const struct service *s = first_service; s < end_of_services; s++)

void services_use(const struct service *first, const struct service *end)
{
	first_service = first;
	end_of_services = end;
	started = 0;
}

const char *service_state_name(enum service_state state)
{
	static const char *const names[] = { "waiting", "starting", "running", "failed", "blocked", "stopped" };

	return names[state];
}

static const struct service *find(const char *name)
{
	for_each_service(s)
		if (str_equal(s->name, name))
			return s;
	return NULL;
}

static enum service_state state_of(const struct service *s)
{
	return (enum service_state)__atomic_load_n(&s->status->state, __ATOMIC_ACQUIRE);
}

static void set_state(const struct service *s, enum service_state state)
{
	unsigned long flags = spin_lock_irq(&service_lock);

	__atomic_store_n(&s->status->state, state, __ATOMIC_RELEASE); /* state_of() looks without the lock */
	spin_unlock_irq(&service_lock, flags);
}

/* May s start? 0: yes; -EAGAIN: not yet; -ENOENT: never (and *ret_missing says what for). */
static int ready(const struct service *s, const char **ret_missing)
{
	for (size_t i = 0; i < SERVICE_REQUIRES_MAX && s->requires[i]; i++) {
		const struct service *r = find(s->requires[i]);

		*ret_missing = s->requires[i];
		if (!r || state_of(r) == SERVICE_FAILED || state_of(r) == SERVICE_BLOCKED)
			return -ENOENT;
		if (state_of(r) != SERVICE_RUNNING)
			return -EAGAIN;
	}
	return 0;
}

static void note_start(struct service_status *st, uint64_t begin_ns, int err)
{
	unsigned long flags = spin_lock_irq(&service_lock);

	st->begin_ns = begin_ns;
	st->end_ns = hal_clock_ns();
	st->cpu = hal_cpu_id();
	st->error = err;
	spin_unlock_irq(&service_lock, flags);
}

static void run_start(void *arg)
{
	const struct service *s = arg;
	uint64_t begin_ns = hal_clock_ns();
	int err = s->start ? s->start() : 0;

	note_start(s->status, begin_ns, err);
	if (err)
		log_err("%s failed to start: error %d", s->name, -err);
	if (err && (s->flags & SERVICE_ESSENTIAL))
		panic("service %s is essential and failed to start: error %d", s->name, -err);
	set_state(s, err ? SERVICE_FAILED : SERVICE_RUNNING);
	__atomic_fetch_sub(&starting, 1, __ATOMIC_RELEASE);
	if (service_threads.notify)
		service_threads.notify();
}

static void launch(const struct service *s, bool alone)
{
	unsigned long flags = spin_lock_irq(&service_lock);

	s->status->order = ++started;
	spin_unlock_irq(&service_lock, flags);
	set_state(s, SERVICE_STARTING);
	__atomic_fetch_add(&starting, 1, __ATOMIC_RELAXED);
	if (alone || !service_threads.spawn || service_threads.spawn(s->name, run_start, (void *)(uintptr_t)s))
		run_start((void *)(uintptr_t)s);
}

/* Blocks those that can never start; returns how many may start now, and the first of them. */
static unsigned survey(const struct service **ret_first)
{
	unsigned n = 0;

	for_each_service(s) {
		const char *missing;
		int err;

		if (state_of(s) != SERVICE_WAITING)
			continue;
		err = ready(s, &missing);
		if (err == -ENOENT) {
			log_err("%s is not started: it requires %s", s->name, missing);
			set_state(s, SERVICE_BLOCKED);
		}
		if (!err && n++ == 0)
			*ret_first = s;
	}
	return n;
}

static bool any_waiting(void)
{
	for_each_service(s)
		if (state_of(s) == SERVICE_WAITING)
			return true;
	return false;
}

static uint32_t starting_seen;

static bool one_finished(void)
{
	return __atomic_load_n(&starting, __ATOMIC_ACQUIRE) < starting_seen;
}

/*
 * A survey found nothing that can start: waits for one of those that were starting when it began (they may have finished
 * meanwhile); if there were none, what is left waits for each other in a circle.
 */
static void wait_or_block(uint32_t were_starting)
{
	starting_seen = were_starting;
	if (were_starting > 0) {
		service_threads.wait(one_finished);
		return;
	}
	for_each_service(s) {
		if (state_of(s) != SERVICE_WAITING)
			continue;
		log_err("%s is not started: its requirements form a circle", s->name);
		set_state(s, SERVICE_BLOCKED);
	}
}

static bool none_starting(void)
{
	return __atomic_load_n(&starting, __ATOMIC_ACQUIRE) == 0;
}

void services_start(void)
{
	while (any_waiting()) {
		const struct service *s = NULL;
		uint32_t before = __atomic_load_n(&starting, __ATOMIC_ACQUIRE);
		unsigned n = survey(&s);

		if (n > 0)
			launch(s, n == 1 && before == 0);
		else if (any_waiting())
			wait_or_block(before);
	}
	if (!none_starting())
		service_threads.wait(none_starting);
}

static void stop_one(const struct service *s)
{
	if (s->stop)
		s->stop();
	set_state(s, SERVICE_STOPPED);
}

void services_stop(void)
{
	for (uint32_t order = started; order > 0; order--)
		for_each_service(s)
			if (s->status->order == order && state_of(s) == SERVICE_RUNNING)
				stop_one(s);
}

static void note_restart(struct service_status *st)
{
	unsigned long flags = spin_lock_irq(&service_lock);

	st->restarts++;
	spin_unlock_irq(&service_lock, flags);
}

int service_restart(const char *name)
{
	const struct service *s = find(name);

	if (!s)
		return -ENOENT;
	if (!(s->flags & SERVICE_RESTARTABLE))
		return -EPERM;
	if (state_of(s) == SERVICE_RUNNING)
		stop_one(s);
	note_restart(s->status);
	launch(s, true);
	return s->status->error;
}

bool service_get(size_t i, const struct service **ret, struct service_status *ret_status)
{
	unsigned long flags = spin_lock_irq(&service_lock);
	size_t n = 0;
	bool found = false;

	for (uint32_t order = 0; order <= started && !found; order++)
		for_each_service(s) {
			/* Those that started by their order; those that never did (order 0) come first in line, shown last. */
			if (s->status->order != (order + 1) % (started + 1))
				continue;
			if (n++ == i) {
				*ret = s;
				*ret_status = *s->status;
				found = true;
				break;
			}
		}
	spin_unlock_irq(&service_lock, flags);
	return found;
}
