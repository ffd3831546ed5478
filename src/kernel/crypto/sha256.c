/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4), from mbedTLS. Its functions fail for unknown variants alone, which are not asked for. */

#include <cloudos/crypto.h>

#include <mbedtls/sha256.h>

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(struct sha256), "struct sha256 must hold the library's");
_Static_assert(_Alignof(mbedtls_sha256_context) <= _Alignof(struct sha256), "and be aligned as it");

static mbedtls_sha256_context *library(struct sha256 *state)
{
	return (mbedtls_sha256_context *)state->opaque;
}

void sha256_init(struct sha256 *state)
{
	mbedtls_sha256_init(library(state));
	(void)mbedtls_sha256_starts(library(state), 0);
}

void sha256_update(struct sha256 *state, const void *data, size_t len)
{
	(void)mbedtls_sha256_update(library(state), data, len);
}

void sha256_final(struct sha256 *state, uint8_t ret_digest[static SHA256_DIGEST_SIZE])
{
	(void)mbedtls_sha256_finish(library(state), ret_digest);
	mbedtls_sha256_free(library(state));
}

void sha256(const void *data, size_t len, uint8_t ret_digest[static SHA256_DIGEST_SIZE])
{
	struct sha256 state;

	sha256_init(&state);
	sha256_update(&state, data, len);
	sha256_final(&state, ret_digest);
}
