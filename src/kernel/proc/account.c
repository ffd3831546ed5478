/* SPDX-License-Identifier: MIT */
/*
 * What users have: tasks (RLIMIT_NPROC), room in message queues (RLIMIT_MSGQUEUE); and how many tasks the machine has. The machine's bound follows from its memory, so that
 * a fork bomb meets EAGAIN, not an empty allocator.
 *
 * Locking: accounts_lock guards the table, inside proc_lock too, which interrupts take; counts are atomic. An account lives as long as processes
 * belong to it, or queues count for it.
 */
#include "proc_internal.h"
#include <linux/capability.h>

#define ACCOUNT_HEADS 64
#define NAMESPACE_PAGES 64 /* so much memory for each namespace, which takes at most a thirteenth of it */
#define NAMESPACES_MIN	256

struct user_account {
	struct hash_link link; /* accounts_lock */
	uint32_t uid;
	uint32_t refs;	       /* accounts_lock */
	uint32_t tasks;	       /* atomic */
	uint64_t queue_bytes;  /* atomic: of POSIX message queues */
};

static struct spinlock accounts_lock = SPINLOCK_INIT(RANK_LEAF);
static struct hash_head account_heads[ACCOUNT_HEADS];
static uint32_t tasks_now, tasks_max; /* atomic; constant */

static struct user_account *lookup_locked(uint32_t uid)
{
	struct user_account *a;

	hash_for_each(a, &account_heads[uid % ACCOUNT_HEADS], link)
		if (a->uid == uid) {
			a->refs++;
			return a;
		}
	return NULL;
}

struct user_account *account_get(uint32_t uid)
{
	struct user_account *fresh = kzalloc(sizeof(*fresh)), *found;
	unsigned long flags;

	if (!fresh)
		return NULL;
	flags = spin_lock_irq(&accounts_lock);
	found = lookup_locked(uid);
	if (!found) {
		fresh->uid = uid;
		fresh->refs = 1;
		hash_insert(&account_heads[uid % ACCOUNT_HEADS], &fresh->link);
	}
	spin_unlock_irq(&accounts_lock, flags);
	if (!found)
		return fresh;
	kfree(fresh);
	return found;
}

void account_hold(struct user_account *a)
{
	unsigned long flags = spin_lock_irq(&accounts_lock);

	a->refs++;
	spin_unlock_irq(&accounts_lock, flags);
}

void account_put(struct user_account *a)
{
	unsigned long flags = spin_lock_irq(&accounts_lock);
	bool last = --a->refs == 0;

	if (last)
		hash_remove(&a->link);
	spin_unlock_irq(&accounts_lock, flags);
	if (last)
		kfree(a);
}

int task_count(struct user_account *a, const struct cred *c, uint64_t limit)
{
	uint32_t mine = __atomic_add_fetch(&a->tasks, 1, __ATOMIC_RELAXED);
	uint32_t all = __atomic_add_fetch(&tasks_now, 1, __ATOMIC_RELAXED);

	if (likely(all <= tasks_max && (mine <= limit || c->uid == 0 || cred_capable(c, CAP_SYS_RESOURCE) ||
					cred_capable(c, CAP_SYS_ADMIN))))
		return 0;
	task_uncount(a);
	log_limited(LOG_WARNING, 4, "no more tasks: %u of %u, user %u has %u", all - 1, tasks_max, a->uid, mine - 1);
	return -EAGAIN;
}

void task_uncount(struct user_account *a)
{
	__atomic_fetch_sub(&a->tasks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&tasks_now, 1, __ATOMIC_RELAXED);
}

/* setuid: `n` tasks go over to another account. */
void account_move(struct user_account *from, struct user_account *to, uint32_t n)
{
	__atomic_fetch_sub(&from->tasks, n, __ATOMIC_RELAXED);
	__atomic_fetch_add(&to->tasks, n, __ATOMIC_RELAXED);
}

struct user_account *account_charge_queue(uint64_t bytes)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct user_account *a = process_self()->account;
	uint64_t now;

	account_hold(a);
	spin_unlock_irq(&proc_lock, flags);
	now = __atomic_add_fetch(&a->queue_bytes, bytes, __ATOMIC_RELAXED);
	if (now >= bytes && now <= process_limit(RLIMIT_MSGQUEUE))
		return a;
	account_uncharge_queue(a, bytes);
	return NULL;
}

void account_uncharge_queue(struct user_account *a, uint64_t bytes)
{
	__atomic_sub_fetch(&a->queue_bytes, bytes, __ATOMIC_RELAXED);
	account_put(a);
}

uint32_t task_total(void)
{
	return __atomic_load_n(&tasks_now, __ATOMIC_RELAXED);
}

uint32_t task_limit(void)
{
	return tasks_max;
}

/* Namespaces: a share of memory. An eighth of the memory may go into kernel stacks and what belongs to them, as on Linux. */
void account_init(void)
{
	struct mm_stats stats;
	uint64_t n;

	mm_get_stats(&stats);
	n = stats.total_pages * PAGE_SIZE / (8 * (uint64_t)HAL_KSTACK_SIZE);
	namespace_limit((uint32_t)max(stats.total_pages / NAMESPACE_PAGES, UINT64_C(NAMESPACES_MIN)));
	tasks_max = (uint32_t)min(max(n, UINT64_C(64)), (uint64_t)PID_LIMIT - 1);
}
