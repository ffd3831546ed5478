/* SPDX-License-Identifier: MIT */
/*
 * Reading physical memory before there is a direct map: how firmware-table parsers see the machine (or a
 * test's buffer).
 */
#ifndef ARCH_PHYSWIN_H
#define ARCH_PHYSWIN_H

#include <hal/types.h>

struct physwin {
	/*
	 * The len bytes at pa, readable until the parser returns; null when they cannot be had. No alignment
	 * is promised.
	 */
	const void *(*map)(const struct physwin *w, paddr_t pa, size_t len);
};

static inline const void *physwin_map(const struct physwin *w, paddr_t pa, uint64_t len)
{
	return pa == 0 || len == 0 || pa + len < pa ? NULL : w->map(w, pa, len);
}

/* Little-endian fields of unaligned tables. */
static inline uint16_t physwin_get16(const void *p)
{
	uint16_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t physwin_get32(const void *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t physwin_get64(const void *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

#endif
