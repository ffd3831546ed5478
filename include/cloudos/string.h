/* SPDX-License-Identifier: MIT */
/* Strings and bytes. memcpy, memmove, memset and memcmp come from the machine (libc's in the simulator). */
#ifndef CLOUDOS_STRING_H
#define CLOUDOS_STRING_H

#include <cloudos/types.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
void *memchr(const void *s, int c, size_t n);

static inline bool str_equal(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Copies with a NUL always; returns false if it had to cut. */
bool str_copy(char *dst, size_t size, const char *src);

/* Unsigned number in the given base (0: by prefix); the whole string must be one. 0, -EINVAL or -ERANGE. */
int str_to_u64(const char *s, unsigned base, uint64_t *ret);
/* A decimal number of len bytes of text, with K, M, G or T for a factor, as Linux's memparse() takes it; newlines may follow. 0 or -EINVAL. */
int str_to_size(const char *text, size_t len, uint64_t *ret);

#endif
