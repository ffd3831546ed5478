/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a read or write go to or come from: user buffers (one, or a readv/writev vector) or kernel memory. File
 * operations see only this.
 */
#ifndef CLOUDOS_IO_H
#define CLOUDOS_IO_H

#include <cloudos/types.h>

#define IO_VEC_MAX 1024 /* UIO_MAXIOV */
#define RW_MAX	   ((size_t)INT32_MAX & ~(size_t)(PAGE_SIZE - 1)) /* bytes of one call, as on Linux */

/* Laid out as Linux's struct iovec. */
struct io_vec {
	uint64_t base; /* user address, or the kernel pointer */
	uint64_t len;
};

struct io_iter {
	const struct io_vec *vec;
	uint32_t vecs;
	bool user;
	bool append; /* a write goes to the file's end, as with O_APPEND */
	bool nowait; /* -EAGAIN instead of a wait, as with O_NONBLOCK; for files whose operations say that they look (file_ops.nowait) */
	size_t offset; /* in vec[0] */
	size_t count;  /* bytes left in all */
	struct io_vec one; /* storage of a single buffer */
};

static inline void io_iter_user(struct io_iter *it, uaddr_t base, size_t len)
{
	it->one = (struct io_vec){ base, len };
	it->vec = &it->one;
	it->vecs = 1;
	it->user = true;
	it->append = it->nowait = false;
	it->offset = 0;
	it->count = len;
}

static inline void io_iter_kernel(struct io_iter *it, const void *base, size_t len)
{
	io_iter_user(it, (uintptr_t)base, len);
	it->user = false;
}

/* Takes over vec[0..n), whose ranges were checked by io_import(). */
void io_iter_vector(struct io_iter *it, const struct io_vec *vec, uint32_t n, size_t total, bool user);

/*
 * Copies an iovec array in and checks it (lengths, sum <= SSIZE_MAX, user ranges): 0, -EINVAL, -EFAULT, -ENOMEM. *ret ends after RW_MAX
 * bytes. Small arrays use `fast` (fast_n entries); *ret_vec must be given to io_import_free(ret_vec, fast).
 */
int io_import(uaddr_t vec, uint64_t n, struct io_vec *fast, uint32_t fast_n, struct io_vec **ret_vec, struct io_iter *ret);
/* The same for an array whose addresses are of another space: they are not looked at. Lengths are; *ret_total is their sum. */
int io_import_foreign(uaddr_t vec, uint64_t n, struct io_vec *fast, uint32_t fast_n, struct io_vec **ret_vec, size_t *ret_total);
void io_import_free(struct io_vec *vec, const struct io_vec *fast);

/* Copy up to len bytes into (read) / out of (write) the iterator and advance it; return the bytes copied: fewer = a bad address. May sleep. */
size_t io_copy_to(struct io_iter *it, const void *src, size_t len);
size_t io_copy_from(struct io_iter *it, void *dst, size_t len);
size_t io_zero(struct io_iter *it, size_t len);
void io_advance(struct io_iter *it, size_t len);
/* Undoes the last `len` bytes advanced (within the same call chain). */
void io_revert(struct io_iter *it, size_t len);

#endif
