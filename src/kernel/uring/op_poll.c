/* SPDX-License-Identifier: MIT */
/*
 * OP_POLL_ADD: a request that waits for a file and says what it has. A multishot one stays on the file's queues and posts a completion
 * for each event, until it is cancelled or the ring is full. OP_POLL_REMOVE ends one, or changes what it waits for.
 */
#include "uring_internal.h"
#include <asm/poll.h>
#include <linux/eventpoll.h>

enum { PHASE_NEW, PHASE_ARMED };

#define ALWAYS (POLLERR | POLLHUP | POLLNVAL)
#define MASKED (0xffffu & ~(uint32_t)POLL_FREED)
#define POLL_FREED 0x4000u /* of Linux's own use */
#define ADD_FLAGS (IORING_POLL_ADD_MULTI | IORING_POLL_ADD_LEVEL)

static uint32_t events_of(uint32_t given)
{
	return (given & MASKED) | ALWAYS;
}

static int add_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if (s->buf_index || s->off || s->addr || (s->len & ~ADD_FLAGS))
		return -EINVAL;
	if ((s->len & IORING_POLL_ADD_MULTI) && (s->flags & IOSQE_CQE_SKIP_SUCCESS))
		return -EINVAL;
	r->events = events_of(s->poll32_events);
	return 0;
}

/* Posts what there is, again and again while events come. True: it is armed again, or ready. */
static bool post_events(struct uring_request *r, int64_t *ret)
{
	unsigned rounds = 0;

	for (;;) {
		uint32_t mask;

		async_rearm_begin(&r->job);
		if (async_cancelled(&r->job)) {
			*ret = -ECANCELED;
			return false;
		}
		mask = file_poll(r->file, NULL) & READ_ONCE(r->events);
		if (mask && !uring_post_more(r, (int32_t)mask, 0)) {
			*ret = mask;
			return false;
		}
		if (async_rearm(&r->job))
			return true;
		*ret = uring_next_round(r, &rounds);
		if (*ret)
			return *ret == URING_ARMED;
	}
}

static int64_t add_issue(struct uring_request *r, bool may_block)
{
	bool multi = r->sqe.len & IORING_POLL_ADD_MULTI;
	uint32_t mask = 0;
	int64_t result = -ECANCELED;

	(void)may_block;
	while (!async_cancelled(&r->job)) {
		if (r->phase == PHASE_NEW) {
			r->phase = PHASE_ARMED;
			if (async_arm_poll(&r->job, r->file, READ_ONCE(r->events), &mask))
				return URING_ARMED;
		} else {
			mask = file_poll(r->file, NULL) & READ_ONCE(r->events);
		}
		if (multi && post_events(r, &result))
			return URING_ARMED;
		async_disarm(&r->job);
		if (multi)
			return result;
		if (mask)
			return mask;
		r->phase = PHASE_NEW; /* it was another's */
	}
	async_disarm(&r->job);
	return result;
}

const struct uring_op op_poll_add = { .prep = add_prep, .issue = add_issue, .flags = OP_FILE | OP_OWN_END };

/* ---- OP_POLL_REMOVE ---- */

#define UPDATE_FLAGS (IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA)

static int remove_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if (s->buf_index || s->splice_fd_in || (s->len & ~(UPDATE_FLAGS | IORING_POLL_ADD_MULTI)))
		return -EINVAL;
	if (s->len == IORING_POLL_ADD_MULTI)
		return -EINVAL;
	if (!(s->len & IORING_POLL_UPDATE_USER_DATA) && s->off)
		return -EINVAL;
	return !(s->len & IORING_POLL_UPDATE_EVENTS) && s->poll32_events ? -EINVAL : 0;
}

static struct uring_request *find_locked(struct uring *ring, uint64_t user_data)
{
	struct uring_request *r;

	list_for_each(r, &ring->requests, of_ring)
		if (r->begun && r->op == &op_poll_add && r->sqe.user_data == user_data)
			return r;
	return NULL;
}

/* It was taken while it waited: with other events, another name, it begins anew. */
static void update(struct uring_request *found, const struct io_uring_sqe *s)
{
	if (s->len & IORING_POLL_UPDATE_EVENTS) {
		WRITE_ONCE(found->events, events_of(s->poll32_events));
		found->sqe.len = (found->sqe.len & ~IORING_POLL_ADD_MULTI) | (s->len & IORING_POLL_ADD_MULTI);
	}
	if (s->len & IORING_POLL_UPDATE_USER_DATA)
		found->sqe.user_data = s->off;
	async_disarm(&found->job);
	found->phase = PHASE_NEW;
	async_ready(&found->job);
}

static int64_t remove_issue(struct uring_request *r, bool may_block)
{
	struct uring *ring = r->ring;
	struct uring_request *found;
	int64_t result = 0;

	(void)may_block;
	spin_lock(&ring->state);
	found = find_locked(ring, r->sqe.addr);
	if (!found)
		result = -ENOENT;
	else if (!(r->sqe.len & UPDATE_FLAGS))
		result = async_cancel(&found->job) == ASYNC_RUNNING ? -EALREADY : 0;
	else if (async_take(&found->job))
		update(found, &r->sqe);
	else
		result = -EALREADY;
	spin_unlock(&ring->state);
	return result;
}

const struct uring_op op_poll_remove = { .prep = remove_prep, .issue = remove_issue };
