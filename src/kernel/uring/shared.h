/* SPDX-License-Identifier: MIT */
/* Memory that the kernel shares with a program: it reads and writes it in place, and the program maps it. */
#ifndef SHARED_H
#define SHARED_H

#include <cloudos/types.h>
#include <hal/types.h>

struct vm_object;

struct shared_memory {
	struct vm_object *object; /* with a reference */
	uint32_t pages;
	void **page;		  /* where each lies, with a reference on it */
};

/* Cleared. 0 or -ENOMEM. May sleep. */
int shared_create(struct shared_memory *m, uint64_t size);
void shared_destroy(struct shared_memory *m);

/* What lies at an offset; nothing may straddle a page. */
static inline void *shared_at(const struct shared_memory *m, uint64_t offset)
{
	return (char *)m->page[offset >> PAGE_SHIFT] + (offset & (PAGE_SIZE - 1));
}

/* Words that the program reads and writes at the same time. */
static inline uint32_t shared_load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void shared_store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

#endif
