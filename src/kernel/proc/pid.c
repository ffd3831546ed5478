/* SPDX-License-Identifier: MIT */
/*
 * Numbers of threads, processes, process groups and sessions. One number may serve as all four, and is not given out again while
 * any of them lives: struct pid_entry counts its uses. Numbers go round, so that one just freed is not reused at once.
 *
 * An entry has a number in the namespace that it was made in and in each one above (pid_namespace.c). Inside the kernel, processes and
 * threads go by their number in the first one, which everything has ("global"); a program says and hears those of its own.
 *
 * Locking: everything here is under proc_lock. Entries are allocated and freed outside of it.
 */
#include "proc_internal.h"
#include <cloudos/bitmap.h>

#define PID_WRAP_TO 300 /* low numbers are not used a second time */

struct spinlock proc_lock = SPINLOCK_INIT(RANK_PROC);

/* Consecutive numbers lie in consecutive chains, of at most PID_LIMIT / PID_HEADS = 64. */
static struct hash_head *pid_head(struct pid_namespace *ns, int number)
{
	return &ns->heads[(unsigned)number % PID_HEADS];
}

struct pid_entry *pid_lookup_in_locked(struct pid_namespace *ns, int number)
{
	struct pid_number *n;

	hash_for_each(n, pid_head(ns, number), link)
		if (n->number == number)
			return n->entry;
	return NULL;
}

struct pid_entry *pid_lookup_global_locked(int number)
{
	return pid_lookup_in_locked(&pid_namespace_first, number);
}

struct pid_entry *pid_lookup_locked(int number)
{
	return pid_lookup_in_locked(pid_namespace_current(), number);
}

int pid_number_in(const struct pid_entry *e, const struct pid_namespace *ns)
{
	return ns->level <= e->level && e->numbers[ns->level].ns == ns ? e->numbers[ns->level].number : 0;
}

int process_number_for(const struct process *p)
{
	return pid_number_in(process_self()->id, p->pid_ns);
}

unsigned pid_numbers_below(const struct pid_entry *e, const struct pid_namespace *ns, int ret[PID_NAMESPACE_DEPTH + 1])
{
	unsigned n = 0;

	ret[0] = 0;
	if (!e || e->level < ns->level || e->numbers[ns->level].ns != ns)
		return 1;
	for (unsigned i = ns->level; i <= e->level; i++)
		ret[n++] = e->numbers[i].number;
	return n;
}

int pid_number_seen(const struct pid_entry *e)
{
	return pid_number_in(e, pid_namespace_current());
}

/* ---- giving numbers ---- */

static int choose_locked(struct pid_namespace *ns)
{
	size_t n = bitmap_find_clear(ns->taken, PID_LIMIT, ns->next);

	if (n == PID_LIMIT)
		n = bitmap_find_clear(ns->taken, PID_LIMIT, PID_WRAP_TO);
	if (n == PID_LIMIT)
		return -EAGAIN;
	WRITE_ONCE(ns->next, n + 1 < PID_LIMIT ? n + 1 : PID_WRAP_TO);
	return (int)n;
}

static int take_locked(struct pid_namespace *ns, struct pid_number *n, int wanted)
{
	int number = wanted ? wanted : choose_locked(ns);

	if (number < 0)
		return number;
	if (bitmap_test(ns->taken, (size_t)number))
		return -EEXIST;
	bitmap_set(ns->taken, (size_t)number);
	ns->used++;
	n->ns = ns;
	n->number = number;
	hash_insert(pid_head(ns, number), &n->link);
	return 0;
}

static void give_locked(struct pid_number *n)
{
	struct pid_namespace *ns = n->ns;

	hash_remove(&n->link);
	bitmap_clear(ns->taken, (size_t)n->number);
	ns->used--;
	if (ns->used == 0 && !ns->init)
		WRITE_ONCE(ns->next, 1); /* nobody came: the first one will still be 1 */
	if (ns->ended)
		wake_all(&ns->emptied);
}

int pid_assign_locked(struct pid_entry *e, const int *wanted, unsigned wanted_count)
{
	struct pid_namespace *ns = e->ns;
	int err = ns->ended ? -ENOMEM : 0;

	if (err == 0 && wanted_count > 0 && wanted[0] != 1 && !ns->init)
		err = -EINVAL;
	for (unsigned i = 0; i <= e->level; i++, ns = ns->parent) {
		struct pid_number *n = &e->numbers[e->level - i];

		if (err == 0)
			err = take_locked(ns, n, i < wanted_count ? wanted[i] : 0);
		if (err == 0)
			continue;
		for (n++; n <= &e->numbers[e->level]; n++)
			give_locked(n);
		return err;
	}
	e->uses = 1;
	e->task = NULL;
	e->process = NULL;
	list_init(&e->members);
	return 0;
}

struct pid_entry *pid_drop_locked(struct pid_entry *e)
{
	ASSERT(e->uses > 0);
	if (--e->uses > 0)
		return NULL;
	ASSERT(list_empty(&e->members) && !e->task && !e->process);
	for (unsigned i = 0; i <= e->level; i++)
		give_locked(&e->numbers[i]);
	return e;
}

int pid_next_in_locked(struct pid_namespace *ns, int after)
{
	size_t n = after < 0 ? 0 : (size_t)after + 1;

	for (; n < PID_LIMIT; n++) {
		n = bitmap_find_set(ns->taken, PID_LIMIT, n);
		if (n == PID_LIMIT)
			break;
		if (pid_lookup_in_locked(ns, (int)n)->process)
			return (int)n;
	}
	return -1;
}

struct process *process_next(int after, int *ret_number)
{
	struct pid_namespace *ns = pid_namespace_current();
	unsigned long flags = spin_lock_irq(&proc_lock);
	int number = pid_next_in_locked(ns, after);
	struct process *p = number > 0 ? pid_lookup_in_locked(ns, number)->process : NULL;

	if (p)
		process_get(p);
	spin_unlock_irq(&proc_lock, flags);
	if (p)
		*ret_number = number;
	return p;
}

void process_for_each(void (*fn)(struct process *p, void *arg), void *arg)
{
	int pid = 0;

	do {
		unsigned long flags = spin_lock_irq(&proc_lock);

		pid = pid_next_in_locked(&pid_namespace_first, pid);
		if (pid > 0)
			fn(pid_lookup_global_locked(pid)->process, arg);
		spin_unlock_irq(&proc_lock, flags);
	} while (pid > 0);
}

int pid_last(void)
{
	struct pid_namespace *ns = pid_namespace_current();
	unsigned long flags = spin_lock_irq(&proc_lock);
	int last = (int)ns->next - 1;

	spin_unlock_irq(&proc_lock, flags);
	return last;
}

void pid_set_last(int last)
{
	struct pid_namespace *ns = pid_namespace_current();
	unsigned long flags = spin_lock_irq(&proc_lock);

	WRITE_ONCE(ns->next, last + 1 < PID_LIMIT ? (size_t)last + 1 : PID_WRAP_TO);
	spin_unlock_irq(&proc_lock, flags);
}

/* ---- from one namespace to another ---- */

int pid_seen(int global)
{
	struct pid_namespace *ns = pid_namespace_current();
	struct pid_entry *e;
	unsigned long flags;
	int number;

	if (likely(ns == &pid_namespace_first) || global <= 0)
		return global;
	flags = spin_lock_irq(&proc_lock);
	e = pid_lookup_global_locked(global);
	number = e ? pid_number_in(e, ns) : 0;
	spin_unlock_irq(&proc_lock, flags);
	return number;
}

int pid_global(int seen)
{
	struct pid_namespace *ns = pid_namespace_current();
	struct pid_entry *e;
	unsigned long flags;
	int number;

	if (likely(ns == &pid_namespace_first) || seen <= 0)
		return seen;
	flags = spin_lock_irq(&proc_lock);
	e = pid_lookup_in_locked(ns, seen);
	number = e ? pid_number_global(e) : 0;
	spin_unlock_irq(&proc_lock, flags);
	return number;
}

/* ---- storage ---- */

static struct slab_cache *pid_cache; /* of entries of the first namespace: the others are larger */

struct pid_entry *pid_entry_alloc(struct pid_namespace *ns)
{
	size_t size = sizeof(struct pid_entry) + (ns->level + 1) * sizeof(struct pid_number);
	struct pid_entry *e = ns->level ? kmalloc(size) : slab_alloc(pid_cache);

	if (!e)
		return NULL;
	e->ns = ns;
	e->level = ns->level;
	if (ns->level)
		namespace_get(&ns->base);
	for (unsigned i = 0; i <= ns->level; i++)
		e->numbers[i].entry = e;
	return e;
}

void pid_entry_free(struct pid_entry *e)
{
	if (!e || e->level == 0) {
		slab_free(pid_cache, e);
		return;
	}
	namespace_put(&e->ns->base);
	kfree(e);
}

int pid_init(void)
{
	pid_cache = slab_cache_create("pid", sizeof(struct pid_entry) + sizeof(struct pid_number), 0);
	return pid_cache ? 0 : -ENOMEM;
}
