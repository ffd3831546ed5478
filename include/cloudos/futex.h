/* SPDX-License-Identifier: MIT */
/* Futexes (futex(2), "Futexes Are Tricky"): waiting for a change of a 32-bit word of user memory. */
#ifndef CLOUDOS_FUTEX_H
#define CLOUDOS_FUTEX_H

#include <cloudos/types.h>

struct futex_wait {
	uaddr_t addr;
	uint32_t value, bits;
	bool private;
	bool restartable;     /* interrupted: go on by restart_syscall(2), not from the start (a relative time-out) */
	uint64_t deadline_ns; /* HAL_TIMER_NEVER: none */
};

/* 0: woken; -EAGAIN: the word had another value; -ETIMEDOUT; -ERESTARTSYS or -ERESTART_BLOCK; -EINVAL, -EFAULT. */
int64_t futex_wait(const struct futex_wait *w);

/* Waits until one of the words (addr, value, private) is woken: which; errors as above, -ERESTARTSYS, -ENOMEM. */
int64_t futex_wait_any(const struct futex_wait *words, unsigned count, uint64_t deadline_ns);

/* Wakes up to `count` waiters that have one of `bits`; how many, or -EINVAL, -EFAULT. */
int64_t futex_wake(uaddr_t addr, bool private, int count, uint32_t bits);

/* Wakes up to `wake` waiters of `from` and moves up to `move` others to `to`; *expected: -EAGAIN unless `from` holds it. */
int64_t futex_requeue(uaddr_t from, uaddr_t to, bool private, int wake, int move, const uint32_t *expected);

/*
 * Locks with priority inheritance: the word has the owner's thread id, FUTEX_WAITERS, FUTEX_OWNER_DIED. `try`: -EAGAIN instead of waiting.
 * 0; -EDEADLK: it would wait for itself; -ESRCH: nobody has the word's id; -EINVAL: the word and what the kernel knows differ; -ENOMEM;
 * -ETIMEDOUT, -ERESTARTNOINTR, -EFAULT. Unlocking: -EPERM: the word has another's id.
 */
int64_t futex_lock_pi(uaddr_t addr, bool private, bool try, uint64_t deadline_ns);
int64_t futex_unlock_pi(uaddr_t addr, bool private);

/*
 * FUTEX_WAIT_REQUEUE_PI: waits for the word, until moved to `lock`, and comes back with that one. Errors of both; -EAGAIN if a signal comes once it
 * has been moved. FUTEX_CMP_REQUEUE_PI: how many were moved; -EINVAL if one waits otherwise, or for another lock, or `wake` is not 1.
 */
int64_t futex_wait_requeue_pi(const struct futex_wait *w, uaddr_t lock);
int64_t futex_cmp_requeue_pi(uaddr_t from, uaddr_t lock, bool private, int wake, int move, uint32_t expected);

/* FUTEX_WAKE_OP. */
int64_t futex_wake_op(uaddr_t addr, uaddr_t addr2, bool private, int wake, int wake2, uint32_t op);

#endif
