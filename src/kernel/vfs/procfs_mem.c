/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/mem: another program's memory as a file, positions being its addresses. Who may, is asked at open and again at each read and write:
 * the process may have become another program meanwhile. A write reaches pages that the program itself may only read, as a debugger's does.
 */
#include <cloudos/mm.h>
#include "procfs_internal.h"

static ssize_t access(const struct file *f, int64_t pos, void *buf, size_t len, bool write)
{
	int pid, tid;

	pid_of_inode(f->inode, &pid, &tid);
	return procfs_pid_ops->access(tid ? tid : pid, (uaddr_t)pos, buf, len, write);
}

static int mem_open(struct file *f)
{
	ssize_t n = access(f, 0, NULL, 0, false);

	return n < 0 ? (int)n : 0;
}

/* As far as a page: bytes done, which may be fewer than n; 0: there is no more; or an errno. */
static ssize_t transfer(const struct file *f, struct io_iter *it, int64_t pos, char *page, size_t n, bool write)
{
	ssize_t done;

	if (write) {
		n = io_copy_from(it, page, n);
		if (!n)
			return -EFAULT;
	}
	done = access(f, pos, page, n, write);
	if (write && done < (ssize_t)n)
		io_revert(it, n - (size_t)max(done, (ssize_t)0));
	if (!write && done > 0) {
		done = (ssize_t)io_copy_to(it, page, (size_t)done);
		return done ? done : -EFAULT;
	}
	return done;
}

static ssize_t transfer_all(const struct file *f, struct io_iter *it, int64_t *pos, bool write)
{
	char *page = kmalloc(PAGE_SIZE);
	size_t total = 0;
	ssize_t done = 0;

	if (!page)
		return -ENOMEM;
	while (it->count) {
		size_t n = min(it->count, PAGE_SIZE - ((uint64_t)*pos & ~PAGE_MASK));

		done = transfer(f, it, *pos, page, n, write);
		if (done <= 0)
			break;
		total += (size_t)done;
		*pos += done;
		if ((size_t)done < n || thread_signal_pending())
			break;
		sched_point();
	}
	kfree(page);
	return total ? (ssize_t)total : done;
}

static ssize_t mem_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	return transfer_all(f, to, pos, false);
}

static ssize_t mem_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	return transfer_all(f, from, pos, true);
}

static int64_t mem_seek(struct file *f, int64_t offset, int whence)
{
	if (whence == SEEK_END)
		return -EINVAL;
	return seek_within(f, offset, whence, INT64_MAX);
}

const struct file_ops pid_mem_ops = { .open = mem_open, .read = mem_read, .write = mem_write, .seek = mem_seek };
