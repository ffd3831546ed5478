/* SPDX-License-Identifier: MIT */
/* Strings, and the memory functions that a compiler may call by itself. */

#include "init.h"

#include <stdarg.h>

void *memset(void *to, int byte, size_t len);
void *memcpy(void *restrict to, const void *restrict from, size_t len);

void *memset(void *to, int byte, size_t len)
{
	for (char *at = to; len > 0; len--)
		*at++ = (char)byte;
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	const char *source = from;

	for (char *at = to; len > 0; len--)
		*at++ = *source++;
	return to;
}

size_t text_len(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return len;
}

size_t text_decimal(char ret[static 24], unsigned long n)
{
	char digits[24];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	for (size_t i = 0; i < count; i++)
		ret[i] = digits[count - 1 - i];
	ret[count] = 0;
	return count;
}

void text_write(int fd, ...)
{
	char line[512];
	size_t len = 0;
	va_list parts;

	va_start(parts, fd);
	for (const char *part = va_arg(parts, const char *); part; part = va_arg(parts, const char *)) {
		while (*part && len < sizeof(line))
			line[len++] = *part++;
	}
	va_end(parts);
	(void)sys_write(fd, line, len);
}
