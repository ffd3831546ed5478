/* SPDX-License-Identifier: MIT */
/* The kernel's formatter against the C library's, which is the oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <cloudos/format.h>

#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-truncation"

#define SAME(...)                                                          \
	do {                                                               \
		char ours[128], theirs[128];                               \
		int n = fmt_string(ours, sizeof(ours), __VA_ARGS__);       \
		int m = snprintf(theirs, sizeof(theirs), __VA_ARGS__);     \
		assert_string_equal(ours, theirs);                         \
		assert_int_equal(n, m);                                    \
	} while (0)

static void integers(void **state)
{
	(void)state;
	SAME("%d|%i|%u", 0, -1, 4294967295u);
	SAME("%5d|%-5d|%05d|%+d|% d", 42, 42, 42, 42, 42);
	SAME("%5d|%-5d|%05d", -42, -42, -42);
	SAME("%.3d|%8.3d|%-8.3d|%08.3d", 7, 7, 7, 7);
	SAME("%ld|%lld|%zd|%jd", 1l << 62, -(1ll << 62), (ssize_t)-1, (intmax_t)INTMAX_MIN);
	SAME("%hhd|%hd|%hhu|%hu", 300, 70000, 300, 70000);
	SAME("%lu", ~0ul);
}

static void other_bases(void **state)
{
	(void)state;
	SAME("%x|%X|%#x|%#X|%o|%#o", 48879, 48879, 48879, 48879, 8, 8);
	SAME("%#x|%#o|%x", 0, 0, 0);
	SAME("%016lx|%#018lx|%-#12x|", 0x1234abcdul, 0x1234abcdul, 255);
	SAME("%p", (void *)0x1000);
}

static void text(void **state)
{
	(void)state;
	SAME("%s|%10s|%-10s|%.2s|%10.2s|", "abc", "abc", "abc", "abc", "abc");
	SAME("%c%c|%3c|%-3c|", 'a', 'b', 'c', 'd');
	SAME("%*d|%-*d|%.*s", 6, 1, 6, 2, 2, "xyz");
	SAME("%*d", -6, 1);
	SAME("100%%");
}

static void what_does_not_fit_is_cut_and_counted(void **state)
{
	char small[4];

	(void)state;
	assert_int_equal(fmt_string(small, sizeof(small), "%d", 123456), 6);
	assert_string_equal(small, "123");
	assert_int_equal(fmt_string(NULL, 0, "%s", "four"), 4);
	assert_int_equal(fmt_string(small, 1, "x"), 1);
	assert_string_equal(small, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(other_bases),
		cmocka_unit_test(text),
		cmocka_unit_test(what_does_not_fit_is_cut_and_counted),
	};

	return cmocka_run_group_tests_name("core/format", tests, NULL, NULL);
}
