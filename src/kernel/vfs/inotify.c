/* SPDX-License-Identifier: MIT */
/* Instances of inotify(7): a file from which events are read (inotify_internal.h has the rules). */
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/uaccess.h>
#include "inotify_internal.h"

uint32_t inotify_instances_max = 128, inotify_watches_max = 65536, inotify_queue_max = 16384;

/* ---- users: what their limits count; inotify_lock held ---- */

struct inotify_user {
	struct list link;
	uint32_t uid;
	uint32_t instances, watches;
};

static struct list users = LIST_INIT(users);

/* The running thread's user, with one instance more: `fresh` is taken over if it is a new one. Null: beyond the limit. */
static struct inotify_user *user_take_instance(struct inotify_user **fresh)
{
	uint32_t uid = thread_current()->cred->euid;
	struct inotify_user *u, *found = NULL;

	list_for_each(u, &users, link)
		if (u->uid == uid)
			found = u;
	if (!found && READ_ONCE(inotify_instances_max) > 0) {
		found = *fresh;
		*found = (struct inotify_user){ .uid = uid };
		list_add(&users, &found->link);
		*fresh = NULL;
	}
	if (!found || found->instances >= READ_ONCE(inotify_instances_max))
		return NULL;
	found->instances++;
	return found;
}

/* The user, if that was its last instance: the caller's to free. */
static struct inotify_user *user_drop_instance(struct inotify_user *u)
{
	if (--u->instances > 0)
		return NULL;
	list_del(&u->link);
	return u;
}

bool inotify_user_take_watch(struct inotify *i)
{
	if (i->user->watches >= READ_ONCE(inotify_watches_max))
		return false;
	i->user->watches++;
	return true;
}

void inotify_user_drop_watch(struct inotify *i)
{
	i->user->watches--;
}

/* ---- the queue; inotify_lock held ---- */

static size_t item_bytes(const struct inotify_item *item)
{
	return sizeof(item->e) + item->e.len;
}

/* A name's length with its NUL, in whole events: so the next one is aligned. */
static size_t padded(size_t len)
{
	return align_up(len + 1, sizeof(struct inotify_event));
}

/* Does the youngest event say the same? */
static bool repeats(const struct inotify *i, int wd, uint32_t mask, const char *name, size_t len)
{
	const struct inotify_item *last;

	if (list_empty(&i->events) || (mask & IN_IGNORED))
		return false;
	last = list_last(&i->events, struct inotify_item, link);
	if (last->e.wd != wd || last->e.mask != mask || last->e.len != (name ? padded(len) : 0))
		return false;
	return !name || (memcmp(last->e.name, name, len) == 0 && last->e.name[len] == '\0');
}

static struct inotify_item *item_create(int wd, uint32_t mask, uint32_t cookie, const char *name, size_t len)
{
	size_t space = name ? padded(len) : 0;
	struct inotify_item *item = kzalloc(sizeof(*item) + space);

	if (!item)
		return NULL;
	item->e = (struct inotify_event){ .wd = wd, .mask = mask, .cookie = cookie, .len = (uint32_t)space };
	if (name)
		memcpy(item->e.name, name, len);
	return item;
}

static void append(struct inotify *i, struct inotify_item *item)
{
	list_add_tail(&i->events, &item->link);
	wake_events(&i->changed, POLLIN | POLLRDNORM, false);
}

void inotify_queue_locked(struct inotify *i, int wd, uint32_t mask, uint32_t cookie, const char *name, size_t len)
{
	struct inotify_item *item = NULL;

	if (repeats(i, wd, mask, name, len))
		return;
	if (i->queued < READ_ONCE(inotify_queue_max))
		item = item_create(wd, mask, cookie, name, len);
	if (item) {
		i->queued++;
		append(i, item);
	} else if (!i->overflowed) {
		i->overflowed = true;
		i->overflow.e = (struct inotify_event){ .wd = -1, .mask = IN_Q_OVERFLOW };
		append(i, &i->overflow);
	}
}

/*
 * The oldest event, if it fits into `room`: null if there is none, *ret_too_large if it does not fit. The overflow is copied to *spare, since
 * it may be needed again at once.
 */
static struct inotify_item *take(struct inotify *i, size_t room, struct inotify_item *spare, bool *ret_too_large)
{
	struct inotify_item *item = NULL;

	spin_lock(&inotify_lock);
	if (!list_empty(&i->events)) {
		item = list_first(&i->events, struct inotify_item, link);
		*ret_too_large = item_bytes(item) > room;
		if (*ret_too_large)
			item = NULL;
		else
			list_del(&item->link);
		if (item == &i->overflow) {
			i->overflowed = false;
			*spare = *item;
			item = spare;
		} else if (item) {
			i->queued--;
		}
	}
	spin_unlock(&inotify_lock);
	return item;
}

/* ---- the file ---- */

static ssize_t inotify_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct inotify *i = f->private;
	struct inotify_item spare;
	size_t wanted = to->count;
	bool too_large = false;

	(void)pos;
	for (;;) {
		struct inotify_item *item = take(i, to->count, &spare, &too_large);
		int error;

		if (item) {
			size_t bytes = item_bytes(item);
			bool given = io_copy_to(to, &item->e, bytes) == bytes;

			if (item != &spare)
				kfree(item);
			if (!given)
				return -EFAULT;
			continue;
		}
		if (to->count < wanted)
			return (ssize_t)(wanted - to->count);
		if (too_large)
			return -EINVAL;
		if (file_nowait(f, to))
			return -EAGAIN;
		error = wait_event_interruptible(&i->changed, !list_empty_unlocked(&i->events));
		if (error)
			return error;
	}
}

static uint32_t inotify_poll(struct file *f, struct poll_table *pt)
{
	struct inotify *i = f->private;

	poll_wait(pt, &i->changed);
	return list_empty_unlocked(&i->events) ? 0 : POLLIN | POLLRDNORM;
}

static int64_t inotify_ioctl(struct file *f, unsigned cmd, uaddr_t arg)
{
	struct inotify *i = f->private;
	const struct inotify_item *item;
	size_t bytes = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	spin_lock(&inotify_lock);
	list_for_each(item, &i->events, link)
		bytes += item_bytes(item);
	spin_unlock(&inotify_lock);
	return put_user((int32_t)bytes, arg);
}

static void inotify_release(struct file *f)
{
	struct inotify *i = f->private;
	struct inotify_item *item, *next;
	struct inotify_user *user;

	watch_remove_all(i);
	list_for_each_safe(item, next, &i->events, link)
		if (item != &i->overflow)
			kfree(item);
	spin_lock(&inotify_lock);
	user = user_drop_instance(i->user);
	spin_unlock(&inotify_lock);
	kfree(user);
	kfree(i);
}

static int inotify_name(struct file *f, char *buf, size_t size)
{
	(void)f;
	return fmt_string(buf, size, "anon_inode:inotify");
}

static const struct file_ops inotify_ops = {
	.read = inotify_read,
	.poll = inotify_poll,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
	.name = inotify_name,
	.nowait = true,
	.async = true,
};

int inotify_file_create(uint32_t flags, struct file **ret)
{
	struct inotify *i = kzalloc(sizeof(*i));
	struct inotify_user *fresh = kmalloc(sizeof(*fresh)), *gone = NULL;
	int error = i && fresh ? 0 : -ENOMEM;

	if (!error) {
		list_init(&i->events);
		wait_queue_init(&i->changed);
		spin_lock(&inotify_lock);
		i->user = user_take_instance(&fresh);
		spin_unlock(&inotify_lock);
		error = i->user ? file_create_anonymous(&inotify_ops, i, FILE_READ | FILE_STREAM, O_RDONLY | flags, 0, ret) : -EMFILE;
	}
	kfree(fresh);
	if (!error)
		return 0;
	if (i && i->user) {
		spin_lock(&inotify_lock);
		gone = user_drop_instance(i->user);
		spin_unlock(&inotify_lock);
	}
	kfree(gone);
	kfree(i);
	return error;
}

bool inotify_is(const struct file *f)
{
	return f->ops == &inotify_ops;
}

int64_t inotify_watch(struct file *f, struct inode *inode, uint32_t mask)
{
	return watch_set(f->private, inode, mask);
}

int inotify_unwatch(struct file *f, int wd)
{
	return watch_remove(f->private, wd);
}

/* ---- limits ---- */

static int inotify_start(void)
{
	static const struct procfs_limit limits[] = {
		{ "sys/fs/inotify/max_user_instances", &inotify_instances_max, 0, INT32_MAX },
		{ "sys/fs/inotify/max_user_watches", &inotify_watches_max, 0, INT32_MAX },
		{ "sys/fs/inotify/max_queued_events", &inotify_queue_max, 0, INT32_MAX },
	};

	return procfs_add_limits(limits, ARRAY_SIZE(limits));
}
SERVICE_DEFINE(inotify, .requires = SERVICE_REQUIRES("procfs"), .start = inotify_start);
