/* SPDX-License-Identifier: MIT */
/* What fork makes of memory: private pages are copied when written, shared ones are shared; advice for fork; threads that map and unmap. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "check.h"

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

static void *map(size_t pages, int flags)
{
	return mmap(NULL, pages * PAGE, RW, MAP_ANONYMOUS | flags, -1, 0);
}

static volatile int data = 1;
static volatile char *private_page, *shared_page, *wiped, *kept_back;

static void child(void *arg)
{
	(void)arg;
	if (data != 2 || private_page[0] != 3 || shared_page[0] != 4)
		_exit(1);
	data = 5;
	private_page[0] = 6;
	shared_page[0] = 7;
	_exit(wiped[0] == 0 ? 0 : 2);
}

static void touch_kept_back(void *arg)
{
	(void)arg;
	kept_back[0] = 1;
}

static void copies(void)
{
	private_page = map(1, MAP_PRIVATE);
	shared_page = map(1, MAP_SHARED);
	wiped = map(1, MAP_PRIVATE);
	kept_back = map(1, MAP_PRIVATE);
	data = 2;
	private_page[0] = 3;
	shared_page[0] = 4;
	wiped[0] = kept_back[0] = 8;
	CHECK("WIPEONFORK", madvise((void *)wiped, PAGE, MADV_WIPEONFORK) == 0);
	CHECK_ERRNO("WIPEONFORK of shared memory", madvise((void *)shared_page, PAGE, MADV_WIPEONFORK), EINVAL);
	CHECK("DONTFORK", madvise((void *)kept_back, PAGE, MADV_DONTFORK) == 0);
	CHECK("the child sees what it should", check_in_child(child, NULL) == 0);
	CHECK("its writes are its own", data == 2 && private_page[0] == 3 && wiped[0] == 8);
	CHECK("but for shared memory", shared_page[0] == 7);
	CHECK("what is kept back is not there", check_in_child(touch_kept_back, NULL) == -SIGSEGV);
}

/* A tree of processes in which each page is written by somebody else. */
static void tree(void *arg)
{
	long depth = (long)arg;

	for (unsigned i = 0; i < 64; i++)
		private_page[i * PAGE] = (char)(depth + i);
	if (depth > 0 && check_in_child(tree, (void *)(depth - 1)) != 0)
		_exit(1);
	for (unsigned i = 0; i < 64; i++)
		if (private_page[i * PAGE] != (char)(depth + i))
			_exit(2);
	_exit(0);
}

#define THREADS 4
#define ROUNDS	200

static void *map_and_unmap(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		char *p = map(16, MAP_PRIVATE);

		if (p == MAP_FAILED)
			return (void *)1;
		for (unsigned j = 0; j < 16; j++)
			p[j * PAGE] = (char)(i + j + (size_t)arg);
		if (mprotect(p, 8 * PAGE, PROT_READ))
			return (void *)2;
		for (unsigned j = 0; j < 16; j++)
			if (p[j * PAGE] != (char)(i + j + (size_t)arg))
				return (void *)3;
		munmap(p, 16 * PAGE);
	}
	return NULL;
}

static void fork_now_and_then(void *arg)
{
	(void)arg;
	_exit(data == 2 ? 0 : 1);
}

static void threads(void)
{
	pthread_t thread[THREADS];
	bool good = true;
	void *result;

	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, map_and_unmap, (void *)i);
	for (unsigned i = 0; i < 20; i++)
		good &= check_in_child(fork_now_and_then, NULL) == 0;
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &result);
		good &= result == NULL;
	}
	CHECK("threads map, write, protect and unmap while their process forks", good);
}

int main(void)
{
	copies();
	private_page = map(64, MAP_PRIVATE);
	CHECK("a tree of processes", check_in_child(tree, (void *)6) == 0);
	threads();
	return checks_failed;
}
