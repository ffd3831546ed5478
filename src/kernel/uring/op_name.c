/* SPDX-License-Identifier: MIT */
/*
 * Operations on names, and descriptors that they make or close. The names are taken when the request is submitted. Opening may wait (a FIFO
 * without another end) and is a worker's.
 */
#include "uring_internal.h"
#include <asm/fcntl.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <cloudos/fs.h>
#include <cloudos/uring.h>
#include "call_fd.h"
#include "call_name.h"
#include "call_open.h"
#include "call_stat.h"

/* r->data. */
struct names {
	struct name_arg first, second; /* text null: not there */
	struct open_request open;
};

static void names_cleanup(struct uring_request *r)
{
	struct names *n = r->data;

	if (!n)
		return;
	if (n->first.text)
		name_put(&n->first);
	if (n->second.text)
		name_put(&n->second);
	kfree(n);
}

/* Takes one name or two (second 0: one). What is taken goes with the request. */
static int names_prep(struct uring_request *r, uaddr_t first, uaddr_t second, bool two)
{
	struct names *n;
	int err;

	if (r->sqe.flags & IOSQE_FIXED_FILE)
		return -EBADF;
	n = kmalloc(sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->first.text = n->second.text = NULL;
	r->data = n;
	err = name_get(&n->first, first);
	if (err) {
		n->first.text = NULL;
		return err;
	}
	if (!two)
		return 0;
	err = name_get(&n->second, second);
	if (err)
		n->second.text = NULL;
	return err;
}

static const struct names *names(const struct uring_request *r)
{
	return r->data;
}

/* ---- OP_OPENAT, OP_OPENAT2 ---- */

static int open_prep(struct uring_request *r, const struct open_request *open)
{
	int err;

	if (r->sqe.buf_index || (r->sqe.file_index && (open->flags & O_CLOEXEC)))
		return -EINVAL;
	err = names_prep(r, r->sqe.addr, 0, false);
	if (!err)
		((struct names *)r->data)->open = *open;
	return err;
}

static int openat_prep(struct uring_request *r)
{
	struct open_request open;

	call_open_flags(r->sqe.open_flags, r->sqe.len, &open);
	return open_prep(r, &open);
}

static int openat2_prep(struct uring_request *r)
{
	struct open_request open;
	int err = call_open_how(r->sqe.addr2, r->sqe.len, &open);

	return err ? err : open_prep(r, &open);
}

static int64_t open_issue(struct uring_request *r, bool may_block)
{
	const struct names *n = names(r);
	struct file *f;
	int err = vfs_open_request(r->sqe.fd, n->first.text, &n->open, &f);

	(void)may_block;
	if (err)
		return err;
	return r->sqe.file_index ? uring_file_install(r->ring, f, r->sqe.file_index) : fd_give(f, n->open.flags & O_CLOEXEC);
}

const struct uring_op op_openat = { .prep = openat_prep, .issue = open_issue, .cleanup = names_cleanup, .flags = OP_BLOCKS };
const struct uring_op op_openat2 = { .prep = openat2_prep, .issue = open_issue, .cleanup = names_cleanup, .flags = OP_BLOCKS };

/* ---- OP_CLOSE ---- */

static int close_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if (s->off || s->addr || s->len || s->rw_flags || s->buf_index)
		return -EINVAL;
	if (s->flags & IOSQE_FIXED_FILE)
		return -EBADF;
	return s->file_index && s->fd ? -EINVAL : 0;
}

static int64_t close_issue(struct uring_request *r, bool may_block)
{
	struct file *f;
	bool ring;

	(void)may_block;
	if (r->sqe.file_index)
		return uring_file_remove(r->ring, r->sqe.file_index - 1);
	f = fd_get(r->sqe.fd);
	if (!f)
		return -EBADF;
	ring = file_is_uring(f);
	file_put(f);
	return ring ? -EBADF : fd_close(r->sqe.fd);
}

const struct uring_op op_close = { .prep = close_prep, .issue = close_issue };

/* ---- OP_STATX ---- */

static int statx_prep(struct uring_request *r)
{
	int err = r->sqe.buf_index || r->sqe.splice_fd_in ? -EINVAL : call_statx_check(r->sqe.statx_flags, r->sqe.len);

	return err ? err : names_prep(r, r->sqe.addr, 0, false);
}

static int64_t statx_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return call_statx(r->sqe.fd, names(r)->first.text, r->sqe.statx_flags, r->sqe.addr2);
}

const struct uring_op op_statx = { .prep = statx_prep, .issue = statx_issue, .cleanup = names_cleanup };

/* ---- the tree ---- */

static bool unused(const struct uring_request *r, bool off, bool len, bool flags)
{
	const struct io_uring_sqe *s = &r->sqe;

	return !s->buf_index && !s->splice_fd_in && !(off && s->off) && !(len && s->len) && !(flags && s->rw_flags);
}

static int rename_prep(struct uring_request *r)
{
	return r->sqe.buf_index || r->sqe.splice_fd_in ? -EINVAL : names_prep(r, r->sqe.addr, r->sqe.addr2, true);
}

static int64_t rename_issue(struct uring_request *r, bool may_block)
{
	const struct names *n = names(r);

	(void)may_block;
	return vfs_rename(r->sqe.fd, n->first.text, (int)r->sqe.len, n->second.text, r->sqe.rename_flags);
}

const struct uring_op op_rename = { .prep = rename_prep, .issue = rename_issue, .cleanup = names_cleanup };

static int unlink_prep(struct uring_request *r)
{
	if (!unused(r, true, true, false) || (r->sqe.unlink_flags & ~(unsigned)AT_REMOVEDIR))
		return -EINVAL;
	return names_prep(r, r->sqe.addr, 0, false);
}

static int64_t unlink_issue(struct uring_request *r, bool may_block)
{
	const char *name = names(r)->first.text;

	(void)may_block;
	return r->sqe.unlink_flags & AT_REMOVEDIR ? vfs_rmdir(r->sqe.fd, name) : vfs_unlink(r->sqe.fd, name);
}

const struct uring_op op_unlink = { .prep = unlink_prep, .issue = unlink_issue, .cleanup = names_cleanup };

static int mkdir_prep(struct uring_request *r)
{
	return unused(r, true, false, true) ? names_prep(r, r->sqe.addr, 0, false) : -EINVAL;
}

static int64_t mkdir_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return vfs_mkdir(r->sqe.fd, names(r)->first.text, r->sqe.len);
}

const struct uring_op op_mkdir = { .prep = mkdir_prep, .issue = mkdir_issue, .cleanup = names_cleanup };

static int symlink_prep(struct uring_request *r)
{
	return unused(r, false, true, true) ? names_prep(r, r->sqe.addr, r->sqe.addr2, true) : -EINVAL;
}

static int64_t symlink_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return vfs_symlink(names(r)->first.text, r->sqe.fd, names(r)->second.text);
}

const struct uring_op op_symlink = { .prep = symlink_prep, .issue = symlink_issue, .cleanup = names_cleanup };

static int link_prep(struct uring_request *r)
{
	unsigned flags = r->sqe.hardlink_flags;

	if (r->sqe.buf_index || r->sqe.splice_fd_in || (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	return names_prep(r, r->sqe.addr, r->sqe.addr2, true);
}

static int64_t link_issue(struct uring_request *r, bool may_block)
{
	const struct names *n = names(r);

	(void)may_block;
	if ((r->sqe.hardlink_flags & AT_EMPTY_PATH) && !cred_capable(thread_current()->cred, CAP_DAC_READ_SEARCH))
		return -ENOENT;
	return vfs_link(r->sqe.fd, n->first.text, (int)r->sqe.len, n->second.text, r->sqe.hardlink_flags);
}

const struct uring_op op_link = { .prep = link_prep, .issue = link_issue, .cleanup = names_cleanup };
