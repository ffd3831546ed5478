/* SPDX-License-Identifier: MIT */
/* futex(2), futex_waitv(2), and robust lists. */
#include <cloudos/errno.h>
#include <cloudos/futex.h>
#include <cloudos/inspect.h>
#include <cloudos/mm.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <linux/futex.h>
#include <linux/time.h>
#include "call_wait.h"
#include "syscalls_gen.h"

/* A relative time for FUTEX_WAIT, an absolute one for FUTEX_WAIT_BITSET. */
static int get_deadline(uaddr_t from, int op, bool absolute, uint64_t *ret)
{
	if (absolute)
		return deadline_at_timespec(from, op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, ret);
	return deadline_from_timespec(from, ret);
}

static int64_t wait(uaddr_t addr, int op, uint32_t value, uaddr_t timeout, uint32_t bits, bool absolute)
{
	struct futex_wait w = { .addr = addr, .value = value, .bits = bits, .private = (op & FUTEX_PRIVATE_FLAG) != 0,
				.restartable = timeout != 0 };
	int err = get_deadline(timeout, op, absolute, &w.deadline_ns);

	return err < 0 ? err : futex_wait(&w);
}

static int64_t lock_pi(uaddr_t addr, int op, uaddr_t timeout)
{
	uint64_t deadline_ns;
	int err = get_deadline(timeout, op, true, &deadline_ns);

	return err < 0 ? err : futex_lock_pi(addr, (op & FUTEX_PRIVATE_FLAG) != 0, false, deadline_ns);
}

static int64_t wait_requeue_pi(uaddr_t addr, int op, uint32_t value, uaddr_t timeout, uaddr_t lock)
{
	struct futex_wait w = { .addr = addr, .value = value, .bits = FUTEX_BITSET_MATCH_ANY, .private = (op & FUTEX_PRIVATE_FLAG) != 0 };
	int err = get_deadline(timeout, op, true, &w.deadline_ns);

	return err < 0 ? err : futex_wait_requeue_pi(&w, lock);
}

int64_t sys_futex(uaddr_t addr, int op, unsigned value, uaddr_t timeout, uaddr_t addr2, unsigned value3)
{
	int command = op & FUTEX_CMD_MASK;
	bool private = (op & FUTEX_PRIVATE_FLAG) != 0;

	if ((op & FUTEX_CLOCK_REALTIME) && command != FUTEX_LOCK_PI2 && command != FUTEX_WAIT_BITSET &&
	    command != FUTEX_WAIT_REQUEUE_PI)
		return -ENOSYS;
	switch (command) {
	case FUTEX_WAIT:
		return wait(addr, op, value, timeout, FUTEX_BITSET_MATCH_ANY, false);
	case FUTEX_WAIT_BITSET:
		return wait(addr, op, value, timeout, value3, true);
	case FUTEX_WAKE:
		return futex_wake(addr, private, (int)value, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake(addr, private, (int)value, value3);
	case FUTEX_REQUEUE: /* the time-out's place holds a count */
		return futex_requeue(addr, addr2, private, (int)value, (int)timeout, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(addr, addr2, private, (int)value, (int)timeout, &value3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(addr, addr2, private, (int)value, (int)timeout, value3);
	case FUTEX_LOCK_PI: /* its time is always on the wall clock */
		return lock_pi(addr, op | FUTEX_CLOCK_REALTIME, timeout);
	case FUTEX_LOCK_PI2:
		return lock_pi(addr, op, timeout);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(addr, private, true, HAL_TIMER_NEVER);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(addr, private);
	case FUTEX_WAIT_REQUEUE_PI:
		return wait_requeue_pi(addr, op, value, timeout, addr2);
	case FUTEX_CMP_REQUEUE_PI:
		return futex_cmp_requeue_pi(addr, addr2, private, (int)value, (int)timeout, value3);
	default:
		return -ENOSYS;
	}
}

static int get_words(struct futex_wait *words, uaddr_t from, unsigned count)
{
	struct futex_waitv w;

	for (unsigned i = 0; i < count; i++) {
		if (get_user(w, from + i * sizeof(w)) < 0)
			return -EFAULT;
		if ((w.flags & ~(uint32_t)(FUTEX_32 | FUTEX_PRIVATE_FLAG)) || w.__reserved || !(w.flags & FUTEX_32) ||
		    w.val > UINT32_MAX)
			return -EINVAL;
		words[i] = (struct futex_wait){ .addr = w.uaddr, .value = (uint32_t)w.val, .private = (w.flags & FUTEX_PRIVATE_FLAG) != 0 };
	}
	return 0;
}

int64_t sys_futex_waitv(uaddr_t from, unsigned count, unsigned flags, uaddr_t timeout, int clock)
{
	uint64_t deadline_ns = HAL_TIMER_NEVER;
	struct futex_wait *words;
	int64_t result = 0;

	if (flags || !count || count > FUTEX_WAITV_MAX || !from)
		return -EINVAL;
	if (timeout) {
		if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
			return -EINVAL;
		result = deadline_at_timespec(timeout, clock, &deadline_ns);
	}
	if (result < 0)
		return result;
	words = kmalloc(count * sizeof(*words));
	if (!words)
		return -ENOMEM;
	result = get_words(words, from, count);
	if (result == 0)
		result = futex_wait_any(words, count, deadline_ns);
	kfree(words);
	return result;
}

int64_t sys_set_robust_list(uaddr_t head, size_t size)
{
	if (size != sizeof(struct robust_list_head))
		return -EINVAL;
	WRITE_ONCE(task_self()->robust_list, head);
	return 0;
}

int64_t sys_get_robust_list(int tid, uaddr_t head, uaddr_t size)
{
	struct task *t;
	uaddr_t list;
	int err = inspect_get_task(tid, INSPECT_REAL, &t);

	if (err < 0)
		return err;
	list = READ_ONCE(t->robust_list);
	task_put(t);
	if (put_user(sizeof(struct robust_list_head), size) < 0 || put_user(list, head) < 0)
		return -EFAULT;
	return 0;
}
