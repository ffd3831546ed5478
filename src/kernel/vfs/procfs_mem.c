/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/mem: another program's memory as a file, positions being its addresses. Who may, is asked at open, and the file is of the address
 * space that was found then, for ever: whoever reads and writes later, by whatever rights, reaches no other program's, also when the process
 * has become another. The file keeps no memory: when nobody uses the space any more, there is nothing to read or to write. A write reaches
 * pages that the program itself may only read, as a debugger's does.
 *
 * file.private: the space, held (vm_space_hold); null: there was none.
 */
#include <cloudos/mm.h>
#include <cloudos/vm.h>
#include "procfs_internal.h"

static int mem_open(struct file *f)
{
	struct vm_space *s;
	int pid, tid, err;

	pid_of_inode(f->inode, &pid, &tid);
	err = procfs_pid_ops->space(tid ? tid : pid, &s);
	if (err < 0 || !s)
		return err;
	vm_space_hold(s);
	f->private = s;
	vm_space_put(s);
	return 0;
}

static void mem_release(struct file *f)
{
	if (f->private)
		vm_space_let_go(f->private);
}

static ssize_t access(struct vm_space *s, int64_t pos, void *buf, size_t len, bool write)
{
	ssize_t done = vm_access(s, (uaddr_t)pos, buf, len, write, true);

	return done < 0 ? -EIO : done;
}

/* As far as a page: bytes done, which may be fewer than n; 0: there is no more; or an errno. */
static ssize_t transfer(struct vm_space *s, struct io_iter *it, int64_t pos, char *page, size_t n, bool write)
{
	ssize_t done;

	if (write) {
		n = io_copy_from(it, page, n);
		if (!n)
			return -EFAULT;
	}
	done = access(s, pos, page, n, write);
	if (write && done < (ssize_t)n)
		io_revert(it, n - (size_t)max(done, (ssize_t)0));
	if (!write && done > 0) {
		done = (ssize_t)io_copy_to(it, page, (size_t)done);
		return done ? done : -EFAULT;
	}
	return done;
}

static ssize_t transfer_all(struct vm_space *s, struct io_iter *it, int64_t *pos, bool write)
{
	char *page = kmalloc(PAGE_SIZE);
	size_t total = 0;
	ssize_t done = 0;

	if (!page)
		return -ENOMEM;
	while (it->count) {
		size_t n = min(it->count, PAGE_SIZE - ((uint64_t)*pos & ~PAGE_MASK));

		done = transfer(s, it, *pos, page, n, write);
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

static ssize_t use(struct file *f, struct io_iter *it, int64_t *pos, bool write)
{
	struct vm_space *s = f->private;
	ssize_t done;

	if (!s || !vm_space_use(s))
		return 0;
	done = transfer_all(s, it, pos, write);
	vm_space_put(s);
	return done;
}

static ssize_t mem_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	return use(f, to, pos, false);
}

static ssize_t mem_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	return use(f, from, pos, true);
}

static int64_t mem_seek(struct file *f, int64_t offset, int whence)
{
	if (whence == SEEK_END)
		return -EINVAL;
	return seek_within(f, offset, whence, INT64_MAX);
}

const struct file_ops pid_mem_ops = {
	.open = mem_open, .release = mem_release, .read = mem_read, .write = mem_write, .seek = mem_seek,
};
