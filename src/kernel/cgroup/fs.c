/* SPDX-License-Identifier: MIT */
/*
 * The file system "cgroup2": a folder for each group, in it the group's files. There is one tree; a mount shows it from the root of its mounter's
 * cgroup namespace on. Folders come and go by mkdir(2) and rmdir(2), with their files; nothing else can be made, removed or renamed.
 *
 * A folder, and a file, holds its group. Who has a file open of a group that was removed gets ENODEV.
 */
#include <asm/poll.h>
#include <cloudos/io.h>
#include <cloudos/mm.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include "cgroup_internal.h"

#define STORED_MAX 4096 /* bytes of a write */

struct node {
	struct inode inode;
	struct cgroup *cgroup;		/* C: with a reference */
	const struct cgroup_file *file; /* C: null: the folder */
};

static struct slab_cache *node_cache;
static struct super_block *tree; /* the one */
bool cgroup_delegates;

static const struct inode_ops folder_ops;
static const struct file_ops file_ops;

static struct node *node_of(const struct inode *inode)
{
	return container_of((struct inode *)(uintptr_t)inode, struct node, inode);
}

static struct node *node_create(struct cgroup *cg, const struct cgroup_file *file, uint32_t mode)
{
	struct node *n = slab_alloc(node_cache);

	if (!n)
		return NULL;
	memfs_inode_init(&n->inode, tree, mode, file ? &text_inode_ops : &folder_ops, file ? &file_ops : NULL);
	if (file) {
		n->inode.flags |= INODE_LAZY_TEXT;
		mutex_init(&n->inode.lock, RANK_TEXT);
	}
	cgroup_get(cg);
	n->cgroup = cg;
	n->file = file;
	return n;
}

static void node_free(struct inode *inode)
{
	struct node *n = node_of(inode);

	cgroup_put(n->cgroup);
	slab_free(node_cache, n);
}

struct cgroup *cgroup_of_file(const struct file *f)
{
	return f->inode && f->inode->ops == &folder_ops ? node_of(f->inode)->cgroup : NULL;
}

struct inode *cgroup_procs_inode_locked(struct cgroup *cg)
{
	struct dentry *d = cg->folder ? memfs_child(cg->folder, "cgroup.procs") : NULL;
	struct inode *inode = d ? d->inode : NULL;

	if (!d)
		return NULL;
	inode_get(inode);
	dentry_put(d);
	return inode;
}

/* ---- reading and writing ---- */

static int make(struct text_out *o, struct inode *inode)
{
	const struct node *n = node_of(inode);

	if (READ_ONCE(n->cgroup->dead))
		return -ENODEV;
	if (!n->file->show)
		return -EINVAL;
	if (n->file->event >= 0)
		WRITE_ONCE(o->seen, __atomic_load_n(&n->cgroup->events[n->file->event], __ATOMIC_ACQUIRE));
	return n->file->show(n->cgroup, o);
}

static ssize_t read_file(struct file *f, struct io_iter *to, int64_t *pos)
{
	return text_serve(f, to, pos, make);
}

/* What stands at the root of a namespace is not for those in it to set, but for what is theirs to use. */
static bool is_withheld(const struct node *n)
{
	return READ_ONCE(cgroup_delegates) && n->cgroup == cgroup_namespace_root() && !cgroup_is_root(n->cgroup) && !(n->file->flags & FILE_DELEGATED);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

/* Without the blanks around it. */
static int store(const char *text, size_t len, void *arg)
{
	struct file *f = arg;
	const struct node *n = node_of(f->inode);
	char *copy;
	int err;

	while (len > 0 && is_blank(text[len - 1]))
		len--;
	while (len > 0 && is_blank(*text))
		text++, len--;
	copy = kmalloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	err = n->file->store(n->cgroup, f, copy, len);
	kfree(copy);
	return err;
}

static ssize_t write_file(struct file *f, struct io_iter *from, int64_t *pos)
{
	const struct node *n = node_of(f->inode);
	ssize_t done;

	if (!n->file->store)
		return -EINVAL;
	if (READ_ONCE(n->cgroup->dead))
		return -ENODEV;
	if (is_withheld(n))
		return -EPERM;
	if (from->count >= STORED_MAX)
		return -E2BIG;
	done = text_store(from, store, f);
	if (done > 0)
		*pos += done;
	return done;
}

static uint32_t poll_file(struct file *f, struct poll_table *pt)
{
	const struct node *n = node_of(f->inode);
	uint32_t ready = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;

	if (n->file->event < 0)
		return ready;
	poll_wait(pt, &n->cgroup->changed);
	if (text_seen(f) != __atomic_load_n(&n->cgroup->events[n->file->event], __ATOMIC_ACQUIRE))
		ready |= POLLERR | POLLPRI;
	return ready;
}

static const struct file_ops file_ops = {
	.read = read_file,
	.write = write_file,
	.seek = text_seek,
	.poll = poll_file,
	.release = text_release,
	.splice = SPLICE_READ,
};

/* ---- files come and go ---- */

static bool is_there(const struct cgroup *cg, const struct cgroup_file *file)
{
	return !(file->flags & (cgroup_is_root(cg) ? FILE_NOT_ON_ROOT : FILE_ON_ROOT_ONLY));
}

static int add_files(struct cgroup *cg, struct dentry *folder, const struct cgroup_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct node *n;
		int err;

		if (!is_there(cg, &files[i]))
			continue;
		n = node_create(cg, &files[i], S_IFREG | files[i].mode);
		err = n ? memfs_add_child(folder, files[i].name, &n->inode) : -ENOMEM;
		if (err) {
			if (n)
				inode_put(&n->inode);
			return err;
		}
	}
	return 0;
}

static void remove_files(struct dentry *folder, const struct cgroup_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		memfs_remove_child(folder, files[i].name);
}

void cgroup_files_remove(struct cgroup *cg, struct dentry *folder, uint32_t controllers)
{
	(void)cg;
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (controllers & cgroup_controllers[i]->bit)
			remove_files(folder, cgroup_controllers[i]->files, cgroup_controllers[i]->file_count);
}

int cgroup_files_add(struct cgroup *cg, struct dentry *folder, uint32_t controllers)
{
	int err = 0;

	for (int i = 0; i < CGROUP_CONTROLLERS && !err; i++)
		if (controllers & cgroup_controllers[i]->bit)
			err = add_files(cg, folder, cgroup_controllers[i]->files, cgroup_controllers[i]->file_count);
	if (err)
		cgroup_files_remove(cg, folder, controllers);
	return err;
}

static void empty_folder(struct cgroup *cg, struct dentry *folder)
{
	cgroup_files_remove(cg, folder, UINT32_MAX);
	remove_files(folder, cgroup_core_files, cgroup_core_file_count);
}

static int fill_folder(struct cgroup *cg, struct dentry *folder)
{
	int err = add_files(cg, folder, cgroup_core_files, cgroup_core_file_count);

	if (!err)
		err = cgroup_files_add(cg, folder, cgroup_controllers_of(cg));
	if (err)
		empty_folder(cg, folder);
	return err;
}

/* ---- groups come and go ---- */

static int make_group_locked(struct cgroup *parent, struct dentry *dentry, uint32_t mode)
{
	struct cgroup *cg;
	struct node *n;
	int err = cgroup_check_limits_locked(parent);

	if (!err)
		err = cgroup_create(parent, dentry->name, &cg);
	if (err)
		return err;
	n = node_create(cg, NULL, mode);
	err = n ? 0 : -ENOMEM;
	if (!err) {
		dentry_attach(dentry, &n->inode); /* whoever drops it drops the node */
		err = fill_folder(cg, dentry);
	}
	if (!err) {
		cgroup_link_locked(cg, dentry);
		for (int i = 0; i < CGROUP_CONTROLLERS; i++)
			if ((parent->subtree_control & cgroup_controllers[i]->bit) && cgroup_controllers[i]->start)
				cgroup_controllers[i]->start(cg);
	}
	cgroup_put(cg);
	return err;
}

static int make_group(struct inode *dir, struct dentry *dentry, uint32_t mode)
{
	int err;

	mutex_lock(&cgroup_mutex);
	err = make_group_locked(node_of(dir)->cgroup, dentry, mode);
	mutex_unlock(&cgroup_mutex);
	if (!err)
		memfs_dir_count(dir, 1, 1);
	return err;
}

static int remove_group(struct inode *dir, struct dentry *dentry)
{
	struct cgroup *cg = node_of(dentry->inode)->cgroup;
	int err;

	mutex_lock(&cgroup_mutex);
	err = cgroup_unlink_locked(cg);
	mutex_unlock(&cgroup_mutex);
	if (err)
		return err;
	empty_folder(cg, dentry);
	memfs_dir_count(dir, -1, -1);
	__atomic_fetch_sub(&dentry->inode->nlink, 2, __ATOMIC_RELAXED);
	return 0;
}

static const struct inode_ops folder_ops = { .mkdir = make_group, .rmdir = remove_group };

/* ---- mounting ---- */

static int statfs(struct super_block *sb, struct fs_statistics *ret)
{
	(void)sb;
	*ret = (struct fs_statistics){ .magic = CGROUP2_SUPER_MAGIC, .block_size = PAGE_SIZE };
	return 0;
}

static void show_options(struct super_block *sb, struct text_out *o)
{
	(void)sb;
	if (READ_ONCE(cgroup_delegates))
		out_printf(o, ",nsdelegate");
}

static int show_root(const struct dentry *root, char *buf, size_t size)
{
	return cgroup_path(node_of(root->inode)->cgroup, cgroup_namespace_root(), buf, size);
}

static const struct super_ops super_ops = { .inode_free = node_free, .statfs = statfs, .show_options = show_options, .show_root = show_root };

/* Options are the system's, and set from its first namespace. */
static int take_options(const char *options)
{
	bool delegates = str_equal(options, "nsdelegate");

	if (*options && !delegates)
		return -EINVAL;
	if (cgroup_namespace_root() == cgroup_root && cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
		WRITE_ONCE(cgroup_delegates, delegates);
	return 0;
}

static int check_option(const char *key, const char *value)
{
	if (!str_equal(key, "nsdelegate"))
		return -ENOENT;
	return value ? -EINVAL : 0;
}

static int mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	struct task *t = task_current();
	int err;

	(void)type, (void)source;
	if (t && !cred_capable_over(t->thread.cred, namespace_owner(cgroup_namespace_base(t->cgroup_ns)), CAP_SYS_ADMIN))
		return -EPERM;
	err = take_options(options);
	if (err)
		return err;
	refcount_get(&tree->refs);
	*ret = tree;
	return 0;
}

static int mount_root(struct super_block *sb, struct dentry **ret)
{
	struct dentry *folder;

	(void)sb;
	mutex_lock(&cgroup_mutex);
	folder = cgroup_namespace_root()->folder;
	if (folder)
		dentry_get(folder);
	mutex_unlock(&cgroup_mutex);
	if (!folder)
		return -ENODEV;
	*ret = folder;
	return 0;
}

static const struct fs_type type = {
	.name = "cgroup2",
	.magic = CGROUP2_SUPER_MAGIC,
	.in_user_namespaces = true,
	.mount = mount,
	.check = check_option,
	.mount_root = mount_root,
};

static int tree_create(void)
{
	struct node *n;

	tree = kmalloc(sizeof(*tree));
	if (!tree)
		return -ENOMEM;
	super_init(tree, &type, &super_ops, SB_PINNED | SB_SINGLE);
	n = node_create(cgroup_root, NULL, S_IFDIR | 0555);
	tree->root = n ? dentry_create_root(tree, &n->inode) : NULL;
	if (!tree->root)
		return -ENOMEM;
	n->inode.uid = n->inode.gid = 0;
	cgroup_root->folder = tree->root;
	return fill_folder(cgroup_root, tree->root);
}

int cgroup_fs_init(void)
{
	int err;

	node_cache = slab_cache_create("cgroup_node", sizeof(struct node), 0);
	err = node_cache ? tree_create() : -ENOMEM;
	return err ? err : fs_register(&type);
}
