/* SPDX-License-Identifier: MIT */
/*
 * Leases (fcntl(2), F_SETLEASE): whoever has one is told before another opens or truncates the file, and has LEASE_BREAK_NS to get ready.
 *
 *   L1  A read lease is had only while nobody has the file open for writing, a write lease only while nobody else has it open at all. Who opens counts
 *       first and then looks for leases; who leases puts its lease in and then looks at the counts. So one of the two sees the other.
 *   L2  A lease that is being broken is to become `target` (nothing, or a read lease where somebody only wants to read); its holder makes that so by
 *       F_SETLEASE or by closing the file, or time does.
 *   L3  A lease goes with its open file.
 *
 * Locking: lease_lock (RANK_SPIN) guards all leases; signals are sent inside. Whoever waits for a holder sleeps on `changed`, of all files: leases are
 * not broken often.
 */
#include <asm/fcntl.h>
#include <asm/siginfo.h>
#include <cloudos/cred.h>
#include <cloudos/file_signal.h>
#include <cloudos/mm.h>
#include <cloudos/wait.h>
#include <hal/hal.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include "vfs_internal.h"

#define LEASE_BREAK_NS (45 * NSEC_PER_SEC) /* Linux's fs.lease-break-time */
#define LEASES_MAX     65536		   /* in the system: ENOLCK beyond */

/* By lease_lock. */
struct lease {
	struct lease *next; /* of the inode */
	struct file *file;
	int type, target;     /* F_RDLCK, F_WRLCK; target, F_UNLCK too: see L2 */
	uint64_t deadline_ns; /* 0: it is not being broken */
};

static struct spinlock lease_lock = SPINLOCK_INIT(RANK_SPIN);
static struct wait_queue changed = WAIT_QUEUE_INIT(changed);
static uint32_t lease_count;

static struct lease **place_locked(struct inode *inode, const struct file *f)
{
	struct lease **at = &inode->leases;

	while (*at && (*at)->file != f)
		at = &(*at)->next;
	return at;
}

/* Takes it out; the caller frees it. */
static struct lease *take_out_locked(struct lease **at)
{
	struct lease *l = *at;

	WRITE_ONCE(*at, l->next);
	lease_count--;
	return l;
}

/* Time has done what the holder was to do (L2): what is over goes into *over. */
static void settle_locked(struct inode *inode, struct lease **over)
{
	struct lease **at = &inode->leases;
	uint64_t now = hal_clock_ns();

	while (*at) {
		struct lease *l = *at;

		if (!l->deadline_ns || l->deadline_ns > now) {
			at = &l->next;
		} else if (l->target == F_UNLCK) {
			take_out_locked(at);
			l->next = *over;
			*over = l;
		} else {
			l->type = l->target;
			l->deadline_ns = 0;
			at = &l->next;
		}
	}
}

static void free_all(struct lease *over)
{
	while (over) {
		struct lease *next = over->next;

		kfree(over);
		over = next;
	}
}

/* ---- breaking ---- */

static bool conflicts(const struct lease *l, bool write)
{
	return write || l->type == F_WRLCK;
}

/* Tells holders, once; until when to wait for them, 0: nobody is in the way. */
static uint64_t break_locked(struct inode *inode, bool write)
{
	int target = write ? F_UNLCK : F_RDLCK;
	uint64_t until = 0;

	for (struct lease *l = inode->leases; l; l = l->next) {
		if (!conflicts(l, write))
			continue;
		if (!l->deadline_ns || (write && l->target != F_UNLCK)) {
			l->target = target;
			l->deadline_ns = hal_clock_ns() + LEASE_BREAK_NS;
			file_send_signal(l->file, POLL_MSG);
		}
		until = max(until, l->deadline_ns);
	}
	return until;
}

/* One look: until when to wait, or 0. */
static uint64_t look(struct inode *inode, bool write)
{
	struct lease *over = NULL;
	uint64_t until;

	spin_lock(&lease_lock);
	settle_locked(inode, &over);
	until = break_locked(inode, write);
	spin_unlock(&lease_lock);
	free_all(over);
	return until;
}

int lease_break_slowly(struct inode *inode, bool write, bool nonblock)
{
	uint64_t until;

	while ((until = look(inode, write)) != 0) {
		int err = nonblock ? -EAGAIN : wait_event_deadline(&changed, until, look(inode, write) == 0);

		if (err < 0 && err != -ETIMEDOUT)
			return err;
	}
	return 0;
}

/* ---- setting ---- */

/* L1; its own opening does not count. */
static bool is_possible(const struct file *f, int type)
{
	int32_t writers = READ_ONCE(f->inode->write_count);
	uint32_t readers = READ_ONCE(f->inode->read_count);

	if (type == F_RDLCK)
		return writers <= 0;
	return writers == !!(f->mode & FILE_WRITER) && readers == !!(f->mode & FILE_READER);
}

static bool others_locked(const struct file *f, int type)
{
	for (const struct lease *l = f->inode->leases; l; l = l->next)
		if (l->file != f && (type == F_WRLCK || (l->deadline_ns && l->target == F_UNLCK)))
			return true;
	return false;
}

/* Takes f's lease away. False: it had none. */
static bool drop(struct file *f)
{
	struct lease **at, *l = NULL;

	spin_lock(&lease_lock);
	at = place_locked(f->inode, f);
	if (*at)
		l = take_out_locked(at);
	spin_unlock(&lease_lock);
	kfree(l);
	if (l)
		wake_all(&changed);
	return l;
}

/* Puts the lease in, or changes the one that is there; `fresh` is taken over or stays. */
static int put_in(struct file *f, int type, struct lease **fresh)
{
	struct lease **at, *over = NULL;
	int err = 0;

	spin_lock(&lease_lock);
	settle_locked(f->inode, &over);
	at = place_locked(f->inode, f);
	if (others_locked(f, type)) {
		err = -EAGAIN;
	} else if (*at && (!is_possible(f, type) || ((*at)->deadline_ns && type != (*at)->target))) {
		err = -EAGAIN; /* L1: who opens looks under the lock, as there is a lease; L2 */
	} else if (*at) {
		(*at)->type = type;
		(*at)->deadline_ns = 0;
	} else if (lease_count >= LEASES_MAX) {
		err = -ENOLCK;
	} else {
		**fresh = (struct lease){ .file = f, .type = type };
		WRITE_ONCE(*at, *fresh);
		*fresh = NULL;
		lease_count++;
	}
	spin_unlock(&lease_lock);
	free_all(over);
	return err;
}

static int set(struct file *f, int fd, int type)
{
	struct lease *fresh = kzalloc(sizeof(*fresh));
	int32_t number;
	bool had;
	int owner, err;

	if (!fresh)
		return -ENOMEM;
	file_get_owner(f, &owner, &number);
	err = number ? 0 : file_set_owner_self(f);
	if (err == 0)
		err = file_signal_fd(f, fd);
	if (err == 0 && !is_possible(f, type))
		err = -EAGAIN;
	if (err == 0)
		err = put_in(f, type, &fresh);
	had = fresh;
	kfree(fresh);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* L1 */
	if (err == 0 && !had && !is_possible(f, type)) {
		drop(f);
		return -EAGAIN;
	}
	if (err == 0)
		wake_all(&changed);
	return err;
}

int lease_set(struct file *f, int fd, int type)
{
	const struct cred *cred = thread_current()->cred;

	if (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK)
		return -EINVAL;
	if (!f->inode)
		return -EINVAL;
	if (READ_ONCE(f->inode->uid) != cred->fsuid && !inode_capable(f->inode, cred, CAP_LEASE))
		return -EACCES;
	if (!S_ISREG(inode_mode(f->inode)) || !f->inode->data)
		return -EINVAL;
	if (type == F_UNLCK)
		return drop(f) ? 0 : -EAGAIN;
	return set(f, fd, type);
}

int lease_get(struct file *f)
{
	struct lease *over = NULL, *l;
	int type = F_UNLCK;

	if (!f->inode)
		return F_UNLCK;
	spin_lock(&lease_lock);
	settle_locked(f->inode, &over);
	l = *place_locked(f->inode, f);
	if (l)
		type = l->deadline_ns ? l->target : l->type;
	spin_unlock(&lease_lock);
	free_all(over);
	return type;
}

void lease_file_gone(struct file *f)
{
	(void)drop(f);
}
