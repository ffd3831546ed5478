/* SPDX-License-Identifier: MIT */
/*
 * The dentry cache: names found again without asking the file system.
 *
 * States of a dentry:
 *
 *   made        dentry_create(): nobody finds it; the file system may attach an inode
 *   published   hashed under (parent, name) and among its parent's children; refs may be 0 (then it is on the LRU list), but
 *               of an SB_PINNED file system it keeps one reference on itself
 *   deleted     dentry_delete(): unlinked or replaced; lives on while somebody has it open
 *   freed       refs 0 and not hashed
 *
 * Uncached file systems (/proc/PID) skip "published".
 *
 * D1  The last reference of a hashed dentry drops under the tree's writing side: a reader that finds it may take a reference by
 *     plain increment, since nothing is freed while it reads.
 * D2  A child holds its parent, so a folder outlives its entries, and the LRU list frees leaves first.
 * D3  At most DENTRY_UNUSED_MAX dentries are on the LRU list; the one unused for longest goes. One that is in use again
 *     stays on the list until it is met there.
 */
#include <cloudos/inotify.h>
#include <cloudos/mm.h>
#include <cloudos/random.h>
#include <cloudos/string.h>
#include "vfs_internal.h"

#define BUCKETS_MIN 1024
#define BUCKETS_MAX 65536
#define PAGES_PER_BUCKET 8 /* RAM pages for which a bucket is spent */

static struct slab_cache *dentry_cache;
static struct hash_head *buckets, *ino_buckets;
static uint32_t bucket_mask, hash_seed;

/* Guarded by the tree's writing side; newest first. */
static struct list unused = LIST_INIT(unused);
static uint64_t unused_count;

static inline struct hash_head *bucket_of(const struct dentry *parent, uint32_t hash)
{
	uint64_t key = (uintptr_t)parent ^ (uint64_t)(hash ^ hash_seed) << 12;

	return &buckets[hash_u64(key) & bucket_mask];
}

static struct hash_head *ino_bucket_of(const struct super_block *sb, uint64_t ino)
{
	return &ino_buckets[hash_u64((uintptr_t)sb ^ ino << 32 ^ ino) & bucket_mask];
}

struct name name_of(const char *text)
{
	struct name name = { text, 0, NAME_HASH_START };

	for (; text[name.len]; name.len++)
		name.hash = name_hash_step(name.hash, (unsigned char)text[name.len]);
	return name;
}

struct dentry *dentry_find(const struct dentry *parent, const struct name *name)
{
	struct dentry *d;

	hash_for_each (d, bucket_of(parent, name->hash), by_name)
		if (d->hash == name->hash && d->parent == parent && d->name_len == name->len &&
		    memcmp(d->name, name->text, name->len) == 0)
			return d;
	return NULL;
}

struct dentry *dentry_find_ino(const struct super_block *sb, uint64_t ino)
{
	struct dentry *d, *found = NULL;

	if (sb->root->inode->ino == ino)
		return sb->root;
	hash_for_each (d, ino_bucket_of(sb, ino), by_ino)
		if (d->inode->sb == sb && d->inode->ino == ino && (!found || (d->flags & DENTRY_HASHED)))
			found = d;
	return found;
}

void dentry_get(struct dentry *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}

static struct dentry *dentry_alloc(const struct name *name)
{
	struct dentry *d = slab_alloc(dentry_cache);
	char *text;

	if (!d)
		return NULL;
	text = name->len < DENTRY_NAME_INLINE ? d->name_inline : kmalloc(name->len + 1);
	if (!text) {
		slab_free(dentry_cache, d);
		return NULL;
	}
	memcpy(text, name->text, name->len);
	text[name->len] = '\0';
	d->name = text;
	d->name_len = name->len;
	d->hash = name->hash;
	d->refs = 1;
	d->flags = 0;
	d->by_name.at = d->by_ino.at = NULL;
	d->inode = NULL;
	d->next_cookie = 3;
	list_init(&d->siblings);
	list_init(&d->children);
	return d;
}

struct dentry *dentry_create(struct dentry *parent, const struct name *name)
{
	struct dentry *d = dentry_alloc(name);

	if (!d)
		return NULL;
	dentry_get(parent);
	d->parent = parent;
	return d;
}

struct dentry *dentry_create_root(struct super_block *sb, struct inode *inode)
{
	static const struct name slash = { "/", 1, 0 };
	struct dentry *d = dentry_alloc(&slash);

	(void)sb;
	if (!d)
		return NULL;
	d->parent = d;
	d->inode = inode;
	d->flags = DENTRY_ROOT;
	return d;
}

static bool dentry_pinned(const struct dentry *d)
{
	return d->parent->inode->sb->flags & SB_PINNED;
}

static void lru_remove(struct dentry *d)
{
	if (!(d->flags & DENTRY_LRU))
		return;
	d->flags &= ~DENTRY_LRU;
	list_del(&d->lru);
	unused_count--;
}

/* Makes it findable where d->parent and d->name say. Writing side. */
static void dentry_link(struct dentry *d)
{
	d->flags |= DENTRY_HASHED;
	hash_insert(bucket_of(d->parent, d->hash), &d->by_name);
	if (d->inode && (d->inode->sb->flags & SB_HANDLES) && !hash_linked(&d->by_ino))
		hash_insert(ino_bucket_of(d->inode->sb, d->inode->ino), &d->by_ino);
	if (d->inode && dentry_pinned(d)) {
		d->cookie = d->parent->next_cookie;
		ADD_ONCE(d->parent->next_cookie, 1);
	}
	list_add_tail(&d->parent->children, &d->siblings);
}

static void dentry_unlink(struct dentry *d)
{
	d->flags &= ~DENTRY_HASHED;
	hash_remove(&d->by_name);
	list_del(&d->siblings);
	if (!dentry_pinned(d))
		lru_remove(d);
}

void dentry_publish(struct dentry *d)
{
	if (d->flags & DENTRY_UNCACHED)
		return;
	tree_write_enter();
	dentry_link(d);
	if (dentry_pinned(d))
		dentry_get(d);
	tree_write_leave();
}

void dentry_delete(struct dentry *d)
{
	bool drop;

	tree_write_enter();
	drop = (d->flags & DENTRY_HASHED) && dentry_pinned(d);
	if (d->flags & DENTRY_HASHED)
		dentry_unlink(d);
	d->flags |= DENTRY_DELETED;
	tree_write_leave();
	if (drop)
		dentry_put(d);
}

/* Frees one that nobody can find; returns its parent, whose reference is now the caller's to drop, or null. */
static struct dentry *dentry_free(struct dentry *d)
{
	struct dentry *parent = d->parent == d ? NULL : d->parent;

	if (d->inode) {
		notify_removed(d->inode);
		inode_put(d->inode);
	}
	if (d->name != d->name_inline)
		kfree(d->name);
	slab_free(dentry_cache, d);
	return parent;
}

/* The oldest unused one above the limit, taken out of the cache; null if there is none. */
static struct dentry *lru_evict(void)
{
	while (unused_count > DENTRY_UNUSED_MAX) {
		struct dentry *d = list_last(&unused, struct dentry, lru);

		if (READ_ONCE(d->refs) == 0) {
			dentry_unlink(d);
			return d;
		}
		lru_remove(d);
	}
	return NULL;
}

/* Drops what may be the last reference. Returns a dentry to be freed, or null. */
static struct dentry *dentry_drop_last(struct dentry *d)
{
	struct dentry *dead = NULL;

	tree_write_enter();
	if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) > 0) {
		tree_write_leave();
		return NULL;
	}
	if (!(d->flags & DENTRY_HASHED)) {
		hash_remove(&d->by_ino);
		dead = d;
	} else if (!(d->flags & DENTRY_LRU)) {
		d->flags |= DENTRY_LRU;
		list_add(&unused, &d->lru);
		unused_count++;
		dead = lru_evict();
	}
	tree_write_leave();
	return dead;
}

void dentry_put(struct dentry *d)
{
	while (d) {
		uint32_t n = READ_ONCE(d->refs);

		ASSERT(n > 0);
		while (n > 1)
			if (__atomic_compare_exchange_n(&d->refs, &n, n - 1, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
				return;
		d = dentry_drop_last(d);
		if (d)
			d = dentry_free(d);
	}
}

/* ---- renaming ---- */

/* Exchanges the names' storage: pointers of long names, bytes of short ones. */
static void swap_names(struct dentry *a, struct dentry *b)
{
	char text[DENTRY_NAME_INLINE];
	const char *name = a->name == a->name_inline ? b->name_inline : a->name;
	uint32_t hash = a->hash, len = a->name_len;

	memcpy(text, a->name_inline, sizeof(text));
	a->name = b->name == b->name_inline ? a->name_inline : b->name;
	memcpy(a->name_inline, b->name_inline, sizeof(text));
	b->name = name;
	memcpy(b->name_inline, text, sizeof(text));
	a->hash = b->hash;
	a->name_len = b->name_len;
	b->hash = hash;
	b->name_len = len;
}

void dentry_move(struct dentry *from, struct dentry *to, bool exchange, struct dentry *ret_drop[3])
{
	struct dentry *parent = from->parent;
	bool pinned = dentry_pinned(from), to_hashed = to->flags & DENTRY_HASHED;

	ASSERT(tree_write_held());
	tree_moves++;
	ret_drop[0] = ret_drop[1] = ret_drop[2] = NULL;
	dentry_unlink(from);
	if (to_hashed)
		dentry_unlink(to);
	swap_names(from, to);
	from->parent = to->parent;
	to->parent = parent;
	dentry_link(from);
	if (exchange) {
		dentry_link(to);
		return;
	}
	to->flags |= DENTRY_DELETED;
	if (to_hashed && pinned)
		ret_drop[0] = to;
}

/* ---- the end of a super block ---- */

/* A leaf of the tree below root with nothing but the cache's claim on it; null when none is left. */
static struct dentry *find_leaf(struct dentry *root)
{
	struct dentry *d = root;

	while (!list_empty(&d->children))
		d = list_first(&d->children, struct dentry, siblings);
	return d == root ? NULL : d;
}

void dentry_drop_tree(struct dentry *root)
{
	bool pinned = root->inode->sb->flags & SB_PINNED;
	struct dentry *d;

	for (;;) {
		tree_write_enter();
		d = find_leaf(root);
		if (d) {
			dentry_unlink(d);
			if (!pinned)
				dentry_get(d);
		}
		tree_write_leave();
		if (!d)
			return;
		dentry_put(d);
	}
}

uint64_t dentry_unused_count(void)
{
	return unused_count;
}

int dentry_cache_init(void)
{
	struct mm_stats stats;
	uint32_t n = BUCKETS_MIN;

	mm_get_stats(&stats);
	while (n < BUCKETS_MAX && (uint64_t)n * PAGES_PER_BUCKET < stats.ram_pages)
		n *= 2;
	dentry_cache = slab_cache_create("dentry", sizeof(struct dentry), 0);
	buckets = kcalloc(n, sizeof(*buckets));
	ino_buckets = kcalloc(n, sizeof(*ino_buckets));
	if (!dentry_cache || !buckets || !ino_buckets)
		return -ENOMEM;
	bucket_mask = n - 1;
	hash_seed = (uint32_t)random_u64();
	return 0;
}
