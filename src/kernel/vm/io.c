/* SPDX-License-Identifier: MIT */
/* Iterators over the buffers of a read or write. A copy goes buffer by buffer; it stops, short, at a bad user address. */
#include <cloudos/errno.h>
#include <cloudos/io.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/uaccess.h>

void io_iter_vector(struct io_iter *it, const struct io_vec *vec, uint32_t n, size_t total, bool user)
{
	it->vec = vec;
	it->vecs = n;
	it->user = user;
	it->append = it->nowait = false;
	it->offset = 0;
	it->count = total;
}

void io_advance(struct io_iter *it, size_t len)
{
	it->count -= len;
	it->offset += len;
	while (it->vecs > 1 && it->offset >= it->vec->len) {
		it->offset -= it->vec->len;
		it->vec++;
		it->vecs--;
	}
}

void io_revert(struct io_iter *it, size_t len)
{
	it->count += len;
	while (len > it->offset) {
		len -= it->offset;
		it->vec--;
		it->vecs++;
		it->offset = it->vec->len;
	}
	it->offset -= len;
}

/* Copies a piece that lies in one buffer, or (src null) clears it; bytes done. */
static size_t put(const struct io_iter *it, const void *src, size_t n)
{
	uint64_t at = it->vec->base + it->offset;

	if (likely(it->user))
		return n - (src ? hal_copy_to_user(at, src, n) : hal_clear_user(at, n));
	if (src)
		memcpy((void *)at, src, n);
	else
		memset((void *)at, 0, n);
	return n;
}

static size_t get(const struct io_iter *it, void *dst, size_t n)
{
	uint64_t at = it->vec->base + it->offset;

	if (likely(it->user))
		return n - hal_copy_from_user(dst, at, n);
	memcpy(dst, (const void *)at, n);
	return n;
}

static size_t copy_out(struct io_iter *it, const char *src, size_t len)
{
	size_t total = 0;

	len = min(len, it->count);
	while (total < len) {
		size_t n = min(it->vec->len - it->offset, len - total), done;

		done = n ? put(it, src ? src + total : NULL, n) : 0;
		total += done;
		io_advance(it, done);
		if (done < n)
			break;
	}
	return total;
}

size_t io_copy_to(struct io_iter *it, const void *src, size_t len)
{
	return copy_out(it, src, len);
}

size_t io_zero(struct io_iter *it, size_t len)
{
	return copy_out(it, NULL, len);
}

size_t io_copy_from(struct io_iter *it, void *dst, size_t len)
{
	size_t total = 0;

	len = min(len, it->count);
	while (total < len) {
		size_t n = min(it->vec->len - it->offset, len - total), done;

		done = n ? get(it, (char *)dst + total, n) : 0;
		total += done;
		io_advance(it, done);
		if (done < n)
			break;
	}
	return total;
}

/* ---- vectors from user programs ---- */

/* The sum of the lengths, a ssize_t: 0 or -EINVAL. */
static int add_up(const struct io_vec *vec, uint64_t n, size_t *ret_total)
{
	size_t total = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (vec[i].len > (uint64_t)INT64_MAX - total)
			return -EINVAL;
		total += vec[i].len;
	}
	*ret_total = total;
	return 0;
}

static bool ranges_ok(const struct io_vec *vec, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (!user_range_ok(vec[i].base, vec[i].len))
			return false;
	return true;
}

int io_import_foreign(uaddr_t addr, uint64_t n, struct io_vec *fast, uint32_t fast_n, struct io_vec **ret_vec, size_t *ret_total)
{
	struct io_vec *vec = fast;
	int err;

	if (n > IO_VEC_MAX)
		return -EINVAL;
	if (n > fast_n) {
		vec = kmalloc(n * sizeof(*vec));
		if (!vec)
			return -ENOMEM;
	}
	err = copy_from_user(vec, addr, n * sizeof(*vec));
	if (!err)
		err = add_up(vec, n, ret_total);
	if (err) {
		io_import_free(vec, fast);
		return err;
	}
	*ret_vec = vec;
	return 0;
}

int io_import(uaddr_t addr, uint64_t n, struct io_vec *fast, uint32_t fast_n, struct io_vec **ret_vec, struct io_iter *ret)
{
	struct io_vec *vec;
	size_t total;
	int err = io_import_foreign(addr, n, fast, fast_n, &vec, &total);

	if (err)
		return err;
	if (!ranges_ok(vec, n)) {
		io_import_free(vec, fast);
		return -EFAULT;
	}
	io_iter_vector(ret, vec, (uint32_t)n, min(total, RW_MAX), true);
	*ret_vec = vec;
	return 0;
}

void io_import_free(struct io_vec *vec, const struct io_vec *fast)
{
	if (vec != fast)
		kfree(vec);
}
