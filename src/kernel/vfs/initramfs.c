/* SPDX-License-Identifier: MIT */
/*
 * The initramfs: one or more cpio archives behind each other, each plain or in an LZ4 or Zstandard frame, unpacked into the root file
 * system. The loader's memory is hostile input. What cannot be read ends the unpacking with a message that says what
 * and where; what cannot be made (no space, a name that leads out) is left out with a message; what was unpacked stays.
 */
#define LOG_SUBSYSTEM "initramfs"
#include <cloudos/compress.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "cpio.h"
#include "vfs_internal.h"

#define LINKS_REMEMBERED_MAX 65536 /* files with several names; further ones become files of their own */
#define LINK_BUCKETS	     64

/* The first name of a file that has several. */
struct first_name {
	struct hash_link link;
	uint32_t ino, dev_major, dev_minor;
	char name[];
};

struct unpacker {
	struct cpio_sink sink;
	struct decompress_sink inflated; /* from the decompressor */
	struct cpio cpio;
	struct file *file; /* being filled, or null: its data are left out */
	int64_t pos;
	struct hash_head links[LINK_BUCKETS];
	uint32_t links_remembered, entries, failed;
};

static struct unpacker *unpacker_of(struct cpio_sink *s)
{
	return container_of(s, struct unpacker, sink);
}

static void complain(struct unpacker *u, const char *name, const char *what, int error)
{
	u->failed++;
	log_limited(LOG_ERR, 20, "%s: %s (error %d), at offset %lu", name, what, -error, (unsigned long)u->cpio.entry_offset);
}

/* Without "/" and "./" in front. */
static const char *strip_name(const char *name)
{
	for (;;) {
		if (*name == '/')
			name++;
		else if (name[0] == '.' && name[1] == '/')
			name += 2;
		else
			return name;
	}
}

static bool has_dotdot(const char *name)
{
	for (const char *s = name; (s = strchr(s, '.')); s++)
		if (s[1] == '.' && (s[2] == '/' || !s[2]) && (s == name || s[-1] == '/'))
			return true;
	return false;
}

/* ---- files with several names ---- */

static struct first_name *find_first(struct unpacker *u, const struct cpio_entry *e)
{
	struct first_name *f;

	hash_for_each (f, &u->links[e->ino % LINK_BUCKETS], link)
		if (f->ino == e->ino && f->dev_major == e->dev_major && f->dev_minor == e->dev_minor)
			return f;
	return NULL;
}

static void remember(struct unpacker *u, const struct cpio_entry *e, const char *name)
{
	size_t len = strlen(name) + 1;
	struct first_name *f;

	if (u->links_remembered == LINKS_REMEMBERED_MAX)
		return;
	f = kmalloc(sizeof(*f) + len);
	if (!f)
		return;
	f->ino = e->ino;
	f->dev_major = e->dev_major;
	f->dev_minor = e->dev_minor;
	memcpy(f->name, name, len);
	hash_insert(&u->links[e->ino % LINK_BUCKETS], &f->link);
	u->links_remembered++;
}

static void forget_links(struct unpacker *u)
{
	for (int i = 0; i < LINK_BUCKETS; i++)
		while (u->links[i].first) {
			struct first_name *f = container_of(u->links[i].first, struct first_name, link);

			hash_remove(&f->link);
			kfree(f);
		}
	u->links_remembered = 0;
}

/* ---- making what an entry says ---- */

static void set_attributes(const char *name, const struct cpio_entry *e)
{
	struct file_attr attr = {
		.set = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME,
		.mode = e->mode & MODE_PERMISSIONS,
		.uid = e->uid,
		.gid = e->gid,
		.atime_ns = (int64_t)e->mtime * (int64_t)NSEC_PER_SEC,
		.mtime_ns = (int64_t)e->mtime * (int64_t)NSEC_PER_SEC,
	};
	struct path path;

	if (S_ISLNK(e->mode))
		attr.set &= ~(uint32_t)ATTR_MODE;
	if (path_lookup(AT_FDCWD, name, 0, &path))
		return;
	vfs_setattr(&path, &attr);
	path_put(&path);
}

/* What stands in the way of an entry of another type goes. */
static void clear_way(const char *name, uint32_t mode)
{
	struct path path;
	uint32_t there;

	if (path_lookup(AT_FDCWD, name, 0, &path))
		return;
	there = inode_mode(path.dentry->inode);
	path_put(&path);
	if ((there & S_IFMT) == (mode & S_IFMT) && (S_ISREG(mode) || S_ISDIR(mode)))
		return;
	if (S_ISDIR(there))
		vfs_rmdir(AT_FDCWD, name);
	else
		vfs_unlink(AT_FDCWD, name);
}

static int make_folder(const char *name, const struct cpio_entry *e)
{
	int error = vfs_mkdir(AT_FDCWD, name, 0755);

	if (error == -EEXIST)
		error = 0;
	if (!error)
		set_attributes(name, e);
	return error;
}

static int make_file(struct unpacker *u, const char *name, const struct cpio_entry *e)
{
	struct first_name *first = e->nlink > 1 ? find_first(u, e) : NULL;
	int error;

	if (first) {
		vfs_unlink(AT_FDCWD, name);
		error = vfs_link(AT_FDCWD, first->name, AT_FDCWD, name, 0);
		if (error || !e->size)
			return error;
	}
	error = vfs_open(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, 0600, &u->file);
	u->pos = 0;
	if (!error && e->nlink > 1 && !first)
		remember(u, e, name);
	return error;
}

static int make_node(const char *name, const struct cpio_entry *e)
{
	int error = vfs_mknod(AT_FDCWD, name, e->mode, dev_make(e->rdev_major, e->rdev_minor));

	if (!error)
		set_attributes(name, e);
	return error;
}

static void on_entry(struct cpio_sink *s, const struct cpio_entry *e)
{
	struct unpacker *u = unpacker_of(s);
	const char *name = strip_name(e->name);
	int error = 0;

	u->entries++;
	if (has_dotdot(name)) {
		complain(u, e->name, "a name that leads upwards", -EINVAL);
		return;
	}
	if (!*name || str_equal(name, ".")) {
		set_attributes("/", e);
		return;
	}
	clear_way(name, e->mode);
	if (S_ISDIR(e->mode))
		error = make_folder(name, e);
	else if (S_ISREG(e->mode))
		error = make_file(u, name, e);
	else if (!S_ISLNK(e->mode))
		error = make_node(name, e);
	if (error)
		complain(u, e->name, "cannot be made", error);
}

static void on_data(struct cpio_sink *s, const void *data, size_t len)
{
	struct unpacker *u = unpacker_of(s);
	struct io_iter from;
	ssize_t n;

	if (!u->file)
		return;
	io_iter_kernel(&from, data, len);
	n = file_write(u->file, &from, &u->pos);
	sched_point();
	if (n == (ssize_t)len)
		return;
	complain(u, u->cpio.entry.name, "its data do not fit", n < 0 ? (int)n : -ENOSPC);
	file_put(u->file);
	u->file = NULL;
}

static void on_symlink(struct cpio_sink *s, const struct cpio_entry *e, const char *target)
{
	const char *name = strip_name(e->name);
	int error;

	if (has_dotdot(name) || !*name)
		return; /* on_entry() has said so */
	error = vfs_symlink(target, AT_FDCWD, name);
	if (error)
		complain(unpacker_of(s), e->name, "cannot be made", error);
	else
		set_attributes(name, e);
}

static void on_end(struct cpio_sink *s, const struct cpio_entry *e, bool good)
{
	struct unpacker *u = unpacker_of(s);

	if (!good)
		complain(u, e->name, "wrong checksum", -EILSEQ);
	if (!u->file)
		return;
	file_put(u->file);
	u->file = NULL;
	set_attributes(strip_name(e->name), e);
}

static void on_trailer(struct cpio_sink *s)
{
	forget_links(unpacker_of(s));
}

/* ---- archives ---- */

/* From the decompressor: a frame holds archives and nothing else. */
static int on_inflated(struct decompress_sink *s, const void *data, size_t len)
{
	struct unpacker *u = container_of(s, struct unpacker, inflated);
	size_t used;
	int error = cpio_feed(&u->cpio, data, len, &used);

	if (!error && used < len) {
		u->cpio.error = "no archive";
		error = -EINVAL;
	}
	return error;
}

/* One compressed frame at data[0..len). */
static int unpack_frame(struct unpacker *u, const uint8_t *data, size_t len, size_t *ret_used)
{
	const char *format = compress_format_name(compress_format_detect(data, len));
	size_t size;
	void *work;
	int error = decompress_work_size(data, len, &size);

	if (error) {
		log_err("%s frame with a bad header (error %d)", format, -error);
		return error;
	}
	work = kva_alloc(size);
	if (!work) {
		log_err("%s frame: no memory for its %lu KiB of workspace", format, (unsigned long)(size >> 10));
		return -ENOMEM;
	}
	error = decompress(data, len, work, size, &u->inflated, ret_used);
	kva_free(work);
	if (error && !u->cpio.error)
		log_err("%s frame is %s (error %d), after %lu bytes of output", format,
			error == -EINVAL ? "truncated" : "corrupt", -error, (unsigned long)u->cpio.offset);
	return error;
}

static int unpack_all(struct unpacker *u, const uint8_t *data, size_t len)
{
	size_t at = 0, used = 0;
	int error = 0;

	while (at < len && !error) {
		error = cpio_feed(&u->cpio, data + at, len - at, &used);
		at += used;
		if (error || at == len)
			break;
		if (compress_format_detect(data + at, len - at) == COMPRESS_NONE) {
			log_err("neither an archive nor a compressed frame at offset %lu", (unsigned long)at);
			return -EINVAL;
		}
		error = unpack_frame(u, data + at, len - at, &used);
		at += used;
	}
	if (u->cpio.error)
		log_err("%s, in the entry at offset %lu of the unpacked stream", u->cpio.error, (unsigned long)u->cpio.entry_offset);
	else if (!error && cpio_incomplete(&u->cpio)) {
		log_err("truncated: %s, in the entry at offset %lu of the unpacked stream", cpio_incomplete(&u->cpio),
			(unsigned long)u->cpio.entry_offset);
		error = -EINVAL;
	}
	return error;
}

int initramfs_unpack(const void *data, size_t len)
{
	struct unpacker *u = kzalloc(sizeof(*u));
	uint32_t umask = thread_current()->fs->umask;
	int error;

	if (!u)
		return -ENOMEM;
	u->sink = (struct cpio_sink){ on_entry, on_data, on_symlink, on_end, on_trailer };
	u->inflated.write = on_inflated;
	cpio_init(&u->cpio, &u->sink);
	thread_current()->fs->umask = 0;
	error = unpack_all(u, data, len);
	thread_current()->fs->umask = umask;
	if (u->file)
		file_put(u->file);
	forget_links(u);
	log_info("%u entries from %lu KiB, %u left out%s", u->entries, (unsigned long)(len >> 10), u->failed,
		 error ? "; the rest could not be read" : "");
	kfree(u);
	return error;
}
