/* SPDX-License-Identifier: MIT */
/* Computes for a second of CPU time in one function, so that a profile must show where. */
#include <stdio.h>
#include <time.h>

#define SPINS	  20000000
#define LENGTH_NS 1000000000LL

__attribute__((noinline)) static unsigned long hot_function(unsigned long x)
{
	__asm__ volatile("" : : "r"(__builtin_frame_address(0))); /* a function that calls nobody may have no frame */
	for (unsigned i = 0; i < SPINS; i++) {
		x = x * 6364136223846793005UL + i;
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

static long long used_ns(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

__attribute__((noinline)) static unsigned long hot_caller(void)
{
	unsigned long x = 1;

	while (used_ns() < LENGTH_NS)
		x = hot_function(x);
	return x;
}

int main(void)
{
	return hot_caller() ? printf("done\n") < 0 : 1;
}
