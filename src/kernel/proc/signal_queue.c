/* SPDX-License-Identifier: MIT */
/*
 * Queues of pending signals. A queue is a set of numbers and a list of entries that carry the details. Standard signals (below
 * SIGNAL_RT_MIN) are pending once; real-time ones queue, in order. When memory or RLIMIT_SIGPENDING runs out, a signal may be
 * in the set without an entry: it is then delivered with SI_USER and nothing else, as on Linux.
 *
 * Locking: S throughout.
 */
#include "proc_internal.h"

static struct slab_cache *entry_cache;

int signal_queue_caches_init(void)
{
	entry_cache = slab_cache_create("signal", sizeof(struct signal_entry), 0);
	return entry_cache ? 0 : -ENOMEM;
}

void signal_queue_init(struct signal_queue *q)
{
	q->set = 0;
	list_init(&q->entries);
}

/* Takes an entry off; its details go to *ret, unless null. A timer brings its overrun count up to date first. */
static void entry_take(struct process *p, struct signal_entry *e, struct signal_info *ret)
{
	if (e->dequeued)
		e->dequeued(e);
	if (ret)
		*ret = e->info;
	list_del(&e->link);
	if (e->dequeued)
		return;
	ADD_ONCE(p->queued, -1);
	slab_free(entry_cache, e);
}

/* Must the signal carry its details, so that a full queue is an error? (sigqueue of a real-time signal) */
static bool needs_entry(const struct signal_info *info)
{
	return info->signo >= SIGNAL_RT_MIN && info->code != SI_USER && info->code < 0;
}

int signal_queue_add_locked(struct process *p, struct signal_queue *q, const struct signal_info *info)
{
	struct signal_entry *e = NULL;

	if (info->signo < SIGNAL_RT_MIN && (q->set & signal_bit(info->signo)))
		return 0;
	if (p->queued < p->limits[RLIMIT_SIGPENDING].rlim_cur || info->signo < SIGNAL_RT_MIN)
		e = slab_alloc(entry_cache);
	if (!e && needs_entry(info))
		return -EAGAIN;
	if (e) {
		e->info = *info;
		e->dequeued = NULL;
		list_add_tail(&q->entries, &e->link);
		ADD_ONCE(p->queued, 1);
	}
	WRITE_ONCE(q->set, q->set | signal_bit(info->signo));
	return 0;
}

/* Synchronous faults come first, then the lowest number. */
static int first_signal(uint64_t set)
{
	if (set & SIGNALS_SYNCHRONOUS)
		set &= SIGNALS_SYNCHRONOUS;
	return __builtin_ctzll(set) + 1;
}

static void take_locked(struct process *p, struct signal_queue *q, int signo, struct signal_info *ret)
{
	struct signal_entry *e, *tmp, *found = NULL;
	bool more = false;

	list_for_each_safe(e, tmp, &q->entries, link) {
		if (e->info.signo != signo)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = e;
	}
	if (!more)
		WRITE_ONCE(q->set, q->set & ~signal_bit(signo));
	if (!found) {
		*ret = (struct signal_info){ .signo = signo, .code = SI_USER };
		return;
	}
	entry_take(p, found, ret);
}

void signal_info_shown(const struct signal_info *info, const struct user_namespace *ns, struct signal_info *ret)
{
	*ret = *info;
	if (signal_has_sender(ret))
		ret->fields._kill._uid = id_shown(ns, ID_UID, ret->fields._kill._uid); /* at the same place in all layouts that have it */
}

void signal_dequeue_first_locked(struct process *p, struct signal_queue *q, uint64_t set, struct signal_info *ret)
{
	take_locked(p, q, first_signal(set), ret);
	signal_info_shown(ret, thread_current()->cred->user_ns, ret);
}

void signal_queue_flush_locked(struct process *p, struct signal_queue *q, uint64_t mask)
{
	struct signal_entry *e, *tmp;

	if (!(q->set & mask))
		return;
	WRITE_ONCE(q->set, q->set & ~mask);
	list_for_each_safe(e, tmp, &q->entries, link)
		if (signal_bit(e->info.signo) & mask)
			entry_take(p, e, NULL);
}
