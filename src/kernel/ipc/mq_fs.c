/* SPDX-License-Identifier: MIT */
/*
 * The file system "mqueue": one folder with the message queues. mq_open(2) finds them by name in a mount of it that no path leads to;
 * where it is mounted besides (/dev/mqueue), they can be listed, opened, removed, and read: a line that says how they stand.
 *
 * A queue lives as long as its inode: until it has no name and no open file any more. Each IPC namespace has an instance, which outlives it
 * where somebody has mounted it or has a queue open; then its queues can be used and removed, but none be made (EACCES, as on Linux). Limits and
 * count are the instance's, whoever makes a queue in it.
 */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/format.h>
#include <cloudos/string.h>
#include <linux/capability.h>
#include "mq_internal.h"

#define MQUEUE_MAGIC 0x19800202 /* statfs(2) has it; no header does */
#define FILE_SIZE   80 /* st_size of a queue, as on Linux */
#define STATUS_SIZE 80 /* of the text: at most */
#define RAM_A_MESSAGE 48 /* that Linux counts for a message, and for each priority that may occur, beside the text */

static struct slab_cache *queue_cache;
static const struct file_ops mq_file_ops;

static struct mq *mq_of_inode(struct inode *inode)
{
	return container_of(inode, struct mq, inode);
}

struct mq *mq_of(const struct file *f)
{
	return f->ops == &mq_file_ops ? mq_of_inode(f->inode) : NULL;
}

uint64_t mq_size_of(const struct mq *q)
{
	return q->size_max;
}

/* ---- open queues ---- */

static ssize_t mq_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct mq *q = mq_of(f);
	const struct mq_listener *l = &q->listener;
	char text[STATUS_SIZE];
	size_t len, n;

	mutex_lock(&q->lock);
	len = (size_t)fmt_string(text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", (unsigned long)q->bytes, l->how,
				 l->how == SIGEV_SIGNAL ? l->signo : 0, l->process ? pid_seen(process_pid(l->process)) : 0);
	mutex_unlock(&q->lock);
	if (*pos < 0 || (uint64_t)*pos >= len)
		return 0;
	n = min(len - (size_t)*pos, to->count);
	if (io_copy_to(to, text + *pos, n) != n)
		return -EFAULT;
	*pos += (int64_t)n;
	return (ssize_t)n;
}

static uint32_t mq_poll(struct file *f, struct poll_table *pt)
{
	struct mq *q = mq_of(f);
	uint64_t count;

	poll_wait(pt, &q->changed);
	count = READ_ONCE(q->count);
	return (count > 0 ? POLLIN | POLLRDNORM : 0) | (count < q->count_max ? POLLOUT | POLLWRNORM : 0);
}

static void mq_flush(struct file *f)
{
	struct mq *q = mq_of(f);

	mutex_lock(&q->lock);
	(void)mq_withdraw_locked(q);
	mutex_unlock(&q->lock);
}

static const struct file_ops mq_file_ops = {
	.read = mq_read,
	.seek = generic_seek,
	.poll = mq_poll,
	.flush = mq_flush,
};

void mq_get(struct file *f, struct mq_attr *ret)
{
	const struct mq *q = mq_of(f);

	*ret = (struct mq_attr){
		.mq_flags = READ_ONCE(f->flags) & O_NONBLOCK,
		.mq_maxmsg = (__kernel_long_t)q->count_max,
		.mq_msgsize = (__kernel_long_t)q->size_max,
		.mq_curmsgs = (__kernel_long_t)READ_ONCE(q->count),
	};
}

void mq_set_nonblocking(struct file *f, bool on)
{
	if (on)
		__atomic_fetch_or(&f->flags, (uint32_t)O_NONBLOCK, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&f->flags, ~(uint32_t)O_NONBLOCK, __ATOMIC_RELAXED);
}

/* ---- making ---- */

static struct mq_instance *instance_of(struct super_block *sb)
{
	return sb->private;
}

/* How large the queue is to be: 0, -EINVAL. */
static int choose_size(const struct mq_instance *in, const struct mq_attr *attr, struct mq *q)
{
	uint64_t count_max = READ_ONCE(in->count_max), size_max = READ_ONCE(in->size_max);

	if (!attr) {
		q->count_max = min(count_max, READ_ONCE(in->count_default));
		q->size_max = min(size_max, READ_ONCE(in->size_default));
		return 0;
	}
	if (cred_capable(thread_current()->cred, CAP_SYS_RESOURCE)) {
		count_max = MQ_COUNT_HARD;
		size_max = MQ_SIZE_HARD;
	}
	if (attr->mq_maxmsg <= 0 || attr->mq_msgsize <= 0 || (uint64_t)attr->mq_maxmsg > count_max || (uint64_t)attr->mq_msgsize > size_max)
		return -EINVAL;
	q->count_max = (uint64_t)attr->mq_maxmsg;
	q->size_max = (uint64_t)attr->mq_msgsize;
	return 0;
}

/* M5: 0 or -EMFILE. */
static int charge(struct mq *q)
{
	q->charged = q->count_max * (q->size_max + RAM_A_MESSAGE) + min(q->count_max, (uint64_t)MQ_PRIO_MAX) * RAM_A_MESSAGE;
	q->account = account_charge_queue(q->charged);
	return q->account ? 0 : -EMFILE;
}

static int count_in(struct mq_instance *in)
{
	bool most = cred_capable(thread_current()->cred, CAP_SYS_RESOURCE);

	if (READ_ONCE(in->ended))
		return -EACCES;
	return ipc_take(&in->queues, 1, most ? UINT64_MAX : READ_ONCE(in->queues_max)) ? 0 : -ENOSPC;
}

static void count_out(struct mq_instance *in)
{
	__atomic_sub_fetch(&in->queues, 1, __ATOMIC_RELAXED);
}

/* A queue that is counted and charged for; its inode is not set up. */
static int create(struct mq_instance *in, const struct mq_attr *attr, struct mq **ret)
{
	struct mq *q;
	int error = count_in(in);

	if (error)
		return error;
	q = slab_alloc(queue_cache);
	error = q ? choose_size(in, attr, q) : -ENOMEM;
	if (!error)
		error = charge(q);
	if (error) {
		slab_free(queue_cache, q);
		count_out(in);
		return error;
	}
	mq_setup(q);
	*ret = q;
	return 0;
}

static int make(struct inode *dir, struct dentry *dentry, uint32_t mode, const void *attr)
{
	static const struct inode_ops queue_ops;
	struct mq *q;
	int error = create(instance_of(dir->sb), attr, &q);

	if (error)
		return error;
	inode_init(&q->inode, dir->sb, mode);
	q->inode.ops = &queue_ops;
	q->inode.file_ops = &mq_file_ops;
	q->inode.size = FILE_SIZE;
	dentry_attach(dentry, &q->inode);
	memfs_dir_count(dir, 1, 0);
	return 0;
}

/* open(2) with O_CREAT, where the file system is mounted. */
static int make_default(struct inode *dir, struct dentry *dentry, uint32_t mode)
{
	return make(dir, dentry, mode, NULL);
}

static void free_inode(struct inode *inode)
{
	struct mq_instance *in = instance_of(inode->sb);
	struct mq *q;

	if (inode->file_ops != &mq_file_ops) {
		memfs_inode_free(inode);
		return;
	}
	q = mq_of_inode(inode);
	mq_forget_locked(q); /* nobody else has it any more */
	mq_drop_messages(q);
	account_uncharge_queue(q->account, q->charged);
	slab_free(queue_cache, q); /* with the inode */
	count_out(in);
}

int mqueue_open(const char *name, uint32_t flags, uint32_t mode, const struct mq_attr *attr, struct file **ret)
{
	const struct child_make how = { make, attr };

	return vfs_open_child(&ipc_current()->mq_root, name, flags, mode, &how, ret);
}

int mqueue_unlink(const char *name)
{
	return vfs_unlink_child(&ipc_current()->mq_root, name);
}

/* ---- the file system ---- */

static int mqueue_statfs(struct super_block *sb, struct fs_statistics *ret)
{
	(void)sb;
	*ret = (struct fs_statistics){ .magic = MQUEUE_MAGIC, .block_size = PAGE_SIZE };
	return 0;
}

static void mqueue_destroy(struct super_block *sb)
{
	kfree(sb->private);
	kfree(sb);
}

static int mqueue_mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	struct super_block *sb = ipc_current()->mq_root.dentry->inode->sb;

	(void)type, (void)source, (void)options;
	if (thread_current()->cred && !ipc_capable(CAP_SYS_ADMIN))
		return -EPERM;
	refcount_get(&sb->refs);
	*ret = sb;
	return 0;
}

static const struct inode_ops folder_ops = { .create = make_default, .unlink = memfs_unlink };
static const struct super_ops mqueue_super_ops = { .inode_free = free_inode, .statfs = mqueue_statfs, .destroy = mqueue_destroy };
static const struct fs_type mqueue_type = { .name = "mqueue", .magic = MQUEUE_MAGIC, .mount = mqueue_mount, .in_user_namespaces = true };

int mq_begin(struct ipc_namespace *ns)
{
	struct mq_instance *in = kmalloc(sizeof(*in));
	struct super_block *sb;

	if (!in)
		return -ENOMEM;
	*in = (struct mq_instance){
		.queues_max = MQ_QUEUES_DEFAULT,
		.count_max = MQ_COUNT_DEFAULT,
		.count_default = MQ_COUNT_DEFAULT,
		.size_max = MQ_SIZE_DEFAULT,
		.size_default = MQ_SIZE_DEFAULT,
	};
	if (memfs_super_create(&mqueue_type, &mqueue_super_ops, SB_PINNED, &folder_ops, S_ISVTX | 0777, &sb)) {
		kfree(in);
		return -ENOMEM;
	}
	sb->private = in;
	ns->mq_root.mount = mount_create_hidden(sb, "mqueue");
	if (!ns->mq_root.mount) {
		super_put(sb);
		return -ENOMEM;
	}
	ns->mq_root.dentry = sb->root;
	dentry_get(sb->root);
	ns->mq = in;
	return 0;
}

void mq_end(struct ipc_namespace *ns)
{
	if (!ns->mq)
		return;
	WRITE_ONCE(ns->mq->ended, true);
	path_put(&ns->mq_root); /* and with it the instance, if nobody else has it */
}

int mq_init(void)
{
	queue_cache = slab_cache_create("mqueue", sizeof(struct mq), 0);
	return queue_cache ? fs_register(&mqueue_type) : -ENOMEM;
}
