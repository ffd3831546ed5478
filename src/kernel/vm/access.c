/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing a space from the side: exec fills a stack, a debugger looks, /proc shows a command line. Pages are faulted in as the
 * program itself would do it, and copied through the direct map while the space's lock is held, so that a fork cannot come in between.
 */
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <cloudos/swap.h>
#include <cloudos/uaccess.h>
#include "vm_internal.h"

#define TRIES_MAX 4 /* a page may go again (truncation) between fault and copy */

struct access {
	struct vm_space *space;
	bool write, force;
};

static bool permitted(const struct vm_area *a, const struct access *x)
{
	uint32_t need = x->write ? HAL_PROT_WRITE : VM_PROT_ANY;

	if (a->prot & need)
		return true;
	/* A debugger may write to what the program could make writable for itself, but not into a file. */
	return x->force && (a->may_prot & need) && !(x->write && (a->flags & VM_SHARED));
}

/* A private page that is the area's alone may be written to though the program may not. Table lock held. */
static bool usable(const struct vm_area *a, const struct access *x, hal_pte_t pte)
{
	if (!hal_pte_present(pte))
		return false;
	if (!x->write || hal_pte_writable(pte))
		return true;
	return !(a->prot & HAL_PROT_WRITE) && !pte_is_zero_page(pte) && pte_page(pte)->kind == PAGE_USER &&
	       page_is_alone(pte_page(pte));
}

/* With the table locked, so that the page is not taken back meanwhile, and what was written with it lost. */
static void store(struct vm_area *a, struct page *page, uaddr_t addr, const void *buf, size_t n)
{
	memcpy((char *)page_virt(page) + (addr & ~PAGE_MASK), buf, n);
	page_written(page);
	if (a->prot & HAL_PROT_EXEC)
		hal_exec_sync(page_phys(page)); /* a breakpoint, in a page that is mapped already */
}

/* Copies n bytes within the page of addr, if it is there. */
static bool copy(struct vm_area *a, const struct access *x, uaddr_t addr, void *buf, size_t n)
{
	struct page *page = NULL;
	hal_pte_t *slot;

	spin_lock(&a->space->table_lock);
	slot = pagetable_find(a->space, addr);
	if (slot && usable(a, x, pte_read(slot))) {
		page = pte_page(pte_read(slot));
		if (x->write)
			store(a, page, addr, buf, n);
		else
			page_get(page);
	}
	spin_unlock(&a->space->table_lock);
	if (page && !x->write) {
		memcpy(buf, (char *)page_virt(page) + (addr & ~PAGE_MASK), n);
		page_put(page);
	}
	return page;
}

/* Copies n bytes within one page. Space lock held. 0, -EFAULT, -ENOMEM. */
static int access_page(const struct access *x, uaddr_t addr, void *buf, size_t n)
{
	struct vm_area *a = area_find(x->space, addr);

	if (!a || addr < a->start || !permitted(a, x))
		return -EFAULT;
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		int err;

		if (copy(a, x, addr, buf, n))
			return 0;
		err = fault_area(a, addr, x->write ? HAL_ACCESS_WRITE : HAL_ACCESS_READ);
		if (err)
			return err == -ENOMEM ? err : -EFAULT;
	}
	return -EFAULT;
}

ssize_t vm_access(struct vm_space *s, uaddr_t addr, void *buf, size_t len, bool write, bool force)
{
	struct access x = { s, write, force };
	struct reclaim_tries tries = { 0 };
	size_t done = 0;

	if (!user_range_ok(addr, len))
		return -EFAULT;
	while (done < len) {
		size_t n = min(len - done, PAGE_SIZE - ((addr + done) & ~PAGE_MASK));
		int err;

		rwlock_read(&s->lock);
		err = access_page(&x, addr + done, (char *)buf + done, n);
		rwlock_read_unlock(&s->lock);
		if (err == -ENOMEM && reclaim_wait(&tries))
			continue;
		if (err)
			break;
		done += n;
	}
	return done || !len ? (ssize_t)done : -EFAULT;
}
