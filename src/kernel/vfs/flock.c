/* SPDX-License-Identifier: MIT */
/*
 * Locks on files: byte ranges owned by a process (fcntl(2), F_SETLK) or by an open file (F_OFD_SETLK), and whole files owned by an open
 * file (flock(2)). Both kinds live in one structure that an inode gets with its first lock and keeps.
 *
 * The ranges of one owner never overlap, and neighbours of one type are one range. A change is made on paper first: what it may need
 * (the new range, and one more when it splits an old one) is allocated before the lock is taken, so it cannot fail half way.
 *
 * Locking: locks_lock guards every list here, of all files: contention on file locks is not what they are about. Who must wait sleeps on
 * the file's queue and tries again; `waiting` remembers who waits for whom, so that a circle is refused (EDEADLK).
 */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/wait.h>
#include <linux/fcntl.h>
#include "vfs_internal.h"

#define LOCKS_MAX	65536 /* in the system: ENOLCK beyond */
#define DEADLOCK_STEPS	64    /* length of a chain of waiters that is followed */

struct file_lock {
	struct list link;
	const void *owner;
	int32_t pid;
	int16_t type;	     /* F_RDLCK, F_WRLCK */
	uint64_t start, end; /* inclusive */
};

struct file_locks {
	struct list ranges, whole;
	struct wait_queue changed;
};

struct waiting {
	struct list link;
	const void *owner, *blocker;
};

static struct spinlock locks_lock = SPINLOCK_INIT(RANK_FD);
static struct list waiting = LIST_INIT(waiting);
static uint32_t lock_count;

static struct file_locks *locks_of(struct inode *inode)
{
	struct file_locks *fresh, *none = NULL;

	if (inode->locks)
		return inode->locks;
	fresh = kmalloc(sizeof(*fresh));
	if (!fresh)
		return NULL;
	list_init(&fresh->ranges);
	list_init(&fresh->whole);
	wait_queue_init(&fresh->changed);
	if (__atomic_compare_exchange_n(&inode->locks, &none, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return fresh;
	kfree(fresh);
	return none;
}

void locks_free(struct file_locks *locks)
{
	ASSERT(list_empty(&locks->ranges) && list_empty(&locks->whole));
	kfree(locks);
}

/* ---- the storage of one change ---- */

struct spares {
	struct file_lock *lock[2];
};

static int spares_alloc(struct spares *s, bool two)
{
	s->lock[0] = s->lock[1] = NULL;
	if (READ_ONCE(lock_count) + 2 > LOCKS_MAX)
		return -ENOLCK;
	s->lock[0] = kmalloc(sizeof(struct file_lock));
	s->lock[1] = two ? kmalloc(sizeof(struct file_lock)) : NULL;
	if (s->lock[0] && (s->lock[1] || !two))
		return 0;
	kfree(s->lock[0]);
	kfree(s->lock[1]);
	return -ENOLCK;
}

static struct file_lock *spares_take(struct spares *s)
{
	struct file_lock *l = s->lock[0] ? s->lock[0] : s->lock[1];

	if (s->lock[0])
		s->lock[0] = NULL;
	else
		s->lock[1] = NULL;
	ASSERT(l);
	ADD_ONCE(lock_count, 1);
	return l;
}

static void spares_free(struct spares *s)
{
	kfree(s->lock[0]);
	kfree(s->lock[1]);
}

static void drop_locked(struct file_lock *l)
{
	list_del(&l->link);
	ADD_ONCE(lock_count, -1);
	kfree(l);
}

/* ---- ranges ---- */

static struct file_lock *conflict_locked(const struct file_locks *locks, const struct lock_request *r)
{
	struct file_lock *l;

	list_for_each (l, &locks->ranges, link)
		if (l->owner != r->owner && l->start <= r->end && r->start <= l->end &&
		    (l->type == F_WRLCK || r->type == F_WRLCK))
			return l;
	return NULL;
}

/* Would waiting for `blocker` close a circle? */
static bool deadlock_locked(const void *owner, const void *blocker)
{
	for (int steps = 0; steps < DEADLOCK_STEPS; steps++) {
		struct waiting *w;
		const void *next = NULL;

		if (blocker == owner)
			return true;
		list_for_each (w, &waiting, link)
			if (w->owner == blocker)
				next = w->blocker;
		if (!next)
			return false;
		blocker = next;
	}
	return false;
}

static void add_locked(struct file_locks *locks, struct spares *s, const struct lock_request *r)
{
	struct file_lock *l = spares_take(s);

	l->owner = r->owner;
	l->pid = r->pid;
	l->type = (int16_t)r->type;
	l->start = r->start;
	l->end = r->end;
	list_add_tail(&locks->ranges, &l->link);
}

/* Cuts [r->start, r->end] out of a range of the same owner; what is left on both sides makes two. */
static void cut_locked(struct file_locks *locks, struct spares *s, struct file_lock *l, const struct lock_request *r)
{
	if (l->start < r->start && l->end > r->end) {
		struct lock_request right = { l->type, l->pid, r->end + 1, l->end, l->owner };

		l->end = r->start - 1;
		add_locked(locks, s, &right);
	} else if (l->start < r->start) {
		l->end = r->start - 1;
	} else if (l->end > r->end) {
		l->start = r->end + 1;
	} else {
		drop_locked(l);
	}
}

/* The owner's ranges become what the request says; there is no conflict. */
static void apply_locked(struct file_locks *locks, struct spares *s, const struct lock_request *request)
{
	struct lock_request r = *request;
	struct file_lock *l, *next;

	list_for_each_safe (l, next, &locks->ranges, link) {
		bool touches = l->start <= (r.end == UINT64_MAX ? r.end : r.end + 1) && (r.start ? r.start - 1 : 0) <= l->end;

		if (l->owner != r.owner || !touches)
			continue;
		if (l->type == r.type) {
			r.start = min(r.start, l->start);
			r.end = max(r.end, l->end);
			drop_locked(l);
		} else if (l->start <= r.end && r.start <= l->end) {
			cut_locked(locks, s, l, &r);
		}
	}
	if (r.type != F_UNLCK)
		add_locked(locks, s, &r);
}

/* 0, -EAGAIN, or -EDEADLK if `w` would wait for ever. */
static int try_range(struct file_locks *locks, struct spares *s, const struct lock_request *r, struct waiting *w)
{
	struct file_lock *against;
	int error = 0;

	spin_lock(&locks_lock);
	if (w)
		list_del(&w->link);
	against = r->type == F_UNLCK ? NULL : conflict_locked(locks, r);
	if (!against) {
		apply_locked(locks, s, r);
	} else if (w && deadlock_locked(r->owner, against->owner)) {
		error = -EDEADLK;
	} else {
		error = -EAGAIN;
		if (w) {
			w->owner = r->owner;
			w->blocker = against->owner;
			list_add(&waiting, &w->link);
		}
	}
	spin_unlock(&locks_lock);
	return error;
}

int lock_range_set(struct inode *inode, const struct lock_request *r, bool wait)
{
	struct file_locks *locks = locks_of(inode);
	struct waiting w;
	struct spares s;
	int error, tried;

	if (!locks)
		return -ENOLCK;
	error = spares_alloc(&s, true);
	if (error)
		return error;
	list_init(&w.link);
	if (wait)
		error = wait_event_interruptible(&locks->changed, (tried = try_range(locks, &s, r, &w)) != -EAGAIN);
	else
		tried = try_range(locks, &s, r, NULL);
	spin_lock(&locks_lock);
	list_del(&w.link);
	spin_unlock(&locks_lock);
	spares_free(&s);
	if (!error)
		error = tried;
	if (!error)
		wake_all(&locks->changed);
	return error;
}

void lock_range_get(struct inode *inode, struct lock_request *r)
{
	struct file_lock *l = NULL;

	spin_lock(&locks_lock);
	if (inode->locks)
		l = conflict_locked(inode->locks, r);
	if (l)
		*r = (struct lock_request){ l->type, l->pid, l->start, l->end, l->owner };
	else
		r->type = F_UNLCK;
	spin_unlock(&locks_lock);
}

/* ---- whole files ---- */

static struct file_lock *own_whole_locked(const struct file_locks *locks, const struct file *f)
{
	struct file_lock *l;

	list_for_each (l, &locks->whole, link)
		if (l->owner == f)
			return l;
	return NULL;
}

static int try_whole(struct file_locks *locks, struct spares *s, const struct file *f, int type)
{
	struct file_lock *l, *own;

	spin_lock(&locks_lock);
	own = own_whole_locked(locks, f);
	list_for_each (l, &locks->whole, link)
		if (l != own && (l->type == F_WRLCK || type == F_WRLCK)) {
			/* a conversion gives up what it had: flock(2) */
			if (own)
				drop_locked(own);
			spin_unlock(&locks_lock);
			return -EAGAIN;
		}
	if (!own) {
		own = spares_take(s);
		own->owner = f;
		list_add_tail(&locks->whole, &own->link);
	}
	own->type = (int16_t)type;
	spin_unlock(&locks_lock);
	return 0;
}

static void unlock_whole(struct file_locks *locks, const struct file *f)
{
	struct file_lock *own;

	spin_lock(&locks_lock);
	own = own_whole_locked(locks, f);
	if (own)
		drop_locked(own);
	spin_unlock(&locks_lock);
	wake_all(&locks->changed);
}

int lock_whole(struct file *f, int type, bool wait)
{
	struct file_locks *locks = locks_of(f->inode);
	struct spares s;
	int error, tried;

	if (!locks)
		return -ENOLCK;
	if (type == F_UNLCK) {
		unlock_whole(locks, f);
		return 0;
	}
	error = spares_alloc(&s, false);
	if (error)
		return error;
	if (wait)
		error = wait_event_interruptible(&locks->changed, (tried = try_whole(locks, &s, f, type)) != -EAGAIN);
	else
		tried = try_whole(locks, &s, f, type);
	spares_free(&s);
	wake_all(&locks->changed);
	return error ? error : tried;
}

void locks_release_owner(struct inode *inode, const void *owner, struct file *file)
{
	struct file_locks *locks = inode->locks;
	struct file_lock *l, *next;
	bool any = false;

	spin_lock(&locks_lock);
	list_for_each_safe (l, next, &locks->ranges, link)
		if ((owner && l->owner == owner) || (file && l->owner == file)) {
			drop_locked(l);
			any = true;
		}
	l = file ? own_whole_locked(locks, file) : NULL;
	if (l)
		drop_locked(l);
	spin_unlock(&locks_lock);
	if (any || l)
		wake_all(&locks->changed);
}
