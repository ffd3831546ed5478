/* SPDX-License-Identifier: MIT */
/* The parts of mbedTLS that CloudOS compiles: a line here and a source in meson.build go together. */
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA512_C
