/* SPDX-License-Identifier: MIT */
/* Included by libraries from subprojects/ for hosted parts that are not compiled here. */
