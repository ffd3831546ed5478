/* SPDX-License-Identifier: MIT */
/*
 * epoll(7). An epoll holds an item for each file that it watches; an item has waiters on the queues that the file announces on.
 *
 * From an event to epoll_wait(): a waiter's function runs under the queue's lock, in any context. It pushes its item onto `pushed`, a
 * stack that needs no lock (an item is on it at most once), and wakes a sleeper. epoll_wait() takes the whole stack into the
 * list `ready` and asks each file there what it has: what the file says counts, events are only hints. A level-triggered
 * item goes back to the end of the list until its file has nothing more to say; an edge-triggered one waits for the next push.
 *
 * Life: an item holds no reference on its file. It goes with EPOLL_CTL_DEL, with its epoll, or with the last reference on the file
 * (epoll_file_gone(), before the file's release). The last two hold `nesting`, so that neither pulls the item from under the other.
 *
 * E1  An item's waiters are on queues exactly while it is in epoll.items.
 * E2  An item's file is valid while epoll.lock is held: its end waits for the lock in epoll_file_gone().
 * E3  Watching among epolls has no circles and at most EPOLL_NESTING_MAX levels; the locks of nested ones are taken in that order.
 *
 * Locking: nesting (RANK_EPOLL_NEST) > epoll.lock (RANK_EPOLL) > file.epoll_lock. The lock of `waiting` may be taken under the lock of
 * any wait queue, along the order of E3: it has no rank.
 */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/epoll.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/rbtree.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>

#define QUEUES_MAX   2 /* queues that one file announces on */
#define EVENTS_FLAGS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

/* Fields: L = by lock; N = by nesting; A = atomic; C = constant. */
struct epoll {
	struct mutex lock;
	struct rb_tree items;	   /* L: by file and descriptor */
	struct list ready;	   /* L: items to ask, in the order of their events */
	struct epoll_item *pushed; /* A: the stack */
	struct wait_queue waiting;
	struct file *file;	   /* C: its own */
	struct list nested;	   /* N: items that watch epolls */
	uint32_t visited;	   /* N: the walk that came by last */
	uint32_t visited_depth;	   /* N: what it found */
};

struct epoll_waiter {
	struct waiter waiter;
	struct wait_queue *queue;
	struct epoll_item *item;
};

struct epoll_item {
	struct rb_node node;	       /* L */
	struct epoll *epoll;	       /* C */
	struct file *file;	       /* C: see E2 */
	int fd;			       /* C */
	uint32_t events;	       /* L: EPOLL*; none but flags after a one-shot */
	uint64_t data;		       /* L */
	struct list ready_link;	       /* L */
	struct epoll_item *pushed_next; /* A: of who pushed it until it is taken */
	uint32_t pushed;	       /* A */
	struct list file_link;	       /* by file.epoll_lock */
	struct list nested_link;       /* N */
	uint32_t waiter_count;	       /* C once added */
	struct epoll_waiter waiters[QUEUES_MAX];
};

static struct mutex nesting = MUTEX_INIT(nesting, RANK_EPOLL_NEST);
static uint32_t item_count; /* A */
static const struct file_ops epoll_ops;

static struct epoll *epoll_of(struct file *f)
{
	return f->ops == &epoll_ops ? f->private : NULL;
}

/* ---- from the event to the ready list ---- */

static void push(struct epoll *ep, struct epoll_item *item)
{
	struct epoll_item *top = __atomic_load_n(&ep->pushed, __ATOMIC_RELAXED);

	if (__atomic_exchange_n(&item->pushed, 1, __ATOMIC_ACQ_REL))
		return;
	do {
		item->pushed_next = top;
	} while (!__atomic_compare_exchange_n(&ep->pushed, &top, item, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

static bool item_event(struct waiter *w, uint32_t events)
{
	struct epoll_item *item = container_of(w, struct epoll_waiter, waiter)->item;
	struct epoll *ep = item->epoll;
	bool wanted = !list_empty_unlocked(&ep->waiting.waiters);

	(void)events;
	push(ep, item);
	wake_events(&ep->waiting, POLLIN | POLLRDNORM, true);
	return wanted;
}

static void make_ready(struct epoll *ep, struct epoll_item *item)
{
	if (list_empty(&item->ready_link))
		list_add_tail(&ep->ready, &item->ready_link);
}

/* Moves what was pushed to the end of the ready list, first come first. */
static void take_pushed(struct epoll *ep)
{
	struct epoll_item *item, *in_order = NULL;

	if (likely(!__atomic_load_n(&ep->pushed, __ATOMIC_RELAXED)))
		return;
	item = __atomic_exchange_n(&ep->pushed, NULL, __ATOMIC_ACQ_REL);
	while (item) {
		struct epoll_item *next = item->pushed_next;

		item->pushed_next = in_order;
		in_order = item;
		item = next;
	}
	while (in_order) {
		item = in_order;
		in_order = item->pushed_next;
		make_ready(ep, item);
		__atomic_exchange_n(&item->pushed, 0, __ATOMIC_ACQ_REL); /* sees what came with an event that found it pushed */
	}
}

static bool maybe_ready(const struct epoll *ep)
{
	return !list_empty_unlocked(&ep->ready) || __atomic_load_n(&ep->pushed, __ATOMIC_RELAXED) != NULL;
}

static uint32_t ask(const struct epoll_item *item)
{
	return file_poll(item->file, NULL) & item->events & ~(uint32_t)EVENTS_FLAGS;
}

/* ---- items ---- */

static int order(const struct file *file, int fd, const struct epoll_item *item)
{
	if (file != item->file)
		return (uintptr_t)file < (uintptr_t)item->file ? -1 : 1;
	return fd < item->fd ? -1 : fd > item->fd;
}

static struct epoll_item *item_find(struct epoll *ep, const struct file *file, int fd)
{
	struct rb_node *node = ep->items.root;

	while (node) {
		struct epoll_item *item = rb_entry(node, struct epoll_item, node);
		int way = order(file, fd, item);

		if (way == 0)
			return item;
		node = way < 0 ? node->left : node->right;
	}
	return NULL;
}

static void item_link(struct epoll *ep, struct epoll_item *item)
{
	struct rb_node **at = &ep->items.root, *parent = NULL;
	struct file *f = item->file;

	while (*at) {
		parent = *at;
		at = order(f, item->fd, rb_entry(parent, struct epoll_item, node)) < 0 ? &parent->left : &parent->right;
	}
	rb_link(&ep->items, &item->node, parent, at);
	spin_lock(&f->epoll_lock);
	if (!f->epoll_links.next)
		list_init(&f->epoll_links);
	list_add(&f->epoll_links, &item->file_link);
	spin_unlock(&f->epoll_lock);
}

static void set_events(struct epoll_item *item, uint32_t events, uint64_t data)
{
	item->events = events;
	item->data = data;
	for (uint32_t i = 0; i < item->waiter_count; i++)
		WRITE_ONCE(item->waiters[i].waiter.events, events & ~(uint32_t)EVENTS_FLAGS);
}

struct add_table {
	struct poll_table table;
	struct epoll_item *item;
};

static void add_waiter(struct poll_table *pt, struct wait_queue *q)
{
	struct epoll_item *item = container_of(pt, struct add_table, table)->item;
	struct epoll_waiter *w = &item->waiters[item->waiter_count];

	ASSERT(item->waiter_count < QUEUES_MAX);
	item->waiter_count++;
	waiter_init(&w->waiter, item->events & ~(uint32_t)EVENTS_FLAGS, item->events & EPOLLEXCLUSIVE);
	w->waiter.fn = item_event;
	w->queue = q;
	w->item = item;
	wait_add(q, &w->waiter);
}

/* Begins to watch, and looks at once. */
static void item_watch(struct epoll *ep, struct epoll_item *item)
{
	struct add_table at = { .table.add = add_waiter, .item = item };

	if (file_poll(item->file, &at.table) & item->events & ~(uint32_t)EVENTS_FLAGS) {
		make_ready(ep, item);
		wake_events(&ep->waiting, POLLIN | POLLRDNORM, true);
	}
}

/* Afterwards no event finds the item. Caller holds ep->lock, and `nesting` if the item watches an epoll. */
static void item_remove(struct epoll *ep, struct epoll_item *item)
{
	for (uint32_t i = 0; i < item->waiter_count; i++)
		wait_remove(item->waiters[i].queue, &item->waiters[i].waiter);
	take_pushed(ep);
	list_del(&item->ready_link);
	rb_remove(&ep->items, &item->node);
	spin_lock(&item->file->epoll_lock);
	list_del(&item->file_link);
	spin_unlock(&item->file->epoll_lock);
	list_del(&item->nested_link);
	kfree(item);
	__atomic_fetch_sub(&item_count, 1, __ATOMIC_RELAXED);
}

static struct epoll_item *item_alloc(struct epoll *ep, struct file *file, int fd)
{
	struct epoll_item *item;

	if (__atomic_add_fetch(&item_count, 1, __ATOMIC_RELAXED) > EPOLL_ITEMS_MAX) {
		__atomic_fetch_sub(&item_count, 1, __ATOMIC_RELAXED);
		return err_ptr(-ENOSPC);
	}
	item = kzalloc(sizeof(*item));
	if (!item) {
		__atomic_fetch_sub(&item_count, 1, __ATOMIC_RELAXED);
		return err_ptr(-ENOMEM);
	}
	item->epoll = ep;
	item->file = file;
	item->fd = fd;
	list_init(&item->ready_link);
	list_init(&item->nested_link);
	return item;
}

/* ---- nesting (E3) ---- */

static uint32_t walk; /* by nesting: number of the present walk, so that each epoll is visited once */

/* Levels of epolls that ep watches; more than the maximum if `forbidden` is among them. */
static uint32_t depth_below(struct epoll *ep, const struct epoll *forbidden, uint32_t level)
{
	struct epoll_item *item;
	uint32_t depth = 0;

	if (ep == forbidden || level > EPOLL_NESTING_MAX)
		return EPOLL_NESTING_MAX + 1;
	if (ep->visited == walk)
		return ep->visited_depth;
	list_for_each(item, &ep->nested, nested_link)
		depth = max(depth, 1 + depth_below(item->file->private, forbidden, level + 1));
	ep->visited = walk;
	ep->visited_depth = depth;
	return depth;
}

/* Levels of epolls that watch ep. Watchers of an epoll change under `nesting` only. */
static uint32_t depth_above(struct epoll *ep, uint32_t level)
{
	struct list *links = &ep->file->epoll_links;
	struct epoll_item *item;
	uint32_t depth = 0;

	if (!links->next || level > EPOLL_NESTING_MAX)
		return level > EPOLL_NESTING_MAX ? 1 : 0;
	if (ep->visited == walk)
		return ep->visited_depth;
	list_for_each(item, links, file_link)
		depth = max(depth, 1 + depth_above(item->epoll, level + 1));
	ep->visited = walk;
	ep->visited_depth = depth;
	return depth;
}

static int nesting_check(struct epoll *ep, struct epoll *target)
{
	uint32_t below, above;

	walk++;
	below = depth_below(target, ep, 1);
	walk++;
	above = depth_above(ep, 1);
	return below + above + 1 > EPOLL_NESTING_MAX ? -ELOOP : 0;
}

/* ---- control ---- */

static int control_add(struct epoll *ep, struct file *target, int fd, const struct epoll_event *event)
{
	struct epoll *nested = epoll_of(target);
	struct epoll_item *item;
	int error;

	if (item_find(ep, target, fd))
		return -EEXIST;
	if (nested) {
		error = nesting_check(ep, nested);
		if (error)
			return error;
	}
	item = item_alloc(ep, target, fd);
	if (is_err(item))
		return ptr_err(item);
	set_events(item, event->events | EPOLLERR | EPOLLHUP, event->data);
	item_link(ep, item);
	if (nested)
		list_add(&ep->nested, &item->nested_link);
	item_watch(ep, item);
	return 0;
}

static int control_mod(struct epoll *ep, struct file *target, int fd, const struct epoll_event *event)
{
	struct epoll_item *item = item_find(ep, target, fd);

	if (!item)
		return -ENOENT;
	if ((item->events | event->events) & EPOLLEXCLUSIVE)
		return -EINVAL;
	set_events(item, event->events | EPOLLERR | EPOLLHUP, event->data);
	if (ask(item)) {
		make_ready(ep, item);
		wake_events(&ep->waiting, POLLIN | POLLRDNORM, true);
	}
	return 0;
}

static int control_del(struct epoll *ep, struct file *target, int fd)
{
	struct epoll_item *item = item_find(ep, target, fd);

	if (!item)
		return -ENOENT;
	item_remove(ep, item);
	return 0;
}

#define EXCLUSIVE_EVENTS (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

static bool event_ok(int op, bool nested, const struct epoll_event *event)
{
	if (op == EPOLL_CTL_DEL || !(event->events & EPOLLEXCLUSIVE))
		return true;
	return op == EPOLL_CTL_ADD && !nested && !(event->events & ~(uint32_t)EXCLUSIVE_EVENTS);
}

static int control_locked(struct epoll *ep, int op, struct file *target, int fd, const struct epoll_event *event)
{
	switch (op) {
	case EPOLL_CTL_ADD:
		return control_add(ep, target, fd, event);
	case EPOLL_CTL_MOD:
		return control_mod(ep, target, fd, event);
	case EPOLL_CTL_DEL:
		return control_del(ep, target, fd);
	default:
		return -EINVAL;
	}
}

int epoll_control(struct file *epoll, int op, struct file *target, int fd, const struct epoll_event *event)
{
	struct epoll *ep = epoll_of(epoll);
	bool nested = epoll_of(target) != NULL;
	int error;

	if (!target->ops->poll)
		return -EPERM;
	if (!ep || epoll == target || !event_ok(op, nested, event))
		return -EINVAL;
	if (nested)
		mutex_lock(&nesting);
	mutex_lock(&ep->lock);
	error = control_locked(ep, op, target, fd, event);
	mutex_unlock(&ep->lock);
	if (nested)
		mutex_unlock(&nesting);
	return error;
}

/* Entries of one descriptor follow the order of their files: which of them is the first, nobody can know, as on Linux. */
int epoll_watched(struct file *epoll, int fd, unsigned skip, const struct file **ret)
{
	struct epoll *ep = epoll_of(epoll);
	int error = -ENOENT;

	if (!ep)
		return -EINVAL;
	mutex_lock(&ep->lock);
	for (struct rb_node *node = rb_first(&ep->items); node; node = rb_next(node)) {
		const struct epoll_item *item = rb_entry(node, struct epoll_item, node);

		if (item->fd != fd || skip-- > 0)
			continue;
		*ret = item->file;
		error = 0;
		break;
	}
	mutex_unlock(&ep->lock);
	return error;
}

/* ---- waiting ---- */

/* One ready item to the user: 1, 0 if it had nothing to say, -EFAULT (then it stays ready). */
static int deliver(struct epoll *ep, struct epoll_item *item, uaddr_t to)
{
	uint32_t ready = ask(item);
	struct epoll_event event = { .events = ready, .data = item->data };

	if (!ready)
		return 0;
	if (put_user(event, to)) {
		list_add(&ep->ready, &item->ready_link);
		return -EFAULT;
	}
	if (item->events & EPOLLONESHOT)
		set_events(item, item->events & EVENTS_FLAGS, item->data);
	else if (!(item->events & EPOLLET))
		make_ready(ep, item);
	return 1;
}

/* Events to the user, in order; what was not asked for any more stays in front. */
static int64_t collect(struct epoll *ep, uaddr_t to, uint32_t max)
{
	struct list batch;
	int64_t n = 0;
	int one = 0;

	take_pushed(ep);
	list_init(&batch);
	list_splice_tail(&batch, &ep->ready);
	while (n < max && !list_empty(&batch)) {
		struct epoll_item *item = list_first(&batch, struct epoll_item, ready_link);

		list_del(&item->ready_link);
		one = deliver(ep, item, to + (uint64_t)n * sizeof(struct epoll_event));
		if (one < 0)
			break;
		n += one;
	}
	list_splice_tail(&batch, &ep->ready);
	list_splice_tail(&ep->ready, &batch);
	return n > 0 ? n : one < 0 ? one : 0;
}

static int64_t collect_locked(struct epoll *ep, uaddr_t to, uint32_t max)
{
	bool more;
	int64_t n;

	mutex_lock(&ep->lock);
	n = collect(ep, to, max);
	more = !list_empty(&ep->ready);
	mutex_unlock(&ep->lock);
	if (more && n > 0)
		wake_events(&ep->waiting, POLLIN | POLLRDNORM, true);
	return n;
}

int64_t epoll_collect(struct file *epoll, uaddr_t events, uint32_t max, uint64_t deadline_ns)
{
	struct epoll *ep = epoll_of(epoll);

	if (!ep)
		return -EINVAL;
	if (!user_range_ok(events, (uint64_t)max * sizeof(struct epoll_event)))
		return -EFAULT;
	for (;;) {
		int64_t n = maybe_ready(ep) ? collect_locked(ep, events, max) : 0;
		int error;

		if (n != 0 || deadline_ns == 0)
			return n;
		error = wait_event_deadline(&ep->waiting, deadline_ns, maybe_ready(ep));
		if (error)
			return error == -ETIMEDOUT ? 0 : -EINTR;
	}
}

/* ---- the epoll's own file ---- */

/* An epoll is readable while an item of it is ready; items that turn out not to be leave the list. */
static uint32_t epoll_poll(struct file *f, struct poll_table *pt)
{
	struct epoll *ep = f->private;
	struct epoll_item *item, *next;
	uint32_t ready = 0;

	poll_wait(pt, &ep->waiting);
	if (!maybe_ready(ep))
		return 0;
	mutex_lock_beside(&ep->lock);
	take_pushed(ep);
	list_for_each_safe(item, next, &ep->ready, ready_link) {
		if (ask(item)) {
			ready = POLLIN | POLLRDNORM;
			break;
		}
		list_del(&item->ready_link);
	}
	mutex_unlock(&ep->lock);
	return ready;
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->private;
	struct rb_node *node;

	mutex_lock(&nesting);
	mutex_lock(&ep->lock);
	while ((node = rb_first(&ep->items)))
		item_remove(ep, rb_entry(node, struct epoll_item, node));
	mutex_unlock(&ep->lock);
	mutex_unlock(&nesting);
	kfree(ep);
}

void epoll_file_gone(struct file *f)
{
	mutex_lock(&nesting);
	while (!list_empty(&f->epoll_links)) {
		struct epoll_item *item = list_first(&f->epoll_links, struct epoll_item, file_link);
		struct epoll *ep = item->epoll;

		mutex_lock(&ep->lock);
		item_remove(ep, item);
		mutex_unlock(&ep->lock);
	}
	mutex_unlock(&nesting);
}

static int epoll_name(struct file *f, char *buf, size_t size)
{
	(void)f;
	return fmt_string(buf, size, "anon_inode:[eventpoll]");
}

static const struct file_ops epoll_ops = {
	.poll = epoll_poll,
	.release = epoll_release,
	.name = epoll_name,
};

int epoll_file_create(struct file **ret)
{
	struct epoll *ep = kzalloc(sizeof(*ep));
	int error;

	if (!ep)
		return -ENOMEM;
	mutex_init(&ep->lock, RANK_EPOLL);
	list_init(&ep->ready);
	list_init(&ep->nested);
	wait_queue_init(&ep->waiting);
	spin_init(&ep->waiting.lock, RANK_NONE);
	error = file_create_anonymous(&epoll_ops, ep, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR, 0, &ep->file);
	if (error)
		kfree(ep);
	else
		*ret = ep->file;
	return error;
}
