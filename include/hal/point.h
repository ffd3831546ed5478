/* SPDX-License-Identifier: MIT */
/*
 * Scheduling points: places at which it matters what another CPU does next. In <hal/arch.h>, inline:
 *
 *   void hal_point(enum hal_point kind, const volatile void *object)
 *           Nothing on metal. The simulator's deterministic world may let another vCPU run here, lets time pass, delivers
 *           interrupts if they are on, and notes the point in its trace. Any context, any lock held.
 *
 *   bool hal_fault(const char *site)
 *           True at a named fault-injection point that the simulator wants to fail; false, and no code, on metal.
 */
#ifndef HAL_POINT_H
#define HAL_POINT_H

enum hal_point {
	HAL_POINT_LOCK,	  /* a lock is about to be taken                                   */
	HAL_POINT_UNLOCK, /* a lock was released                                           */
	HAL_POINT_ATOMIC, /* a word is about to be read or changed that other CPUs change  */
	HAL_POINT_SLEEP,  /* the running thread has said that it will sleep                */
	HAL_POINT_WAKE,	  /* the thread `object` is about to be woken                      */
	HAL_POINT_WAIT,	  /* about to look at what a wait is for                           */
};

#endif
