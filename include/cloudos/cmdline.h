/* SPDX-License-Identifier: MIT */
/* Words of the kernel command line: "name" or "name=value", separated by spaces; the last one of a name counts. */
#ifndef CLOUDOS_CMDLINE_H
#define CLOUDOS_CMDLINE_H

#include <cloudos/types.h>

/* Copies the value of `name` ("" for a bare word); false if it is not there. A value longer than size-1 is cut. */
bool cmdline_get(const char *name, char *ret, size_t size);
bool cmdline_has(const char *name);

/* "name", "name=1", "name=on" → true; "name=0", "name=off" → false; absent → `absent`. */
bool cmdline_flag(const char *name, bool absent);
uint64_t cmdline_u64(const char *name, uint64_t absent);

#endif
