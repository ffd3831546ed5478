/* SPDX-License-Identifier: MIT */
/*
 * poll, ppoll, select and pselect6: their arrays and bit sets become the items of poll_items() (cloudos/poll.h) and back.
 *
 * A call that a signal ends restarts only if no handler ran (signal(7)); the time-out that is left was written back before, where
 * the call does that.
 */
#include <asm/poll.h>
#include <asm/resource.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/poll.h>
#include <cloudos/proc.h>
#include <cloudos/string.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include "call_wait.h"
#include "syscalls_gen.h"

#define ITEMS_ON_STACK 8

static void items_put(struct poll_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (items[i].file)
			fd_end(items[i].file, items[i].put);
}

static int64_t restartable(int64_t result)
{
	return result == -ERESTARTSYS ? -ERESTARTNOHAND : result;
}

/* ---- poll ---- */

/* Fills the items from the user's array of n pollfds; no fault leaves a file held. */
static int items_from_pollfds(struct poll_item *items, uaddr_t fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct poll_item *item = &items[i];
		struct pollfd p;

		if (get_user(p, fds + i * sizeof(p))) {
			items_put(items, i);
			return -EFAULT;
		}
		item->fd = p.fd;
		item->events = (uint16_t)p.events | POLLERR | POLLHUP;
		item->file = p.fd >= 0 ? fd_begin(p.fd, &item->put) : NULL;
		item->revents = p.fd >= 0 && !item->file ? POLLNVAL : 0;
	}
	return 0;
}

static int revents_to_user(const struct poll_item *items, uaddr_t fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (put_user((int16_t)items[i].revents, fds + i * sizeof(struct pollfd) + offsetof(struct pollfd, revents)))
			return -EFAULT;
	return 0;
}

static int64_t poll_with(struct poll_item *items, uaddr_t fds, size_t n, uint64_t deadline_ns)
{
	int64_t result = items_from_pollfds(items, fds, n);

	if (result)
		return result;
	for (size_t i = 0; i < n; i++)
		if (items[i].revents)
			deadline_ns = 0;
	result = poll_items(items, n, deadline_ns);
	items_put(items, n);
	if (result >= 0 && revents_to_user(items, fds, n))
		return -EFAULT;
	return restartable(result);
}

static int64_t do_poll(uaddr_t fds, unsigned n, uint64_t deadline_ns)
{
	struct poll_item few[ITEMS_ON_STACK], *items = few;
	int64_t result;

	if (n > process_limit(RLIMIT_NOFILE))
		return -EINVAL;
	if (n > POLL_ITEMS_MAX)
		return -ENOMEM;
	if (n > ITEMS_ON_STACK) {
		items = kmalloc(n * sizeof(*items));
		if (!items)
			return -ENOMEM;
	}
	result = poll_with(items, fds, n, deadline_ns);
	if (items != few)
		kfree(items);
	return result;
}

static int64_t poll_until(uaddr_t fds, unsigned n, uint64_t deadline_ns);

static uint64_t poll_again(struct task *t)
{
	return (uint64_t)poll_until(t->restart.user, t->restart.bits, t->restart.deadline_ns);
}

/* Its time-out is relative: a restart must go on with the first deadline. */
static int64_t poll_until(uaddr_t fds, unsigned n, uint64_t deadline_ns)
{
	int64_t result = do_poll(fds, n, deadline_ns);
	struct task *t = task_current();

	if (result != -ERESTARTNOHAND || deadline_ns == HAL_TIMER_NEVER)
		return result;
	t->restart.fn = poll_again;
	t->restart.user = fds;
	t->restart.bits = n;
	t->restart.deadline_ns = deadline_ns;
	return -ERESTART_BLOCK;
}

int64_t sys_poll(uaddr_t fds, unsigned n, int timeout_ms)
{
	return poll_until(fds, n, deadline_from_ms(timeout_ms));
}

int64_t sys_ppoll(uaddr_t fds, unsigned n, uaddr_t timeout, uaddr_t mask, size_t mask_size)
{
	uint64_t deadline_ns;
	int64_t result = deadline_from_timespec(timeout, &deadline_ns);

	if (!result)
		result = call_mask_begin(mask, mask_size);
	if (result)
		return result;
	result = do_poll(fds, n, deadline_ns);
	call_mask_end(mask, result);
	return deadline_to_timespec(timeout, deadline_ns, result);
}

/* ---- select ---- */

enum { SELECT_READ, SELECT_WRITE, SELECT_EXCEPT, SELECT_SETS };

#define SET_WORDS_ON_STACK 16 /* FD_SETSIZE bits */

static const uint32_t select_events[SELECT_SETS] = {
	[SELECT_READ] = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR,
	[SELECT_WRITE] = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR,
	[SELECT_EXCEPT] = POLLPRI,
};

struct select_call {
	uaddr_t user[SELECT_SETS]; /* 0: not given */
	uint64_t *sets;		   /* SELECT_SETS times `words` */
	size_t words, bits;
	struct poll_item *items;
	size_t count;
};

/* The user's sets are arrays of longs; Linux reads and writes as many whole ones as hold the bits. */
static int sets_from_user(struct select_call *c)
{
	for (unsigned s = 0; s < SELECT_SETS; s++) {
		uint64_t *set = c->sets + s * c->words;

		if (!c->user[s])
			memset(set, 0, c->words * sizeof(*set));
		else if (copy_from_user(set, c->user[s], c->words * sizeof(*set)))
			return -EFAULT;
		if (c->bits % 64)
			set[c->words - 1] &= (UINT64_C(1) << c->bits % 64) - 1;
	}
	return 0;
}

static uint64_t word_union(const struct select_call *c, size_t word)
{
	return c->sets[word] | c->sets[c->words + word] | c->sets[2 * c->words + word];
}

static size_t count_items(const struct select_call *c)
{
	size_t n = 0;

	for (size_t w = 0; w < c->words; w++)
		n += (size_t)__builtin_popcountll(word_union(c, w));
	return n;
}

static uint32_t events_of(const struct select_call *c, int fd)
{
	uint32_t events = 0;

	for (unsigned s = 0; s < SELECT_SETS; s++)
		if (c->sets[s * c->words + (size_t)fd / 64] >> (fd % 64) & 1)
			events |= select_events[s];
	return events;
}

static int items_from_sets(struct select_call *c)
{
	size_t n = 0;

	for (size_t w = 0; w < c->words; w++) {
		for (uint64_t left = word_union(c, w); left; left &= left - 1) {
			struct poll_item *item = &c->items[n];

			item->fd = (int)(w * 64) + __builtin_ctzll(left);
			item->events = events_of(c, item->fd);
			item->revents = 0;
			item->file = fd_begin(item->fd, &item->put);
			if (!item->file) {
				items_put(c->items, n);
				return -EBADF;
			}
			n++;
		}
	}
	return 0;
}

/* Turns the sets into the results and writes them back; returns how many bits are set. */
static int64_t sets_to_user(struct select_call *c)
{
	int64_t ready = 0;

	for (unsigned s = 0; s < SELECT_SETS; s++) {
		uint64_t *set = c->sets + s * c->words;

		for (size_t i = 0; i < c->count; i++) {
			uint64_t bit = UINT64_C(1) << (c->items[i].fd % 64);
			uint64_t *word = &set[c->items[i].fd / 64];

			if (!(*word & bit))
				continue;
			if (c->items[i].revents & select_events[s])
				ready++;
			else
				*word &= ~bit;
		}
		if (c->user[s] && copy_to_user(c->user[s], set, c->words * sizeof(*set)))
			return -EFAULT;
	}
	return ready;
}

static int64_t select_items(struct select_call *c, uint64_t deadline_ns)
{
	struct poll_item few[ITEMS_ON_STACK];
	int64_t result;

	c->count = count_items(c);
	c->items = few;
	if (c->count > ITEMS_ON_STACK) {
		c->items = c->count <= POLL_ITEMS_MAX ? kmalloc(c->count * sizeof(*c->items)) : NULL;
		if (!c->items)
			return -ENOMEM;
	}
	result = items_from_sets(c);
	if (!result) {
		result = poll_items(c->items, c->count, deadline_ns);
		items_put(c->items, c->count);
		if (result >= 0)
			result = sets_to_user(c);
	}
	if (c->items != few)
		kfree(c->items);
	return restartable(result);
}

static int64_t do_select(int n, uaddr_t readable, uaddr_t writable, uaddr_t except, uint64_t deadline_ns)
{
	uint64_t few[SELECT_SETS * SET_WORDS_ON_STACK], most = min(process_limit(RLIMIT_NOFILE), (uint64_t)FD_MAX);
	struct select_call c = { .user = { readable, writable, except }, .sets = few };
	int64_t result;

	if (n < 0)
		return -EINVAL;
	c.bits = min((uint64_t)n, most);
	c.words = (c.bits + 63) / 64;
	if (c.words > SET_WORDS_ON_STACK) {
		c.sets = kmalloc(SELECT_SETS * c.words * sizeof(*c.sets));
		if (!c.sets)
			return -ENOMEM;
	}
	result = sets_from_user(&c);
	if (!result)
		result = select_items(&c, deadline_ns);
	if (c.sets != few)
		kfree(c.sets);
	return result;
}

int64_t sys_select(int n, uaddr_t readable, uaddr_t writable, uaddr_t except, uaddr_t timeout)
{
	uint64_t deadline_ns;
	int64_t result = deadline_from_timeval(timeout, &deadline_ns);

	if (result)
		return result;
	result = do_select(n, readable, writable, except, deadline_ns);
	return deadline_to_timeval(timeout, deadline_ns, result);
}

int64_t sys_pselect6(int n, uaddr_t readable, uaddr_t writable, uaddr_t except, uaddr_t timeout, uaddr_t mask)
{
	struct {
		uint64_t mask, size;
	} given = { 0, 0 };
	uint64_t deadline_ns;
	int64_t result;

	if (mask && get_user(given, mask))
		return -EFAULT;
	result = deadline_from_timespec(timeout, &deadline_ns);
	if (!result)
		result = call_mask_begin(given.mask, given.size);
	if (result)
		return result;
	result = do_select(n, readable, writable, except, deadline_ns);
	call_mask_end(given.mask, result);
	return deadline_to_timespec(timeout, deadline_ns, result);
}
