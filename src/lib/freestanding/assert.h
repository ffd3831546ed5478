/* SPDX-License-Identifier: MIT */
/* Libraries from subprojects/ check their own invariants in their own tests, not here. */
#undef assert
#define assert(expression) ((void)0)
