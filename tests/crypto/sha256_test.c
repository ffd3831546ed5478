/* SPDX-License-Identifier: MIT */
/* SHA-256 against the examples of FIPS 180-4 and NIST's long message, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <cloudos/crypto.h>

static void assert_digest(const uint8_t digest[SHA256_DIGEST_SIZE], const char *expected)
{
	char text[2 * SHA256_DIGEST_SIZE + 1];

	for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(text, expected);
}

static void published_messages(void **state)
{
	static const struct {
		const char *message, *digest;
	} examples[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	uint8_t digest[SHA256_DIGEST_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		sha256(examples[i].message, strlen(examples[i].message), digest);
		assert_digest(digest, examples[i].digest);
	}
}

/* A million times "a", in pieces that cross the block boundary everywhere. */
static void a_long_message_in_pieces(void **state)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256 hash;
	char piece[97];

	(void)state;
	memset(piece, 'a', sizeof(piece));
	sha256_init(&hash);
	for (size_t left = 1000000; left > 0;) {
		size_t len = left % sizeof(piece) + 1 < left ? left % sizeof(piece) + 1 : left;

		sha256_update(&hash, piece, len);
		left -= len;
	}
	sha256_final(&hash, digest);
	assert_digest(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_messages),
		cmocka_unit_test(a_long_message_in_pieces),
	};

	return cmocka_run_group_tests_name("crypto/sha256", tests, NULL, NULL);
}
