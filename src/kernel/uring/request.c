/* SPDX-License-Identifier: MIT */
/*
 * The life of a request of io_uring: a job (async.c) with a submission in it.
 *
 *   made ---> (deferred: IOSQE_IO_DRAIN, until all before it are over) ---> issued ---> completed
 *
 * Issuing calls the operation, which ends at once, or says what it waits for: a file (the request is armed, and issued again when the file
 * is ready), a worker (it is issued again there, and may block), or something of its own (a time, an event).
 *
 * A chain (IOSQE_IO_LINK) is a list by `next`; only its first is issued. When that completes, the next becomes ready; if it broke the chain, all
 * behind it are cancelled. Each request of a chain is in ring->requests and among its task's jobs from the beginning, so that the end of the
 * task finds it; but it does not count as begun.
 *
 * Q1  A request is completed once, by its owner. It is in ring->requests until then: who holds `state` may look at what he finds there.
 * Q2  ring->active is the number of requests that are neither deferred nor over. The first deferred chain starts when it is 0. While it waits
 *     it is parked, so that it can be cancelled.
 */
#include "uring_internal.h"
#include <asm/poll.h>

/* ---- making and freeing ---- */

static void request_run(struct async_job *job, bool may_block);

struct uring_request *uring_request_alloc(struct uring *ring)
{
	struct uring_request *r;

	if (READ_ONCE(ring->request_count) >= URING_REQUESTS_MAX)
		return NULL;
	r = kzalloc(sizeof(*r));
	if (!r)
		return NULL;
	list_init(&r->deferred);
	list_init(&r->timeouts);
	r->ring = ring;
	r->job.run = request_run;
	uring_get(ring);
	return r;
}

void uring_request_discard(struct uring_request *r)
{
	uring_put(r->ring);
	kfree(r);
}

static void request_free(struct uring_request *r)
{
	struct uring *ring = r->ring;

	if (r->op && r->op->cleanup)
		r->op->cleanup(r);
	if (r->op && (r->op->flags & OP_DATA_FREE))
		kfree(r->data);
	if (r->file)
		file_put(r->file);
	async_end(&r->job);
	kfree(r);
	uring_put(ring);
}

/* ---- completing ---- */

static void tell_locked(struct uring_request *r, bool timeout)
{
	if (!r->skip)
		uring_post_locked(r->ring, r->sqe.user_data, r->result, r->cqe_flags, timeout);
}

/* A chain that was deferred becomes active. */
static void undefer_locked(struct uring_request *first)
{
	if (list_empty(&first->deferred))
		return;
	list_del(&first->deferred);
	for (struct uring_request *each = first; each; each = each->next)
		first->ring->active++;
}

struct uring_request *uring_next_deferred_locked(struct uring *ring)
{
	struct uring_request *first;

	if (ring->active > 0)
		return NULL;
	if (list_empty(&ring->deferred)) {
		ring->draining = false;
		return NULL;
	}
	first = list_first(&ring->deferred, struct uring_request, deferred);
	if (!async_take(&first->job)) /* it was cancelled, and when that is over there is the next */
		return NULL;
	undefer_locked(first);
	return first;
}

static struct uring_request *over_locked(struct uring_request *r)
{
	list_del(&r->of_ring);
	list_del(&r->timeouts);
	ADD_ONCE(r->ring->request_count, -1);
	r->ring->active--;
	return uring_next_deferred_locked(r->ring);
}

static struct uring_request *end_one(struct uring_request *r, struct uring_request **ret_timeout)
{
	bool timeout = r->op == &op_timeout && r->begun;
	struct uring_request *deferred;
	struct uring *ring = r->ring;

	uring_get(ring);
	spin_lock(&ring->state);
	*ret_timeout = uring_link_timeout_drop_locked(r);
	tell_locked(r, timeout);
	deferred = over_locked(r);
	spin_unlock(&ring->state);
	uring_told(ring);
	request_free(r);
	uring_put(ring);
	return deferred;
}

static void end_with_timeout(struct uring_request *r)
{
	struct uring_request *timeout, *deferred = end_one(r, &timeout);

	if (timeout) {
		struct uring_request *none;

		async_disarm(&timeout->job);
		timeout->result = -ECANCELED;
		if (!deferred)
			deferred = end_one(timeout, &none);
		else
			(void)end_one(timeout, &none);
	}
	if (deferred)
		async_ready(&deferred->job);
}

/* Ends those from r on, none of which has begun. */
static void end_chain(struct uring_request *r, bool skip)
{
	while (r) {
		struct uring_request *next = r->next;

		if (!r->result)
			r->result = -ECANCELED;
		r->skip = skip;
		r->next = NULL;
		end_with_timeout(r);
		r = next;
	}
}

void uring_fail_chain(struct uring_request *first)
{
	end_chain(first, false);
}

/* Is that a failure? For some time-outs it is not that their time came. */
static bool breaks_chain(const struct uring_request *r, int64_t result)
{
	if (result >= 0 || r->op == &op_link_timeout)
		return r->failed;
	return r->op != &op_timeout || result != -ETIME || !(r->sqe.timeout_flags & IORING_TIMEOUT_ETIME_SUCCESS);
}

void uring_complete(struct uring_request *r, int64_t result)
{
	struct uring_request *next = r->next;
	bool broken = breaks_chain(r, result), hard = r->sqe.flags & IOSQE_IO_HARDLINK, skip_rest;

	if (broken && r->skip) {
		r->skip = false;
		r->skip_rest = true;
	}
	if (r->selected)
		r->cqe_flags |= uring_buffer_flags(r);
	skip_rest = r->skip_rest;
	r->result = (int32_t)result;
	r->next = NULL;
	end_with_timeout(r);
	if (next && (!broken || hard))
		async_ready(&next->job);
	else
		end_chain(next, skip_rest);
}

/* ---- issuing ---- */

static int get_file(struct uring_request *r)
{
	struct file *f;

	if (!(r->op->flags & OP_FILE) || r->file)
		return 0;
	f = r->sqe.flags & IOSQE_FIXED_FILE ? uring_file_get(r->ring, (uint32_t)r->sqe.fd) : fd_get(r->sqe.fd);
	if (f && (f->mode & FILE_PATH)) {
		file_put(f);
		f = NULL;
	}
	WRITE_ONCE(r->file, f);
	return f ? 0 : -EBADF;
}

static int64_t call(struct uring_request *r, bool may_block)
{
	int err;

	if (async_cancelled(&r->job) && !(r->op->flags & OP_OWN_END))
		return -ECANCELED;
	err = get_file(r);
	if (err)
		return err;
	if (!may_block && ((r->op->flags & OP_BLOCKS) || ((r->sqe.flags & IOSQE_ASYNC) && !r->phase && !(r->op->flags & OP_OWN_END))))
		return URING_WORK;
	return r->op->issue(r, may_block);
}

/* A wait in a worker was broken off: because of us, or the process stops or ends. True: it has been queued again. */
static bool again_after_signal(struct uring_request *r, int64_t *result)
{
	if (*result != -ERESTARTSYS && *result != -ERESTARTNOINTR && *result != -ERESTARTNOHAND && *result != -ERESTART_BLOCK)
		return false;
	*result = async_cancelled(&r->job) ? -ECANCELED : -EINTR;
	if (async_cancelled(&r->job) || !async_in_worker())
		return false;
	async_work(&r->job);
	return true;
}

void uring_issue(struct uring_request *r, bool may_block)
{
	uint32_t mask;
	int64_t result;

	for (;;) {
		result = call(r, may_block);
		if (result == URING_ARMED)
			return;
		if (result == URING_POLL && r->retries++ < URING_RETRIES_MAX) {
			r->waiting = true;
			if (async_arm_poll(&r->job, r->file, r->events | POLLERR | POLLHUP, &mask))
				return;
			async_disarm(&r->job);
			r->waiting = false;
			continue;
		}
		if (result == URING_POLL || result == URING_WORK) {
			async_work(&r->job);
			return;
		}
		if (!again_after_signal(r, &result))
			uring_complete(r, result);
		return;
	}
}

int64_t uring_next_round(struct uring_request *r, unsigned *rounds)
{
	r->retries = 0;
	if (async_cancelled(&r->job))
		return -ECANCELED;
	if (++*rounds < URING_ROUNDS_MAX && !thread_signal_pending()) {
		sched_point();
		return 0;
	}
	async_ready(&r->job); /* behind others */
	return URING_ARMED;
}

static void begin(struct uring_request *r)
{
	if (r->begun)
		return;
	uring_link_timeout_arm(r);
	spin_lock(&r->ring->state);
	r->begun = true;
	spin_unlock(&r->ring->state);
}

static void request_run(struct async_job *job, bool may_block)
{
	struct uring_request *r = container_of(job, struct uring_request, job);

	if (!r->begun) { /* cancelled while it was deferred? */
		spin_lock(&r->ring->state);
		undefer_locked(r);
		spin_unlock(&r->ring->state);
	}
	if (r->failed && !r->begun) {
		uring_fail_chain(r);
		return;
	}
	if (r->waiting) {
		async_disarm(job);
		r->waiting = false;
	}
	if (!may_block) /* it had to wait: the file is not to blame */
		r->retries = 0;
	begin(r);
	uring_issue(r, may_block);
}

void uring_start_chain(struct uring_request *first)
{
	struct cred *cred = first->job.cred, *own = thread_current()->cred;

	if (cred != own) { /* a personality: by way of the queue, which puts it in place */
		async_ready(&first->job);
		return;
	}
	begin(first);
	uring_issue(first, false);
}

/* ---- the end of a ring ---- */

void uring_cancel_ring(struct uring *ring)
{
	struct uring_request *r;
	uint32_t left;

	spin_lock(&ring->state);
	ring->closing = true;
	left = ring->request_count;
	spin_unlock(&ring->state);
	while (left-- > 0) { /* one at a time, from the end to which each goes, so that the lock is not held for long */
		spin_lock(&ring->state);
		if (!list_empty(&ring->requests)) {
			r = list_first(&ring->requests, struct uring_request, of_ring);
			list_del(&r->of_ring);
			list_add_tail(&ring->requests, &r->of_ring);
			(void)async_cancel(&r->job);
		}
		spin_unlock(&ring->state);
	}
}
