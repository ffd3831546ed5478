/* SPDX-License-Identifier: MIT */
/*
 * The rings of io_uring(7): memory that a program and the kernel share.
 *
 *   the rings	the words of enum WORD_*, completions (io_uring_cqe) from RING_CQES on, then the array of indexes of submissions
 *   the SQEs	submissions (io_uring_sqe)
 *
 * The program may write anything there at any time. The kernel keeps its own head of submissions and tail of completions and only tells
 * them; what it reads it reads once: the tail of submissions, each index, each submission, the head of completions.
 *
 * Life: the file holds the ring, and each request does. When the file goes, all requests are cancelled, and the ring goes with the last of
 * them. The memory stays as long as it is mapped: a mapping holds the file.
 */
#include "uring_internal.h"
#include <asm/fcntl.h>
#include <asm/mman.h>
#include <asm/poll.h>
#include <linux/mman.h>
#include <cloudos/format.h>
#include <cloudos/task.h>
#include <cloudos/uring.h>
#include <cloudos/vm.h>

#define SETUP_KNOWN                                                                                                              \
	(IORING_SETUP_IOPOLL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | \
	 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER |                        \
	 IORING_SETUP_DEFER_TASKRUN)
#define FEATURES                                                                                                              \
	(IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS |                   \
	 IORING_FEAT_CUR_PERSONALITY | IORING_FEAT_FAST_POLL | IORING_FEAT_POLL_32BITS | IORING_FEAT_EXT_ARG |                 \
	 IORING_FEAT_NATIVE_WORKERS | IORING_FEAT_RSRC_TAGS | IORING_FEAT_CQE_SKIP | IORING_FEAT_LINKED_FILE)

/* ---- making ---- */

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

static int check_entries(struct io_uring_params *p, uint32_t entries)
{
	if (entries == 0)
		return -EINVAL;
	if (entries > URING_ENTRIES_MAX && !(p->flags & IORING_SETUP_CLAMP))
		return -EINVAL;
	p->sq_entries = power_of_two(min(entries, URING_ENTRIES_MAX));
	if (!(p->flags & IORING_SETUP_CQSIZE)) {
		p->cq_entries = 2 * p->sq_entries;
		return 0;
	}
	if (p->cq_entries == 0 || (p->cq_entries > 2 * URING_ENTRIES_MAX && !(p->flags & IORING_SETUP_CLAMP)))
		return -EINVAL;
	p->cq_entries = power_of_two(min(p->cq_entries, 2 * URING_ENTRIES_MAX));
	return p->cq_entries < p->sq_entries ? -EINVAL : 0;
}

static int check_flags(const struct io_uring_params *p)
{
	if (p->flags & ~(uint32_t)SETUP_KNOWN)
		return -EINVAL;
	if ((p->flags & IORING_SETUP_TASKRUN_FLAG) && !(p->flags & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN)))
		return -EINVAL;
	if ((p->flags & IORING_SETUP_DEFER_TASKRUN) && !(p->flags & IORING_SETUP_SINGLE_ISSUER))
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(p->resv) / sizeof(p->resv[0]); i++)
		if (p->resv[i])
			return -EINVAL;
	return 0;
}

static void fill_words(struct uring *ring)
{
	*ring_word(ring, WORD_SQ_MASK) = ring->sq_entries - 1;
	*ring_word(ring, WORD_CQ_MASK) = ring->cq_entries - 1;
	*ring_word(ring, WORD_SQ_ENTRIES) = ring->sq_entries;
	*ring_word(ring, WORD_CQ_ENTRIES) = ring->cq_entries;
}

static void fill_offsets(const struct uring *ring, struct io_uring_params *p)
{
	p->sq_off = (struct io_sqring_offsets){
		.head = WORD_SQ_HEAD, .tail = WORD_SQ_TAIL, .ring_mask = WORD_SQ_MASK, .ring_entries = WORD_SQ_ENTRIES,
		.flags = WORD_SQ_FLAGS, .dropped = WORD_SQ_DROPPED, .array = (uint32_t)ring->array_offset,
	};
	p->cq_off = (struct io_cqring_offsets){
		.head = WORD_CQ_HEAD, .tail = WORD_CQ_TAIL, .ring_mask = WORD_CQ_MASK, .ring_entries = WORD_CQ_ENTRIES,
		.overflow = WORD_CQ_OVERFLOW, .cqes = RING_CQES, .flags = WORD_CQ_FLAGS,
	};
	p->features = FEATURES;
}

static int make_memory(struct uring *ring)
{
	int err;

	ring->array_offset = RING_CQES + ((uint64_t)ring->cq_entries << ring->cqe_shift);
	err = shared_create(&ring->rings, ring->array_offset + (uint64_t)ring->sq_entries * sizeof(uint32_t));
	if (!err)
		err = shared_create(&ring->sqes, (uint64_t)ring->sq_entries << ring->sqe_shift);
	if (!err)
		fill_words(ring);
	return err;
}

static struct uring *uring_alloc(const struct io_uring_params *p)
{
	struct uring *ring = kzalloc(sizeof(*ring));

	if (!ring)
		return NULL;
	refcount_init(&ring->refs, 1);
	ring->flags = p->flags;
	ring->sq_entries = p->sq_entries;
	ring->cq_entries = p->cq_entries;
	ring->sqe_shift = p->flags & IORING_SETUP_SQE128 ? 7 : 6;
	ring->cqe_shift = p->flags & IORING_SETUP_CQE32 ? 5 : 4;
	ring->disabled = p->flags & IORING_SETUP_R_DISABLED;
	if ((p->flags & IORING_SETUP_SINGLE_ISSUER) && !ring->disabled)
		ring->issuer = task_self();
	mutex_init(&ring->lock, RANK_URING);
	mutex_init(&ring->buffers_lock, RANK_URING_BUFFERS);
	spin_init(&ring->state, RANK_SPIN);
	list_init(&ring->requests);
	list_init(&ring->deferred);
	list_init(&ring->overflow);
	list_init(&ring->counting);
	list_init(&ring->groups);
	wait_queue_init(&ring->completions);
	return ring;
}

int uring_create(uint32_t entries, struct io_uring_params *p, struct file **ret)
{
	struct async_task *task;
	struct uring *ring;
	int err = check_flags(p);

	if (!err)
		err = check_entries(p, entries);
	if (!err)
		err = async_task_get(&task);
	if (err)
		return err;
	ring = uring_alloc(p);
	if (!ring)
		return -ENOMEM;
	err = make_memory(ring);
	if (!err)
		err = file_create_anonymous(&uring_file_ops, ring, FILE_READ | FILE_WRITE | FILE_STREAM | FILE_UNSENT, O_RDWR, 0, ret);
	if (err)
		uring_put(ring);
	else
		fill_offsets(ring, p);
	return err;
}

/* ---- the end ---- */

void uring_get(struct uring *ring)
{
	refcount_get(&ring->refs);
}

void uring_put(struct uring *ring)
{
	if (!refcount_put(&ring->refs))
		return;
	uring_drop_overflow(ring);
	uring_tables_drop(ring);
	uring_groups_drop(ring);
	for (unsigned i = 0; i < URING_PERSONALITIES_MAX; i++)
		if (ring->personalities[i])
			cred_put(ring->personalities[i]);
	if (ring->eventfd)
		file_put(ring->eventfd);
	shared_destroy(&ring->rings);
	shared_destroy(&ring->sqes);
	kfree(ring);
}

static void uring_release(struct file *f)
{
	struct uring *ring = f->private;

	uring_cancel_ring(ring);
	uring_put(ring);
}

/* ---- the file ---- */

uint32_t uring_ready(const struct uring *ring)
{
	return READ_ONCE(ring->cq_tail) - shared_load(ring_word(ring, WORD_CQ_HEAD));
}

static uint32_t uring_poll(struct file *f, struct poll_table *pt)
{
	struct uring *ring = f->private;
	uint32_t queued, ready = 0;

	poll_wait(pt, &ring->completions);
	queued = shared_load(ring_word(ring, WORD_SQ_TAIL)) - READ_ONCE(ring->sq_head);
	if (queued != ring->sq_entries)
		ready |= POLLOUT | POLLWRNORM;
	if (uring_ready(ring) || READ_ONCE(ring->overflow_count))
		ready |= POLLIN | POLLRDNORM;
	return ready;
}

static int uring_mmap(struct file *f, struct vm_map_request *r)
{
	const struct uring *ring = f->private;
	uint64_t offset = r->object_page << PAGE_SHIFT;
	const struct shared_memory *m;

	if (offset == IORING_OFF_SQ_RING || offset == IORING_OFF_CQ_RING)
		m = &ring->rings;
	else if (offset == IORING_OFF_SQES)
		m = &ring->sqes;
	else
		return -EINVAL;
	if (r->len > (uint64_t)m->pages << PAGE_SHIFT || !(r->flags & VM_SHARED))
		return -EINVAL;
	r->object = m->object;
	r->object_page = 0;
	return 0;
}

static int uring_name(struct file *f, char *buf, size_t size)
{
	(void)f;
	return fmt_string(buf, size, "anon_inode:[io_uring]");
}

const struct file_ops uring_file_ops = {
	.poll = uring_poll,
	.mmap = uring_mmap,
	.release = uring_release,
	.name = uring_name,
};

bool file_is_uring(const struct file *f)
{
	return f->ops == &uring_file_ops;
}
