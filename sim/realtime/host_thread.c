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

	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, deadline_ns == UINT64_MAX ? NULL : &until,
		NULL, FUTEX_BITSET_MATCH_ANY);
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

/* The n-th of the CPUs in a set. */
static int nth_cpu(const cpu_set_t *set, int n)
{
	int cpu = 0;

	while (!CPU_ISSET(cpu, set) || n-- > 0)
		cpu++;
	return cpu;
}

/* How many CPUs of the set come before this one. */
static int position_of(const cpu_set_t *set, int cpu)
{
	int n = 0;

	for (int i = 0; i < cpu; i++)
		n += CPU_ISSET(i, set);
	return n;
}

/*
 * A sleep and wake-up between two CPUs costs ten times one on the same, so a vCPU that runs user code stays
 * with its stubs on one host CPU: the first to come where it is, the others round from there.
 */
void host_thread_bind(unsigned cpu)
{
	static atomic_int first = -1; /* position of vCPU 0's */
	int here = sched_getcpu(), count, wanted, position = -1;
	cpu_set_t allowed, one;

	if (here < 0 || sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return;
	count = CPU_COUNT(&allowed);
	wanted = (position_of(&allowed, here) + SIM_CPU_MAX * count - (int)cpu) % count;
	if (atomic_compare_exchange_strong(&first, &position, wanted))
		position = wanted;
	CPU_ZERO(&one);
	CPU_SET(nth_cpu(&allowed, (position + (int)cpu) % count), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

void host_thread_adopt(void)
{
	stack_t alternate = {.ss_size = SIGNAL_STACK};

	alternate.ss_sp =
	    mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (alternate.ss_sp != MAP_FAILED)
		sigaltstack(&alternate, NULL);
}

struct start {
	struct sim_vcpu *v;
	void (*fn)(struct sim_vcpu *);
};

static void *thread(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	host_thread_adopt();
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

int host_thread_start(struct sim_vcpu *v, void (*fn)(struct sim_vcpu *))
{
	struct start *start = malloc(sizeof(*start));
	int error;

	if (!start)
		return -ENOMEM;
	*start = (struct start){v, fn};
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
