/* SPDX-License-Identifier: MIT */
/*
 * Submissions: taking them from the ring, checking them, and putting them together to chains.
 *
 * A submission is copied once and its operation takes what else lies in user memory (names, vectors, times), so that the program may have all
 * that back when the call returns (IORING_FEAT_SUBMIT_STABLE). One that is wrong is completed with its error, and ends the call
 * (IORING_SETUP_SUBMIT_ALL: it does not); within a chain it waits for the end of the chain, all of which is then cancelled.
 */
#include "uring_internal.h"
#include <cloudos/string.h>
#include <cloudos/task.h>

#define FLAGS_KNOWN                                                                                                      \
	(IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC | IOSQE_BUFFER_SELECT |      \
	 IOSQE_CQE_SKIP_SUCCESS)
#define FLAGS_LINK (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)

static const struct uring_op *const ops[IORING_OP_LAST] = {
	[IORING_OP_NOP] = &op_nop,
	[IORING_OP_READV] = &op_readv,
	[IORING_OP_WRITEV] = &op_writev,
	[IORING_OP_FSYNC] = &op_fsync,
	[IORING_OP_READ_FIXED] = &op_read_fixed,
	[IORING_OP_WRITE_FIXED] = &op_write_fixed,
	[IORING_OP_POLL_ADD] = &op_poll_add,
	[IORING_OP_POLL_REMOVE] = &op_poll_remove,
	[IORING_OP_SYNC_FILE_RANGE] = &op_sync_range,
	[IORING_OP_SENDMSG] = &op_sendmsg,
	[IORING_OP_RECVMSG] = &op_recvmsg,
	[IORING_OP_TIMEOUT] = &op_timeout,
	[IORING_OP_TIMEOUT_REMOVE] = &op_timeout_remove,
	[IORING_OP_ACCEPT] = &op_accept,
	[IORING_OP_ASYNC_CANCEL] = &op_cancel,
	[IORING_OP_LINK_TIMEOUT] = &op_link_timeout,
	[IORING_OP_CONNECT] = &op_connect,
	[IORING_OP_FALLOCATE] = &op_fallocate,
	[IORING_OP_OPENAT] = &op_openat,
	[IORING_OP_CLOSE] = &op_close,
	[IORING_OP_FILES_UPDATE] = &op_files_update,
	[IORING_OP_STATX] = &op_statx,
	[IORING_OP_READ] = &op_read,
	[IORING_OP_WRITE] = &op_write,
	[IORING_OP_FADVISE] = &op_fadvise,
	[IORING_OP_MADVISE] = &op_madvise,
	[IORING_OP_SEND] = &op_send,
	[IORING_OP_RECV] = &op_recv,
	[IORING_OP_OPENAT2] = &op_openat2,
	[IORING_OP_EPOLL_CTL] = &op_epoll_ctl,
	[IORING_OP_SPLICE] = &op_splice,
	[IORING_OP_PROVIDE_BUFFERS] = &op_provide_buffers,
	[IORING_OP_REMOVE_BUFFERS] = &op_remove_buffers,
	[IORING_OP_TEE] = &op_tee,
	[IORING_OP_SHUTDOWN] = &op_shutdown,
	[IORING_OP_RENAMEAT] = &op_rename,
	[IORING_OP_UNLINKAT] = &op_unlink,
	[IORING_OP_MKDIRAT] = &op_mkdir,
	[IORING_OP_SYMLINKAT] = &op_symlink,
	[IORING_OP_LINKAT] = &op_link,
	[IORING_OP_MSG_RING] = &op_msg_ring,
	[IORING_OP_SOCKET] = &op_socket,
};

const struct uring_op *uring_op(uint8_t opcode)
{
	return opcode < IORING_OP_LAST ? ops[opcode] : NULL;
}

/* ---- one submission ---- */

static int check_restrictions(const struct uring *ring, const struct io_uring_sqe *s)
{
	const struct uring_restrictions *l = &ring->restrictions;

	if (!l->on)
		return 0;
	if (s->opcode >= 128 || !(l->ops[s->opcode / 64] >> s->opcode % 64 & 1))
		return -EACCES;
	if ((s->flags & l->flags_required) != l->flags_required)
		return -EACCES;
	return s->flags & ~(l->flags_allowed | l->flags_required) ? -EACCES : 0;
}

static int check(struct uring *ring, struct uring_request *r, bool chained)
{
	const struct io_uring_sqe *s = &r->sqe;
	const struct uring_op *op = uring_op(s->opcode);
	int err;

	if (s->flags & ~FLAGS_KNOWN)
		return -EINVAL;
	if (!op)
		return s->opcode < IORING_OP_LAST ? -EOPNOTSUPP : -EINVAL;
	if ((s->flags & IOSQE_BUFFER_SELECT) && !(op->flags & OP_BUFFERS))
		return -EOPNOTSUPP;
	err = check_restrictions(ring, s);
	if (err)
		return err;
	if (s->ioprio && !(op->flags & OP_IOPRIO))
		return -EINVAL;
	if ((ring->flags & IORING_SETUP_IOPOLL) && !(op->flags & OP_IOPOLL))
		return -EINVAL;
	if (op == &op_link_timeout && !chained)
		return -EINVAL;
	r->op = op;
	err = op->prep ? op->prep(r) : 0;
	return err;
}

static struct cred *personality(struct uring *ring, uint16_t id)
{
	if (!id)
		return thread_current()->cred;
	return id <= URING_PERSONALITIES_MAX ? ring->personalities[id - 1] : NULL;
}

/* Puts a request into the lists; what is wrong with it stands in r->result. */
static void make(struct uring *ring, struct async_task *task, struct uring_request *r, bool chained)
{
	struct cred *cred = personality(ring, r->sqe.personality);
	int err = cred ? 0 : -EINVAL;

	r->skip = r->sqe.flags & IOSQE_CQE_SKIP_SUCCESS;
	async_begin(&r->job, task, cred ? cred : thread_current()->cred, r->job.run);
	spin_lock(&ring->state);
	list_add_tail(&ring->requests, &r->of_ring);
	ring->active++;
	ADD_ONCE(ring->request_count, 1);
	spin_unlock(&ring->state);
	if (!err)
		err = check(ring, r, chained);
	r->result = err;
}

/* ---- chains ---- */

struct chain {
	struct uring_request *first, *last;
	bool drain, failed;
};

/* Is it to wait for others? Then it is in the list, and not counted as active. */
static bool defer(struct uring *ring, const struct chain *c)
{
	struct uring_request *next = NULL;
	uint32_t own = 0;
	bool deferred;

	for (const struct uring_request *r = c->first; r; r = r->next)
		own++;
	spin_lock(&ring->state);
	deferred = !list_empty(&ring->deferred) || ((c->drain || ring->draining) && ring->active > own);
	ring->draining |= c->drain;
	if (deferred && async_park(&c->first->job)) {
		ring->active -= own;
		list_add_tail(&ring->deferred, &c->first->deferred);
		next = uring_next_deferred_locked(ring); /* what was active may have ended while this one counted as active */
	} else {
		deferred = false;
	}
	spin_unlock(&ring->state);
	if (next)
		async_ready(&next->job);
	return deferred;
}

static void queue(struct uring *ring, const struct chain *c)
{
	c->first->failed = c->failed;
	if (defer(ring, c))
		return;
	if (c->failed)
		uring_fail_chain(c->first);
	else
		uring_start_chain(c->first);
}

/* Adds a request to the chain that is being made. The error with which the call is to end, or 0. */
static int add(struct uring *ring, struct async_task *task, struct uring_request *r, struct chain *c)
{
	bool more = r->sqe.flags & FLAGS_LINK;
	struct chain whole;
	int err;

	make(ring, task, r, c->first != NULL);
	err = r->result;
	if (c->first)
		c->last->next = r;
	else
		*c = (struct chain){ .first = r };
	c->last = r;
	c->drain |= (r->sqe.flags & IOSQE_IO_DRAIN) != 0;
	c->failed |= err != 0;
	if (more)
		return 0;
	whole = *c;
	c->first = NULL;
	queue(ring, &whole);
	return err;
}

/* ---- the ring ---- */

/* Copies the next submission: false if its index is wrong, which is counted. */
static bool take(struct uring *ring, struct io_uring_sqe *ret)
{
	uint32_t at = ring->sq_head & (ring->sq_entries - 1);
	uint32_t index = shared_load(shared_at(&ring->rings, ring->array_offset + at * sizeof(uint32_t)));
	bool good = index < ring->sq_entries;

	if (good) {
		memcpy(ret, shared_at(&ring->sqes, (uint64_t)index << ring->sqe_shift), sizeof(*ret));
		__asm__ __volatile__("" ::: "memory"); /* read once */
	} else {
		__atomic_fetch_add(ring_word(ring, WORD_SQ_DROPPED), 1, __ATOMIC_RELAXED);
	}
	WRITE_ONCE(ring->sq_head, ring->sq_head + 1);
	return good;
}

int64_t uring_submit(struct uring *ring, struct async_task *task, uint32_t count)
{
	uint32_t queued = shared_load(ring_word(ring, WORD_SQ_TAIL)) - ring->sq_head, done = 0;
	struct chain chain = { 0 };

	assert_mutex_held(&ring->lock);
	queued = min(queued, ring->sq_entries);
	count = min(count, queued);
	while (done < count && !thread_exit_pending()) {
		struct uring_request *r = uring_request_alloc(ring);
		int err;

		if (!r) {
			if (!done) {
				shared_store(ring_word(ring, WORD_SQ_HEAD), ring->sq_head);
				return -EAGAIN;
			}
			break;
		}
		if (!take(ring, &r->sqe)) {
			uring_request_discard(r);
			break;
		}
		done++;
		err = add(ring, task, r, &chain);
		if (err && !(ring->flags & IORING_SETUP_SUBMIT_ALL))
			break;
		sched_point();
	}
	if (chain.first)
		queue(ring, &chain);
	shared_store(ring_word(ring, WORD_SQ_HEAD), ring->sq_head);
	return done;
}
