/* SPDX-License-Identifier: MIT */
/* How a stay in user mode ends: apart from <hal/user.h>, so that <hal/arch.h> can know it. */
#ifndef HAL_EXIT_H
#define HAL_EXIT_H

#include <hal/types.h>
#include <hal/upcall.h>

enum hal_exit_kind {
	HAL_EXIT_SYSCALL,   /* number, arguments: hal_abi_*                                        */
	HAL_EXIT_FAULT,	    /* page fault on a user address: addr, access                            */
	HAL_EXIT_TRAP,	    /* anything else the program did: signo, code, addr as Linux's siginfo says */
	HAL_EXIT_INTERRUPT, /* an interrupt was handled                                            */
};

struct hal_exit {
	uaddr_t addr;
	enum hal_access access;
	int signo; /* HAL_EXIT_TRAP: SIGILL, SIGFPE, SIGTRAP, SIGBUS, SIGSEGV */
	int code;  /* si_code */
};

#endif
