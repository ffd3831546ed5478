/* SPDX-License-Identifier: MIT */
/* A text that is written piece by piece into a buffer; what does not fit is left out. */
#ifndef ARCH_TEXT_H
#define ARCH_TEXT_H

#include <hal/types.h>

struct arch_text {
	char *buf;
	size_t len, size; /* no NUL is kept */
};

static inline void text_char(struct arch_text *t, char c)
{
	if (t->len < t->size)
		t->buf[t->len++] = c;
}

static inline void text_put(struct arch_text *t, const char *s)
{
	while (*s != '\0')
		text_char(t, *s++);
}

/* At least `digits` hexadecimal digits. */
static inline void text_hex(struct arch_text *t, uint64_t value, unsigned digits)
{
	for (unsigned i = 16; i-- > 0;) {
		if (i < digits || value >> (4 * i) != 0)
			text_char(t, "0123456789abcdef"[value >> (4 * i) & 15]);
	}
}

/* At least `digits` decimal digits. */
static inline void text_dec(struct arch_text *t, uint64_t value, unsigned digits)
{
	char reverse[20];
	unsigned n = 0;

	do {
		reverse[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0 || n < digits);
	while (n > 0)
		text_char(t, reverse[--n]);
}

#endif
