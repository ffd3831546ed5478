/* SPDX-License-Identifier: MIT */
/*
 * Formatted text: %d %i %u %x %X %o %c %s %p %% with flags - 0 + space #, width, precision (also *), and lengths hh h l ll z j t.
 * No floating point.
 */
#ifndef CLOUDOS_FORMAT_H
#define CLOUDOS_FORMAT_H

#include <cloudos/types.h>
#include <stdarg.h>

/* As C's snprintf: always terminated, returns the length that the whole text has. The names are ours, so that libc's stay apart. */
int fmt_string(char *buf, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int fmt_vstring(char *buf, size_t size, const char *format, va_list args);

#endif
