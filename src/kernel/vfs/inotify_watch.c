/* SPDX-License-Identifier: MIT */
/* Watches: on which inodes, and who is told what happens to them (inotify_internal.h has the rules). */
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include "inotify_internal.h"
#include "tree_lock.h"

struct spinlock inotify_lock = SPINLOCK_INIT(RANK_FD);
uint32_t inotify_watch_count;

static struct list all_watched = LIST_INIT(all_watched); /* by inotify_lock */
static uint32_t cookies;				  /* atomic */

uint32_t notify_cookie(void)
{
	return __atomic_add_fetch(&cookies, 1, __ATOMIC_RELAXED);
}

/* ---- taking out; inotify_lock held. What is taken out is freed behind it ---- */

struct leavings {
	struct list watches; /* struct watch.link */
	struct list watched; /* struct watched.all */
};

#define LEAVINGS(name) { LIST_INIT((name).watches), LIST_INIT((name).watched) }

static struct wait_queue dropped = WAIT_QUEUE_INIT(dropped); /* super_block.watches_dropped went down */

static void take_out_locked(struct watch *w, struct leavings *l)
{
	hash_remove(&w->by_wd);
	list_del(&w->link);
	list_add(&l->watches, &w->link);
	inotify_user_drop_watch(w->owner);
	ADD_ONCE(inotify_watch_count, -1);
	if (!list_empty(&w->on->watches))
		return;
	WRITE_ONCE(w->on->inode->watched, NULL);
	w->on->inode->sb->watches_dropped++;
	list_del(&w->on->all);
	list_add(&l->watched, &w->on->all);
}

/* The inode's reference; the super block stays until the last that was taken out of its list has been dropped. */
static void drop_watched(struct watched *on)
{
	struct super_block *sb = on->inode->sb;

	inode_put(on->inode);
	kfree(on);
	spin_lock(&inotify_lock);
	ADD_ONCE(sb->watches_dropped, -1);
	wake_all(&dropped);
	spin_unlock(&inotify_lock);
}

/* May sleep. */
static void drop(struct leavings *l)
{
	struct watch *w, *next_watch;
	struct watched *on, *next;

	list_for_each_safe(w, next_watch, &l->watches, link)
		kfree(w);
	list_for_each_safe(on, next, &l->watched, all)
		drop_watched(on);
}

static void ignore_locked(struct watch *w, struct leavings *l)
{
	inotify_queue_locked(w->owner, w->wd, IN_IGNORED, 0, NULL, 0);
	take_out_locked(w, l);
}

/* ---- telling ---- */

struct tale {
	uint32_t mask, cookie;
	const char *name; /* null: the inode itself is meant */
	size_t len;
	bool unlinked; /* IN_EXCL_UNLINK does not want to know */
};

static void tell_locked(struct inode *inode, const struct tale *t, struct leavings *l)
{
	struct watched *on = inode->watched;
	struct watch *w, *next;

	if (!on)
		return;
	list_for_each_safe(w, next, &on->watches, link) {
		uint32_t mask = t->mask;

		if (!(mask & w->mask & IN_ALL_EVENTS) || (t->unlinked && (w->mask & IN_EXCL_UNLINK)))
			continue;
		if (mask & (IN_DELETE_SELF | IN_MOVE_SELF))
			mask &= ~(uint32_t)IN_ISDIR;
		inotify_queue_locked(w->owner, w->wd, mask, t->cookie, t->name, t->len);
		if (w->mask & IN_ONESHOT)
			ignore_locked(w, l);
	}
}

static void tell(struct inode *inode, const struct tale *t)
{
	struct leavings l = LEAVINGS(l);

	spin_lock(&inotify_lock);
	tell_locked(inode, t, &l);
	spin_unlock(&inotify_lock);
	drop(&l);
}

void inotify_tell_inode(struct inode *inode, uint32_t mask)
{
	tell(inode, &(struct tale){ .mask = mask | (S_ISDIR(inode_mode(inode)) ? IN_ISDIR : 0) });
}

void inotify_tell_name(struct inode *dir, const char *name, size_t len, uint32_t mask, uint32_t cookie)
{
	tell(dir, &(struct tale){ .mask = mask, .cookie = cookie, .name = name, .len = len });
}

/* The folder first, then the file. Names and parents hold still on the tree lock's reading side. */
void inotify_tell_dentry(struct dentry *d, uint32_t mask)
{
	struct leavings l = LEAVINGS(l);
	struct inode *inode = d->inode;
	struct tale t = { .mask = mask | (S_ISDIR(inode_mode(inode)) ? IN_ISDIR : 0) };

	tree_read_enter();
	if (READ_ONCE(inode->watched) || (d->parent != d && READ_ONCE(d->parent->inode->watched))) {
		spin_lock(&inotify_lock);
		t.unlinked = d->flags & DENTRY_DELETED;
		if (d->parent != d) {
			struct tale named = t;

			named.name = d->name;
			named.len = d->name_len;
			tell_locked(d->parent->inode, &named, &l);
		}
		t.unlinked = t.unlinked && !(mask & IN_DELETE_SELF);
		tell_locked(inode, &t, &l);
		spin_unlock(&inotify_lock);
	}
	tree_read_leave();
	drop(&l);
}

static void end_locked(struct watched *on, uint32_t mask, struct leavings *l)
{
	struct watch *w, *next;

	list_for_each_safe(w, next, &on->watches, link) {
		if (mask == IN_UNMOUNT || (w->mask & mask))
			inotify_queue_locked(w->owner, w->wd, mask, 0, NULL, 0);
		ignore_locked(w, l);
	}
}

void inotify_tell_removed(struct inode *inode)
{
	struct leavings l = LEAVINGS(l);

	spin_lock(&inotify_lock);
	if (inode->watched)
		end_locked(inode->watched, IN_DELETE_SELF, &l);
	spin_unlock(&inotify_lock);
	drop(&l);
}

void inotify_tell_unmounted(struct super_block *sb)
{
	struct leavings l = LEAVINGS(l);
	struct watched *on, *next;

	spin_lock(&inotify_lock);
	list_for_each_safe(on, next, &all_watched, all)
		if (on->inode->sb == sb)
			end_locked(on, IN_UNMOUNT, &l);
	spin_unlock(&inotify_lock);
	drop(&l);
	wait_event(&dropped, READ_ONCE(sb->watches_dropped) == 0); /* others may be dropping what they took out before */
	spin_lock(&inotify_lock); /* until the one who woke is done with the super block */
	spin_unlock(&inotify_lock);
}

/* ---- setting ---- */

static struct watch *find_locked(const struct inotify *i, const struct inode *inode)
{
	struct watch *w;

	if (inode->watched)
		list_for_each(w, &inode->watched->watches, link)
			if (w->owner == i)
				return w;
	return NULL;
}

static int64_t change_locked(struct watch *w, uint32_t mask)
{
	if (mask & IN_MASK_CREATE)
		return -EEXIST;
	mask &= IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT | IN_MASK_ADD;
	w->mask = mask & IN_MASK_ADD ? w->mask | (mask & ~(uint32_t)IN_MASK_ADD) : mask;
	return w->wd;
}

/* Takes over the storage if it succeeds; sets *on to null if that is not needed. */
static int64_t add_locked(struct inotify *i, struct inode *inode, uint32_t mask, struct watch *w, struct watched **on)
{
	if (i->last_wd == INT32_MAX || !inotify_user_take_watch(i))
		return -ENOSPC;
	if (!inode->watched) {
		**on = (struct watched){ .inode = inode };
		inode_get(inode);
		list_init(&(*on)->watches);
		list_add(&all_watched, &(*on)->all);
		WRITE_ONCE(inode->watched, *on);
		*on = NULL;
	}
	*w = (struct watch){ .owner = i, .on = inode->watched, .wd = ++i->last_wd };
	w->mask = mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT);
	list_add_tail(&w->on->watches, &w->link);
	hash_insert(&i->watches[(uint32_t)w->wd % INOTIFY_HEADS], &w->by_wd);
	ADD_ONCE(inotify_watch_count, 1);
	return w->wd;
}

int64_t watch_set(struct inotify *i, struct inode *inode, uint32_t mask)
{
	struct watch *w = kmalloc(sizeof(*w)), *old;
	struct watched *on = kmalloc(sizeof(*on));
	int64_t result;

	if (!w || !on) {
		kfree(w);
		kfree(on);
		return -ENOMEM;
	}
	spin_lock(&inotify_lock);
	old = find_locked(i, inode);
	result = old ? change_locked(old, mask) : add_locked(i, inode, mask, w, &on);
	spin_unlock(&inotify_lock);
	if (old || result < 0)
		kfree(w);
	kfree(on);
	return result;
}

int watch_remove(struct inotify *i, int wd)
{
	struct leavings l = LEAVINGS(l);
	struct watch *w;

	spin_lock(&inotify_lock);
	hash_for_each(w, &i->watches[(uint32_t)wd % INOTIFY_HEADS], by_wd)
		if (w->wd == wd)
			break;
	if (w)
		ignore_locked(w, &l);
	spin_unlock(&inotify_lock);
	drop(&l);
	return w ? 0 : -EINVAL;
}

void watch_remove_all(struct inotify *i)
{
	struct leavings l = LEAVINGS(l);

	spin_lock(&inotify_lock);
	for (unsigned head = 0; head < INOTIFY_HEADS; head++)
		while (i->watches[head].first)
			take_out_locked(container_of(i->watches[head].first, struct watch, by_wd), &l);
	spin_unlock(&inotify_lock);
	drop(&l);
}
