/* SPDX-License-Identifier: MIT */
/*
 * Futexes. Waiters hang in buckets, by a hash of their key: (space, address) for a private word, (object, offset) for one in
 * shared memory.
 *
 * Reading the word may fault and so may sleep; therefore a waiter first gets on its bucket and then reads. A waker changes the
 * word first and then looks at the bucket. Whichever comes first, either the waiter reads the new value or the waker finds the waiter
 * (F1). A waiter that was taken off while it found another value was woken, and says so.
 *
 * F2. A waker holds the bucket's lock until it has woken the thread; a waiter passes through that lock before it goes away, so
 *     that the thread is still there to be woken.
 * F3. Requeueing takes waiters off one bucket and then puts them onto the other, never holding both locks. In between, `bucket` is
 *     null, and a waiter that wants to leave waits for it to be set.
 * F4. Waiters have numbers, in the order of their coming. FUTEX_CMP_REQUEUE reads its word without the lock, too, and then touches only those that
 *     had come before: as if all of it had been done at the moment of reading.
 * F5. A waiter of FUTEX_WAIT_REQUEUE_PI (`for_lock`) is taken off by FUTEX_CMP_REQUEUE_PI alone (futex_requeue_pi.c); to the other calls that
 *     meet it, it is EINVAL.
 */
#include "proc_internal.h"
#include "futex_internal.h"
#include <cloudos/uaccess.h>
#include <linux/futex.h>

#define FUTEX_BUCKETS 256

static struct futex_bucket buckets[FUTEX_BUCKETS];

void futex_init(void)
{
	for (size_t i = 0; i < FUTEX_BUCKETS; i++) {
		spin_init(&buckets[i].lock, RANK_FUTEX);
		list_init(&buckets[i].waiters);
	}
	futex_pi_init();
}

struct futex_bucket *futex_bucket_of(const struct vm_futex_key *key)
{
	return &buckets[futex_hash(key) % FUTEX_BUCKETS];
}

int futex_key_of(uaddr_t addr, bool private, struct vm_futex_key *ret)
{
	if (addr % sizeof(uint32_t))
		return -EINVAL;
	if (!user_range_ok(addr, sizeof(uint32_t)))
		return -EFAULT;
	if (!private)
		return vm_futex_key(addr, false, ret);
	*ret = (struct vm_futex_key){ (uintptr_t)thread_current()->vm, addr };
	return 0;
}

int futex_next_try(void)
{
	sched_point();
	return thread_signal_pending() ? -ERESTARTNOINTR : 0;
}

bool futex_woken(const struct futex_waiter *w)
{
	return LOAD_ACQUIRE(w->woken);
}

/* ---- waiting ---- */

void futex_enqueue(struct futex_waiter *w)
{
	w->bucket = futex_bucket_of(&w->key);
	spin_lock(&w->bucket->lock);
	w->number = ++w->bucket->last;
	list_add_tail(&w->bucket->waiters, &w->link);
	spin_unlock(&w->bucket->lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* F1 */
}

bool futex_dequeue(struct futex_waiter *w)
{
	for (;;) {
		struct futex_bucket *b = __atomic_load_n(&w->bucket, __ATOMIC_ACQUIRE);

		if (!b) { /* F3 */
			hal_cpu_relax();
			continue;
		}
		spin_lock(&b->lock);
		if (b == w->bucket) {
			list_del(&w->link);
			spin_unlock(&b->lock);
			return w->woken;
		}
		spin_unlock(&b->lock);
	}
}

static int sleep_until_woken(struct futex_waiter *w, uint64_t deadline_ns)
{
	int err = 0;

	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (futex_woken(w) || err)
			break;
		err = wait_round(THREAD_INTERRUPTIBLE, deadline_ns);
	}
	thread_cancel_sleep();
	return err;
}

static uint64_t wait_again(struct task *t)
{
	struct futex_wait w = {
		.addr = t->restart.user,
		.value = (uint32_t)t->restart.value,
		.bits = t->restart.bits,
		.private = t->restart.flags != 0,
		.restartable = true,
		.deadline_ns = t->restart.deadline_ns,
	};

	return (uint64_t)futex_wait(&w);
}

static int64_t interrupted(const struct futex_wait *w)
{
	struct task *t = task_self();

	if (!w->restartable)
		return -ERESTARTSYS;
	t->restart.fn = wait_again;
	t->restart.user = w->addr;
	t->restart.value = w->value;
	t->restart.bits = w->bits;
	t->restart.flags = w->private;
	t->restart.deadline_ns = w->deadline_ns;
	return -ERESTART_BLOCK;
}

int64_t futex_wait(const struct futex_wait *w)
{
	struct futex_waiter self = { .thread = thread_current(), .bits = w->bits };
	uint32_t value;
	int err;

	if (!w->bits)
		return -EINVAL;
	err = futex_key_of(w->addr, w->private, &self.key);
	if (err < 0)
		return err;
	futex_enqueue(&self);
	err = hal_user_load32(w->addr, &value);
	if (err == 0 && value != w->value)
		err = -EAGAIN;
	if (err == 0)
		err = sleep_until_woken(&self, w->deadline_ns);
	if (futex_dequeue(&self))
		return 0;
	return err == -ERESTARTSYS ? interrupted(w) : err;
}

/* ---- waking ---- */

/* `last`: the number up to which waiters are touched. How many, or -EINVAL (F5). */
static int wake_locked(struct futex_bucket *b, const struct vm_futex_key *key, int count, uint32_t bits, uint64_t last)
{
	struct futex_waiter *w, *tmp;
	int n = 0;

	list_for_each_safe(w, tmp, &b->waiters, link) {
		struct thread *t = w->thread;

		if (!futex_same_key(&w->key, key) || w->number > last)
			continue;
		if (w->for_lock)
			return -EINVAL;
		if (!(w->bits & bits))
			continue;
		list_del(&w->link);
		__atomic_store_n(&w->woken, true, __ATOMIC_RELEASE);
		thread_wake(t);
		if (++n >= count)
			break;
	}
	return n;
}

int64_t futex_wake(uaddr_t addr, bool private, int count, uint32_t bits)
{
	struct futex_bucket *b;
	struct vm_futex_key key;
	int n, err;

	if (!bits)
		return -EINVAL;
	err = futex_key_of(addr, private, &key);
	if (err < 0)
		return err;
	b = futex_bucket_of(&key);
	spin_lock(&b->lock);
	n = wake_locked(b, &key, count, bits, UINT64_MAX);
	spin_unlock(&b->lock);
	return n;
}

/* Takes up to `move` waiters off, in order, for another bucket. How many, or -EINVAL (F5), with those before in `out`. */
static int collect_locked(struct futex_bucket *b, const struct vm_futex_key *key, int move, uint64_t last, struct list *out)
{
	struct futex_waiter *w, *tmp;
	int n = 0;

	list_for_each_safe(w, tmp, &b->waiters, link) {
		if (n >= move)
			break;
		if (!futex_same_key(&w->key, key) || w->number > last)
			continue;
		if (w->for_lock)
			return -EINVAL;
		list_del(&w->link);
		list_add_tail(out, &w->link);
		__atomic_store_n(&w->bucket, NULL, __ATOMIC_RELEASE);
		n++;
	}
	return n;
}

static void distribute(struct list *moving, const struct vm_futex_key *key)
{
	struct futex_bucket *b = futex_bucket_of(key);
	struct futex_waiter *w, *tmp;

	spin_lock(&b->lock);
	list_for_each_safe(w, tmp, moving, link) {
		list_del(&w->link);
		w->key = *key;
		w->number = ++b->last;
		list_add_tail(&b->waiters, &w->link);
		__atomic_store_n(&w->bucket, b, __ATOMIC_RELEASE);
	}
	spin_unlock(&b->lock);
}

uint64_t futex_last_of(struct futex_bucket *b)
{
	uint64_t last;

	spin_lock(&b->lock);
	last = b->last;
	spin_unlock(&b->lock);
	return last;
}

int64_t futex_requeue(uaddr_t from, uaddr_t to, bool private, int wake, int move, const uint32_t *expected)
{
	struct vm_futex_key key, key_to;
	struct list moving = LIST_INIT(moving);
	uint64_t last = UINT64_MAX;
	struct futex_bucket *b;
	uint32_t value;
	int n, moved = 0, err;

	if (wake < 0 || move < 0)
		return -EINVAL;
	err = futex_key_of(from, private, &key);
	if (err == 0)
		err = futex_key_of(to, private, &key_to);
	if (err < 0)
		return err;
	b = futex_bucket_of(&key);
	if (expected) {
		last = futex_last_of(b);
		err = hal_user_load32(from, &value);
		if (err < 0 || value != *expected)
			return err < 0 ? err : -EAGAIN;
	}
	spin_lock(&b->lock);
	n = wake > 0 ? wake_locked(b, &key, wake, FUTEX_BITSET_MATCH_ANY, last) : 0;
	if (n >= 0)
		moved = collect_locked(b, &key, move, last, &moving);
	spin_unlock(&b->lock);
	if (!list_empty(&moving))
		distribute(&moving, &key_to);
	return n < 0 || moved < 0 ? -EINVAL : n + moved;
}

/* ---- FUTEX_WAKE_OP ---- */

static bool op_apply(unsigned op, uint32_t old, uint32_t arg, uint32_t *ret)
{
	switch (op) {
	case FUTEX_OP_SET:
		*ret = arg;
		return true;
	case FUTEX_OP_ADD:
		*ret = old + arg;
		return true;
	case FUTEX_OP_OR:
		*ret = old | arg;
		return true;
	case FUTEX_OP_ANDN:
		*ret = old & ~arg;
		return true;
	case FUTEX_OP_XOR:
		*ret = old ^ arg;
		return true;
	default:
		return false;
	}
}

static int op_compare(unsigned cmp, int32_t old, int32_t arg)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return old < arg;
	case FUTEX_OP_CMP_LE:
		return old <= arg;
	case FUTEX_OP_CMP_GT:
		return old > arg;
	case FUTEX_OP_CMP_GE:
		return old >= arg;
	default:
		return -ENOSYS;
	}
}

static int32_t sign_extend_12(uint32_t v)
{
	return (int32_t)(v << 20) >> 20;
}

/* Changes the word atomically; 1 or 0: the comparison with the old value, or an errno. */
static int op_on_word(uaddr_t addr, uint32_t op)
{
	unsigned what = op >> 28 & 7, cmp = op >> 24 & 15;
	uint32_t arg = (uint32_t)sign_extend_12(op >> 12 & 0xfff), old, seen, new;
	int err = hal_user_load32(addr, &old);

	if (op >> 28 & FUTEX_OP_OPARG_SHIFT)
		arg = UINT32_C(1) << (arg & 31);
	for (; err == 0; old = seen) {
		if (!op_apply(what, old, arg, &new))
			return -ENOSYS;
		err = hal_user_cmpxchg32(addr, old, new, &seen);
		if (err == 0 && seen == old)
			return op_compare(cmp, (int32_t)old, sign_extend_12(op & 0xfff));
		if (err == 0)
			err = futex_next_try();
	}
	return err;
}

int64_t futex_wake_op(uaddr_t addr, uaddr_t addr2, bool private, int wake, int wake2, uint32_t op)
{
	struct vm_futex_key key;
	int64_t n, more;
	int err = futex_key_of(addr, private, &key);

	if (err == 0)
		err = futex_key_of(addr2, private, &key);
	if (err == 0)
		err = op_on_word(addr2, op);
	if (err < 0)
		return err;
	n = futex_wake(addr, private, wake, FUTEX_BITSET_MATCH_ANY);
	if (err == 0 || n < 0)
		return n;
	more = futex_wake(addr2, private, wake2, FUTEX_BITSET_MATCH_ANY);
	return more < 0 ? more : n + more;
}
