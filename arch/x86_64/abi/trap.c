/* SPDX-License-Identifier: MIT */
/* What sigcontext says of a trap, for a machine that is told signals and not vectors. */
#include "abi_internal.h"

#include <asm-generic/siginfo.h>
#include <asm/signal.h>

#define ERROR_PRESENT 1u
#define ERROR_WRITE   2u
#define ERROR_USER    4u
#define ERROR_FETCH   16u

static uint64_t vector_of(const struct hal_exit *e)
{
	switch (e->signo) {
	case SIGFPE:
		return e->code == FPE_INTDIV ? 0 : 19;
	case SIGTRAP:
		return e->code == SI_KERNEL ? 3 : 1;
	case SIGILL:
		return 6;
	case SIGBUS:
		return 17;
	default:
		return 13;
	}
}

void x86_trap_note(struct hal_user *u, enum hal_exit_kind kind, const struct hal_exit *e, bool present)
{
	if (kind == HAL_EXIT_TRAP) {
		u->x86.trap_number = vector_of(e);
		u->x86.trap_error = 0;
	} else if (kind == HAL_EXIT_FAULT) {
		u->x86.trap_number = 14;
		u->x86.trap_address = e->addr;
		u->x86.trap_error = ERROR_USER | (present ? ERROR_PRESENT : 0) |
				    (e->access & HAL_ACCESS_WRITE ? ERROR_WRITE : 0) |
				    (e->access & HAL_ACCESS_EXEC ? ERROR_FETCH : 0);
	}
}
