/* SPDX-License-Identifier: MIT */
/* /dev/null, zero, full, random, urandom: mem(4), null(4), full(4), random(4). */
#include <cloudos/random.h>
#include <cloudos/vm.h>
#include <linux/random.h>
#include "vfs_internal.h"

#define RANDOM_CHUNK 256 /* bytes made at a time, on the stack */
#define CHUNK_BETWEEN_BREAKS 65536 /* bytes after which others get the CPU */

static ssize_t null_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	(void)f, (void)to, (void)pos;
	return 0;
}

static ssize_t null_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	size_t n = from->count;

	(void)f, (void)pos;
	io_advance(from, n);
	return (ssize_t)n;
}

static ssize_t zero_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	size_t done = 0;

	(void)f, (void)pos;
	while (to->count) {
		size_t want = min(to->count, (size_t)CHUNK_BETWEEN_BREAKS), n = io_zero(to, want);

		done += n;
		if (n < want)
			return done ? (ssize_t)done : -EFAULT;
		sched_point();
		if (to->count && thread_signal_pending())
			break;
	}
	return (ssize_t)done;
}

static ssize_t full_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	(void)f, (void)pos;
	return from->count ? -ENOSPC : 0;
}

static ssize_t random_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	char chunk[RANDOM_CHUNK];
	size_t done = 0, since_break = 0;

	(void)f, (void)pos;
	while (to->count) {
		size_t want = min(to->count, sizeof(chunk)), n;

		random_bytes(chunk, want);
		n = io_copy_to(to, chunk, want);
		done += n;
		if (n < want)
			return done ? (ssize_t)done : -EFAULT;
		since_break += n;
		if (since_break < CHUNK_BETWEEN_BREAKS)
			continue;
		since_break = 0;
		sched_point();
		if (thread_signal_pending())
			break;
	}
	return (ssize_t)done;
}

static ssize_t random_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	char chunk[RANDOM_CHUNK];
	size_t done = 0;

	(void)f, (void)pos;
	while (from->count && done < CHUNK_BETWEEN_BREAKS) {
		size_t n = io_copy_from(from, chunk, min(from->count, sizeof(chunk)));

		if (!n)
			return done ? (ssize_t)done : -EFAULT;
		random_add(chunk, n);
		done += n;
	}
	return (ssize_t)done;
}

static int64_t stay(struct file *f, int64_t offset, int whence)
{
	(void)offset, (void)whence;
	return f->pos = 0;
}

/* A private mapping of /dev/zero is anonymous memory; a shared one has an object of its own. */
static int zero_mmap(struct file *f, struct vm_map_request *r)
{
	(void)f;
	if (r->flags & VM_SHARED)
		return -ENODEV;
	r->object = NULL;
	r->file = NULL;
	r->object_page = 0;
	return 0;
}

static const struct file_ops null_ops = {
	.read = null_read, .write = null_write, .seek = stay, .splice = SPLICE_WRITE, .rwf_nowait = NOWAIT_HEEDED,
};
static const struct file_ops zero_ops = {
	.read = zero_read, .write = null_write, .seek = stay, .mmap = zero_mmap, .splice = SPLICE_WRITE, .rwf_nowait = NOWAIT_HEEDED,
};
static const struct file_ops full_ops = { .read = zero_read, .write = full_write, .seek = stay };
static const struct file_ops random_ops = {
	.read = random_read, .write = random_write, .seek = stay, .splice = SPLICE_READ | SPLICE_WRITE, .rwf_nowait = NOWAIT_HEEDED,
};

int memdev_add(void)
{
	static const struct {
		const char *name;
		unsigned minor;
		const struct file_ops *ops;
	} nodes[] = {
		{ "null", 3, &null_ops },     { "zero", 5, &zero_ops },	     { "full", 7, &full_ops },
		{ "random", 8, &random_ops }, { "urandom", 9, &random_ops },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		int error = devfs_add(nodes[i].name, S_IFCHR | 0666, 1, nodes[i].minor, nodes[i].ops, NULL);

		if (error)
			return error;
	}
	return 0;
}
