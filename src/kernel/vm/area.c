/* SPDX-License-Identifier: MIT */
/*
 * Areas of an address space: ranges of pages with one protection and one source. A space keeps them in a red-black tree by address and
 * in a list in the same order.
 *
 *   I1 Areas do not overlap; each has at least one page; no area begins below VM_MIN_ADDR.
 *   I2 a->gap is the number of free bytes between a and the area before it (or address 0), less VM_GUARD_GAP below a stack; a->max_gap
 *      is the largest gap in a's subtree. The highest free range of a given size is found with them in O(log n).
 *   I3 An area with an object is on the object's list as long as it is in the tree, and its range changes only under the object's lock.
 *   I4 space->total_pages and the like are sums over the areas; they change here alone.
 *
 * The space's lock is held for writing wherever something changes.
 */
#include <cloudos/errno.h>
#include "vm_internal.h"

const struct vm_file_ops *vm_file_ops;

static struct slab_cache *area_cache;

int area_cache_init(void)
{
	area_cache = slab_cache_create("vm_area", sizeof(struct vm_area), 0);
	return area_cache ? 0 : -ENOMEM;
}

static inline struct vm_area *area_of(struct rb_node *n)
{
	return rb_entry(n, struct vm_area, node);
}

/* ---- gaps ---- */

static void update_max_gap(struct rb_node *n)
{
	uint64_t gap = area_of(n)->gap;

	if (n->left)
		gap = max(gap, area_of(n->left)->max_gap);
	if (n->right)
		gap = max(gap, area_of(n->right)->max_gap);
	area_of(n)->max_gap = gap;
}

void area_tree_init(struct vm_space *s)
{
	s->areas = (struct rb_tree){ .update = update_max_gap };
	list_init(&s->area_list);
	list_init(&s->retired);
	s->area_count = 0;
	WRITE_ONCE(s->recent, NULL);
}

static uint64_t gap_below(const struct vm_area *a)
{
	const struct vm_area *prev = area_prev(a);
	uint64_t gap = a->start - (prev ? prev->end : 0);

	if (a->flags & VM_GROWSDOWN)
		gap -= min(gap, VM_GUARD_GAP);
	return gap;
}

/* The area's start, or its lower neighbour's end, has changed. */
static void refresh_gap(struct vm_area *a)
{
	uint64_t gap;

	if (!a)
		return;
	gap = gap_below(a);
	if (gap == a->gap)
		return;
	a->gap = gap;
	rb_update(&a->space->areas, &a->node);
}

/* The highest free range below `top` in a's own gap. */
static bool free_in_gap(const struct vm_area *a, uint64_t len, uaddr_t top, uaddr_t *ret)
{
	const struct vm_area *prev = area_prev(a);
	uaddr_t low = max(prev ? prev->end : 0, VM_MIN_ADDR), high = min((prev ? prev->end : 0) + a->gap, top);

	if (high < low || high - low < len)
		return false;
	*ret = high - len;
	return true;
}

/* The depth of the recursion is that of the tree: at most 2 log2(VM_AREAS_MAX + 1) = 32. */
static bool find_free(struct rb_node *n, uint64_t len, uaddr_t top, uaddr_t *ret)
{
	for (; n && area_of(n)->max_gap >= len; n = n->left) {
		const struct vm_area *a = area_of(n);

		if (a->end <= top && find_free(n->right, len, top, ret))
			return true;
		if (a->gap >= len && free_in_gap(a, len, top, ret))
			return true;
	}
	return false;
}

bool area_find_free(struct vm_space *s, uint64_t len, uaddr_t top, uaddr_t *ret)
{
	uaddr_t last = list_empty(&s->area_list) ? 0 : list_last(&s->area_list, struct vm_area, link)->end;

	last = max(last, VM_MIN_ADDR);
	if (last <= top && top - last >= len) {
		*ret = top - len;
		return true;
	}
	return find_free(s->areas.root, len, top, ret);
}

/* ---- finding ---- */

struct vm_area *area_find(struct vm_space *s, uaddr_t addr)
{
	struct vm_area *a = READ_ONCE(s->recent), *found = NULL;
	struct rb_node *n = s->areas.root;

	if (likely(a && a->start <= addr && addr < a->end))
		return a;
	while (n) {
		a = area_of(n);
		if (addr >= a->end) {
			n = n->right;
			continue;
		}
		found = a;
		if (addr >= a->start)
			break;
		n = n->left;
	}
	if (found)
		WRITE_ONCE(s->recent, found);
	return found;
}

bool area_covers(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	const struct vm_area *a;

	area_for_each(a, s, start, end) {
		if (a->start > start)
			return false;
		start = a->end;
	}
	return start >= end;
}

bool area_range_free(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	const struct vm_area *a = area_find(s, start);

	return !a || end <= a->start - (a->flags & VM_GROWSDOWN ? min(a->start, VM_GUARD_GAP) : 0);
}

/* ---- accounting ---- */

static void account(struct vm_space *s, uint32_t prot, uint32_t flags, int64_t pages)
{
	uint64_t n = (uint64_t)pages;

	s->total_pages += n;
	if (flags & VM_LOCKED)
		ADD_ONCE(s->locked_pages, n);
	if (flags & VM_GROWSDOWN)
		s->stack_pages += n;
	else if ((prot & HAL_PROT_WRITE) && !(flags & VM_SHARED))
		s->data_pages += n;
	else if ((prot & HAL_PROT_EXEC) && !(prot & HAL_PROT_WRITE))
		s->exec_pages += n;
}

static void account_area(const struct vm_area *a, int64_t sign)
{
	account(a->space, a->prot, a->flags, sign * (int64_t)area_pages(a));
}

/* ---- the tree ---- */

/* Makes what a refers to its own. */
static void take_references(struct vm_area *a)
{
	if (a->object)
		vm_object_get(a->object);
	if (a->file)
		vm_file_ops->get(a->file);
}

static void object_lock(const struct vm_area *a)
{
	if (a->object)
		mutex_lock(&a->object->lock);
}

static void object_unlock(const struct vm_area *a)
{
	if (a->object)
		mutex_unlock(&a->object->lock);
}

/* Links an area that is filled in, behind `prev` in the list (null: the first), at a place of the tree. Object lock held. */
static void link_locked(struct vm_area *a, struct vm_area *prev, struct rb_node *parent, struct rb_node **at)
{
	struct vm_space *s = a->space;

	list_add(prev ? &prev->link : &s->area_list, &a->link);
	a->gap = gap_below(a);
	rb_link(&s->areas, &a->node, parent, at);
	refresh_gap(area_next(a));
	s->area_count++;
	account_area(a, 1);
	if (a->object)
		list_add(&a->object->areas, &a->object_link);
}

static void insert_locked(struct vm_area *a)
{
	struct rb_node **at = &a->space->areas.root, *parent = NULL;
	struct vm_area *prev = NULL;

	while (*at) {
		parent = *at;
		if (a->start < area_of(parent)->start) {
			at = &parent->left;
		} else {
			prev = area_of(parent);
			at = &parent->right;
		}
	}
	link_locked(a, prev, parent, at);
}

/* Takes an area out without giving up what it refers to. Object lock held. */
static void unlink_locked(struct vm_area *a)
{
	struct vm_space *s = a->space;
	struct vm_area *next = area_next(a);

	if (a->object)
		list_del(&a->object_link);
	account_area(a, -1);
	rb_remove(&s->areas, &a->node);
	list_del(&a->link);
	s->area_count--;
	if (s->recent == a)
		WRITE_ONCE(s->recent, NULL);
	refresh_gap(next);
}

static void free_area(struct vm_area *a)
{
	if (a->object)
		vm_object_put(a->object);
	if (a->file)
		vm_file_ops->put(a->file);
	slab_free(area_cache, a);
}

/* An area that is in no list any more. */
static void retire_area(struct vm_area *a)
{
	if (a->file)
		list_add(&a->space->retired, &a->link);
	else
		free_area(a);
}

void space_unlock(struct vm_space *s)
{
	struct list retired = LIST_INIT(retired);
	struct vm_area *a, *next;

	if (unlikely(s->spare)) {
		slab_free(area_cache, s->spare);
		s->spare = NULL;
	}
	if (likely(list_empty(&s->retired))) {
		rwlock_write_unlock(&s->lock);
		return;
	}
	list_splice_tail(&retired, &s->retired);
	rwlock_write_unlock(&s->lock);
	list_for_each_safe(a, next, &retired, link)
		free_area(a);
}

void area_remove(struct vm_area *a)
{
	object_lock(a);
	unlink_locked(a);
	object_unlock(a);
	retire_area(a);
}

void areas_hide(struct vm_space *s)
{
	struct vm_area *a;

	list_for_each(a, &s->area_list, link) {
		object_lock(a);
		if (a->object)
			list_del(&a->object_link);
		object_unlock(a);
	}
}

void area_discard(struct vm_area *a)
{
	free_area(a);
}

static void resize_locked(struct vm_area *a, uaddr_t start, uaddr_t end)
{
	account_area(a, -1);
	a->object_page += (uint64_t)((int64_t)(start - a->start) >> PAGE_SHIFT);
	a->start = start;
	a->end = end;
	account_area(a, 1);
	refresh_gap(a);
	refresh_gap(area_next(a));
}

void area_resize(struct vm_area *a, uaddr_t start, uaddr_t end)
{
	object_lock(a);
	resize_locked(a, start, end);
	object_unlock(a);
}

void area_set_prot(struct vm_area *a, uint32_t prot)
{
	account_area(a, -1);
	a->prot = prot;
	account_area(a, 1);
}

void area_set_flags(struct vm_area *a, uint32_t flags)
{
	account_area(a, -1);
	WRITE_ONCE(a->flags, flags); /* who seals the object looks for VM_SHARED, which stays as it is */
	account_area(a, 1);
}

/* ---- joining and cutting ---- */

/* Do two areas that touch, a below b, look the same? */
static bool alike(const struct vm_area *a, const struct vm_area *b)
{
	return a->end == b->start && a->prot == b->prot && a->flags == b->flags && a->may_prot == b->may_prot &&
	       a->object == b->object && a->file == b->file && a->name == b->name &&
	       (!a->object || a->object_page + area_pages(a) == b->object_page) && !(a->flags & VM_GROWSDOWN);
}

/* Could an area that r describes be a part of a? */
static bool fits(const struct vm_area *a, const struct vm_map_request *r)
{
	return a->prot == r->prot && a->flags == r->flags && a->may_prot == r->may_prot && a->object == r->object &&
	       a->file == r->file && a->name == r->name && !(a->flags & VM_GROWSDOWN);
}

/* b goes, and a reaches to its end; nothing that is mapped changes. */
static void join(struct vm_area *a, struct vm_area *b)
{
	uaddr_t end = b->end;

	if (b->has_private)
		a->has_private = true;
	object_lock(a);
	unlink_locked(b);
	resize_locked(a, a->start, end);
	object_unlock(a);
	retire_area(b);
}

void area_merge_range(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	struct vm_area *a = area_find(s, start), *next;

	if (a && area_prev(a))
		a = area_prev(a);
	while (a && a->start <= end && (next = area_next(a))) {
		if (alike(a, next))
			join(a, next);
		else
			a = next;
	}
}

int area_split(struct vm_area *a, uaddr_t at)
{
	struct vm_area *upper;

	if (a->space->area_count >= VM_AREAS_MAX)
		return -ENOMEM;
	upper = slab_alloc(area_cache);
	if (!upper)
		return -ENOMEM;
	object_lock(a); /* guards the links in a, which are copied too */
	*upper = *a;
	upper->object_page = area_object_page(a, at);
	upper->start = at;
	take_references(upper);
	resize_locked(a, a->start, at);
	insert_locked(upper);
	object_unlock(a);
	return 0;
}

int area_isolate(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	struct vm_area *a = area_find(s, start);
	int err = 0;

	if (a && a->start < start)
		err = area_split(a, start);
	if (err)
		return err;
	a = area_find(s, end - 1);
	return a && a->start < end && end < a->end ? area_split(a, end) : 0;
}

/* ---- making ---- */

/* Extends the area above or below [start, end) over it. */
static bool extend_neighbour(struct vm_space *s, const struct vm_map_request *r, uaddr_t start, uaddr_t end)
{
	struct vm_area *next = area_find(s, start), *prev;

	if (next)
		prev = area_prev(next);
	else
		prev = list_empty(&s->area_list) ? NULL : list_last(&s->area_list, struct vm_area, link);
	if (next && next->start == end && fits(next, r) &&
	    (!r->object || next->object_page == r->object_page + ((end - start) >> PAGE_SHIFT)))
		area_resize(next, start, next->end);
	else if (prev && prev->end == start && fits(prev, r) &&
		 (!r->object || prev->object_page + area_pages(prev) == r->object_page))
		area_resize(prev, prev->start, end);
	else
		return false;
	if (prev && next && alike(prev, next))
		join(prev, next);
	return true;
}

int area_reserve(struct vm_space *s)
{
	if (s->area_count + 2 > VM_AREAS_MAX)
		return -ENOMEM;
	if (!s->spare)
		s->spare = slab_alloc(area_cache);
	return s->spare ? 0 : -ENOMEM;
}

int area_create(struct vm_space *s, const struct vm_map_request *r, uaddr_t start, uaddr_t end)
{
	struct vm_area *a;
	bool sealed;

	if (extend_neighbour(s, r, start, end))
		return 0;
	if (s->area_count >= VM_AREAS_MAX)
		return -ENOMEM;
	a = s->spare ? s->spare : slab_alloc(area_cache);
	s->spare = NULL;
	if (!a)
		return -ENOMEM;
	*a = (struct vm_area){
		.space = s, .start = start, .end = end, .prot = r->prot, .flags = r->flags, .may_prot = r->may_prot,
		.has_private = !r->object, .object = r->object, .object_page = r->object_page, .file = r->file,
		.name = r->name,
	};
	take_references(a);
	object_lock(a);
	sealed = a->object && a->object->write_sealed && area_writes_object(a->flags, a->may_prot);
	if (likely(!sealed))
		insert_locked(a);
	object_unlock(a);
	if (unlikely(sealed))
		retire_area(a);
	return sealed ? -EPERM : 0;
}

struct vm_area *area_copy(struct vm_space *to, const struct vm_area *from)
{
	struct vm_area *a = slab_alloc(area_cache), *prev;

	if (!a)
		return NULL;
	object_lock(from); /* its list changes from->object_link */
	*a = *from;
	a->space = to;
	take_references(a);
	prev = list_empty(&to->area_list) ? NULL : list_last(&to->area_list, struct vm_area, link);
	link_locked(a, prev, prev ? &prev->node : NULL, prev ? &prev->node.right : &to->areas.root);
	object_unlock(a);
	return a;
}

int vm_with_area(struct vm_space *s, uaddr_t addr, int (*fn)(struct vm_area *a, void *arg), void *arg)
{
	struct vm_area *a;
	int result;

	rwlock_read(&s->lock);
	a = addr < HAL_USER_TOP ? area_find(s, addr) : NULL;
	result = a && a->start <= addr ? fn(a, arg) : -ENOENT;
	rwlock_read_unlock(&s->lock);
	return result;
}

int vm_shared_at(struct vm_space *s, uaddr_t start, uint64_t len, struct vm_map_request *ret)
{
	struct vm_area *first, *a;
	int err = 0;

	rwlock_read(&s->lock);
	first = area_find(s, start);
	if (!first || first->start > start || (first->flags & (VM_SHARED | VM_SPECIAL)) != VM_SHARED || !first->object || !area_covers(s, start, start + len))
		err = -EINVAL;
	else
		area_for_each(a, s, start, start + len)
			if (a->file != first->file || a->object != first->object || a->flags != first->flags)
				err = -EINVAL;
	if (!err) {
		ret->object = first->object;
		ret->file = first->file;
		ret->prot = first->prot;
		ret->may_prot = first->may_prot;
		ret->flags = first->flags & (VM_SHARED | VM_LOCKED);
		vm_object_get(ret->object);
		if (ret->file)
			vm_file_ops->get(ret->file);
	}
	rwlock_read_unlock(&s->lock);
	return err;
}

int vm_for_each_area(struct vm_space *s, int (*fn)(struct vm_area *a, void *arg), void *arg)
{
	struct vm_area *a;
	int result = 0;

	rwlock_read(&s->lock);
	list_for_each(a, &s->area_list, link) {
		result = fn(a, arg);
		if (result)
			break;
	}
	rwlock_read_unlock(&s->lock);
	return result;
}
