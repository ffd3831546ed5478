/* SPDX-License-Identifier: MIT */
/* Memory shared with a program: a cache object all of whose pages are there, and stay as long as it does. */
#include "shared.h"
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/vm.h>

static int fill(struct shared_memory *m)
{
	for (uint32_t i = 0; i < m->pages; i++) {
		struct page *page;
		int err = vm_object_page(m->object, i, true, &page);

		if (err)
			return err;
		m->page[i] = page_virt(page);
	}
	return 0;
}

int shared_create(struct shared_memory *m, uint64_t size)
{
	m->pages = (uint32_t)(align_up(size, PAGE_SIZE) >> PAGE_SHIFT);
	m->object = vm_object_create(NULL, NULL, (uint64_t)m->pages << PAGE_SHIFT);
	m->page = kcalloc(m->pages, sizeof(*m->page));
	if (m->object && m->page && fill(m) == 0)
		return 0;
	shared_destroy(m);
	return -ENOMEM;
}

void shared_destroy(struct shared_memory *m)
{
	for (uint32_t i = 0; m->page && i < m->pages && m->page[i]; i++)
		page_put(page_of_virt(m->page[i]));
	kfree(m->page);
	if (m->object)
		vm_object_put(m->object);
	*m = (struct shared_memory){ 0 };
}
