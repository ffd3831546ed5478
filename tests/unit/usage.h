/* SPDX-License-Identifier: MIT */
/* What a kernel under test has in use, before and after. */
#ifndef USAGE_H
#define USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is in use: pages by kind, objects by slab cache, runnable threads. */
#define USAGE_CACHES_MAX 128
struct usage {
	uint64_t pages[8];
	struct {
		const char *name;
		size_t objects;
	} caches[USAGE_CACHES_MAX];
	size_t cache_count;
	unsigned runnable;
};
/*
 * Fills what allocators keep for the next use, so that a test does not seem to hold what it was the first to need: up to 64
 * kernel stacks.
 */
void usage_warm_up(unsigned stacks);

void usage_measure(struct usage *ret);

/*
 * Waits, bounded, until no more is in use than in `before` (threads that have just ended are still giving
 * back); false if more stays, with a message on what it is.
 */
bool usage_returned(const struct usage *before, char *ret_message, size_t size);

#endif
