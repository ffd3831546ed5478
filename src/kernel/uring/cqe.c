/* SPDX-License-Identifier: MIT */
/*
 * Completions. They go into the ring; when that is full they are kept (IORING_FEAT_NODROP), and so are all that come after, until the program
 * has made room and enters the kernel. IORING_SQ_CQ_OVERFLOW tells it so. Only when there is no memory, or URING_OVERFLOW_MAX are kept
 * already, is one dropped, and counted where the program sees it.
 *
 * C1  The tail that the program sees moves after the completion was written, and never past its head by more than the ring holds.
 * C2  Completions come in the order in which they were posted.
 */
#include "uring_internal.h"
#include <asm/poll.h>
#include <cloudos/eventfd.h>

struct kept {
	struct list link;
	struct io_uring_cqe cqe;
};

static bool full(const struct uring *ring)
{
	return uring_ready(ring) >= ring->cq_entries; /* the program may lie about its head: then it is full */
}

static void write_locked(struct uring *ring, const struct io_uring_cqe *cqe)
{
	uint32_t tail = ring->cq_tail;
	uint64_t at = RING_CQES + ((uint64_t)(tail & (ring->cq_entries - 1)) << ring->cqe_shift);
	struct io_uring_cqe *to = shared_at(&ring->rings, at);

	to->user_data = cqe->user_data;
	to->res = cqe->res;
	to->flags = cqe->flags;
	if (ring->flags & IORING_SETUP_CQE32)
		to->big_cqe[0] = to->big_cqe[1] = 0;
	WRITE_ONCE(ring->cq_tail, tail + 1);
	shared_store(ring_word(ring, WORD_CQ_TAIL), tail + 1);
}

static void set_sq_flag(struct uring *ring, bool on)
{
	if (on)
		__atomic_fetch_or(ring_word(ring, WORD_SQ_FLAGS), IORING_SQ_CQ_OVERFLOW, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(ring_word(ring, WORD_SQ_FLAGS), ~IORING_SQ_CQ_OVERFLOW, __ATOMIC_SEQ_CST);
}

static void keep_locked(struct uring *ring, const struct io_uring_cqe *cqe)
{
	struct kept *k = ring->overflow_count < URING_OVERFLOW_MAX ? kmalloc(sizeof(*k)) : NULL;

	if (!k) {
		__atomic_fetch_add(ring_word(ring, WORD_CQ_OVERFLOW), 1, __ATOMIC_RELAXED);
		return;
	}
	k->cqe.user_data = cqe->user_data;
	k->cqe.res = cqe->res;
	k->cqe.flags = cqe->flags;
	list_add_tail(&ring->overflow, &k->link);
	if (ring->overflow_count == 0)
		set_sq_flag(ring, true);
	WRITE_ONCE(ring->overflow_count, ring->overflow_count + 1);
}

void uring_post_locked(struct uring *ring, uint64_t user_data, int32_t result, uint32_t flags, bool timeout)
{
	const struct io_uring_cqe cqe = { .user_data = user_data, .res = result, .flags = flags };

	if (ring->overflow_count > 0 || full(ring))
		keep_locked(ring, &cqe);
	else
		write_locked(ring, &cqe);
	if (timeout) {
		WRITE_ONCE(ring->timed_out, ring->timed_out + 1);
	} else {
		ring->counted++;
		uring_count_timeouts_locked(ring);
	}
}

static struct file *eventfd_locked(struct uring *ring)
{
	if (!ring->eventfd || (shared_load(ring_word(ring, WORD_CQ_FLAGS)) & IORING_CQ_EVENTFD_DISABLED))
		return NULL;
	if (ring->eventfd_async && !async_in_worker())
		return NULL;
	file_get(ring->eventfd);
	return ring->eventfd;
}

void uring_told(struct uring *ring)
{
	struct file *eventfd;

	wake_events(&ring->completions, POLLIN | POLLRDNORM, false);
	if (likely(!READ_ONCE(ring->eventfd)))
		return;
	spin_lock(&ring->state);
	eventfd = eventfd_locked(ring);
	spin_unlock(&ring->state);
	if (!eventfd)
		return;
	eventfd_signal(eventfd);
	file_put(eventfd);
}

void uring_post(struct uring *ring, uint64_t user_data, int32_t result, uint32_t flags)
{
	spin_lock(&ring->state);
	uring_post_locked(ring, user_data, result, flags, false);
	spin_unlock(&ring->state);
	uring_told(ring);
}

bool uring_post_more(struct uring_request *r, int32_t result, uint32_t flags)
{
	struct uring *ring = r->ring;
	bool room;

	spin_lock(&ring->state);
	room = ring->overflow_count == 0 && !full(ring);
	if (room)
		uring_post_locked(ring, r->sqe.user_data, result, flags | IORING_CQE_F_MORE, false);
	spin_unlock(&ring->state);
	if (room)
		uring_told(ring);
	return room;
}

bool uring_flush_overflow(struct uring *ring)
{
	bool moved = false, empty;
	struct kept *k = NULL;

	if (likely(!READ_ONCE(ring->overflow_count)))
		return true;
	do { /* one at a time: the lock is not held for as many as there may be */
		spin_lock(&ring->state);
		k = ring->overflow_count > 0 && !full(ring) ? list_first(&ring->overflow, struct kept, link) : NULL;
		if (k) {
			list_del(&k->link);
			write_locked(ring, &k->cqe);
			WRITE_ONCE(ring->overflow_count, ring->overflow_count - 1);
			if (ring->overflow_count == 0)
				set_sq_flag(ring, false);
		}
		empty = ring->overflow_count == 0;
		spin_unlock(&ring->state);
		kfree(k);
		moved |= k != NULL;
	} while (k);
	if (moved)
		uring_told(ring);
	return empty;
}

void uring_drop_overflow(struct uring *ring)
{
	struct kept *k, *tmp;

	list_for_each_safe(k, tmp, &ring->overflow, link)
		kfree(k);
	list_init(&ring->overflow);
}
