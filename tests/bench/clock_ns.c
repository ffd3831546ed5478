/* SPDX-License-Identifier: MIT */
/* Prints the nanoseconds since the kernel's clock began (CLOCK_MONOTONIC): run first, it tells how long a boot took. */
#include <stdio.h>
#include <time.h>

int main(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now))
		return 1;
	printf("clock_ns %lld ns\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
	return 0;
}
