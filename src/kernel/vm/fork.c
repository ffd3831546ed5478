/* SPDX-License-Identifier: MIT */
/*
 * A copy of an address space. Areas are copied one by one; then, in one pass over the tables, the entries of what is the parent's own:
 * anonymous memory, and the private copies in file mappings. Both sides then map the same pages read-only, and whoever writes first copies.
 * Pages of objects are left out: the child's faults find them in the object, many at a time.
 *
 * The parent's space lock is held for writing, so that none of its threads changes anything; its table lock keeps truncation out. The
 * child's tables need no lock: its areas come to their objects' lists only after they are filled, except that truncation may then
 * miss a private copy behind a file's new end, which does no harm (only the copy's owner sees it).
 */
#include <cloudos/errno.h>
#include <cloudos/swap.h>
#include "vm_internal.h"

struct fork {
	struct pt_visit visit;
	struct vm_space *child;
	bool copies_only; /* of a file mapping: leave the file's pages out */
	bool protected;	  /* some entry of the parent lost its write permission */
	int err;
	uint64_t resident, anon, swapped;
};

static inline bool left_out(const struct fork *f, hal_pte_t pte)
{
	return f->copies_only && (pte_is_zero_page(pte) || pte_page(pte)->kind != PAGE_USER);
}

/* The entry that both sides get. */
static inline hal_pte_t share(struct fork *f, hal_pte_t *slot, hal_pte_t pte)
{
	if (hal_pte_writable(pte)) {
		pte = hal_pte_leaf(hal_pte_paddr(pte), hal_pte_prot(pte) & ~(unsigned)HAL_PROT_WRITE);
		hal_pte_set(slot, pte);
		f->protected = true;
	}
	if (unlikely(pte_is_zero_page(pte)))
		return pte;
	page_get(pte_page(pte));
	f->resident++;
	f->anon += pte_page(pte)->kind == PAGE_USER;
	return pte;
}

/* A page that is in a swap area: one more reference to its slot. */
static hal_pte_t share_swapped(struct fork *f, hal_pte_t pte)
{
	swap_dup(hal_pte_soft_value(pte));
	f->swapped++;
	return pte;
}

/* The child's slots from addr on, or null, and the error is noted. */
static hal_pte_t *child_table(struct fork *f, uaddr_t addr)
{
	hal_pte_t *to = pagetable_make(f->child, addr);

	if (!to)
		f->err = -ENOMEM;
	return to;
}

static void fork_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct fork *f = container_of(v, struct fork, visit);
	uint64_t left = pagetable_page(slots)->index, copied = 0;
	hal_pte_t *to = NULL;

	if (f->err)
		return;
	for (unsigned i = 0; i < n && left > 0; i++) {
		hal_pte_t pte = pte_read(&slots[i]);

		if (likely(hal_pte_present(pte))) {
			left--;
			if (left_out(f, pte))
				continue;
			if (!to && !(to = child_table(f, addr)))
				return;
			hal_pte_set(&to[i], share(f, &slots[i], pte));
			copied++;
		} else if (pte) {
			left--;
			if (!to && !(to = child_table(f, addr)))
				return;
			hal_pte_set(&to[i], share_swapped(f, pte));
			copied++;
		}
	}
	if (to)
		pagetable_page(to)->index += copied;
}

static void fork_pages(struct fork *f, const struct vm_area *a)
{
	if ((a->flags & (VM_SHARED | VM_WIPEONFORK)) || !a->has_private)
		return;
	f->copies_only = a->object != NULL;
	pagetable_visit(&f->visit, a->start, a->end);
}

static int fork_areas(struct fork *f, struct vm_space *from)
{
	struct vm_area *a;

	spin_lock(&from->table_lock);
	list_for_each(a, &from->area_list, link)
		if (!(a->flags & VM_DONTFORK))
			fork_pages(f, a);
	spin_unlock(&from->table_lock);
	f->child->resident_pages = f->child->peak_resident = f->resident;
	f->child->anon_pages = f->anon;
	f->child->swapped_pages = f->swapped;
	if (f->err)
		return f->err;
	list_for_each(a, &from->area_list, link) {
		struct vm_area *copy = a->flags & VM_DONTFORK ? NULL : area_copy(f->child, a);

		if (!copy && !(a->flags & VM_DONTFORK))
			return -ENOMEM;
		if (copy && (copy->flags & VM_LOCKED))
			area_set_flags(copy, copy->flags & ~(uint32_t)VM_LOCKED); /* locks are not inherited */
	}
	return 0;
}

static void fork_fields(struct vm_space *to, const struct vm_space *from)
{
	to->map_top = from->map_top;
	to->brk_start = from->brk_start;
	to->brk_end = from->brk_end;
	to->limit_as = from->limit_as;
	to->limit_data = from->limit_data;
	to->limit_stack = from->limit_stack;
	space_copy_program(to, from);
}

static int space_fork(struct vm_space *from, struct vm_space **ret)
{
	struct vm_space *child = space_create();
	struct fork f = { .visit = { .space = from, .run = fork_run }, .child = child };
	int err;

	if (!child)
		return -ENOMEM;
	space_inherit_group(child, from);
	space_lock(from);
	fork_fields(child, from);
	err = fork_areas(&f, from);
	if (f.protected)
		tlb_flush(from, 0, HAL_USER_TOP);
	space_unlock(from);
	if (err) {
		vm_space_put(child);
		return err;
	}
	spaces_enter(child);
	*ret = child;
	return 0;
}

int vm_space_fork(struct vm_space *from, struct vm_space **ret)
{
	struct reclaim_tries tries = { 0 };
	int err;

	do {
		err = space_fork(from, ret);
	} while (unlikely(err == -ENOMEM) && reclaim_wait(&tries));
	return err;
}
