/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID: folders and files made when they are looked up. What they show, procfs_pid_ops gives (proc fills it); here are the names,
 * descriptors and mounts. An inode remembers a pid, not a process: when that is gone, its files answer ESRCH.
 *
 * A folder's positions: 0 ".", 1 "..", then the index of the entry, or the descriptor or thread id, plus 2.
 */
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "procfs_internal.h"

#define LINK_TEXT_MAX PATH_LEN_MAX

/* inode->private of everything below /proc/PID. */
struct pid_node {
	enum pid_kind kind;
	int pid, tid;	  /* tid 0: the process itself   */
	unsigned fd;	  /* PID_FD, PID_FDINFO           */
	const char *name; /* PID_TEXT, PID_LINK, PID_NAMESPACE: constant */
};

/* Entries that every folder of a process has, beside the files of procfs_pid_ops. */
static const struct {
	const char *name;
	enum pid_kind kind;
	uint32_t mode;
} fixed[] = {
	{ "exe", PID_LINK, S_IFLNK | 0777 },	   { "cwd", PID_LINK, S_IFLNK | 0777 },
	{ "root", PID_LINK, S_IFLNK | 0777 },	   { "fd", PID_FDS, S_IFDIR | 0500 },
	{ "fdinfo", PID_FDINFOS, S_IFDIR | 0500 }, { "mounts", PID_MOUNTS, S_IFREG | 0444 },
	{ "mountinfo", PID_MOUNTINFO, S_IFREG | 0444 }, { "task", PID_TASKS, S_IFDIR | 0555 },
	{ "ns", PID_NAMESPACES, S_IFDIR | 0511 },  { "mem", PID_MEM, S_IFREG | 0600 },
};

static const struct inode_ops folder_ops, tasks_ops, fds_ops, namespaces_ops, text_ops, link_ops, fd_link_ops, namespace_ops;
static const struct file_ops folder_file_ops, tasks_file_ops, fds_file_ops, namespaces_file_ops, text_ops_file;

static struct pid_node *node_of(const struct inode *inode)
{
	return inode->private;
}

void pid_of_inode(const struct inode *inode, int *ret_pid, int *ret_tid)
{
	*ret_pid = node_of(inode)->pid;
	*ret_tid = node_of(inode)->tid;
}

/* ---- making inodes ---- */

static void choose_operations(struct inode *inode, enum pid_kind kind)
{
	switch (kind) {
	case PID_FOLDER:
		inode->ops = &folder_ops;
		inode->file_ops = &folder_file_ops;
		break;
	case PID_TASKS:
		inode->ops = &tasks_ops;
		inode->file_ops = &tasks_file_ops;
		break;
	case PID_FDS:
	case PID_FDINFOS:
		inode->ops = &fds_ops;
		inode->file_ops = &fds_file_ops;
		break;
	case PID_LINK:
		inode->ops = &link_ops;
		break;
	case PID_FD:
		inode->ops = &fd_link_ops;
		break;
	case PID_NAMESPACES:
		inode->ops = &namespaces_ops;
		inode->file_ops = &namespaces_file_ops;
		break;
	case PID_NAMESPACE:
		inode->ops = &namespace_ops;
		break;
	case PID_MEM:
		inode->ops = &text_ops;
		inode->file_ops = &pid_mem_ops;
		break;
	default:
		inode->ops = &text_ops;
		inode->file_ops = &text_ops_file;
	}
}

static int attach(struct inode *dir, struct dentry *dentry, const struct pid_node *node, uint32_t mode)
{
	struct pid_node *copy = kmalloc(sizeof(*copy));
	struct inode *inode = copy ? memfs_inode_create(dir->sb, mode, &text_ops, &text_ops_file) : NULL;

	if (!inode) {
		kfree(copy);
		return -ENOMEM;
	}
	*copy = *node;
	inode->private = copy;
	inode->flags = INODE_LAZY_TEXT;
	if (S_ISREG(mode))
		mutex_init(&inode->lock, RANK_TEXT);
	inode->ino = pid_ino(node->kind, node->pid, node->tid, node->fd ^ (node->name ? hash_bytes(node->name, strlen(node->name), 0) : 0));
	inode->size = 0;
	choose_operations(inode, node->kind);
	procfs_pid_ops->owner(node->pid, &inode->uid, &inode->gid);
	dentry_attach(dentry, inode);
	return 0;
}

int pid_folder_lookup(struct inode *dir, struct dentry *dentry, int pid, int tid)
{
	struct pid_node node = { .kind = PID_FOLDER, .pid = pid, .tid = tid };

	if (!procfs_pid_ops->exists(pid))
		return 0;
	return attach(dir, dentry, &node, S_IFDIR | 0555);
}

/* ---- /proc/PID ---- */

/* Files that only the owner may see into. */
static uint32_t text_mode(const char *name)
{
	static const char *const secret[] = { "environ", "auxv", "io", "pagemap", "stack", "syscall", "personality" };
	static const char *const written[] = { "comm", "coredump_filter", "gid_map", "oom_adj", "oom_score_adj", "projid_map", "setgroups", "uid_map" };

	for (size_t i = 0; i < ARRAY_SIZE(secret); i++)
		if (str_equal(name, secret[i]))
			return S_IFREG | 0400;
	for (size_t i = 0; i < ARRAY_SIZE(written); i++)
		if (str_equal(name, written[i]))
			return S_IFREG | 0644;
	return S_IFREG | 0444;
}

static int folder_lookup(struct inode *dir, struct dentry *dentry)
{
	struct pid_node node = *node_of(dir);
	const char *const *file;

	if (!procfs_pid_ops->exists(node.pid))
		return -ESRCH;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (str_equal(dentry->name, fixed[i].name) && !(node.tid && fixed[i].kind == PID_TASKS)) {
			node.kind = fixed[i].kind;
			node.name = fixed[i].name;
			return attach(dir, dentry, &node, fixed[i].mode);
		}
	for (file = procfs_pid_ops->files; *file; file++)
		if (str_equal(dentry->name, *file)) {
			node.kind = PID_TEXT;
			node.name = *file;
			return attach(dir, dentry, &node, text_mode(*file));
		}
	return 0;
}

static bool emit_dots(struct file *f, struct dir_emitter *e, uint64_t *pos)
{
	static const char dots[] = "..";

	for (; *pos < 2; ++*pos)
		if (!e->emit(e, dots, (size_t)*pos + 1, f->inode->ino, S_IFDIR >> 12, *pos + 1))
			return false;
	return true;
}

static int folder_readdir(struct file *f, struct dir_emitter *e, uint64_t *pos)
{
	const struct pid_node *n = node_of(f->inode);

	if (!emit_dots(f, e, pos))
		return 0;
	for (;; ++*pos) {
		uint64_t i = *pos - 2;
		const char *name = i < ARRAY_SIZE(fixed) ? fixed[i].name : procfs_pid_ops->files[i - ARRAY_SIZE(fixed)];
		uint32_t mode;

		if (!name)
			return 0;
		mode = i < ARRAY_SIZE(fixed) ? fixed[i].mode : S_IFREG;
		if (n->tid && i < ARRAY_SIZE(fixed) && fixed[i].kind == PID_TASKS)
			continue;
		if (!e->emit(e, name, strlen(name), pid_ino(PID_TEXT, n->pid, n->tid, (unsigned)i), mode >> 12, *pos + 1))
			return 0;
	}
}

/* ---- task/ ---- */

static int tasks_lookup(struct inode *dir, struct dentry *dentry)
{
	struct namespace *ns = pids_of(dir->sb);
	int pid = node_of(dir)->pid;
	uint64_t number;

	if (str_to_u64(dentry->name, 10, &number) || number == 0 || number > INT32_MAX)
		return 0;
	if (procfs_pid_ops->next_thread(ns, pid, (int)number - 1) != (int)number)
		return 0;
	return pid_folder_lookup(dir, dentry, pid, procfs_pid_ops->find(ns, (int)number));
}

static int tasks_readdir(struct file *f, struct dir_emitter *e, uint64_t *pos)
{
	struct namespace *ns = pids_of(f->inode->sb);
	int pid = node_of(f->inode)->pid, n;

	if (!emit_dots(f, e, pos))
		return 0;
	while ((n = procfs_pid_ops->next_thread(ns, pid, (int)(*pos - 2))) > 0) {
		char name[12];
		int len = fmt_string(name, sizeof(name), "%d", n);

		if (!e->emit(e, name, (size_t)len, pid_ino(PID_FOLDER, pid, procfs_pid_ops->find(ns, n), 0), S_IFDIR >> 12, (uint64_t)n + 2))
			return 0;
		*pos = (uint64_t)n + 2;
	}
	return 0;
}

/* ---- fd/ and fdinfo/ ---- */

/* With a reference. `look`: the caller must have the right to look into the process; the names of its descriptors he may have without. */
static int file_of(const struct pid_node *n, unsigned fd, bool look, struct file **ret)
{
	struct fd_table *t;
	int error = procfs_pid_ops->fds(n->pid, look, &t);

	if (error)
		return error == -ESRCH ? -ENOENT : error;
	*ret = fd_table_lookup(t, (int)fd);
	fd_table_put(t);
	return *ret ? 0 : -ENOENT;
}

static int fds_lookup(struct inode *dir, struct dentry *dentry)
{
	struct pid_node node = *node_of(dir);
	struct file *f;
	uint64_t fd;
	uint32_t mode;

	if (str_to_u64(dentry->name, 10, &fd) || fd > INT32_MAX)
		return 0;
	if (file_of(&node, (unsigned)fd, false, &f))
		return 0;
	mode = S_IFLNK | (f->mode & FILE_READ ? 0500 : 0) | (f->mode & FILE_WRITE ? 0300 : 0);
	file_put(f);
	node.fd = (unsigned)fd;
	if (node.kind == PID_FDINFOS)
		mode = S_IFREG | 0400;
	node.kind = node.kind == PID_FDS ? PID_FD : PID_FDINFO;
	return attach(dir, dentry, &node, mode);
}

struct fd_listing {
	struct file *dir;
	struct dir_emitter *e;
	uint64_t *pos;
};

static int emit_fd(int fd, struct file *f, void *arg)
{
	struct fd_listing *l = arg;
	const struct pid_node *n = node_of(l->dir->inode);
	uint64_t pos = (uint64_t)fd + 2;
	char name[12];
	int len;

	(void)f;
	if (pos < *l->pos)
		return 0;
	len = fmt_string(name, sizeof(name), "%d", fd);
	if (!l->e->emit(l->e, name, (size_t)len, pid_ino(PID_FD, n->pid, n->tid, (unsigned)fd),
			n->kind == PID_FDS ? S_IFLNK >> 12 : S_IFREG >> 12, pos + 1))
		return 1;
	*l->pos = pos + 1;
	return 0;
}

static int fds_readdir(struct file *f, struct dir_emitter *e, uint64_t *pos)
{
	struct fd_listing l = { f, e, pos };
	struct fd_table *t;

	if (!emit_dots(f, e, pos))
		return 0;
	if (procfs_pid_ops->fds(node_of(f->inode)->pid, false, &t))
		return -ENOENT;
	fd_for_each(t, emit_fd, &l);
	fd_table_put(t);
	return 0;
}

static int file_text(struct file *f, char *buf, size_t size)
{
	if (f->path.dentry)
		return path_string(&f->path, buf, size);
	if (f->ops->name)
		return f->ops->name(f, buf, size);
	return fmt_string(buf, size, "anon_inode:[%lu]", (unsigned long)f->ino);
}

/* Copies as much of a link's text as the reader has room for; passes an errno on. */
static int give_text(char *buf, size_t size, const char *text, int len)
{
	if (len <= 0)
		return len;
	len = (size_t)len > size ? (int)size : len;
	memcpy(buf, text, (size_t)len);
	return len;
}

static ssize_t fd_readlink(struct inode *inode, char *buf, size_t size)
{
	struct file *f;
	char *text;
	int len = file_of(node_of(inode), node_of(inode)->fd, true, &f);

	if (len < 0)
		return len;
	text = kmalloc(LINK_TEXT_MAX);
	len = text ? file_text(f, text, LINK_TEXT_MAX) : -ENOMEM;
	file_put(f);
	len = give_text(buf, size, text, len);
	kfree(text);
	return len;
}

static int fd_follow(struct inode *inode, struct path *ret, struct file **ret_file)
{
	struct file *f;
	int error = file_of(node_of(inode), node_of(inode)->fd, true, &f);

	if (error)
		return error;
	if (!f->path.dentry) {
		*ret_file = f;
		return -ENXIO;
	}
	*ret = f->path;
	path_get(ret);
	file_put(f);
	return 0;
}


static int show_fdinfo(const struct pid_node *n, struct text_out *o)
{
	struct file *f;
	int error = file_of(n, n->fd, true, &f);

	if (error)
		return error;
	out_printf(o, "pos:\t%ld\nflags:\t0%o\n", (long)f->pos, f->flags);
	if (f->path.mount)
		out_printf(o, "mnt_id:\t%u\n", f->path.mount->id);
	if (f->ops->fdinfo)
		f->ops->fdinfo(f, o);
	file_put(f);
	return 0;
}

/* ---- exe, cwd, root ---- */

static int link_follow(struct inode *inode, struct path *ret, struct file **ret_file)
{
	const struct pid_node *n = node_of(inode);
	struct file *f = NULL;
	int error;

	(void)ret_file;
	*ret = (struct path){ NULL, NULL };
	error = procfs_pid_ops->link(n->pid, n->name, ret, &f);
	if (error || ret->dentry)
		return error;
	if (!f)
		return -ENOENT;
	*ret = f->path;
	path_get(ret);
	file_put(f);
	return 0;
}

static ssize_t link_readlink(struct inode *inode, char *buf, size_t size)
{
	char *text = kmalloc(LINK_TEXT_MAX);
	struct path path;
	int len;

	if (!text)
		return -ENOMEM;
	len = link_follow(inode, &path, NULL);
	if (!len) {
		len = path_string(&path, text, LINK_TEXT_MAX);
		path_put(&path);
	}
	len = give_text(buf, size, text, len);
	kfree(text);
	return len;
}

/* ---- ns/ ---- */

static int namespaces_lookup(struct inode *dir, struct dentry *dentry)
{
	struct pid_node node = *node_of(dir);

	for (const char *const *name = procfs_pid_ops->namespaces; *name; name++)
		if (str_equal(dentry->name, *name)) {
			node.kind = PID_NAMESPACE;
			node.name = *name;
			return attach(dir, dentry, &node, S_IFLNK | 0777);
		}
	return 0;
}

static int namespaces_readdir(struct file *f, struct dir_emitter *e, uint64_t *pos)
{
	const struct pid_node *n = node_of(f->inode);
	const char *name;

	if (!emit_dots(f, e, pos))
		return 0;
	for (; (name = procfs_pid_ops->namespaces[*pos - 2]); ++*pos)
		if (!e->emit(e, name, strlen(name), pid_ino(PID_NAMESPACE, n->pid, n->tid, (unsigned)*pos), S_IFLNK >> 12, *pos + 1))
			return 0;
	return 0;
}

static int namespace_of(const struct inode *inode, struct namespace **ret)
{
	const struct pid_node *n = node_of(inode);

	if (!procfs_pid_ops->may_look(n->pid))
		return -EACCES;
	*ret = procfs_pid_ops->ns(n->pid, n->tid, n->name);
	return *ret ? 0 : -ENOENT;
}

static ssize_t namespace_readlink(struct inode *inode, char *buf, size_t size)
{
	char text[48];
	struct namespace *ns;
	int len = namespace_of(inode, &ns);

	if (len < 0)
		return len;
	len = nsfs_text(ns, text, sizeof(text));
	namespace_put(ns);
	return give_text(buf, size, text, len);
}

static int namespace_follow(struct inode *inode, struct path *ret, struct file **ret_file)
{
	struct namespace *ns;
	int error = namespace_of(inode, &ns);

	(void)ret;
	if (!error)
		error = nsfs_open(ns, ret_file);
	return error ? error : -ENXIO; /* a file, and no path */
}

/* ---- texts ---- */

static int show_mounts(const struct pid_node *n, struct text_out *o)
{
	struct fs_context *fs = procfs_pid_ops->fs(n->pid);

	if (!fs)
		return -EINVAL; /* as Linux, of a zombie */
	mount_show(o, fs, n->kind == PID_MOUNTINFO);
	fs_context_put(fs);
	return 0;
}

static int show_text(struct text_out *o, struct inode *inode)
{
	const struct pid_node *n = node_of(inode);

	switch (n->kind) {
	case PID_FDINFO:
		return show_fdinfo(n, o);
	case PID_MOUNTS:
	case PID_MOUNTINFO:
		return show_mounts(n, o);
	default:
		return procfs_pid_ops->show(pids_of(inode->sb), n->pid, n->tid ? n->tid : n->pid, n->name, o);
	}
}

static ssize_t text_read_file(struct file *f, struct io_iter *to, int64_t *pos)
{
	return text_serve(f, to, pos, show_text);
}

/* What is written is one text, from the start of the file. */
static ssize_t text_write_file(struct file *f, struct io_iter *from, int64_t *pos)
{
	const struct pid_node *n = node_of(f->inode);
	size_t len = from->count;
	ssize_t result = -EFAULT;
	char *text;

	if (n->kind != PID_TEXT || !procfs_pid_ops->store || *pos != 0 || len >= PAGE_SIZE)
		return -EINVAL;
	text = kmalloc(len + 1);
	if (!text)
		return -ENOMEM;
	if (io_copy_from(from, text, len) == len) {
		text[len] = '\0';
		result = procfs_pid_ops->store(n->pid, n->tid ? n->tid : n->pid, n->name, f->cred, text, len);
	}
	kfree(text);
	if (result > 0)
		*pos += result;
	return result;
}

static int ignore_setattr(struct inode *inode, const struct file_attr *attr)
{
	(void)inode;
	return attr->set & ~(uint32_t)ATTR_SIZE ? -EPERM : 0;
}

static const struct inode_ops folder_ops = { .lookup = folder_lookup };
static const struct inode_ops tasks_ops = { .lookup = tasks_lookup };
static const struct inode_ops fds_ops = { .lookup = fds_lookup };
static const struct inode_ops text_ops = { .setattr = ignore_setattr };
static const struct inode_ops link_ops = { .readlink = link_readlink, .follow = link_follow };
static const struct inode_ops namespaces_ops = { .lookup = namespaces_lookup };
static const struct inode_ops namespace_ops = { .readlink = namespace_readlink, .follow = namespace_follow };
static const struct inode_ops fd_link_ops = { .readlink = fd_readlink, .follow = fd_follow };
static const struct file_ops folder_file_ops = { .readdir = folder_readdir, .seek = generic_seek };
static const struct file_ops tasks_file_ops = { .readdir = tasks_readdir, .seek = generic_seek };
static const struct file_ops namespaces_file_ops = { .readdir = namespaces_readdir, .seek = generic_seek };
static const struct file_ops fds_file_ops = { .readdir = fds_readdir, .seek = generic_seek };
static const struct file_ops text_ops_file = {
	.read = text_read_file,
	.write = text_write_file,
	.seek = text_seek,
	.release = text_release,
	.splice = SPLICE_READ,
};
