/* SPDX-License-Identifier: MIT */
/*
 * AIO contexts (io_setup(2)). A context is a ring of events in the program's memory, at the address that is its id: a header, then struct
 * io_event. The kernel appends events and moves `tail`; whoever takes one, the kernel in io_getevents(2) or the program by itself, moves `head`.
 *
 * The context is what the mapping of the ring is of: it is found by the area at its address, is not there in a child of fork, and goes with
 * the mapping, or with the address space.
 *
 * A1  running + events in the ring < slots, when the program does not lie about `head`: each request has a slot for its event. When it does,
 *     it loses events; the kernel's own indexes stay below `slots`.
 */
#include "aio_internal.h"
#include <asm/fcntl.h>
#include <asm/mman.h>
#include <asm/poll.h>
#include <linux/mman.h>
#include <cloudos/aio.h>
#include <cloudos/errno.h>
#include <cloudos/eventfd.h>
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/proc.h>
#include <cloudos/service.h>
#include <cloudos/uaccess.h>
#include <cloudos/vm.h>

#define RING_MAGIC	  0xa10a10a1u
#define REQUESTS_DEFAULT  65536u /* aio-max-nr */
#define REQUESTS_MOST	  (UINT32_C(1) << 20)

/* The head of the ring, as libaio knows it (Linux has it in no header). */
struct ring_header {
	uint32_t id, slots, head, tail;
	uint32_t magic, compat_features, incompat_features, header_length;
};

static uint32_t requests_now, requests_max = REQUESTS_DEFAULT; /* A: aio-nr, aio-max-nr */
static const struct file_ops aio_ops;

/* ---- the ring ---- */

static struct ring_header *header(const struct aio *a)
{
	return shared_at(&a->ring, 0);
}

static uint32_t *event_words(const struct aio *a, uint32_t slot)
{
	return shared_at(&a->ring, sizeof(struct ring_header) + (uint64_t)slot * sizeof(struct io_event));
}

static uint32_t head(const struct aio *a)
{
	return shared_load(&header(a)->head) % a->slots;
}

static uint32_t ready(const struct aio *a)
{
	return (LOAD_ACQUIRE(a->tail) + a->slots - head(a)) % a->slots;
}

bool aio_reserve(struct aio *a)
{
	bool room;

	spin_lock(&a->lock);
	room = !a->dead && a->running + ready(a) + 1 < a->slots;
	if (room)
		WRITE_ONCE(a->running, a->running + 1);
	spin_unlock(&a->lock);
	return room;
}

void aio_unreserve(struct aio *a)
{
	spin_lock(&a->lock);
	WRITE_ONCE(a->running, a->running - 1);
	spin_unlock(&a->lock);
	wake_all(&a->changed);
}

void aio_post(struct aio *a, const struct io_event *e, struct file *eventfd)
{
	spin_lock(&a->lock);
	*(struct io_event *)(void *)event_words(a, a->tail) = *e;
	STORE_RELEASE(a->tail, (a->tail + 1) % a->slots);
	shared_store(&header(a)->tail, a->tail);
	WRITE_ONCE(a->running, a->running - 1);
	spin_unlock(&a->lock);
	wake_all(&a->changed);
	if (eventfd)
		eventfd_signal(eventfd);
}

/* ---- making and finding ---- */

static int count_requests(uint32_t n)
{
	uint32_t now = __atomic_add_fetch(&requests_now, n, __ATOMIC_RELAXED);

	if (now <= READ_ONCE(requests_max) && now >= n)
		return 0;
	__atomic_fetch_sub(&requests_now, n, __ATOMIC_RELAXED);
	return -EAGAIN;
}

static int make_ring(struct aio *a)
{
	uint64_t bytes = align_up(sizeof(struct ring_header) + ((uint64_t)a->requests + 1) * sizeof(struct io_event), PAGE_SIZE);
	int err = shared_create(&a->ring, bytes);

	if (err)
		return err;
	a->slots = (uint32_t)((bytes - sizeof(struct ring_header)) / sizeof(struct io_event));
	*header(a) = (struct ring_header){
		.slots = a->slots, .magic = RING_MAGIC, .compat_features = 1, .header_length = sizeof(struct ring_header),
	};
	return 0;
}

static int aio_make(uint32_t requests, struct aio **ret)
{
	struct aio *a;
	int err = count_requests(requests);

	if (err)
		return err;
	a = kzalloc(sizeof(*a));
	if (!a) {
		__atomic_fetch_sub(&requests_now, requests, __ATOMIC_RELAXED);
		return -ENOMEM;
	}
	a->requests = requests;
	refcount_init(&a->refs, 1);
	spin_init(&a->lock, RANK_SPIN);
	mutex_init(&a->reader, RANK_URING);
	wait_queue_init(&a->changed);
	list_init(&a->polls);
	err = make_ring(a);
	if (err)
		aio_put(a);
	else
		*ret = a;
	return err;
}

void aio_put(struct aio *a)
{
	if (!refcount_put(&a->refs))
		return;
	__atomic_fetch_sub(&requests_now, a->requests, __ATOMIC_RELAXED);
	shared_destroy(&a->ring);
	kfree(a);
}

static int map_ring(struct aio *a, struct file *f, uaddr_t *ret)
{
	const struct vm_map_request r = {
		.len = (uint64_t)a->ring.pages << PAGE_SHIFT, .prot = PROT_READ | PROT_WRITE, .may_prot = PROT_READ | PROT_WRITE,
		.flags = VM_SHARED | VM_DONTFORK | VM_DONTDUMP, .object = a->ring.object, .file = f,
	};

	return vm_map(thread_current()->vm, &r, ret);
}

int aio_create(uint32_t requests, uaddr_t *ret_id)
{
	struct file *f;
	struct aio *a;
	int err;

	if (!requests)
		return -EINVAL;
	err = aio_make(requests, &a);
	if (err)
		return err;
	err = file_create_anonymous(&aio_ops, a, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR, 0, &f);
	if (err) {
		aio_put(a);
		return err;
	}
	err = map_ring(a, f, ret_id);
	file_put(f); /* the mapping has it now, or nobody */
	return err;
}

/* A context of an area's file, if it is one of ours: with a reference. */
static void *take(void *file)
{
	struct file *f = file;

	if (f->ops != &aio_ops)
		return NULL;
	refcount_get(&((struct aio *)f->private)->refs);
	return f->private;
}

struct aio *aio_find(uaddr_t id)
{
	struct aio *a = vm_file_at(thread_current()->vm, id, take);

	if (!a || !READ_ONCE(a->dead))
		return a;
	aio_put(a);
	return NULL;
}

/* ---- the end ---- */

/* True for the first who asks. */
static bool kill(struct aio *a)
{
	bool first;

	spin_lock(&a->lock);
	first = !a->dead;
	WRITE_ONCE(a->dead, true);
	spin_unlock(&a->lock);
	aio_cancel_polls(a);
	wake_all(&a->changed);
	return first;
}

static bool is_aio(const void *file)
{
	return ((const struct file *)file)->ops == &aio_ops;
}

int aio_destroy(uaddr_t id)
{
	struct aio *a = aio_find(id);

	if (!a)
		return -EINVAL;
	if (!kill(a)) {
		aio_put(a);
		return -EINVAL;
	}
	(void)vm_unmap_object(thread_current()->vm, id, is_aio);
	wait_event(&a->changed, READ_ONCE(a->running) == 0);
	aio_put(a);
	return 0;
}

static void aio_release(struct file *f)
{
	(void)kill(f->private);
	aio_put(f->private);
}

static int aio_name(struct file *f, char *buf, size_t size)
{
	(void)f;
	return fmt_string(buf, size, "/[aio] (deleted)");
}

static const struct file_ops aio_ops = { .release = aio_release, .name = aio_name };

/* ---- taking events ---- */

/* As many as there are, at most n: how many, or -EFAULT for the first. */
static int64_t take_some(struct aio *a, int64_t n, uaddr_t events)
{
	int64_t done = 0;

	mutex_lock(&a->reader);
	while (done < n && ready(a) > 0) {
		uint32_t at = head(a);
		struct io_event e = *(struct io_event *)(void *)event_words(a, at);

		if (put_user(e, events + (uint64_t)done * sizeof(e))) {
			done = done ? done : -EFAULT;
			break;
		}
		shared_store(&header(a)->head, (at + 1) % a->slots);
		done++;
	}
	mutex_unlock(&a->reader);
	return done;
}

static int64_t take_enough(struct aio *a, int64_t least, int64_t most, uaddr_t events, uint64_t deadline_ns)
{
	int64_t done = 0;
	int err = 0;

	for (;;) {
		int64_t n = take_some(a, most - done, events + (uint64_t)done * sizeof(struct io_event));

		if (n < 0)
			return done ? done : n;
		done += n;
		if (done >= least || err)
			break;
		if (READ_ONCE(a->dead))
			return done ? done : -EINVAL;
		err = deadline_ns == 0 ? -ETIMEDOUT : wait_event_deadline(&a->changed, deadline_ns, ready(a) > 0 || READ_ONCE(a->dead));
	}
	return done || err != -ERESTARTSYS ? done : -EINTR;
}

int64_t aio_get_events(uaddr_t id, int64_t least, int64_t most, uaddr_t events, uint64_t deadline_ns)
{
	struct aio *a = aio_find(id);
	int64_t n = -EINVAL;

	if (!a)
		return -EINVAL;
	if (least >= 0 && least <= most)
		n = take_enough(a, least, most, events, deadline_ns);
	aio_put(a);
	return n;
}

/* ---- /proc/sys/fs ---- */

static int show(struct text_out *o, void *arg)
{
	out_printf(o, "%u\n", READ_ONCE(*(uint32_t *)arg));
	return 0;
}

static int start(void)
{
	static const struct procfs_limit most = { "sys/fs/aio-max-nr", &requests_max, 0, REQUESTS_MOST };
	int err = procfs_add("sys/fs/aio-nr", 0444, show, NULL, &requests_now);

	return err ? err : procfs_add_limits(&most, 1);
}
SERVICE_DEFINE(aio, .requires = SERVICE_REQUIRES("procfs"), .start = start);
