/* SPDX-License-Identifier: MIT */
/*
 * What a thread's end does to user memory: mutexes of its robust list that it still holds are marked OWNER_DIED and handed on
 * (linux/futex.h, "Robust futexes"), and the word that pthread_join waits on is cleared. The list is the program's: every pointer
 * may be wild, and it may be a ring; at most ROBUST_LIST_LIMIT entries are followed, and the first fault ends it.
 *
 * A word that cannot be written for want of memory (its page is still shared with a child) is no fault of the program: those who wait
 * for it would wait for ever. So the rest of the process dies of it, as it would had it touched the page itself (docs/vm.md).
 */
#include "proc_internal.h"
#include <cloudos/futex.h>
#include <cloudos/uaccess.h>
#include <cloudos/vm.h>
#include <linux/futex.h>

_Static_assert(sizeof(struct robust_list_head) == 24, "three words of the program");

/* A write to `word`, which may lie in two pages, failed: true if it is worth another try. */
static bool write_again(struct task *t, uaddr_t word)
{
	struct process *p = t->process;
	struct vm_fault_error error;
	unsigned long flags;

	if (vm_fault(word, HAL_ACCESS_WRITE, &error) == 0 && vm_fault(word + sizeof(uint32_t) - 1, HAL_ACCESS_WRITE, &error) == 0)
		return true;
	if (error.signo != SIGKILL)
		return false;
	flags = spin_lock_irq(&p->signal_lock);
	if (p->live > 0)
		signal_group_exit_locked(p, SIGKILL, t);
	spin_unlock_irq(&p->signal_lock, flags);
	return false;
}

/* One mutex: hands it on if this thread owns it. One with priority inheritance goes to whom futex_exit_pi() gives it. */
static void owner_died(struct task *t, uaddr_t word, bool pending, bool pi)
{
	uint32_t value, seen;

	if (word % sizeof(uint32_t) || !user_range_ok(word, sizeof(uint32_t)) || hal_user_load32(word, &value) < 0)
		return;
	if (pending && !pi && value == 0) { /* unlocked, but its waiter not yet woken */
		(void)futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY);
		return;
	}
	while ((value & FUTEX_TID_MASK) == (uint32_t)task_number(t)) {
		uint32_t died = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;

		if (hal_user_cmpxchg32(word, value, died, &seen) < 0) {
			if (!write_again(t, word))
				return;
			continue;
		}
		if (seen == value) {
			if (!pi && (value & FUTEX_WAITERS))
				(void)futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY);
			return;
		}
		value = seen;
	}
}

/* Bit 0 of a pointer marks a lock with priority inheritance. */
static uaddr_t entry_of(uaddr_t pointer)
{
	return pointer & ~UINT64_C(1);
}

static bool is_pi(uaddr_t pointer)
{
	return pointer & 1;
}

void futex_exit_robust(struct task *t)
{
	uaddr_t head = t->robust_list, entry, pending, next;
	uint64_t words[3]; /* list.next, futex_offset, list_op_pending */

	WRITE_ONCE(t->robust_list, 0);
	if (likely(!head) || copy_from_user(words, head, sizeof(words)) < 0)
		return;
	entry = words[0];
	pending = words[2];
	for (unsigned n = 0; entry_of(entry) != head && n < ROBUST_LIST_LIMIT; n++) {
		bool more = get_user(next, entry_of(entry)) == 0;

		if (entry_of(entry) != entry_of(pending))
			owner_died(t, entry_of(entry) + words[1], false, is_pi(entry));
		if (!more)
			return;
		entry = next;
		sched_point();
	}
	if (entry_of(pending))
		owner_died(t, entry_of(pending) + words[1], true, is_pi(pending));
}

void futex_clear_tid(struct task *t)
{
	uaddr_t word = t->clear_child_tid;

	t->clear_child_tid = 0;
	if (!word || refcount_read(&t->thread.vm->users) == 1)
		return;
	while (put_user((uint32_t)0, word) < 0)
		if (!write_again(t, word))
			return;
	(void)futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY);
}
