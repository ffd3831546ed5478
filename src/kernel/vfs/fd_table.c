/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables: slots of files, a bitmap of descriptors in use (a reserved one has its bit, but no file yet) and one of those
 * to close at exec. The first FDS_INLINE live in the table itself, so a small process has one allocation.
 *
 * Locking: t->lock guards everything but refs. One exception makes system calls cheap: a table with one reference belongs to the
 * running thread alone, which may read slots with no lock and use a file with no reference for the length of a call
 * (fd_begin()). Whoever else could see the table holds a reference on it, and only looks, under the lock.
 */
#include <cloudos/bitmap.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "vfs_internal.h"

#define FDS_INLINE 64

struct fd_table {
	struct refcount refs;
	struct spinlock lock;
	uint32_t size; /* slots; a multiple of 64 */
	uint32_t next; /* no descriptor below is free */
	struct file **slots;
	uint64_t *used, *cloexec;
	struct file *slots_inline[FDS_INLINE];
	uint64_t used_inline[BITMAP_WORDS(FDS_INLINE)], cloexec_inline[BITMAP_WORDS(FDS_INLINE)];
};

uint64_t (*fd_limit)(void);

static uint64_t limit(void)
{
	uint64_t most = fd_limit ? fd_limit() : 1024;

	return most < FD_MAX ? most : FD_MAX;
}

/* ---- storage ---- */

struct fd_table *fd_table_create(void)
{
	struct fd_table *t = kmalloc(sizeof(*t));

	if (!t)
		return NULL;
	refcount_init(&t->refs, 1);
	spin_init(&t->lock, RANK_FD);
	t->size = FDS_INLINE;
	t->next = 0;
	t->slots = t->slots_inline;
	t->used = t->used_inline;
	t->cloexec = t->cloexec_inline;
	memset(t->slots_inline, 0, sizeof(t->slots_inline));
	t->used_inline[0] = t->cloexec_inline[0] = 0;
	return t;
}

/* Slots and bitmaps of `size` descriptors in one block. */
static struct file **storage_alloc(uint32_t size)
{
	return kzalloc(size * sizeof(struct file *) + 2 * size / 8);
}

static void storage_use(struct fd_table *t, struct file **block, uint32_t size)
{
	t->slots = block;
	t->used = (uint64_t *)(block + size);
	t->cloexec = t->used + BITMAP_WORDS(size);
	t->size = size;
}

static void storage_copy(struct fd_table *t, const struct fd_table *from)
{
	memcpy(t->slots, from->slots, from->size * sizeof(struct file *));
	memcpy(t->used, from->used, from->size / 8);
	memcpy(t->cloexec, from->cloexec, from->size / 8);
}

/* Room for descriptor fd. Drops and takes the lock. */
static int grow_locked(struct fd_table *t, uint32_t fd)
{
	struct file **block, **old;
	uint32_t size = t->size;

	while (size <= fd)
		size *= 2;
	spin_unlock(&t->lock);
	block = storage_alloc(size);
	spin_lock(&t->lock);
	if (!block)
		return -ENOMEM;
	if (t->size > fd) { /* somebody else was faster */
		kfree(block);
		return 0;
	}
	old = t->slots;
	{
		struct fd_table before = { .size = t->size, .slots = t->slots, .used = t->used, .cloexec = t->cloexec };

		storage_use(t, block, size);
		storage_copy(t, &before);
	}
	if (old != t->slots_inline)
		kfree(old);
	return 0;
}

/* Copies what is open; reserved descriptors are free in the copy. Both are private or locked. */
static void copy_open(struct fd_table *t, const struct fd_table *from)
{
	for (uint32_t word = 0; word < from->size / 64; word++) {
		uint64_t bits = from->used[word], left;

		for (left = bits; left; left &= left - 1) {
			uint32_t fd = word * 64 + (uint32_t)__builtin_ctzll(left);
			struct file *f = from->slots[fd];

			t->slots[fd] = f;
			if (f)
				file_get(f);
			else
				bits &= ~(left & -left);
		}
		t->used[word] = bits;
		t->cloexec[word] = from->cloexec[word] & bits;
	}
}

struct fd_table *fd_table_copy(struct fd_table *from)
{
	struct fd_table *t = fd_table_create();
	struct file **block;
	uint32_t size;

	if (!t)
		return NULL;
	spin_lock(&from->lock);
	while (t->size < from->size) {
		size = from->size;
		spin_unlock(&from->lock);
		block = storage_alloc(size);
		if (!block) {
			kfree(t);
			return NULL;
		}
		if (t->slots != t->slots_inline)
			kfree(t->slots);
		storage_use(t, block, size);
		spin_lock(&from->lock);
	}
	copy_open(t, from);
	t->next = from->next;
	spin_unlock(&from->lock);
	return t;
}

void fd_table_get(struct fd_table *t)
{
	refcount_get(&t->refs);
}

bool fd_table_shared(const struct fd_table *t)
{
	return refcount_read(&t->refs) > 1;
}

/* What closing a descriptor means beside dropping the file: the process's POSIX locks on it are gone, and what else the file ties to it. */
static void close_file(const struct fd_table *t, struct file *f)
{
	if (unlikely(f->ops->flush))
		f->ops->flush(f);
	if (f->inode && unlikely(READ_ONCE(f->inode->locks)))
		locks_release_owner(f->inode, t, NULL);
	file_put(f);
}

void fd_table_put(struct fd_table *t)
{
	if (!refcount_put(&t->refs))
		return;
	for (uint32_t word = 0; word < t->size / 64; word++)
		for (uint64_t left = t->used[word]; left; left &= left - 1) {
			struct file *f = t->slots[word * 64 + (uint32_t)__builtin_ctzll(left)];

			if (f)
				close_file(t, f);
		}
	if (t->slots != t->slots_inline)
		kfree(t->slots);
	kfree(t);
}

/* ---- looking up ---- */

struct file *fd_begin(int fd, bool *ret_put)
{
	struct fd_table *t = thread_current()->files;
	struct file *f;

	*ret_put = false;
	if (likely(refcount_read(&t->refs) == 1))
		return likely((uint32_t)fd < t->size) ? t->slots[fd] : NULL;
	f = fd_table_lookup(t, fd);
	*ret_put = f;
	return f;
}

struct file *fd_table_lookup(struct fd_table *t, int fd)
{
	struct file *f = NULL;

	spin_lock(&t->lock);
	if ((uint32_t)fd < t->size)
		f = t->slots[fd];
	if (f)
		file_get(f);
	spin_unlock(&t->lock);
	return f;
}

struct file *fd_get(int fd)
{
	return fd_table_lookup(thread_current()->files, fd);
}

int fd_for_each(struct fd_table *t, int (*fn)(int fd, struct file *f, void *arg), void *arg)
{
	for (uint32_t fd = 0; fd < READ_ONCE(t->size); fd++) {
		struct file *f = fd_table_lookup(t, (int)fd);
		int result;

		if (!f)
			continue;
		result = fn((int)fd, f, arg);
		file_put(f);
		if (result)
			return result;
	}
	return 0;
}

/* ---- changing ---- */

static void mark_used(struct fd_table *t, uint32_t fd, bool close_on_exec)
{
	bitmap_set(t->used, fd);
	if (close_on_exec)
		bitmap_set(t->cloexec, fd);
	else
		bitmap_clear(t->cloexec, fd);
}

static void mark_free(struct fd_table *t, uint32_t fd)
{
	bitmap_clear(t->used, fd);
	if (fd < t->next)
		t->next = fd;
}

static uint32_t find_free(const struct fd_table *t, uint32_t from)
{
	uint64_t word;

	if (from >= t->size)
		return from;
	word = ~t->used[from / 64] >> from % 64;
	if (likely(word))
		return from + (uint32_t)__builtin_ctzll(word);
	return (uint32_t)bitmap_find_clear(t->used, t->size, from);
}

int fd_reserve(int from, bool close_on_exec)
{
	struct fd_table *t = thread_current()->files;
	uint64_t most = limit();
	uint32_t fd;
	int error = 0;

	spin_lock(&t->lock);
	for (;;) {
		fd = find_free(t, max((uint32_t)from, t->next));
		if (unlikely(fd >= most))
			error = -EMFILE;
		if (likely(error || fd < t->size))
			break;
		error = grow_locked(t, fd);
		if (error)
			break;
	}
	if (!error) {
		mark_used(t, fd, close_on_exec);
		if ((uint32_t)from <= t->next)
			t->next = fd + 1;
	}
	spin_unlock(&t->lock);
	return error ? error : (int)fd;
}

void fd_install(int fd, struct file *f)
{
	struct fd_table *t = thread_current()->files;

	spin_lock(&t->lock);
	ASSERT(!t->slots[fd]);
	t->slots[fd] = f;
	spin_unlock(&t->lock);
}

void fd_release(int fd)
{
	struct fd_table *t = thread_current()->files;

	spin_lock(&t->lock);
	mark_free(t, (uint32_t)fd);
	spin_unlock(&t->lock);
}

/* Takes the file out; null if there is none. */
static struct file *take_out(struct fd_table *t, uint32_t fd)
{
	struct file *f = NULL;

	spin_lock(&t->lock);
	if (fd < t->size)
		f = t->slots[fd];
	if (f) {
		t->slots[fd] = NULL;
		mark_free(t, fd);
	}
	spin_unlock(&t->lock);
	return f;
}

int fd_close(int fd)
{
	struct fd_table *t = thread_current()->files;
	struct file *f = take_out(t, (uint32_t)fd);

	if (!f)
		return -EBADF;
	close_file(t, f);
	return 0;
}

/* dup2: `fd` becomes `f`, whose reference is taken over; what was there is closed. */
int fd_replace(int fd, struct file *f, bool close_on_exec)
{
	struct fd_table *t = thread_current()->files;
	struct file *old = NULL;
	int error = 0;

	if ((uint64_t)(uint32_t)fd >= limit())
		return -EBADF;
	spin_lock(&t->lock);
	while (!error && (uint32_t)fd >= t->size)
		error = grow_locked(t, (uint32_t)fd);
	if (!error && !t->slots[fd] && bitmap_test(t->used, (size_t)fd))
		error = -EBUSY; /* another thread is about to open it */
	if (!error) {
		old = t->slots[fd];
		t->slots[fd] = f;
		mark_used(t, (uint32_t)fd, close_on_exec);
	}
	spin_unlock(&t->lock);
	if (old)
		close_file(t, old);
	return error;
}

int fd_get_cloexec(int fd)
{
	struct fd_table *t = thread_current()->files;
	int result = -EBADF;

	spin_lock(&t->lock);
	if ((uint32_t)fd < t->size && t->slots[fd])
		result = bitmap_test(t->cloexec, (size_t)fd);
	spin_unlock(&t->lock);
	return result;
}

int fd_set_cloexec(int fd, bool on)
{
	struct fd_table *t = thread_current()->files;
	int result = -EBADF;

	spin_lock(&t->lock);
	if ((uint32_t)fd < t->size && t->slots[fd]) {
		mark_used(t, (uint32_t)fd, on);
		result = 0;
	}
	spin_unlock(&t->lock);
	return result;
}

/* The lowest open descriptor in [from, last], or -1. */
static int next_open(struct fd_table *t, uint32_t from, uint32_t last)
{
	size_t fd;

	spin_lock(&t->lock);
	fd = from < t->size ? bitmap_find_set(t->used, t->size, from) : t->size;
	if (fd >= t->size || fd > last)
		fd = (size_t)-1;
	spin_unlock(&t->lock);
	return (int)fd;
}

void fd_close_range(uint32_t first, uint32_t last, bool only_mark)
{
	struct fd_table *t = thread_current()->files;
	int fd;

	while (first <= last && (fd = next_open(t, first, last)) >= 0) {
		if (only_mark)
			fd_set_cloexec(fd, true);
		else
			fd_close(fd);
		first = (uint32_t)fd + 1;
	}
}

void fd_table_close_on_exec(struct fd_table *t)
{
	for (uint32_t word = 0; word < t->size / 64; word++)
		for (uint64_t left = t->cloexec[word] & t->used[word]; left; left &= left - 1) {
			struct file *f = take_out(t, word * 64 + (uint32_t)__builtin_ctzll(left));

			if (f)
				close_file(t, f);
		}
}
