/* SPDX-License-Identifier: MIT */
/*
 * Provided buffers: a group is a pool from which a request takes a buffer when its data is there (IOSQE_BUFFER_SELECT), and the completion says
 * which. A group is a list that OP_PROVIDE_BUFFERS fills, or a ring in user memory that the program fills (IORING_REGISTER_PBUF_RING).
 *
 * The ring is the program's: its tail and entries are read once each, and the kernel keeps the head.
 */
#include "uring_internal.h"
#include <cloudos/vm.h>

#define BUFFERS_MAX 65536u /* ids of a group */

struct provided {
	struct list link;
	uint64_t addr;
	uint32_t len;
	uint16_t id;
};

/* Fields: B = buffers_lock; C = constant. */
struct uring_group {
	struct list link;    /* B */
	uint16_t id;	     /* C */
	struct list buffers; /* B: struct provided */
	uint32_t count;	     /* B */
	uaddr_t ring;	     /* C: of a ring; 0: a list */
	uint16_t head, mask; /* B, C */
};

static struct uring_group *find_locked(struct uring *ring, uint16_t id)
{
	struct uring_group *g;

	list_for_each(g, &ring->groups, link)
		if (g->id == id)
			return g;
	return NULL;
}

static int group_make_locked(struct uring *ring, uint16_t id, struct uring_group **ret)
{
	struct uring_group *g = ring->group_count < URING_GROUPS_MAX ? kzalloc(sizeof(*g)) : NULL;

	if (!g)
		return -ENOMEM;
	g->id = id;
	list_init(&g->buffers);
	list_add_tail(&ring->groups, &g->link);
	ring->group_count++;
	*ret = g;
	return 0;
}

static uint32_t remove_some(struct uring_group *g, uint32_t n)
{
	uint32_t removed = 0;

	while (removed < n && !list_empty(&g->buffers)) {
		struct provided *p = list_first(&g->buffers, struct provided, link);

		list_del(&p->link);
		kfree(p);
		removed++;
	}
	g->count -= removed;
	return removed;
}

static void group_drop_locked(struct uring *ring, struct uring_group *g)
{
	(void)remove_some(g, UINT32_MAX);
	list_del(&g->link);
	ring->group_count--;
	kfree(g);
}

void uring_groups_drop(struct uring *ring)
{
	while (!list_empty(&ring->groups))
		group_drop_locked(ring, list_first(&ring->groups, struct uring_group, link));
}

/* ---- taking one ---- */

static int take_from_ring(struct uring_group *g, struct uring_request *r)
{
	struct io_uring_buf b;
	uint16_t tail;

	if (get_user(tail, g->ring + offsetof(struct io_uring_buf_ring, tail)))
		return -EFAULT;
	if (tail == g->head)
		return -ENOBUFS;
	if (get_user(b, g->ring + (g->head & g->mask) * sizeof(b)))
		return -EFAULT;
	g->head++;
	r->buffer_addr = b.addr;
	r->buffer_len = b.len;
	r->buffer_id = b.bid;
	return 0;
}

static int take_from_list(struct uring_group *g, struct uring_request *r)
{
	struct provided *p;

	if (list_empty(&g->buffers))
		return -ENOBUFS;
	p = list_first(&g->buffers, struct provided, link);
	list_del(&p->link);
	g->count--;
	r->buffer_addr = p->addr;
	r->buffer_len = p->len;
	r->buffer_id = p->id;
	kfree(p);
	return 0;
}

int uring_buffer_select(struct uring_request *r, uint32_t len)
{
	struct uring *ring = r->ring;
	struct uring_group *g;
	int err = -ENOBUFS;

	if (r->selected)
		return 0;
	mutex_lock(&ring->buffers_lock);
	g = find_locked(ring, r->sqe.buf_group);
	if (g)
		err = g->ring ? take_from_ring(g, r) : take_from_list(g, r);
	mutex_unlock(&ring->buffers_lock);
	if (err)
		return err;
	r->selected = true;
	r->buffer_group = r->sqe.buf_group;
	if (len && len < r->buffer_len)
		r->buffer_len = len;
	return user_range_ok(r->buffer_addr, r->buffer_len) ? 0 : -EFAULT;
}

/* Nothing came of the attempt: it is the first again. Where it cannot be, it stays with the request. */
void uring_buffer_return(struct uring_request *r)
{
	struct uring *ring = r->ring;
	struct uring_group *g;

	if (!r->selected)
		return;
	mutex_lock(&ring->buffers_lock);
	g = find_locked(ring, r->buffer_group);
	if (g && g->ring) {
		uint16_t before = (uint16_t)(g->head - 1);
		struct io_uring_buf b;

		if (!get_user(b, g->ring + (before & g->mask) * sizeof(b)) && b.bid == r->buffer_id) {
			g->head = before;
			r->selected = false;
		}
	}
	mutex_unlock(&ring->buffers_lock);
}

uint32_t uring_buffer_flags(struct uring_request *r)
{
	r->selected = false;
	return IORING_CQE_F_BUFFER | (uint32_t)r->buffer_id << IORING_CQE_BUFFER_SHIFT;
}

/* ---- OP_PROVIDE_BUFFERS, OP_REMOVE_BUFFERS ---- */

static int provide_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;
	uint64_t bytes;

	if (s->rw_flags || s->splice_fd_in)
		return -EINVAL;
	if (s->fd <= 0 || (uint32_t)s->fd > BUFFERS_MAX)
		return -E2BIG;
	if (!s->len || s->off > UINT16_MAX || s->off + (uint32_t)s->fd > BUFFERS_MAX)
		return s->len ? -E2BIG : -EINVAL;
	bytes = (uint64_t)s->len * (uint32_t)s->fd;
	return user_range_ok(s->addr, bytes) ? 0 : -EFAULT;
}

static int provide_locked(struct uring *ring, const struct io_uring_sqe *s)
{
	struct uring_group *g = find_locked(ring, s->buf_group);
	uint32_t done = 0;
	int err = g ? 0 : group_make_locked(ring, s->buf_group, &g);

	if (err)
		return err;
	if (g->ring)
		return -EINVAL;
	for (; done < (uint32_t)s->fd; done++) {
		struct provided *p = g->count < BUFFERS_MAX ? kmalloc(sizeof(*p)) : NULL;

		if (!p)
			break;
		*p = (struct provided){ .addr = s->addr + (uint64_t)done * s->len, .len = s->len, .id = (uint16_t)(s->off + done) };
		list_add_tail(&g->buffers, &p->link);
		g->count++;
	}
	return done ? 0 : -ENOMEM;
}

static int64_t provide_issue(struct uring_request *r, bool may_block)
{
	int err;

	(void)may_block;
	mutex_lock(&r->ring->buffers_lock);
	err = provide_locked(r->ring, &r->sqe);
	mutex_unlock(&r->ring->buffers_lock);
	return err;
}

const struct uring_op op_provide_buffers = { .prep = provide_prep, .issue = provide_issue, .flags = OP_IOPOLL };

static int remove_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if (s->rw_flags || s->addr || s->len || s->off || s->splice_fd_in)
		return -EINVAL;
	return s->fd <= 0 || (uint32_t)s->fd > BUFFERS_MAX ? -EINVAL : 0;
}

static int64_t remove_issue(struct uring_request *r, bool may_block)
{
	struct uring_group *g;
	int64_t result = -ENOENT;

	(void)may_block;
	mutex_lock(&r->ring->buffers_lock);
	g = find_locked(r->ring, r->sqe.buf_group);
	if (g)
		result = g->ring ? -EINVAL : (int64_t)remove_some(g, (uint32_t)r->sqe.fd);
	mutex_unlock(&r->ring->buffers_lock);
	return result;
}

const struct uring_op op_remove_buffers = { .prep = remove_prep, .issue = remove_issue, .flags = OP_IOPOLL };

/* ---- rings of buffers ---- */

static int ring_from_user(uaddr_t arg, struct io_uring_buf_reg *ret)
{
	if (get_user(*ret, arg))
		return -EFAULT;
	return ret->pad || ret->resv[0] || ret->resv[1] || ret->resv[2] ? -EINVAL : 0;
}

int uring_buffer_ring_register(struct uring *ring, uaddr_t arg)
{
	struct io_uring_buf_reg reg;
	struct uring_group *g;
	int err = ring_from_user(arg, &reg);

	if (err)
		return err;
	if (!reg.ring_addr)
		return -EFAULT;
	if (!is_aligned(reg.ring_addr, PAGE_SIZE) || !reg.ring_entries || (reg.ring_entries & (reg.ring_entries - 1)) ||
	    reg.ring_entries >= BUFFERS_MAX)
		return -EINVAL;
	if (!user_range_ok(reg.ring_addr, reg.ring_entries * sizeof(struct io_uring_buf)))
		return -EFAULT;
	if (vm_populate(thread_current()->vm, reg.ring_addr, align_up(reg.ring_entries * sizeof(struct io_uring_buf), PAGE_SIZE)))
		return -EFAULT;
	mutex_lock(&ring->buffers_lock);
	g = find_locked(ring, reg.bgid);
	if (g && (g->ring || !list_empty(&g->buffers)))
		err = -EEXIST;
	else if (!g)
		err = group_make_locked(ring, reg.bgid, &g);
	if (!err) {
		g->ring = reg.ring_addr;
		g->mask = (uint16_t)(reg.ring_entries - 1);
		g->head = 0;
	}
	mutex_unlock(&ring->buffers_lock);
	return err;
}

int uring_buffer_ring_unregister(struct uring *ring, uaddr_t arg)
{
	struct io_uring_buf_reg reg;
	struct uring_group *g;
	int err = ring_from_user(arg, &reg);

	if (err)
		return err;
	mutex_lock(&ring->buffers_lock);
	g = find_locked(ring, reg.bgid);
	if (!g)
		err = -ENOENT;
	else if (!g->ring)
		err = -EINVAL;
	else
		group_drop_locked(ring, g);
	mutex_unlock(&ring->buffers_lock);
	return err;
}
