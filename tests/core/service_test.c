/* SPDX-License-Identifier: MIT */
/*
 * The service registry, with services of the test's own. The threads that it asks for are played here: `pending` holds what was spawned,
 * and a waiting boot thread lets the first of them run. One test has a real second CPU for them, since what it attacks is a
 * moment between two instructions of the boot thread.
 */
#include "unit.h"
#include <cloudos/errno.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include "../../src/kernel/core/core_internal.h"

#define MAX 4

static struct service_status status[MAX];
static char order[32];
static int result[MAX];
static unsigned stops;

static int note(unsigned i)
{
	size_t len = strlen(order);

	order[len] = (char)('a' + i);
	order[len + 1] = '\0';
	return result[i];
}

static int start_a(void)
{
	return note(0);
}

static int start_b(void)
{
	return note(1);
}

static int start_c(void)
{
	return note(2);
}

static int start_d(void)
{
	return note(3);
}

static void stop(void)
{
	stops++;
}

static struct {
	void (*fn)(void *);
	void *arg;
} pending[MAX];
static unsigned spawned, ran;

static int spawn(const char *name, void (*fn)(void *), void *arg)
{
	(void)name;
	pending[spawned].fn = fn;
	pending[spawned++].arg = arg;
	return 0;
}

static void wait(bool (*done)(void))
{
	while (!done()) {
		assert_true(ran < spawned); /* else it waits for ever */
		pending[ran].fn(pending[ran].arg);
		ran++;
	}
}

static void start_all(const struct service *services, size_t n)
{
	memset(status, 0, sizeof(status));
	order[0] = '\0';
	stops = spawned = ran = 0;
	service_threads = (struct service_threads){ .spawn = spawn, .wait = wait };
	services_use(services, services + n);
	services_start();
	assert_int_equal(ran, spawned);
}

static void a_service_starts_when_what_it_requires_runs(void **state)
{
	static const struct service services[] = {
		{ .name = "a", .requires = SERVICE_REQUIRES("b", "c"), .start = start_a, .status = &status[0] },
		{ .name = "b", .requires = SERVICE_REQUIRES("d"), .start = start_b, .status = &status[1] },
		{ .name = "c", .start = start_c, .status = &status[2] },
		{ .name = "d", .start = start_d, .status = &status[3] },
	};

	(void)state;
	start_all(services, ARRAY_SIZE(services));
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		assert_int_equal(status[i].state, SERVICE_RUNNING);
	assert_string_equal(order, "cdba");
	services_stop();
	assert_int_equal(status[0].state, SERVICE_STOPPED);
}

static void what_requires_a_missing_one_is_blocked(void **state)
{
	static const struct service services[] = {
		{ .name = "a", .requires = SERVICE_REQUIRES("b"), .start = start_a, .status = &status[0] },
		{ .name = "b", .requires = SERVICE_REQUIRES("nowhere"), .start = start_b, .status = &status[1] },
		{ .name = "c", .start = start_c, .status = &status[2] },
	};

	(void)state;
	start_all(services, ARRAY_SIZE(services));
	assert_int_equal(status[0].state, SERVICE_BLOCKED);
	assert_int_equal(status[1].state, SERVICE_BLOCKED);
	assert_int_equal(status[2].state, SERVICE_RUNNING);
	assert_string_equal(order, "c");
}

static void a_failure_blocks_what_depends_on_it(void **state)
{
	static const struct service services[] = {
		{ .name = "a", .start = start_a, .status = &status[0] },
		{ .name = "b", .requires = SERVICE_REQUIRES("a"), .start = start_b, .status = &status[1] },
		{ .name = "c", .requires = SERVICE_REQUIRES("b"), .start = start_c, .status = &status[2] },
		{ .name = "d", .start = start_d, .status = &status[3] },
	};

	(void)state;
	result[0] = -ENOMEM;
	start_all(services, ARRAY_SIZE(services));
	result[0] = 0;
	assert_int_equal(status[0].state, SERVICE_FAILED);
	assert_int_equal(status[0].error, -ENOMEM);
	assert_int_equal(status[1].state, SERVICE_BLOCKED);
	assert_int_equal(status[2].state, SERVICE_BLOCKED);
	assert_int_equal(status[3].state, SERVICE_RUNNING);
}

static void a_circle_is_blocked_and_the_rest_runs(void **state)
{
	static const struct service services[] = {
		{ .name = "a", .requires = SERVICE_REQUIRES("b"), .start = start_a, .status = &status[0] },
		{ .name = "b", .requires = SERVICE_REQUIRES("a", "c"), .start = start_b, .status = &status[1] },
		{ .name = "c", .start = start_c, .status = &status[2] },
	};

	(void)state;
	start_all(services, ARRAY_SIZE(services));
	assert_int_equal(status[0].state, SERVICE_BLOCKED);
	assert_int_equal(status[1].state, SERVICE_BLOCKED);
	assert_int_equal(status[2].state, SERVICE_RUNNING);
}

static void restarting_stops_and_starts(void **state)
{
	static const struct service services[] = {
		{ .name = "a", .start = start_a, .stop = stop, .flags = SERVICE_RESTARTABLE, .status = &status[0] },
		{ .name = "b", .start = start_b, .status = &status[1] },
	};

	(void)state;
	start_all(services, ARRAY_SIZE(services));
	assert_int_equal(service_restart("a"), 0);
	assert_int_equal(stops, 1);
	assert_int_equal(status[0].restarts, 1);
	assert_int_equal(status[0].state, SERVICE_RUNNING);
	assert_int_equal(service_restart("b"), -EPERM);
	assert_int_equal(service_restart("c"), -ENOENT);
	result[0] = -EIO;
	assert_int_equal(service_restart("a"), -EIO);
	result[0] = 0;
	assert_int_equal(status[0].state, SERVICE_FAILED);
	assert_int_equal(service_restart("a"), 0); /* nothing ran that had to be stopped */
	assert_int_equal(stops, 2);
}

/* ---- services that finish while the boot thread looks ---- */

#define ROUNDS  30000
#define DELAYS  6000
#define TIME_NS (4 * NSEC_PER_SEC) /* no more rounds then: two CPUs that spin are slow on a busy host */

static void (*mail)(void *); /* to the other CPU */
static void *mail_arg;
static bool leave, left;
static unsigned delay;

static void other_cpu(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&leave, __ATOMIC_ACQUIRE)) {
		void (*fn)(void *) = __atomic_load_n(&mail, __ATOMIC_ACQUIRE);

		hal_irq_restore(hal_irq_save());
		if (!fn)
			continue;
		for (unsigned i = 0; i < delay; i++)
			barrier();
		__atomic_store_n(&mail, NULL, __ATOMIC_RELAXED);
		fn(mail_arg);
	}
	__atomic_store_n(&left, true, __ATOMIC_RELEASE);
}

/* Only `a` goes to the other CPU; without a thread, a service starts on the boot thread. */
static int send(const char *name, void (*fn)(void *), void *arg)
{
	if (!str_equal(name, "a"))
		return -ENOMEM;
	mail_arg = arg;
	__atomic_store_n(&mail, fn, __ATOMIC_RELEASE);
	return 0;
}

static void spin_until(bool (*done)(void))
{
	while (!done())
		hal_cpu_relax();
}

/*
 * That `a` ends between any two looks of the boot thread at how many are starting must not make `b`, which waits for it, part of a
 * circle. The delays are spread over the moments. `c` is there since a service that is ready alone starts on the boot thread.
 */
static void one_that_finishes_meanwhile_is_no_circle(void **state)
{
	static const struct service services[] = {
		{ .name = "a", .status = &status[0] },
		{ .name = "b", .requires = SERVICE_REQUIRES("a"), .status = &status[1] },
		{ .name = "c", .status = &status[2] },
	};
	static struct thread helper;
	uint64_t end_ns = hal_clock_ns() + TIME_NS;
	unsigned wrong = 0;

	(void)state;
	assert_int_equal(thread_init(&helper, "other", other_cpu, NULL), 0);
	helper.affinity = 2;
	leave = left = false;
	thread_start(&helper);
	service_threads = (struct service_threads){ .spawn = send, .wait = spin_until };
	for (unsigned i = 0; i < ROUNDS && hal_clock_ns() < end_ns; i++) {
		memset(status, 0, sizeof(status));
		delay = i * 1597 % DELAYS;
		services_use(services, services + ARRAY_SIZE(services));
		services_start();
		wrong += status[1].state != SERVICE_RUNNING;
	}
	__atomic_store_n(&leave, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&left, __ATOMIC_ACQUIRE))
		thread_delay(NSEC_PER_MSEC);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(a_service_starts_when_what_it_requires_runs),
		UNIT_TEST(what_requires_a_missing_one_is_blocked),
		UNIT_TEST(a_failure_blocks_what_depends_on_it),
		UNIT_TEST(a_circle_is_blocked_and_the_rest_runs),
		UNIT_TEST(restarting_stops_and_starts),
		UNIT_TEST(one_that_finishes_meanwhile_is_no_circle),
	};

	return UNIT_MAIN(tests, 32, 2);
}
