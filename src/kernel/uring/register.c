/* SPDX-License-Identifier: MIT */
/* io_uring_register(2): what each opcode takes. */
#include "uring_internal.h"
#include <cloudos/eventfd.h>
#include <cloudos/task.h>
#include <cloudos/uring.h>

/* ---- events ---- */

static int register_eventfd(struct uring *ring, uaddr_t arg, uint32_t count, bool async)
{
	struct file *f;
	int32_t fd;

	if (count != 1)
		return -EINVAL;
	if (ring->eventfd)
		return -EBUSY;
	if (get_user(fd, arg))
		return -EFAULT;
	f = fd_get(fd);
	if (!f)
		return -EBADF;
	if (!file_is_eventfd(f)) {
		file_put(f);
		return -EINVAL;
	}
	spin_lock(&ring->state);
	WRITE_ONCE(ring->eventfd, f);
	ring->eventfd_async = async;
	spin_unlock(&ring->state);
	return 0;
}

static int unregister_eventfd(struct uring *ring)
{
	struct file *f;

	spin_lock(&ring->state);
	f = ring->eventfd;
	WRITE_ONCE(ring->eventfd, NULL);
	spin_unlock(&ring->state);
	if (!f)
		return -ENXIO;
	file_put(f);
	return 0;
}

/* ---- what there is ---- */

static int probe(uaddr_t arg, uint32_t count)
{
	struct io_uring_probe head;
	uint32_t n = min(count, (uint32_t)IORING_OP_LAST);

	if (count > 256)
		return -EINVAL;
	if (get_user(head, arg))
		return -EFAULT;
	if (head.last_op || head.ops_len || head.resv || head.resv2[0] || head.resv2[1] || head.resv2[2])
		return -EINVAL;
	head.last_op = IORING_OP_LAST - 1;
	head.ops_len = (uint8_t)n;
	if (put_user(head, arg))
		return -EFAULT;
	for (uint32_t i = 0; i < n; i++) {
		struct io_uring_probe_op op = { .op = (uint8_t)i, .flags = uring_op((uint8_t)i) ? IO_URING_OP_SUPPORTED : 0 };

		if (put_user(op, arg + sizeof(head) + i * sizeof(op)))
			return -EFAULT;
	}
	return 0;
}

/* ---- credentials ---- */

static int register_personality(struct uring *ring)
{
	for (uint32_t i = 0; i < URING_PERSONALITIES_MAX; i++) {
		if (ring->personalities[i])
			continue;
		cred_get(thread_current()->cred);
		ring->personalities[i] = thread_current()->cred;
		return (int)i + 1;
	}
	return -ENOSPC;
}

static int unregister_personality(struct uring *ring, uint32_t id)
{
	struct cred *c = id >= 1 && id <= URING_PERSONALITIES_MAX ? ring->personalities[id - 1] : NULL;

	if (!c)
		return -EINVAL;
	ring->personalities[id - 1] = NULL;
	cred_put(c);
	return 0;
}

/* ---- restrictions ---- */

static int restriction_from_user(uaddr_t at, struct uring_restrictions *l)
{
	struct io_uring_restriction r;

	if (get_user(r, at))
		return -EFAULT;
	switch (r.opcode) {
	case IORING_RESTRICTION_REGISTER_OP:
		if (r.register_op >= IORING_REGISTER_LAST)
			return -EINVAL;
		l->registers |= UINT64_C(1) << r.register_op;
		return 0;
	case IORING_RESTRICTION_SQE_OP:
		if (r.sqe_op >= IORING_OP_LAST)
			return -EINVAL;
		l->ops[r.sqe_op / 64] |= UINT64_C(1) << r.sqe_op % 64;
		return 0;
	case IORING_RESTRICTION_SQE_FLAGS_ALLOWED:
		l->flags_allowed = r.sqe_flags;
		return 0;
	case IORING_RESTRICTION_SQE_FLAGS_REQUIRED:
		l->flags_required = r.sqe_flags;
		return 0;
	default:
		return -EINVAL;
	}
}

static int register_restrictions(struct uring *ring, uaddr_t arg, uint32_t count)
{
	struct uring_restrictions l = { .any = true };
	int err = 0;

	if (!ring->disabled)
		return -EBADFD;
	if (ring->restrictions.any)
		return -EBUSY;
	if (!arg || count > IORING_RESTRICTION_LAST + IORING_REGISTER_LAST + IORING_OP_LAST)
		return -EINVAL;
	for (uint32_t i = 0; i < count && !err; i++)
		err = restriction_from_user(arg + i * sizeof(struct io_uring_restriction), &l);
	if (!err)
		ring->restrictions = l;
	return err;
}

static int enable(struct uring *ring)
{
	if (!ring->disabled)
		return -EBADFD;
	if (ring->flags & IORING_SETUP_SINGLE_ISSUER)
		WRITE_ONCE(ring->issuer, task_self());
	ring->restrictions.on = ring->restrictions.any;
	WRITE_ONCE(ring->disabled, false);
	return 0;
}

/* ---- files and buffers, the newer way ---- */

static int resources_from_user(uaddr_t arg, uint32_t size, struct io_uring_rsrc_register *ret)
{
	if (size != sizeof(*ret))
		return -EINVAL;
	if (get_user(*ret, arg))
		return -EFAULT;
	if (ret->resv2 || (ret->flags & ~IORING_RSRC_REGISTER_SPARSE) || !ret->nr)
		return -EINVAL;
	return (ret->flags & IORING_RSRC_REGISTER_SPARSE) && ret->data ? -EINVAL : 0;
}

static int register_resources(struct uring *ring, uaddr_t arg, uint32_t size, bool files)
{
	struct io_uring_rsrc_register reg;
	int err = resources_from_user(arg, size, &reg);

	if (err)
		return err;
	if (files)
		return uring_files_register(ring, reg.data, reg.tags, reg.nr);
	return uring_buffers_register(ring, reg.data, reg.tags, reg.nr);
}

static int update_from_user(uaddr_t arg, uint32_t size, struct io_uring_rsrc_update2 *ret)
{
	if (size != sizeof(*ret))
		return -EINVAL;
	if (get_user(*ret, arg))
		return -EFAULT;
	return ret->resv || ret->resv2 || !ret->nr ? -EINVAL : 0;
}

static int64_t update_resources(struct uring *ring, uaddr_t arg, uint32_t size, bool files)
{
	struct io_uring_rsrc_update2 up;
	int err = update_from_user(arg, size, &up);

	if (err)
		return err;
	if (files)
		return uring_files_update(ring, up.offset, up.data, up.tags, up.nr);
	return uring_buffers_update(ring, up.offset, up.data, up.tags, up.nr);
}

static int64_t update_files(struct uring *ring, uaddr_t arg, uint32_t count)
{
	struct io_uring_files_update up;

	if (get_user(up, arg))
		return -EFAULT;
	return up.resv || !count ? -EINVAL : uring_files_update(ring, up.offset, up.fds, 0, count);
}

/* ---- rings of the task ---- */

static int register_ring(struct async_task *task, uaddr_t at)
{
	struct io_uring_rsrc_update up;
	struct file **rings = async_rings(task), *f;
	uint32_t i;

	if (get_user(up, at))
		return -EFAULT;
	if (up.resv || (up.offset != UINT32_MAX && up.offset >= ASYNC_RINGS_MAX))
		return -EINVAL;
	i = up.offset;
	if (i == UINT32_MAX)
		for (i = 0; i < ASYNC_RINGS_MAX && rings[i];)
			i++;
	if (i == ASYNC_RINGS_MAX || rings[i])
		return -EBUSY;
	f = fd_get((int)up.data);
	if (!f)
		return -EBADF;
	up.offset = i;
	if (!file_is_uring(f) || put_user(up, at)) {
		int err = file_is_uring(f) ? -EFAULT : -EOPNOTSUPP;

		file_put(f);
		return err;
	}
	rings[i] = f;
	return 0;
}

static int unregister_ring(struct async_task *task, uaddr_t at)
{
	struct io_uring_rsrc_update up;
	struct file **rings = async_rings(task);

	if (get_user(up, at))
		return -EFAULT;
	if (up.resv || up.data || up.offset >= ASYNC_RINGS_MAX)
		return -EINVAL;
	if (rings[up.offset])
		file_put(rings[up.offset]);
	rings[up.offset] = NULL;
	return 0;
}

static int64_t each_ring(uaddr_t arg, uint32_t count, int (*fn)(struct async_task *, uaddr_t))
{
	struct async_task *task;
	uint32_t done = 0;
	int err;

	if (!count || count > ASYNC_RINGS_MAX)
		return -EINVAL;
	err = async_task_get(&task);
	for (; done < count && !err; done += !err)
		err = fn(task, arg + done * sizeof(struct io_uring_rsrc_update));
	return done ? (int64_t)done : err;
}

int uring_registered(uint32_t index, struct file **ret)
{
	struct async_task *task = async_task_current();

	if (!task || index >= ASYNC_RINGS_MAX)
		return -EINVAL;
	if (!async_rings(task)[index])
		return -EBADF;
	*ret = async_rings(task)[index];
	file_get(*ret);
	return 0;
}

/* ---- workers ---- */

/* How many there may be is the same for all tasks: the answer says so, and what was asked for is only checked. */
static int max_workers(uaddr_t arg, uint32_t count)
{
	uint32_t counts[2];

	if (!arg || count != 2)
		return -EINVAL;
	if (get_user(counts, arg))
		return -EFAULT;
	if (counts[0] > INT32_MAX || counts[1] > INT32_MAX)
		return -EINVAL;
	counts[0] = counts[1] = ASYNC_WORKERS_MAX;
	return copy_to_user(arg, counts, sizeof(counts));
}

/* ---- all together ---- */

static int64_t without_argument(struct uring *ring, uint32_t opcode)
{
	switch (opcode) {
	case IORING_UNREGISTER_BUFFERS:
		return uring_buffers_unregister(ring);
	case IORING_UNREGISTER_FILES:
		return uring_files_unregister(ring);
	case IORING_UNREGISTER_EVENTFD:
		return unregister_eventfd(ring);
	case IORING_REGISTER_PERSONALITY:
		return register_personality(ring);
	default:
		return enable(ring);
	}
}

static int64_t with_argument(struct uring *ring, uint32_t opcode, uaddr_t arg, uint32_t count)
{
	switch (opcode) {
	case IORING_REGISTER_BUFFERS:
		return arg ? uring_buffers_register(ring, arg, 0, count) : -EFAULT;
	case IORING_REGISTER_FILES:
		return arg ? uring_files_register(ring, arg, 0, count) : -EFAULT;
	case IORING_REGISTER_FILES_UPDATE:
		return update_files(ring, arg, count);
	case IORING_REGISTER_EVENTFD:
		return register_eventfd(ring, arg, count, false);
	case IORING_REGISTER_EVENTFD_ASYNC:
		return register_eventfd(ring, arg, count, true);
	case IORING_REGISTER_PROBE:
		return probe(arg, count);
	case IORING_REGISTER_RESTRICTIONS:
		return register_restrictions(ring, arg, count);
	case IORING_REGISTER_FILES2:
		return register_resources(ring, arg, count, true);
	case IORING_REGISTER_BUFFERS2:
		return register_resources(ring, arg, count, false);
	case IORING_REGISTER_FILES_UPDATE2:
		return update_resources(ring, arg, count, true);
	case IORING_REGISTER_BUFFERS_UPDATE:
		return update_resources(ring, arg, count, false);
	case IORING_REGISTER_IOWQ_MAX_WORKERS:
		return max_workers(arg, count);
	case IORING_REGISTER_PBUF_RING:
		return count == 1 ? uring_buffer_ring_register(ring, arg) : -EINVAL;
	case IORING_UNREGISTER_PBUF_RING:
		return count == 1 ? uring_buffer_ring_unregister(ring, arg) : -EINVAL;
	case IORING_REGISTER_FILE_ALLOC_RANGE:
		return count == 0 ? uring_files_alloc_range(ring, arg) : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* ring->lock held. */
static int may_register_locked(const struct uring *ring, uint32_t opcode)
{
	const struct uring_restrictions *l = &ring->restrictions;

	if ((ring->flags & IORING_SETUP_SINGLE_ISSUER) && ring->issuer && ring->issuer != task_self())
		return -EEXIST;
	return l->on && !(l->registers >> opcode & 1) ? -EACCES : 0;
}

static int64_t register_locked(struct uring *ring, uint32_t opcode, uaddr_t arg, uint32_t count)
{
	switch (opcode) {
	case IORING_UNREGISTER_BUFFERS:
	case IORING_UNREGISTER_FILES:
	case IORING_UNREGISTER_EVENTFD:
	case IORING_REGISTER_PERSONALITY:
	case IORING_REGISTER_ENABLE_RINGS:
		return arg || count ? -EINVAL : without_argument(ring, opcode);
	case IORING_UNREGISTER_PERSONALITY:
		return arg ? -EINVAL : unregister_personality(ring, count);
	default:
		return with_argument(ring, opcode, arg, count);
	}
}

/* Those that wait, or change the task and not the ring. */
static int64_t register_unlocked(struct uring *ring, uint32_t opcode, uaddr_t arg, uint32_t count)
{
	if (opcode == IORING_REGISTER_SYNC_CANCEL)
		return arg && count == 1 ? uring_sync_cancel(ring, arg) : -EINVAL;
	return each_ring(arg, count, opcode == IORING_REGISTER_RING_FDS ? register_ring : unregister_ring);
}

int64_t uring_register(struct file *f, uint32_t opcode, uaddr_t arg, uint32_t count)
{
	bool unlocked = opcode == IORING_REGISTER_SYNC_CANCEL || opcode == IORING_REGISTER_RING_FDS || opcode == IORING_UNREGISTER_RING_FDS;
	struct uring *ring = uring_of_file(f);
	int64_t result;

	if (opcode >= IORING_REGISTER_LAST)
		return -EINVAL;
	if (!ring)
		return -EOPNOTSUPP;
	mutex_lock(&ring->lock);
	result = may_register_locked(ring, opcode);
	if (!result && !unlocked)
		result = register_locked(ring, opcode, arg, count);
	mutex_unlock(&ring->lock);
	return !result && unlocked ? register_unlocked(ring, opcode, arg, count) : result;
}
