/* SPDX-License-Identifier: MIT */
/* There is no heap down here: callers hand the libraries their memory, and what asks for more is refused. */
#ifndef FREESTANDING_STDLIB_H
#define FREESTANDING_STDLIB_H

#include <stddef.h>

static inline void *malloc(size_t size)
{
	(void)size;
	return NULL;
}

static inline void *calloc(size_t count, size_t size)
{
	(void)count;
	(void)size;
	return NULL;
}

static inline void free(void *memory)
{
	(void)memory;
}

#endif
