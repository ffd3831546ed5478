/* SPDX-License-Identifier: MIT */
/*
 * The frame of unit tests (CMocka): boots as much of the kernel as a test needs on the test's own thread, and
 * checks that each test leaves nothing behind. A test file looks like this:
 *
 *   #include "unit.h"
 *   #include <cloudos/mm.h>
 *
 *   static void freed_page_comes_back(void **state) { ... assert_non_null(page_alloc(0, 0)); ... }
 *
 *   int main(void)
 *   {
 *           static const struct CMUnitTest tests[] = { UNIT_TEST(freed_page_comes_back) };
 *           return UNIT_MAIN(tests, 32, 2);
 *   }
 *
 * Tests run as the kernel's boot thread, bound to CPU 0 (CMocka keeps thread-local state): they may sleep,
 * start threads, take locks. A test file includes the kernel's headers and this one, none of the C library's,
 * with which they could clash.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "boot.h"

/* One test, with the check for leaks around it. */
#define UNIT_TEST(function) cmocka_unit_test_setup_teardown(function, unit_begin, unit_end)

/* Runs the array `tests` on a machine with so much memory and so many CPUs. */
#define UNIT_MAIN(tests, mib, cpu_count)                                                                     \
	(unit_machine = (struct unit_machine){.memory_mib = (mib), .cpus = (cpu_count)},                     \
	 cmocka_run_group_tests_name(__FILE__, tests, unit_group_setup, NULL))

extern struct unit_machine unit_machine;

int unit_group_setup(void **state);
int unit_begin(void **state);
int unit_end(void **state);

#endif
