/* SPDX-License-Identifier: MIT */
/*
 * Files whose text a function makes: /proc and /sys. The text is made when a reader begins (position 0, or nothing made yet) and kept
 * with the open file, so that a program that reads in small pieces sees one consistent state.
 *
 * Limits: a text is at most TEXT_MAX bytes, a write at most STORE_MAX - 1.
 */
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "vfs_internal.h"

#define TEXT_START 1024
#define TEXT_MAX   (4u << 20)
#define STORE_MAX  4096

/* ---- text_out ---- */

void text_out_init(struct text_out *o)
{
	*o = (struct text_out){ .buf = NULL };
}

void text_out_free(struct text_out *o)
{
	kfree(o->buf);
}

/* Room for `more` bytes and a NUL. */
static bool out_reserve(struct text_out *o, size_t more)
{
	size_t size = o->size ? o->size : TEXT_START;
	char *buf;

	if (o->error)
		return false;
	if (more < o->size - o->len && o->size)
		return true;
	while (size < TEXT_MAX && size <= o->len + more)
		size *= 2;
	buf = size > o->len + more ? kmalloc(size) : NULL;
	if (!buf) {
		o->error = -ENOMEM;
		return false;
	}
	if (o->len)
		memcpy(buf, o->buf, o->len);
	kfree(o->buf);
	o->buf = buf;
	o->size = size;
	return true;
}

void out_bytes(struct text_out *o, const void *data, size_t len)
{
	if (!out_reserve(o, len))
		return;
	memcpy(o->buf + o->len, data, len);
	o->len += len;
}

void out_printf(struct text_out *o, const char *format, ...)
{
	va_list args;
	int len;

	if (!out_reserve(o, 128))
		return;
	va_start(args, format);
	len = fmt_vstring(o->buf + o->len, o->size - o->len, format, args);
	va_end(args);
	if ((size_t)len >= o->size - o->len) {
		if (!out_reserve(o, (size_t)len))
			return;
		va_start(args, format);
		fmt_vstring(o->buf + o->len, o->size - o->len, format, args);
		va_end(args);
	}
	o->len += (size_t)len;
}

/* ---- reading and writing ---- */

/* Copies a stretch of a made text. */
static ssize_t text_read(struct text_out *o, struct io_iter *to, int64_t *pos)
{
	size_t n;

	if (o->error)
		return o->error;
	if ((uint64_t)*pos >= o->len || !to->count)
		return 0;
	n = io_copy_to(to, o->buf + *pos, min(o->len - (size_t)*pos, to->count));
	*pos += (int64_t)n;
	return n ? (ssize_t)n : -EFAULT;
}

/* The text of an open file, made afresh at the start of the file. */
static struct text_out *text_of(struct file *f, int64_t pos, int (*make)(struct text_out *o, struct inode *inode))
{
	struct text_out *o = f->private;
	int error;

	if (o && pos > 0)
		return o;
	if (!o) {
		o = kmalloc(sizeof(*o));
		if (!o)
			return NULL;
		text_out_init(o);
		STORE_RELEASE(f->private, o);
	}
	o->len = 0;
	o->error = 0;
	error = make(o, f->inode);
	if (error)
		o->error = error;
	return o;
}

ssize_t text_serve(struct file *f, struct io_iter *to, int64_t *pos, int (*make)(struct text_out *o, struct inode *inode))
{
	struct text_out *o;
	ssize_t n;

	mutex_lock(&f->inode->lock);
	o = text_of(f, *pos, make);
	n = o ? text_read(o, to, pos) : -ENOMEM;
	mutex_unlock(&f->inode->lock);
	return n;
}

static int make_from_source(struct text_out *o, struct inode *inode)
{
	const struct text_source *source = inode->private;

	return source->show ? source->show(o, source->arg) : -EINVAL;
}

static ssize_t text_file_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	return text_serve(f, to, pos, make_from_source);
}

ssize_t text_store(struct io_iter *from, int (*store)(const char *text, size_t len, void *arg), void *arg)
{
	size_t len = from->count;
	char *text;
	int error = -EFAULT;

	if (len >= STORE_MAX)
		return -EINVAL;
	text = kmalloc(len + 1);
	if (!text)
		return -ENOMEM;
	if (io_copy_from(from, text, len) == len) {
		text[len] = '\0';
		error = store(text, len, arg);
	}
	kfree(text);
	return error ? error : (ssize_t)len;
}

static ssize_t text_file_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	const struct text_source *source = f->inode->private;
	ssize_t n = source->store ? text_store(from, source->store, source->arg) : -EIO;

	if (n > 0)
		*pos += n;
	return n;
}

void text_release(struct file *f)
{
	if (!f->private)
		return;
	text_out_free(f->private);
	kfree(f->private);
}

uint32_t text_seen(const struct file *f)
{
	const struct text_out *o = LOAD_ACQUIRE(f->private);

	return o ? READ_ONCE(o->seen) : 0;
}

int64_t text_seek(struct file *f, int64_t offset, int whence)
{
	struct text_out *o = f->private;

	return seek_within(f, offset, whence, o ? o->len : 0);
}

const struct file_ops text_file_ops = {
	.read = text_file_read,
	.write = text_file_write,
	.seek = text_seek,
	.release = text_release,
	.splice = SPLICE_READ,
};

/* ---- adding files to a kernel-made tree ---- */

/* Writing to such a file with O_TRUNC or truncate(1) is harmless. */
static int text_setattr(struct inode *inode, const struct file_attr *attr)
{
	struct file_attr rest = *attr;

	rest.set &= ~(uint32_t)ATTR_SIZE;
	inode_setattr(inode, &rest);
	return 0;
}

const struct inode_ops text_inode_ops = { .setattr = text_setattr };

int text_add(struct super_block *sb, const char *path, uint32_t mode, const struct text_source *source)
{
	struct text_source *copy = kmalloc(sizeof(*copy));
	struct inode *inode;
	int error = -ENOMEM;

	if (!copy)
		return -ENOMEM;
	*copy = *source;
	inode = memfs_inode_create(sb, S_IFREG | mode, &text_inode_ops, &text_file_ops);
	if (inode) {
		inode->uid = inode->gid = 0; /* whoever mounts the tree */
		inode->private = copy;
		inode->flags |= INODE_LAZY_TEXT;
		mutex_init(&inode->lock, RANK_TEXT);
		error = memfs_add(sb, path, inode, &memfs_dir_ops_readonly);
		if (error) {
			inode->private = NULL;
			inode_put(inode);
		}
	}
	if (error)
		kfree(copy);
	return error;
}
