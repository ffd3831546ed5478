/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the first of several words to change (futex_waitv(2)). Each word has a waiter of its own in its bucket; they share the thread. As
 * for one word (F1 in futex.c), each is read after its waiter is in line; the first that has another value than it should ends the call.
 */
#include "futex_internal.h"
#include <cloudos/uaccess.h>
#include <cloudos/wait.h>
#include <linux/futex.h>

/* Takes them off again; the index of the last one that was woken, or -1. */
static int dequeue_all(struct futex_waiter *waiters, unsigned count)
{
	int woken = -1;

	for (unsigned i = 0; i < count; i++)
		if (futex_dequeue(&waiters[i]))
			woken = (int)i;
	return woken;
}

/* Puts all in line. 0, or what one of the words was (-EAGAIN, -EFAULT); *ret_count are in line in either case. */
static int enqueue_all(struct futex_waiter *waiters, const struct futex_wait *words, unsigned count, unsigned *ret_count)
{
	uint32_t value;
	int err = 0;

	for (*ret_count = 0; *ret_count < count && err == 0; ++*ret_count) {
		const struct futex_wait *word = &words[*ret_count];

		futex_enqueue(&waiters[*ret_count]);
		err = hal_user_load32(word->addr, &value);
		if (err == 0 && value != word->value)
			err = -EAGAIN;
	}
	return err;
}

static bool any_woken(const struct futex_waiter *waiters, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (futex_woken(&waiters[i]))
			return true;
	return false;
}

static int sleep_until_one_woken(const struct futex_waiter *waiters, unsigned count, uint64_t deadline_ns)
{
	int err = 0;

	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (any_woken(waiters, count) || err)
			break;
		err = wait_round(THREAD_INTERRUPTIBLE, deadline_ns);
	}
	thread_cancel_sleep();
	return err;
}

int64_t futex_wait_any(const struct futex_wait *words, unsigned count, uint64_t deadline_ns)
{
	struct futex_waiter *waiters = kzalloc(count * sizeof(*waiters));
	unsigned in_line = 0;
	int woken, err = 0;

	if (!waiters)
		return -ENOMEM;
	for (unsigned i = 0; i < count && err == 0; i++) {
		waiters[i].thread = thread_current();
		waiters[i].bits = FUTEX_BITSET_MATCH_ANY;
		err = futex_key_of(words[i].addr, words[i].private, &waiters[i].key);
	}
	if (err == 0)
		err = enqueue_all(waiters, words, count, &in_line);
	if (err == 0)
		err = sleep_until_one_woken(waiters, count, deadline_ns);
	woken = dequeue_all(waiters, in_line);
	kfree(waiters);
	return woken >= 0 ? woken : err;
}
