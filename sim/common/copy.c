/* SPDX-License-Identifier: MIT */
/*
 * User memory from the kernel: looked up page by page in the active address space, then copied through the
 * direct map. Where the walk finds nothing, the kernel's fault handler decides, as it would for a fault of
 * the copy instruction on metal.
 *
 * The page's bytes may be written by user code at the same time; ThreadSanitizer does not see stubs, and of
 * two kernel copies to one place the program has only itself to blame, so these copies are not instrumented
 * for it.
 */
#include <asm/errno.h>

#include <hal/hal.h>
#include <sim/sanitizer.h>
#include <sim/walk.h>

#ifdef SIM_TSAN

#define UNRACED __attribute__((no_sanitize("thread")))

static inline void copy_bytes(void *dst, const void *src, size_t len)
{
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(len) : : "memory");
}

static inline void clear_bytes(void *dst, size_t len)
{
	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(len) : "a"(0) : "memory");
}

#else

#define UNRACED

void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);

static inline void copy_bytes(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}

static inline void clear_bytes(void *dst, size_t len)
{
	memset(dst, 0, len);
}

#endif

/*
 * The byte at `addr` for an access, after as many faults as it takes; null when the kernel refuses. May
 * sleep.
 */
static void *user_pointer(uaddr_t addr, enum hal_access access)
{
	for (;;) {
		const struct hal_aspace *as = sim_self()->aspace;
		void *p = as ? sim_walk_pointer(as, addr, access) : NULL;

		if (p)
			return p;
		if (!as || !hal_upcalls.user_fault || hal_upcalls.user_fault(addr, access) != 0)
			return NULL;
	}
}

/* How much of [addr, addr + len) lies in addr's page. */
static size_t in_page(uaddr_t addr, size_t len)
{
	size_t rest = PAGE_SIZE - (addr & ~PAGE_MASK);

	return len < rest ? len : rest;
}

UNRACED size_t hal_copy_from_user(void *dst, uaddr_t src, size_t len)
{
	while (len) {
		size_t part = in_page(src, len);
		const void *p = user_pointer(src, HAL_ACCESS_READ);

		if (!p)
			break;
		copy_bytes(dst, p, part);
		dst = (char *)dst + part;
		src += part;
		len -= part;
	}
	return len;
}

UNRACED size_t hal_copy_to_user(uaddr_t dst, const void *src, size_t len)
{
	while (len) {
		size_t part = in_page(dst, len);
		void *p = user_pointer(dst, HAL_ACCESS_WRITE);

		if (!p)
			break;
		copy_bytes(p, src, part);
		src = (const char *)src + part;
		dst += part;
		len -= part;
	}
	return len;
}

UNRACED size_t hal_clear_user(uaddr_t dst, size_t len)
{
	while (len) {
		size_t part = in_page(dst, len);
		void *p = user_pointer(dst, HAL_ACCESS_WRITE);

		if (!p)
			break;
		clear_bytes(p, part);
		dst += part;
		len -= part;
	}
	return len;
}

UNRACED int64_t hal_strncpy_from_user(char *dst, uaddr_t src, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t part = in_page(src + done, size - done);
		const char *p = src + done < HAL_USER_TOP ? user_pointer(src + done, HAL_ACCESS_READ) : NULL;

		if (!p)
			return -EFAULT;
		for (size_t i = 0; i < part; i++) {
			dst[done + i] = p[i];
			if (!p[i])
				return (int64_t)(done + i);
		}
		done += part;
	}
	return (int64_t)size;
}

int hal_user_load32(uaddr_t addr, uint32_t *ret)
{
	uint32_t *p = user_pointer(addr, HAL_ACCESS_READ);

	if (!p)
		return -EFAULT;
	*ret = __atomic_load_n(p, __ATOMIC_SEQ_CST);
	return 0;
}

int hal_user_store32(uaddr_t addr, uint32_t value)
{
	uint32_t *p = user_pointer(addr, HAL_ACCESS_WRITE);

	if (!p)
		return -EFAULT;
	__atomic_store_n(p, value, __ATOMIC_SEQ_CST);
	return 0;
}

int hal_user_cmpxchg32(uaddr_t addr, uint32_t expected, uint32_t desired, uint32_t *ret_previous)
{
	uint32_t *p = user_pointer(addr, HAL_ACCESS_WRITE);

	if (!p)
		return -EFAULT;
	__atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	*ret_previous = expected;
	return 0;
}
