/* SPDX-License-Identifier: MIT */
/* What the files of mm share. */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include <cloudos/mm.h>

/* Frees an object of a slab whose cache the caller does not know: p is its page. */
void slab_free_any(void *object, struct page *p);
size_t slab_object_size(const struct page *p);

/* The kernel virtual area: runs of pages [first, first + n) with a free page before and behind; 0 or -ENOMEM. */
int kva_reserve(size_t pages, uintptr_t *ret);
void kva_release(uintptr_t va, size_t pages);

/* Maps fresh pages there; on failure everything is as before. */
int kva_populate(uintptr_t va, size_t pages, unsigned flags);
void kva_depopulate(uintptr_t va, size_t pages);

#endif
