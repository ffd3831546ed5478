/* SPDX-License-Identifier: MIT */
/* <linux/shm.h> asks for it, for programs' sake; the kernel needs nothing of it. */
