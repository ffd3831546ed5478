/* SPDX-License-Identifier: MIT */
/* The kernel's random numbers: ChaCha20 keyed from the machine's entropy (RFC 8439). Any context. */
#ifndef CLOUDOS_RANDOM_H
#define CLOUDOS_RANDOM_H

#include <cloudos/types.h>

void random_bytes(void *buf, size_t len);
uint64_t random_u64(void);

/* Mixes data in (what users write to /dev/urandom, interrupt timings). */
void random_add(const void *buf, size_t len);

#endif
