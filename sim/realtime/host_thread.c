/* SPDX-License-Identifier: MIT */
/* vCPU threads, sleeping and waking, and the end of the process (hosted). */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <sim/host.h>
#include <sim/host_private.h>
#include <sim/vcpu.h>

#define THREAD_STACK (256 * 1024) /* only until the vCPU moves to its kernel stack */
#define SIGNAL_STACK (128 * 1024) /* the kernel's panic runs on it */

uint64_t host_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t host_wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

size_t host_entropy(void *buf, size_t len)
{
	ssize_t n = getrandom(buf, len, GRND_NONBLOCK);

	return n > 0 ? (size_t)n : 0;
}

/* ---- sleeping ---- */

void host_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline_ns / 1000000000),
		.tv_nsec = (long)(deadline_ns % 1000000000),
	};

	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, deadline_ns == UINT64_MAX ? NULL : &until, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

void host_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void host_yield(void)
{
	sched_yield();
}

/* ---- threads ---- */

/*
 * Binds the thread, and with it the stubs that it makes, to one host CPU: a sleep and wake-up between two CPUs costs ten times one on the
 * same. vCPU 0 stays where the host started us; the others follow round.
 */
static void bind_to_cpu(unsigned cpu)
{
	static cpu_set_t allowed;
	static int first = -1, count;
	cpu_set_t one;
	int chosen;

	if (first < 0) {
		if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0 || (first = sched_getcpu()) < 0)
			return;
		count = CPU_COUNT(&allowed);
	}
	chosen = first;
	for (unsigned skip = cpu % (unsigned)count; skip > 0; skip--) {
		do
			chosen = (chosen + 1) % CPU_SETSIZE;
		while (!CPU_ISSET(chosen, &allowed));
	}
	CPU_ZERO(&one);
	CPU_SET(chosen, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

void host_thread_adopt(unsigned cpu)
{
	stack_t alternate = {.ss_size = SIGNAL_STACK};

	alternate.ss_sp = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (alternate.ss_sp != MAP_FAILED)
		sigaltstack(&alternate, NULL);
	bind_to_cpu(cpu);
}

struct start {
	unsigned cpu;
	struct sim_vcpu *v;
	void (*fn)(struct sim_vcpu *);
};

static void *thread(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	host_thread_adopt(start.cpu);
	start.fn(start.v);
	return NULL;
}

int host_thread_create(size_t stack, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t id;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&id, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -error;
}

int host_thread_start(unsigned cpu, struct sim_vcpu *v, void (*fn)(struct sim_vcpu *))
{
	struct start *start = malloc(sizeof(*start));
	int error;

	if (!start)
		return -ENOMEM;
	*start = (struct start){cpu, v, fn};
	error = host_thread_create(THREAD_STACK, thread, start);
	if (error)
		free(start);
	return error;
}

/* ---- the end ---- */

/* The first who comes ends the process; other threads that get here wait for that. */
void host_exit(int status)
{
	static atomic_flag ending = ATOMIC_FLAG_INIT;

	if (atomic_flag_test_and_set(&ending))
		host_halt_thread();
	host_terminal_restore();
	exit(status);
}

void host_halt_thread(void)
{
	for (;;)
		pause();
}
