/* SPDX-License-Identifier: MIT */
/* The contended path of spin locks: test and test-and-set, so that waiting reads and does not write the line. */
#include <cloudos/lock.h>

void spin_lock_slow(struct spinlock *l)
{
	do {
		while (spin_is_locked(l))
			hal_cpu_relax();
	} while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE));
}
