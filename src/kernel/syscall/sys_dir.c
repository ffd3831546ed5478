/* SPDX-License-Identifier: MIT */
/* Folders: listing them, the working and the root folder, the umask. */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <cloudos/inotify.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include "call_name.h"
#include "syscalls_gen.h"

#define RECORD_MAX (sizeof(struct record) + NAME_LEN_MAX + 2)

/* struct linux_dirent64; the old linux_dirent has the type in the record's last byte instead. */
struct record {
	uint64_t ino;
	int64_t next;
	uint16_t len;
	uint8_t type; /* the old form: the name begins here */
	char name[];
} __attribute__((packed));
_Static_assert(offsetof(struct record, name) == 19, "linux_dirent64");

struct listing {
	struct dir_emitter emitter;
	uaddr_t at;
	size_t left;
	size_t last_len; /* of the record written last, or 0 */
	int error;
	bool old;
};

/* Entries end at multiples of 8 bytes. */
static size_t fill_record(char *buf, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next, bool old)
{
	struct record *r = (struct record *)buf;
	size_t head = old ? 18 : 19, size = align_up(head + len + 1 + (old ? 1 : 0), (size_t)8);

	memset(buf + head + len, 0, size - head - len);
	r->ino = ino;
	r->next = (int64_t)next;
	r->len = (uint16_t)size;
	memcpy(buf + head, name, len);
	if (old)
		buf[size - 1] = (char)type;
	else
		r->type = (uint8_t)type;
	return size;
}

static bool emit(struct dir_emitter *e, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
	struct listing *l = container_of(e, struct listing, emitter);
	char buf[RECORD_MAX + 8];
	size_t size = fill_record(buf, name, len, ino, type, next, l->old);

	if (size > l->left) {
		if (!l->last_len)
			l->error = -EINVAL; /* not even one fits */
	} else if (copy_to_user(l->at, buf, size)) {
		l->error = -EFAULT;
	} else {
		l->at += size;
		l->left -= size;
		l->last_len = size;
		return true;
	}
	e->full = true;
	return false;
}

static int list_folder(struct file *f, struct listing *l)
{
	uint64_t pos;
	int error;

	if (!f->ops->readdir)
		return f->mode & FILE_PATH ? -EBADF : -ENOTDIR;
	if (READ_ONCE(f->inode->flags) & INODE_DEAD)
		return -ENOENT;
	mutex_lock(&f->pos_lock);
	pos = (uint64_t)f->pos;
	error = f->ops->readdir(f, &l->emitter, &pos);
	f->pos = (int64_t)pos;
	mutex_unlock(&f->pos_lock);
	if (!error)
		notify_file(f, IN_ACCESS);
	return error;
}

static int64_t do_getdents(int fd, uaddr_t buf, size_t count, bool old)
{
	struct listing l = { .emitter.emit = emit, .at = buf, .left = count, .old = old };
	bool put;
	struct file *f = fd_begin(fd, &put);
	int error;

	if (!f)
		return -EBADF;
	error = list_folder(f, &l);
	fd_end(f, put);
	if (l.left < count)
		return (int64_t)(count - l.left);
	return error ? error : l.error;
}

int64_t sys_getdents64(int fd, uaddr_t buf, unsigned count)
{
	return do_getdents(fd, buf, count, false);
}

int64_t sys_getdents(int fd, uaddr_t buf, unsigned count)
{
	return do_getdents(fd, buf, count, true);
}

/* ---- where a process is ---- */

int64_t sys_getcwd(uaddr_t buf, size_t size)
{
	struct fs_context *fs = thread_current()->fs;
	char *text = kmalloc(PATH_LEN_MAX);
	struct path cwd;
	int64_t n;

	if (!text)
		return -ENOMEM;
	spin_lock(&fs->lock);
	cwd = fs->cwd;
	path_get(&cwd);
	spin_unlock(&fs->lock);
	n = cwd.dentry->flags & DENTRY_DELETED ? -ENOENT : path_string_in(fs, &cwd, true, text, PATH_LEN_MAX);
	path_put(&cwd);
	if (n >= 0) {
		n++;
		if ((uint64_t)n > size)
			n = -ERANGE;
		else if (copy_to_user(buf, text, (size_t)n))
			n = -EFAULT;
	}
	kfree(text);
	return n;
}

/* *place becomes `path`, whose references are taken over. */
static void move_to(struct path *place, const struct path *path)
{
	struct fs_context *fs = thread_current()->fs;
	struct path old;

	spin_lock(&fs->lock);
	old = *place;
	*place = *path;
	spin_unlock(&fs->lock);
	path_put(&old);
}

/* A folder that may be searched, with references. */
static int find_folder(uaddr_t name, struct path *ret)
{
	struct name_arg n;
	int error = name_get(&n, name);

	if (error)
		return error;
	error = path_lookup(AT_FDCWD, n.text, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, ret);
	name_put(&n);
	if (error)
		return error;
	error = inode_permission(ret->dentry->inode, MAY_EXEC, thread_current()->cred);
	if (error)
		path_put(ret);
	return error;
}

int64_t sys_chdir(uaddr_t name)
{
	struct path path;
	int error = find_folder(name, &path);

	if (!error)
		move_to(&thread_current()->fs->cwd, &path);
	return error;
}

int64_t sys_fchdir(int fd)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	struct path path;
	int error = -ENOTDIR;

	if (!f)
		return -EBADF;
	if (f->path.dentry && S_ISDIR(inode_mode(f->inode)))
		error = inode_permission(f->inode, MAY_EXEC, thread_current()->cred);
	if (!error) {
		path = f->path;
		path_get(&path);
		move_to(&thread_current()->fs->cwd, &path);
	}
	fd_end(f, put);
	return error;
}

int64_t sys_chroot(uaddr_t name)
{
	struct path path;
	int error = find_folder(name, &path);

	if (error)
		return error;
	if (!cred_capable_here(thread_current()->cred, CAP_SYS_CHROOT)) {
		path_put(&path);
		return -EPERM;
	}
	move_to(&thread_current()->fs->root, &path);
	return 0;
}

int64_t sys_umask(uint32_t mask)
{
	return (int64_t)__atomic_exchange_n(&thread_current()->fs->umask, mask & 0777, __ATOMIC_RELAXED);
}
