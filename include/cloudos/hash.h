/* SPDX-License-Identifier: MIT */
/* Hash functions, and a chained table of fixed size whose links live in the elements. The caller locks. */
#ifndef CLOUDOS_HASH_H
#define CLOUDOS_HASH_H

#include <cloudos/types.h>

struct hash_link {
	struct hash_link *next, **at;
};

struct hash_head {
	struct hash_link *first;
};

static inline uint32_t hash_u64(uint64_t key)
{
	return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

/* FNV-1a, 32 bits, started with `seed`. */
static inline uint32_t hash_bytes(const void *data, size_t len, uint32_t seed)
{
	const uint8_t *p = data;
	uint32_t h = 2166136261u ^ seed;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

static inline void hash_insert(struct hash_head *head, struct hash_link *e)
{
	e->next = head->first;
	e->at = &head->first;
	if (e->next)
		e->next->at = &e->next;
	head->first = e;
}

static inline bool hash_linked(const struct hash_link *e)
{
	return e->at != NULL;
}

static inline void hash_remove(struct hash_link *e)
{
	if (!e->at)
		return;
	*e->at = e->next;
	if (e->next)
		e->next->at = e->at;
	e->next = NULL;
	e->at = NULL;
}

#define hash_for_each(pos, head, member)                                                              \
	for (pos = (head)->first ? container_of((head)->first, __typeof__(*pos), member) : NULL; pos; \
	     pos = pos->member.next ? container_of(pos->member.next, __typeof__(*pos), member) : NULL)

#endif
