/* SPDX-License-Identifier: MIT */
/*
 * The machine's vDSO in user space: two objects made when first needed and mapped by every program, the data page (which the machine keeps
 * up to date) as [vvar] and the image right behind it as [vdso].
 */
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include "vm_internal.h"

static struct vm_object *data_object, *image_object;
static struct mutex vdso_lock = MUTEX_INIT(vdso_lock, RANK_VM_VDSO);

/* The data page lies in the kernel's own memory; it gets a reference that never goes. */
static int adopt_data(struct vm_object *o)
{
	struct page *page = page_of_phys(hal_vdso_data());

	if (page->kind == PAGE_RESERVED)
		refcount_init(&page->refs, 1);
	else
		page_get(page);
	return page_map_set(&o->pages, 0, page);
}

/* The image is copied: it may lie anywhere in the kernel. */
static int copy_image(struct vm_object *o, const char *image, size_t len)
{
	for (size_t at = 0; at < len; at += PAGE_SIZE) {
		struct page *page;
		int err = vm_object_page(o, at >> PAGE_SHIFT, true, &page);

		if (err)
			return err;
		memcpy(page_virt(page), image + at, min(len - at, PAGE_SIZE));
		page_put(page);
	}
	return 0;
}

static int make_objects(const void *image, size_t len)
{
	struct vm_object *data = vm_object_create(NULL, NULL, PAGE_SIZE);
	struct vm_object *text = vm_object_create(NULL, NULL, len);

	if (!data || !text || copy_image(text, image, len) || adopt_data(data)) {
		if (data)
			vm_object_put(data);
		if (text)
			vm_object_put(text);
		return -ENOMEM;
	}
	data_object = data;
	image_object = text;
	return 0;
}

static int map_object(struct vm_space *s, uaddr_t at, uint64_t len, struct vm_object *o, uint32_t prot, const char *name)
{
	struct vm_map_request r = {
		.addr = at, .len = len, .prot = prot, .may_prot = prot, .flags = VM_SHARED | VM_SPECIAL | VM_DONTDUMP,
		.fixed = true, .noreplace = true, .object = o, .name = name,
	};

	return vm_map(s, &r, &at);
}

static int map_both(struct vm_space *s, uaddr_t hint, size_t len)
{
	struct vm_map_request where = { .addr = hint };
	uaddr_t at;
	int err;

	len = align_up(len, PAGE_SIZE);
	space_lock(s);
	err = map_place(s, &where, len + PAGE_SIZE, &at);
	space_unlock(s);
	if (!err)
		err = map_object(s, at, PAGE_SIZE, data_object, HAL_PROT_READ, "[vvar]");
	if (!err)
		err = map_object(s, at + PAGE_SIZE, len, image_object, HAL_PROT_READ | HAL_PROT_EXEC, "[vdso]");
	if (!err)
		s->vdso = at + PAGE_SIZE;
	return err;
}

int vm_map_vdso(struct vm_space *s, uaddr_t hint)
{
	size_t len;
	const void *image = hal_vdso_image(&len);
	int err = 0;

	s->vdso = 0;
	if (!image)
		return 0;
	mutex_lock(&vdso_lock);
	if (!image_object)
		err = make_objects(image, len);
	mutex_unlock(&vdso_lock);
	return err ? err : map_both(s, hint, len);
}
