/* SPDX-License-Identifier: MIT */
/* Calls of one architecture only: the machine answers them. */
#include <cloudos/task.h>
#include "syscalls_gen.h"

int64_t sys_arch_prctl(int code, uaddr_t addr)
{
	return hal_abi_arch_prctl(&task_self()->user, code, addr);
}
