/* SPDX-License-Identifier: MIT */
/*
 * From page numbers to pages: a radix tree with 64 slots a node, as deep as its largest index needs. With no levels the root is the page of
 * index 0 itself, so that a file of up to one page has no node at all.
 *
 * I1: a node has at least one slot in use. I2: `levels` only grows until the tree is empty again. The object's lock is held.
 */
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include "vm_internal.h"

#define MAP_SHIFT      6
#define MAP_SLOTS      (1u << MAP_SHIFT)
#define MAP_LEVELS_MAX 9 /* 54 bits: every page of a 63-bit file */

struct map_node {
	uint64_t used; /* slots that are not null */
	void *slots[MAP_SLOTS];
};

static struct slab_cache *node_cache;

int page_map_cache_init(void)
{
	node_cache = slab_cache_create("vm_page_map", sizeof(struct map_node), 0);
	return node_cache ? 0 : -ENOMEM;
}

static inline unsigned slot_of(uint64_t index, unsigned level)
{
	return (unsigned)(index >> (MAP_SHIFT * level)) & (MAP_SLOTS - 1);
}

/* Does a tree of so many levels hold this index? */
static inline bool within(unsigned levels, uint64_t index)
{
	return levels == MAP_LEVELS_MAX || index >> (MAP_SHIFT * levels) == 0;
}

struct page *page_map_get(const struct vm_page_map *m, uint64_t index)
{
	void *p = m->root;

	if (!within(m->levels, index))
		return NULL;
	for (unsigned level = m->levels; p && level-- > 0;)
		p = ((struct map_node *)p)->slots[slot_of(index, level)];
	return p;
}

/* The last-level node that holds index, or null. */
static const struct map_node *leaf_of(const struct vm_page_map *m, uint64_t index)
{
	const void *p = m->root;

	if (m->levels == 0 || !within(m->levels, index))
		return NULL;
	for (unsigned level = m->levels; p && level-- > 1;)
		p = ((const struct map_node *)p)->slots[slot_of(index, level)];
	return p;
}

void page_map_get_run(const struct vm_page_map *m, uint64_t index, unsigned n, struct page *ret[])
{
	for (unsigned i = 0; i < n;) {
		const struct map_node *leaf = leaf_of(m, index + i);
		unsigned slot = slot_of(index + i, 0), stop = min(n, i + MAP_SLOTS - slot);

		for (; i < stop; i++, slot++)
			ret[i] = leaf ? leaf->slots[slot] : NULL;
	}
	if (m->levels == 0 && index == 0)
		ret[0] = m->root;
}

static struct map_node *node_alloc(void)
{
	return slab_zalloc(node_cache);
}

/* Puts levels on top until the index fits. */
static int grow(struct vm_page_map *m, uint64_t index)
{
	while (!within(m->levels, index)) {
		struct map_node *n;

		if (m->root) {
			n = node_alloc();
			if (!n)
				return -ENOMEM;
			n->slots[0] = m->root;
			n->used = 1;
			m->root = n;
		}
		m->levels++;
	}
	return 0;
}

/* Frees the nodes on the way to index that are empty. */
static void prune(struct vm_page_map *m, uint64_t index)
{
	void **path[MAP_LEVELS_MAX], **at = &m->root;
	unsigned depth = 0;

	for (unsigned level = m->levels; *at && level-- > 0; depth++) {
		path[depth] = at;
		at = &((struct map_node *)*at)->slots[slot_of(index, level)];
	}
	while (depth-- > 0 && ((struct map_node *)*path[depth])->used == 0) {
		slab_free(node_cache, *path[depth]);
		*path[depth] = NULL;
		if (depth > 0)
			((struct map_node *)*path[depth - 1])->used--;
	}
	if (!m->root)
		m->levels = 0;
}

int page_map_set(struct vm_page_map *m, uint64_t index, struct page *page)
{
	struct map_node *parent = NULL;
	void **at = &m->root;

	if (grow(m, index))
		return -ENOMEM;
	for (unsigned level = m->levels; level-- > 0;) {
		if (!*at) {
			*at = node_alloc();
			if (!*at) {
				prune(m, index);
				return -ENOMEM;
			}
			if (parent)
				parent->used++;
		}
		parent = *at;
		at = &parent->slots[slot_of(index, level)];
	}
	ASSERT(!*at);
	*at = page;
	if (parent)
		parent->used++;
	ADD_ONCE(m->count, 1);
	return 0;
}

struct page *page_map_remove(struct vm_page_map *m, uint64_t index)
{
	struct map_node *parent = NULL;
	void **at = &m->root;
	struct page *page;

	if (!within(m->levels, index))
		return NULL;
	for (unsigned level = m->levels; *at && level-- > 0;) {
		parent = *at;
		at = &parent->slots[slot_of(index, level)];
	}
	page = *at;
	if (!page)
		return NULL;
	*at = NULL;
	ADD_ONCE(m->count, -1);
	if (!parent)
		m->levels = 0;
	else if (--parent->used == 0)
		prune(m, index);
	return page;
}

/* The first page at or after `index` below a node of this level, whose number goes to *ret_index. */
static struct page *next_below(const struct map_node *n, unsigned level, uint64_t index, uint64_t *ret_index)
{
	uint64_t span = UINT64_C(1) << (MAP_SHIFT * level);

	for (unsigned i = slot_of(index, level); i < MAP_SLOTS; i++, index = align_down(index, span) + span) {
		struct page *p = n->slots[i];

		if (p && level > 0)
			p = next_below(n->slots[i], level - 1, index, ret_index);
		else if (p)
			*ret_index = index;
		if (p)
			return p;
	}
	return NULL;
}

struct page *page_map_next(const struct vm_page_map *m, uint64_t *index)
{
	if (!m->root || !within(m->levels, *index))
		return NULL;
	if (m->levels == 0)
		return m->root;
	return next_below(m->root, m->levels - 1, *index, index);
}
