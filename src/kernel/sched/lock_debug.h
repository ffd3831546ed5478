/* SPDX-License-Identifier: MIT */
/* Rank checks of sleeping locks (spin locks': <cloudos/lock.h>). Nothing unless built with debug_locks. */
#ifndef LOCK_DEBUG_H
#define LOCK_DEBUG_H

#include <cloudos/lock.h>

#if CLOUDOS_LOCK_DEBUG
void lock_debug_sleep_take(unsigned rank);  /* may be taken now? then counts as held */
void lock_debug_sleep_tried(unsigned rank); /* was taken by trying: in any order    */
void lock_debug_sleep_drop(unsigned rank);
#else
#define lock_debug_sleep_take(rank)  ((void)(rank))
#define lock_debug_sleep_tried(rank) ((void)(rank))
#define lock_debug_sleep_drop(rank)  ((void)(rank))
#endif

#endif
