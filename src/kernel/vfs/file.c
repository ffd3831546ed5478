/* SPDX-License-Identifier: MIT */
/*
 * Open files: birth and death, the checks before an operation, and the operations of files whose pages are in a vm_object.
 *
 * A file's mode and operations do not change after it was opened. Its position is guarded by pos_lock, which is only taken when
 * somebody else could use the file at the same time (sys_rw.c).
 */
#include <cloudos/epoll.h>
#include <cloudos/file_signal.h>
#include <cloudos/inotify.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/vm.h>
#include <linux/mman.h>
#include "vfs_internal.h"

static struct slab_cache *file_cache;
static uint64_t anonymous_ino; /* atomic */
int (*file_size_limit)(uint64_t pos, size_t *count);

int file_init(void)
{
	file_cache = slab_cache_create("file", sizeof(struct file), 0);
	return file_cache ? 0 : -ENOMEM;
}

struct file *file_alloc(void)
{
	struct thread *t = thread_current();
	struct file *f = slab_alloc(file_cache);

	if (!f)
		return NULL;
	refcount_init(&f->refs, 1);
	f->mode = f->flags = 0;
	f->ops = NULL;
	f->private = NULL;
	f->pos = 0;
	mutex_init(&f->pos_lock, RANK_FILE_POS);
	f->path = (struct path){ NULL, NULL };
	f->inode = NULL;
	f->epoll_links.next = NULL; /* by epoll, with its first watcher */
	spin_init(&f->epoll_lock, RANK_POLL);
	f->cred = t->cred;
	if (f->cred)
		cred_get(f->cred);
	f->signals = NULL;
	f->type = 0;
	f->ino = 0;
	return f;
}

/* Frees the storage, path and credentials of a file that was not opened, or is released. */
void file_free(struct file *f)
{
	if (f->mode & (FILE_WRITER | FILE_EXEC))
		__atomic_fetch_add(&f->inode->write_count, f->mode & FILE_WRITER ? -1 : 1, __ATOMIC_RELAXED);
	if (f->mode & FILE_READER)
		__atomic_fetch_sub(&f->inode->read_count, 1, __ATOMIC_RELAXED);
	if (f->path.dentry)
		path_put(&f->path);
	if (f->cred)
		cred_put(f->cred);
	slab_free(file_cache, f);
}

void file_put(struct file *f)
{
	if (!refcount_put(&f->refs))
		return;
	if (unlikely(f->epoll_links.next))
		epoll_file_gone(f);
	if (f->inode && unlikely(READ_ONCE(f->inode->leases)))
		lease_file_gone(f);
	if (unlikely(f->signals))
		file_signals_free(f);
	if (!(f->mode & FILE_PATH))
		notify_file(f, f->mode & FILE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
	if (f->inode && unlikely(READ_ONCE(f->inode->locks)))
		locks_release_owner(f->inode, NULL, f);
	if (f->ops->release)
		f->ops->release(f);
	file_free(f);
}

int file_create_anonymous(const struct file_ops *ops, void *private, uint32_t mode, uint32_t flags, uint32_t type, struct file **ret)
{
	struct file *f = file_alloc();

	if (!f)
		return -ENOMEM;
	f->ops = ops;
	f->private = private;
	f->mode = mode;
	f->flags = flags;
	f->type = type;
	f->ino = __atomic_add_fetch(&anonymous_ino, 1, __ATOMIC_RELAXED);
	*ret = f;
	return 0;
}

void file_getattr(struct file *f, struct file_stat *ret)
{
	if (f->path.dentry) {
		vfs_getattr(&f->path, ret);
		return;
	}
	*ret = (struct file_stat){
		.dev = ANONYMOUS_DEV,
		.ino = f->ino,
		.mode = f->type | 0600,
		.nlink = 1,
		.uid = f->cred ? f->cred->fsuid : 0,
		.gid = f->cred ? f->cred->fsgid : 0,
		.block_size = PAGE_SIZE,
	};
}

/* ---- writers and executions ---- */

static int count_user(struct inode *inode, int step)
{
	int32_t n = READ_ONCE(inode->write_count);

	do {
		if ((n < 0) != (step < 0) && n != 0)
			return -ETXTBSY;
	} while (!__atomic_compare_exchange_n(&inode->write_count, &n, n + step, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return 0;
}

int inode_writer_get(struct inode *inode)
{
	return count_user(inode, 1);
}

int inode_exec_get(struct inode *inode)
{
	return count_user(inode, -1);
}

/* ---- calls ---- */

/* What Linux answers where a file has no such operation. */
static int no_operation(const struct file *f)
{
	return f->inode && inode_is_dir(f->inode) ? -EISDIR : -EINVAL;
}

bool file_nowait(const struct file *f, const struct io_iter *it)
{
	return it->nowait || (READ_ONCE(f->flags) & O_NONBLOCK);
}

int file_check_rwf_nowait(const struct file *f, bool write, size_t count)
{
	if (f->ops->rwf_nowait == NOWAIT_WAITS && !write)
		return count ? -EAGAIN : 0;
	return f->ops->rwf_nowait == NOWAIT_HEEDED ? 0 : -EOPNOTSUPP;
}

ssize_t file_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	ssize_t n;

	if (unlikely(!(f->mode & FILE_READ)))
		return -EBADF;
	if (unlikely(!f->ops->read))
		return no_operation(f);
	n = f->ops->read(f, to, pos);
	if (n > 0)
		notify_file(f, IN_ACCESS);
	return n;
}

ssize_t file_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	ssize_t n;

	if (unlikely(!(f->mode & FILE_WRITE)))
		return -EBADF;
	if (unlikely(!f->ops->write))
		return no_operation(f);
	n = f->ops->write(f, from, pos);
	if (n > 0)
		notify_file(f, IN_MODIFY);
	return n;
}

ssize_t file_read_kernel(struct file *f, void *buf, size_t len, int64_t pos)
{
	struct io_iter to;

	io_iter_kernel(&to, buf, len);
	return file_read(f, &to, &pos);
}

uint32_t file_poll(struct file *f, struct poll_table *pt)
{
	return f->ops->poll ? f->ops->poll(f, pt) : 0x145; /* POLLIN POLLOUT POLLRDNORM POLLWRNORM */
}

/* ---- positions ---- */

int64_t seek_within(struct file *f, int64_t offset, int whence, uint64_t size)
{
	int64_t pos;

	switch (whence) {
	case SEEK_SET:
		pos = offset;
		break;
	case SEEK_CUR:
		if (__builtin_add_overflow(f->pos, offset, &pos))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (__builtin_add_overflow((int64_t)size, offset, &pos))
			return -EOVERFLOW;
		break;
	case SEEK_DATA:
	case SEEK_HOLE: /* the whole file is data, and a hole begins at its end */
		if (offset < 0 || (uint64_t)offset >= size)
			return -ENXIO;
		pos = whence == SEEK_DATA ? offset : (int64_t)size;
		break;
	default:
		return -EINVAL;
	}
	if (pos < 0)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

int64_t generic_seek(struct file *f, int64_t offset, int whence)
{
	struct inode *inode = f->inode;

	return seek_within(f, offset, whence, inode->data ? READ_ONCE(inode->data->size) : inode->size);
}

/* ---- files with cached pages ---- */

static int64_t cached_seek(struct file *f, int64_t offset, int whence)
{
	int64_t pos;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_seek(f, offset, whence);
	if (offset < 0)
		return -ENXIO;
	pos = vm_object_seek(f->inode->data, (uint64_t)offset, whence == SEEK_DATA);
	if (pos >= 0)
		f->pos = pos;
	return pos;
}

/* relatime: the access time is kept only if it is older than the last change. */
void file_accessed(struct file *f)
{
	struct inode *inode = f->inode;

	if (likely(READ_ONCE(inode->atime_ns) > READ_ONCE(inode->mtime_ns) && READ_ONCE(inode->atime_ns) > READ_ONCE(inode->ctime_ns)))
		return;
	if ((f->flags & O_NOATIME) || (f->path.mount->flags & (MS_NOATIME | MS_RDONLY)))
		return;
	WRITE_ONCE(inode->atime_ns, inode_now());
}

static ssize_t cached_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	ssize_t n = vm_object_read(f->inode->data, (uint64_t)*pos, to);

	if (n > 0)
		*pos += n;
	file_accessed(f);
	return n;
}

/* Cuts a write at what the file system and RLIMIT_FSIZE allow. */
static int limit_write(struct file *f, struct io_iter *from, uint64_t pos)
{
	uint64_t end;
	int error = unlikely(f->inode->seals) ? seals_limit_write(f->inode, pos, &from->count) : 0;

	if (error)
		return error;
	end = pos + from->count;
	if (unlikely(pos >= f->inode->sb->max_bytes))
		return -EFBIG;
	if (unlikely(end > f->inode->sb->max_bytes))
		from->count = f->inode->sb->max_bytes - pos;
	return file_size_limit ? file_size_limit(pos, &from->count) : 0;
}

/* Writers and resizers of a file exclude each other, which makes appending safe. */
static ssize_t cached_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	struct inode *inode = f->inode;
	ssize_t n;

	if (!from->count)
		return 0;
	mutex_lock(&inode->lock);
	if ((f->flags & O_APPEND) || from->append)
		*pos = (int64_t)inode->data->size;
	if (unlikely(inode_mode(inode) & (S_ISUID | S_ISGID)))
		inode_clear_setid_locked(inode);
	if (unlikely(inode->xattrs))
		inode_drop_caps_locked(inode);
	n = limit_write(f, from, (uint64_t)*pos);
	if (likely(!n))
		n = vm_object_write(inode->data, (uint64_t)*pos, from);
	if (n > 0) {
		*pos += n;
		inode_touch(inode);
	}
	mutex_unlock(&inode->lock);
	return n;
}

/* What the file's mode allows, the caller of mmap has seen to. */
static int cached_mmap(struct file *f, struct vm_map_request *r)
{
	if (f->path.mount->flags & MS_NOEXEC)
		r->may_prot &= ~(uint32_t)PROT_EXEC;
	r->object = f->inode->data;
	return READ_ONCE(f->inode->seals) ? seals_limit_mapping(f->inode, r) : 0;
}

const struct file_ops cached_file_ops = {
	.read = cached_read,
	.write = cached_write,
	.seek = cached_seek,
	.mmap = cached_mmap,
	.splice = SPLICE_READ | SPLICE_WRITE,
};

/* ---- how vm names mapping files ---- */

static void mapping_get(void *file)
{
	struct file *f = file;

	file_get(f);
	if (f->ops->mapped)
		f->ops->mapped(f);
}

static void mapping_put(void *file)
{
	struct file *f = file;

	if (f->ops->unmapped)
		f->ops->unmapped(f);
	file_put(f);
}

static int mapping_path(void *file, char *buf, size_t size)
{
	struct file *f = file;

	if (f->path.dentry)
		return path_string(&f->path, buf, size);
	return f->ops->name ? f->ops->name(f, buf, size) : -ENOENT;
}

static void mapping_identity(void *file, uint64_t *ret_dev, uint64_t *ret_ino)
{
	struct file_stat st;

	file_getattr(file, &st);
	*ret_dev = st.dev;
	*ret_ino = st.ino;
}

const struct vm_file_ops file_mapping_ops = {
	.get = mapping_get,
	.put = mapping_put,
	.path = mapping_path,
	.identity = mapping_identity,
};
