/* SPDX-License-Identifier: MIT */
/* Numbers from text, bounded copies, hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <cloudos/errno.h>
#include <cloudos/hash.h>
#include <cloudos/string.h>

static void numbers(void **state)
{
	uint64_t v = 99;

	(void)state;
	assert_int_equal(str_to_u64("42", 10, &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(str_to_u64("0x2A", 0, &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(str_to_u64("052", 0, &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(str_to_u64("18446744073709551615", 10, &v), 0);
	assert_true(v == UINT64_MAX);
	v = 99;
	assert_int_equal(str_to_u64("18446744073709551616", 10, &v), -ERANGE);
	assert_int_equal(str_to_u64("", 10, &v), -EINVAL);
	assert_int_equal(str_to_u64("0x", 0, &v), -EINVAL);
	assert_int_equal(str_to_u64("12x", 10, &v), -EINVAL);
	assert_int_equal(str_to_u64("-1", 10, &v), -EINVAL);
	assert_int_equal(v, 99); /* untouched on failure */
}

static void copies_are_bounded_and_terminated(void **state)
{
	char buf[4] = "???";

	(void)state;
	assert_true(str_copy(buf, sizeof(buf), "abc"));
	assert_string_equal(buf, "abc");
	assert_false(str_copy(buf, sizeof(buf), "abcd"));
	assert_string_equal(buf, "abc");
	assert_true(str_copy(buf, sizeof(buf), ""));
	assert_string_equal(buf, "");
	assert_false(str_copy(buf, 0, "x"));
}

static void fnv_vectors(void **state)
{
	(void)state;
	/* Published values of FNV-1a, 32 bits. */
	assert_int_equal(hash_bytes("", 0, 0), 0x811c9dc5);
	assert_int_equal(hash_bytes("a", 1, 0), 0xe40c292c);
	assert_int_equal(hash_bytes("foobar", 6, 0), 0xbf9cf968);
}

static void hash_chains(void **state)
{
	struct hash_head head = { NULL };
	struct hash_link a = { 0 }, b = { 0 };

	(void)state;
	hash_insert(&head, &a);
	hash_insert(&head, &b);
	assert_true(hash_linked(&a));
	hash_remove(&a);
	hash_remove(&a);
	assert_false(hash_linked(&a));
	assert_ptr_equal(head.first, &b);
	hash_remove(&b);
	assert_null(head.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(copies_are_bounded_and_terminated),
		cmocka_unit_test(fnv_vectors),
		cmocka_unit_test(hash_chains),
	};

	return cmocka_run_group_tests_name("core/string", tests, NULL, NULL);
}
