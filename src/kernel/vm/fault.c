/* SPDX-License-Identifier: MIT */
/*
 * Page faults: how an area's pages come to be mapped.
 *
 *   anonymous, read     the page of zeros, read-only
 *   anonymous, write    a fresh page of zeros
 *   object, shared      the object's page, with the area's protection
 *   object, private     the object's page, read-only; on a write a copy of it, which is the area's own from then on
 *   write to read-only  a private page that nobody else maps becomes writable; otherwise it is copied
 *   swapped out         the page comes back (swap_io.c), writable if nobody else has it
 *
 * A fault reads the areas and walks the tables under the space's lock for reading, prepares a page without any spin lock, and commits
 * under the table lock, if the entry still is what it was: of several threads that fault on one page, one wins, and the others find its work.
 * An object's page is mapped under the object's lock, so that truncation, which unmaps under that lock, misses none.
 *
 * Replacing one page by another goes by way of an absent entry, flushed on every CPU, so that no two CPUs ever see different pages
 * (the Arm architecture demands it too: break before make).
 *
 * Without memory a fault gives up its locks, waits until some has been taken back, and begins again; when there is none to be had a process
 * dies, this one or another (reclaim.c).
 */
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/swap.h>
#include <cloudos/string.h>
#include "vm_internal.h"

#define FAULT_AROUND_PAGES 16 /* cached pages mapped by one fault: an aligned group of these */

_Static_assert(is_aligned(PT_ENTRIES, FAULT_AROUND_PAGES), "a group lies in one table");

/* ---- committing ---- */

/*
 * Fills the entry of addr, unless somebody was faster; takes over the reference on `page` (null: the page of zeros). `slot` is
 * where the entry is, or null if its table is still to be made.
 */
static int install(struct vm_space *s, uaddr_t addr, hal_pte_t *slot, struct page *page, unsigned prot)
{
	int err = 0;

	spin_lock(&s->table_lock);
	if (!slot)
		slot = pagetable_make(s, addr);
	if (unlikely(!slot || pte_read(slot))) {
		err = slot ? 0 : -ENOMEM;
	} else if (page) {
		pagetable_fill(slot, page_pte(page, prot));
		s->resident_pages++;
		s->anon_pages += page->kind == PAGE_USER;
		page = NULL;
	} else {
		pagetable_fill(slot, hal_pte_leaf(vm_zero_pa, prot));
	}
	spin_unlock(&s->table_lock);
	if (unlikely(page))
		page_put(page);
	return err;
}

/* Puts a private copy in the place of what `pte` mapped. Takes over the reference on `page`. */
static void replace(struct vm_space *s, uaddr_t addr, hal_pte_t *slot, hal_pte_t pte, struct page *page, unsigned prot)
{
	spin_lock(&s->table_lock);
	if (likely(pte_read(slot) == pte)) {
		hal_pte_set(slot, 0);
		tlb_flush(s, addr, addr + PAGE_SIZE);
		hal_pte_set(slot, page_pte(page, prot));
		page = NULL;
		s->resident_pages += pte_is_zero_page(pte);
		s->anon_pages += pte_is_zero_page(pte) || pte_page(pte)->kind != PAGE_USER;
	}
	spin_unlock(&s->table_lock);
	if (unlikely(page))
		page_put(page);
	else if (!pte_is_zero_page(pte))
		page_put(pte_page(pte)); /* the reference that the old entry had */
}

/* ---- anonymous memory ---- */

static int fault_anonymous(struct vm_area *a, uaddr_t addr, hal_pte_t *slot, bool write)
{
	unsigned prot = pte_prot(a->prot);
	struct page *page;

	if (!write)
		return install(a->space, addr, slot, NULL, prot & ~HAL_PROT_WRITE);
	page = user_page_alloc(a->space, PAGE_ALLOC_ZERO);
	return page ? install(a->space, addr, slot, page, prot) : -ENOMEM;
}

/* ---- writes to what is mapped read-only ---- */

/*
 * Under the table lock: makes the entry writable if the page is the area's alone; else takes a reference on the page to copy
 * (*ret_copy stays null if there is nothing to copy: somebody else was here, or it was the page of zeros).
 */
static bool make_writable(struct vm_area *a, hal_pte_t *slot, hal_pte_t pte, struct page **ret_copy)
{
	struct page *page;

	if (pte_read(slot) != pte)
		return true;
	if (area_is_private(a) && pte_is_zero_page(pte))
		return false;
	page = pte_page(pte);
	if (area_is_private(a) && (page->kind != PAGE_USER || !page_is_alone(page))) {
		page_get(page);
		*ret_copy = page;
		return false;
	}
	hal_pte_set(slot, page_pte(page, pte_prot(a->prot)));
	return true;
}

static int copy_page(struct vm_area *a, uaddr_t addr, hal_pte_t *slot, hal_pte_t pte, struct page *old)
{
	struct page *page = user_page_alloc(a->space, old ? 0 : PAGE_ALLOC_ZERO);

	if (page) {
		if (old)
			memcpy(page_virt(page), page_virt(old), PAGE_SIZE);
		if (a->object)
			WRITE_ONCE(a->has_private, true);
		replace(a->space, addr, slot, pte, page, pte_prot(a->prot));
	}
	if (old)
		page_put(old);
	return page ? 0 : -ENOMEM;
}

static int fault_read_only(struct vm_area *a, uaddr_t addr, hal_pte_t *slot, hal_pte_t pte)
{
	struct page *old = NULL;
	bool done;

	spin_lock(&a->space->table_lock);
	done = make_writable(a, slot, pte, &old);
	spin_unlock(&a->space->table_lock);
	if (!done)
		return copy_page(a, addr, slot, pte, old);
	tlb_flush_page_here(a->space, addr);
	return 0;
}

/* ---- objects; the object's lock is held ---- */

/* Maps those of the object's pages around addr that are in memory. Its table is there. */
static void map_around(struct vm_area *a, uaddr_t addr, unsigned prot)
{
	uaddr_t start = max(align_down(addr, FAULT_AROUND_PAGES * PAGE_SIZE), a->start);
	uaddr_t end = min(align_down(addr, FAULT_AROUND_PAGES * PAGE_SIZE) + FAULT_AROUND_PAGES * PAGE_SIZE, a->end);
	unsigned n = (unsigned)((end - start) >> PAGE_SHIFT), filled = 0;
	struct page *pages[FAULT_AROUND_PAGES];
	hal_pte_t *slots;

	page_map_get_run(&a->object->pages, area_object_page(a, start), n, pages);
	spin_lock(&a->space->table_lock);
	slots = pagetable_find(a->space, start);
	for (unsigned i = 0; i < n; i++) {
		if (!pages[i] || pte_read(&slots[i]))
			continue;
		page_get(pages[i]);
		hal_pte_set(&slots[i], page_pte(pages[i], prot));
		filled++;
	}
	pagetable_page(slots)->index += filled;
	a->space->resident_pages += filled;
	spin_unlock(&a->space->table_lock);
}

static int map_object_page(struct vm_area *a, uaddr_t addr, hal_pte_t *slot)
{
	unsigned prot = pte_prot(a->prot);
	struct page *page;
	int err = object_page_locked(a->object, area_object_page(a, addr), true, &page);

	if (err)
		return err;
	if (area_is_private(a))
		prot &= ~(unsigned)HAL_PROT_WRITE;
	page_get(page);
	err = install(a->space, addr, slot, page, prot);
	if (!err && a->object->pages.count > 1)
		map_around(a, addr, prot);
	return err;
}

static int copy_object_page(struct vm_area *a, uaddr_t addr, hal_pte_t *slot)
{
	struct page *from = NULL, *page;
	int err = object_page_locked(a->object, area_object_page(a, addr), a->object->ops->read_page, &from);

	if (err && err != -ENOENT)
		return err;
	page = user_page_alloc(a->space, from ? 0 : PAGE_ALLOC_ZERO);
	if (!page)
		return -ENOMEM;
	if (from)
		memcpy(page_virt(page), page_virt(from), PAGE_SIZE);
	WRITE_ONCE(a->has_private, true);
	return install(a->space, addr, slot, page, pte_prot(a->prot));
}

static int fault_object(struct vm_area *a, uaddr_t addr, hal_pte_t *slot, bool write)
{
	struct vm_object *o = a->object;
	int err;

	mutex_lock(&o->lock);
	if (area_object_page(a, addr) > (o->size - 1) >> PAGE_SHIFT || o->size == 0)
		err = -EFAULT;
	else if (write && area_is_private(a))
		err = copy_object_page(a, addr, slot);
	else
		err = map_object_page(a, addr, slot);
	mutex_unlock(&o->lock);
	return err;
}

/* ---- any area ---- */

int fault_area(struct vm_area *a, uaddr_t addr, enum hal_access access)
{
	bool write = access & HAL_ACCESS_WRITE;
	hal_pte_t *slot = pagetable_find(a->space, addr);
	hal_pte_t pte = slot ? pte_read(slot) : 0;

	addr &= PAGE_MASK;
	if (unlikely(READ_ONCE(a->space->released)) && area_is_private(a))
		return -EFAULT;
	if (!hal_pte_present(pte)) {
		if (unlikely(pte))
			return fault_swapped(a, slot, pte);
		return a->object ? fault_object(a, addr, slot, write) : fault_anonymous(a, addr, slot, write);
	}
	if (write && !hal_pte_writable(pte))
		return fault_read_only(a, addr, slot, pte);
	tlb_flush_page_here(a->space, addr); /* somebody else's fault brought it in, or this CPU remembers an older entry */
	return 0;
}

static bool allowed(const struct vm_area *a, enum hal_access access)
{
	uint32_t need = access & HAL_ACCESS_WRITE ? HAL_PROT_WRITE : access & HAL_ACCESS_EXEC ? HAL_PROT_EXEC : VM_PROT_ANY;

	return (a->prot & need) != 0;
}

/* -ENOENT: no area; -EAGAIN: none, but a stack begins above; -EACCES; else as fault_area(). */
static int fault_locked(struct vm_space *s, uaddr_t addr, enum hal_access access)
{
	struct vm_area *a = area_find(s, addr);

	if (unlikely(!a))
		return -ENOENT;
	if (unlikely(addr < a->start))
		return a->flags & VM_GROWSDOWN ? -EAGAIN : -ENOENT;
	if (unlikely(!allowed(a, access)))
		return -EACCES;
	return fault_area(a, addr, access);
}

/* Lets the stack above reach down to addr, if that is within its limit and keeps the gap to the area below. */
static int grow_stack_locked(struct vm_space *s, uaddr_t addr)
{
	struct vm_area *a = area_find(s, addr);
	uaddr_t start = addr & PAGE_MASK;

	if (!a || (addr < a->start && !(a->flags & VM_GROWSDOWN)))
		return -ENOENT;
	if (addr >= a->start)
		return 0;
	if (start < VM_MIN_ADDR || a->end - start > s->limit_stack)
		return -ENOENT;
	if (a->start - start > a->gap) /* the gap is what lies above the guard */
		return -ENOENT;
	if (map_check_limits(s, (a->start - start) >> PAGE_SHIFT, a->prot, a->flags))
		return -ENOENT;
	area_resize(a, start, a->end);
	return 0;
}

static int grow_stack(struct vm_space *s, uaddr_t addr)
{
	int err;

	space_lock(s);
	err = grow_stack_locked(s, addr);
	space_unlock(s);
	return err;
}

static int fault(struct vm_space *s, uaddr_t addr, enum hal_access access)
{
	int err;

	rwlock_read(&s->lock);
	err = fault_locked(s, addr, access);
	rwlock_read_unlock(&s->lock);
	return err;
}

static struct vm_fault_error error_of(int err, uaddr_t addr)
{
	switch (err) {
	case -ENOENT:
	case -EAGAIN:
		return (struct vm_fault_error){ SIGSEGV, SEGV_MAPERR };
	case -EACCES:
		return (struct vm_fault_error){ SIGSEGV, SEGV_ACCERR };
	case -ENOMEM:
		if (reclaim_must_die)
			reclaim_must_die(addr);
		return (struct vm_fault_error){ SIGKILL, SI_KERNEL };
	default:
		return (struct vm_fault_error){ SIGBUS, BUS_ADRERR };
	}
}

/* With no lock held: lets the stack grow, or waits for memory, and tries again, as `err` says. */
static int fault_again(struct vm_space *s, uaddr_t addr, enum hal_access access, int err)
{
	struct reclaim_tries tries = { 0 };

	do {
		if (err == -EAGAIN) {
			err = grow_stack(s, addr);
			if (err)
				break;
		} else if (err != -ENOMEM || !reclaim_wait(&tries)) {
			break;
		}
		err = fault(s, addr, access);
	} while (err);
	return err;
}

int vm_fault(uaddr_t addr, enum hal_access access, struct vm_fault_error *ret_error)
{
	struct vm_space *s = thread_current()->vm;
	int err = -ENOENT;

	if (likely(s && addr < HAL_USER_TOP)) {
		uint64_t faults = READ_ONCE(s->faults_minor) + 1;

		WRITE_ONCE(s->faults_minor, faults);
		if (unlikely(READ_ONCE(s->group)) && faults % MEMORY_FAULTS_TOLD == 0)
			memory_count_faults(s, MEMORY_FAULTS_TOLD, 0);
		err = fault(s, addr, access);
		if (unlikely(err))
			err = fault_again(s, addr, access, err);
	}
	if (likely(!err))
		return 0;
	*ret_error = error_of(err, addr);
	return -EFAULT;
}
