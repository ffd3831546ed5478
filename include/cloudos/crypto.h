/* SPDX-License-Identifier: MIT */
/*
 * Hashes (ciphers will join them). The implementation behind is a library's and may be replaced by a faster one
 * row by row. Nothing here allocates or locks. Any context.
 */
#ifndef CLOUDOS_CRYPTO_H
#define CLOUDOS_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_DIGEST_SIZE 32

/* State of a SHA-256 (FIPS 180-4) over data that comes in pieces; storage is the caller's. */
struct sha256 {
	uint64_t opaque[16];
};

void sha256_init(struct sha256 *state);
void sha256_update(struct sha256 *state, const void *data, size_t len);
/* Gives the digest and wipes the state. */
void sha256_final(struct sha256 *state, uint8_t ret_digest[static SHA256_DIGEST_SIZE]);

/* All in one. */
void sha256(const void *data, size_t len, uint8_t ret_digest[static SHA256_DIGEST_SIZE]);

#endif
