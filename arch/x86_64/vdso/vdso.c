/* SPDX-License-Identifier: MIT */
/*
 * The vDSO: the time and the CPU's number without a system call. A shared library that the kernel maps into
 * each program; it is compiled like one, refers to nothing outside itself but the data page before it, and
 * asks the kernel for clocks that it does not know.
 */
#include <linux/time.h>
#include <asm/unistd.h>
#include <x86/vdso_data.h>

#define EXPORT __attribute__((visibility("default")))

#define NS_PER_SECOND	    UINT64_C(1000000000)
#define CPU_NUMBER_SELECTOR 0x1bu /* a segment whose limit is the number */

extern const struct x86_vdso_data vdso_data __attribute__((visibility("hidden")));

struct getcpu_cache;

EXPORT int __vdso_clock_gettime(__kernel_clockid_t clock, struct timespec *ts);
EXPORT int __vdso_clock_getres(__kernel_clockid_t clock, struct timespec *res);
EXPORT int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz);
EXPORT __kernel_old_time_t __vdso_time(__kernel_old_time_t *t);
EXPORT long __vdso_getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused);

static inline uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Nanoseconds since boot, or since 1970. */
static inline uint64_t now(int wall)
{
	uint32_t sequence;
	uint64_t ns;

	do {
		sequence = __atomic_load_n(&vdso_data.sequence, __ATOMIC_ACQUIRE);
		ns = (uint64_t)((unsigned __int128)(read_tsc() - vdso_data.tsc_base) * vdso_data.multiplier >>
				32);
		if (wall)
			ns += vdso_data.wall_offset_ns;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((sequence & 1) || sequence != __atomic_load_n(&vdso_data.sequence, __ATOMIC_RELAXED));
	return ns;
}

static long system_call(long number, long a, long b)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return result;
}

static inline int store(struct timespec *ts, uint64_t ns)
{
	ts->tv_sec = (long)(ns / NS_PER_SECOND);
	ts->tv_nsec = (long)(ns % NS_PER_SECOND);
	return 0;
}

int __vdso_clock_gettime(__kernel_clockid_t clock, struct timespec *ts)
{
	const unsigned wall = 1u << CLOCK_REALTIME | 1u << CLOCK_REALTIME_COARSE;
	const unsigned boot = 1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW |
			      1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_BOOTTIME;

	if ((unsigned)clock < 32 && (boot >> clock & 1))
		return store(ts, now(0));
	if ((unsigned)clock < 32 && (wall >> clock & 1))
		return store(ts, now(1));
	return (int)system_call(__NR_clock_gettime, clock, (long)ts);
}

int __vdso_clock_getres(__kernel_clockid_t clock, struct timespec *res)
{
	return (int)system_call(__NR_clock_getres, clock, (long)res);
}

int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz)
{
	uint64_t ns;

	if (tz != 0)
		return (int)system_call(__NR_gettimeofday, (long)tv, (long)tz);
	if (tv != 0) {
		ns = now(1);
		tv->tv_sec = (long)(ns / NS_PER_SECOND);
		tv->tv_usec = (long)(ns % NS_PER_SECOND / 1000);
	}
	return 0;
}

__kernel_old_time_t __vdso_time(__kernel_old_time_t *t)
{
	__kernel_old_time_t seconds = (__kernel_old_time_t)(now(1) / NS_PER_SECOND);

	if (t != 0)
		*t = seconds;
	return seconds;
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused)
{
	unsigned number;

	(void)unused;
	__asm__ volatile("lsl %1, %0" : "=r"(number) : "r"(CPU_NUMBER_SELECTOR));
	if (cpu != 0)
		*cpu = number;
	if (node != 0)
		*node = 0;
	return 0;
}
