/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing a space from the side: exec fills a stack, a debugger looks, /proc shows a command line. Pages are faulted in as the
 * program itself would do it, and copied through the direct map while the space's lock is held, so that a fork cannot come in between.
 */
#include <cloudos/errno.h>
#include <cloudos/string.h>
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

/* A private page that is the area's alone may be written to though the program may not. */
static bool usable(const struct vm_area *a, const struct access *x, hal_pte_t pte)
{
	if (!pte)
		return false;
	if (!x->write || hal_pte_writable(pte))
		return true;
	return !(a->prot & HAL_PROT_WRITE) && !pte_is_zero_page(pte) && pte_page(pte)->kind == PAGE_USER &&
	       refcount_is_one(&pte_page(pte)->refs);
}

/* The page of addr with a reference, or null. */
static struct page *pin(struct vm_area *a, const struct access *x, uaddr_t addr)
{
	struct page *page = NULL;
	hal_pte_t *slot;

	spin_lock(&a->space->table_lock);
	slot = pagetable_find(a->space, addr);
	if (slot && usable(a, x, pte_read(slot))) {
		page = pte_page(pte_read(slot));
		page_get(page);
	}
	spin_unlock(&a->space->table_lock);
	return page;
}

/* Copies n bytes within one page. Space lock held. */
static int access_page(const struct access *x, uaddr_t addr, void *buf, size_t n)
{
	struct vm_area *a = area_find(x->space, addr);
	struct page *page = NULL;
	char *data;

	if (!a || addr < a->start || !permitted(a, x))
		return -EFAULT;
	for (unsigned i = 0; !page && i < TRIES_MAX; i++) {
		page = pin(a, x, addr);
		if (!page && fault_area(a, addr, x->write ? HAL_ACCESS_WRITE : HAL_ACCESS_READ))
			return -EFAULT;
	}
	if (!page)
		return -EFAULT;
	data = (char *)page_virt(page) + (addr & ~PAGE_MASK);
	if (x->write)
		memcpy(data, buf, n);
	else
		memcpy(buf, data, n);
	if (x->write)
		page_written(page);
	if (x->write && (a->prot & HAL_PROT_EXEC))
		hal_exec_sync(page_phys(page)); /* a breakpoint, in a page that is mapped already */
	page_put(page);
	return 0;
}

ssize_t vm_access(struct vm_space *s, uaddr_t addr, void *buf, size_t len, bool write, bool force)
{
	struct access x = { s, write, force };
	size_t done = 0;

	if (!user_range_ok(addr, len))
		return -EFAULT;
	while (done < len) {
		size_t n = min(len - done, PAGE_SIZE - ((addr + done) & ~PAGE_MASK));
		int err;

		rwlock_read(&s->lock);
		err = access_page(&x, addr + done, (char *)buf + done, n);
		rwlock_read_unlock(&s->lock);
		if (err)
			break;
		done += n;
	}
	return done || !len ? (ssize_t)done : -EFAULT;
}
