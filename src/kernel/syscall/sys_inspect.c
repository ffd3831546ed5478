/* SPDX-License-Identifier: MIT */
/* What a debugger, a tracer or a memory manager does to other processes: reading and writing their memory, advising on it, comparing them. */
#include <asm/mman.h>
#include <cloudos/cred.h>
#include <cloudos/errno.h>
#include <cloudos/inspect.h>
#include <cloudos/io.h>
#include <cloudos/mm.h>
#include <cloudos/pidfd.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include "syscalls_gen.h"

#define VECS_FAST 8 /* ranges that need no memory */

/* ---- process_vm_readv, process_vm_writev ---- */

/* A transfer between the running thread's buffers and another space, a page at a time. */
struct transfer {
	struct vm_space *space;
	struct io_iter local;
	char *page;
	bool write; /* into the other space */
};

/* Up to a page: bytes done; fewer than n when either side cannot be reached. */
static size_t transfer_piece(struct transfer *t, uaddr_t at, size_t n)
{
	ssize_t done;

	if (!t->write) {
		done = vm_access(t->space, at, t->page, n, false, false);
		return done > 0 ? io_copy_to(&t->local, t->page, (size_t)done) : 0;
	}
	n = io_copy_from(&t->local, t->page, n);
	done = n ? vm_access(t->space, at, t->page, n, true, false) : 0;
	return done > 0 ? (size_t)done : 0;
}

/* False when the range could not be done to its end. */
static bool transfer_range(struct transfer *t, const struct io_vec *range, size_t *total)
{
	size_t len = min((size_t)range->len, t->local.count), at = 0;

	while (at < len) {
		size_t n = min(len - at, PAGE_SIZE - ((range->base + at) & ~PAGE_MASK)), done;

		done = transfer_piece(t, range->base + at, n);
		*total += done;
		at += done;
		if (done < n || thread_exit_pending())
			return false;
		sched_point();
	}
	return true;
}

static int64_t transfer_all(struct transfer *t, int pid, const struct io_vec *remote, uint64_t n)
{
	int err = inspect_get_vm(pid, INSPECT_REAL, &t->space);
	size_t total = 0;

	if (err < 0)
		return err;
	t->page = kmalloc(PAGE_SIZE);
	if (t->page)
		for (uint64_t i = 0; i < n && t->local.count; i++)
			if (!transfer_range(t, &remote[i], &total))
				break;
	err = t->page ? -EFAULT : -ENOMEM;
	kfree(t->page);
	vm_space_put(t->space);
	return total ? (int64_t)total : err;
}

static int64_t transfer_remote(struct transfer *t, int pid, uaddr_t vec, size_t n)
{
	struct io_vec fast[VECS_FAST], *remote;
	size_t total;
	int64_t result = io_import_foreign(vec, n, fast, VECS_FAST, &remote, &total);

	if (result < 0)
		return result;
	if (total)
		result = transfer_all(t, pid, remote, n);
	io_import_free(remote, fast);
	return result;
}

static int64_t process_vm(int pid, uaddr_t vec, size_t n, uaddr_t remote, size_t remote_n, uint64_t flags, bool write)
{
	struct io_vec fast[VECS_FAST], *local;
	struct transfer t = { .write = write };
	int64_t result;

	if (flags)
		return -EINVAL;
	result = io_import(vec, n, fast, VECS_FAST, &local, &t.local);
	if (result < 0)
		return result;
	if (t.local.count)
		result = transfer_remote(&t, pid, remote, remote_n);
	io_import_free(local, fast);
	return result;
}

int64_t sys_process_vm_readv(int pid, uaddr_t vec, size_t n, uaddr_t remote, size_t remote_n, uint64_t flags)
{
	return process_vm(pid, vec, n, remote, remote_n, flags, false);
}

int64_t sys_process_vm_writev(int pid, uaddr_t vec, size_t n, uaddr_t remote, size_t remote_n, uint64_t flags)
{
	return process_vm(pid, vec, n, remote, remote_n, flags, true);
}

/* ---- process_madvise, process_mrelease ---- */

/* Advice that costs the other process time at most. */
static bool advice_for_others(int advice)
{
	return advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_WILLNEED;
}

/* The space of what a descriptor stands for, by one of the functions of pidfd.h. */
static int get_space(int pidfd, int (*get)(struct process_handle *, struct vm_space **), struct vm_space **ret)
{
	struct process_handle *h;
	bool put;
	struct file *f = fd_begin(pidfd, &put);
	int err = -EBADF;

	if (!f)
		return -EBADF;
	h = pidfd_handle(f);
	if (h)
		err = get(h, ret);
	fd_end(f, put);
	return err;
}

/* `total`: how many bytes at most, as any call with several ranges. */
static int64_t advise_all(struct vm_space *s, const struct io_vec *ranges, uint64_t n, uint64_t total, int advice)
{
	uint64_t done = 0;

	for (uint64_t i = 0; i < n && done < total; i++) {
		uint64_t len = min(ranges[i].len, total - done);
		int err = vm_advise(s, ranges[i].base, len, advice);

		if (err < 0)
			return done ? (int64_t)done : err;
		done += len;
	}
	return (int64_t)done;
}

static int64_t advise(int pidfd, const struct io_vec *ranges, uint64_t n, uint64_t total, int advice)
{
	struct vm_space *s;
	int64_t result = get_space(pidfd, pidfd_get_vm, &s);

	if (result == -EBADF)
		return result;
	if (!advice_for_others(advice)) {
		if (result == 0)
			vm_space_put(s);
		return -EINVAL;
	}
	if (result < 0)
		return result == -EPERM ? -EACCES : result;
	result = cred_capable(thread_current()->cred, CAP_SYS_NICE) ? advise_all(s, ranges, n, total, advice) : -EPERM;
	vm_space_put(s);
	return result;
}

int64_t sys_process_madvise(int pidfd, uaddr_t vec, size_t n, int advice, unsigned flags)
{
	struct io_vec fast[VECS_FAST], *ranges;
	struct io_iter all;
	int64_t result;

	if (flags)
		return -EINVAL;
	result = io_import(vec, n, fast, VECS_FAST, &ranges, &all);
	if (result < 0)
		return result;
	result = advise(pidfd, ranges, n, all.count, advice);
	io_import_free(ranges, fast);
	return result;
}

int64_t sys_process_mrelease(int pidfd, unsigned flags)
{
	struct vm_space *s;
	int err;

	if (flags)
		return -EINVAL;
	err = get_space(pidfd, pidfd_get_dying_vm, &s);
	if (err < 0)
		return err;
	vm_release(s);
	vm_space_put(s);
	return 0;
}

/* ---- kcmp ---- */

int64_t sys_kcmp(int pid1, int pid2, int type, uint64_t fd1, uint64_t fd2)
{
	struct kcmp_epoll_slot slot;

	if (type != KCMP_EPOLL_TFD)
		return inspect_compare(pid1, pid2, type, fd1, fd2);
	return copy_from_user(&slot, fd2, sizeof(slot)) ? -EFAULT : inspect_compare_watched(pid1, pid2, fd1, &slot);
}
