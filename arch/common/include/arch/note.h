/* SPDX-License-Identifier: MIT */
/*
 * Messages of the machine: to hal_upcalls.log once the kernel has filled it, before that straight to the
 * console. Two fixed texts and a number, so that no formatter is needed below the seam.
 */
#ifndef ARCH_NOTE_H
#define ARCH_NOTE_H

#include <hal/types.h>

/* "what: detail"; any context after the console works. */
void arch_note(const char *what, const char *detail);

/* "what: detail 0xvalue". */
void arch_note_hex(const char *what, const char *detail, uint64_t value);

#endif
