/* SPDX-License-Identifier: MIT */
/* What gdb.sh debugs: a function that calls itself, a thread, a variable that is waited for, an end by a signal. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile int answer = 41;

static int __attribute__((noinline)) deep(int n)
{
	if (n == 0)
		return ++answer;
	return deep(n - 1) + 1;
}

static void *in_thread(void *arg)
{
	return (void *)(long)deep((int)(long)arg);
}

static int until_told(void)
{
	while (answer < 100)
		usleep(1000);
	return answer - 100;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	void *result;

	if (argc > 1 && strcmp(argv[1], "wait") == 0)
		return until_told();
	if (argc > 1 && strcmp(argv[1], "abort") == 0)
		answer = deep(3), abort();
	if (pthread_create(&thread, NULL, in_thread, (void *)3) || pthread_join(thread, &result))
		return 1;
	printf("%ld\n", (long)result);
	return 0;
}
