/* SPDX-License-Identifier: MIT */
/*
 * Where the parts of a new program go. From the top of user space down:
 *
 *   [stack, grows down]  ends up to STACK_RANDOM below the top
 *   (its limit, at least STACK_ROOM_MIN)
 *   [mmap, grows down]   begins up to MAP_RANDOM below that
 *   ...
 *   [heap, grows up]     up to HEAP_RANDOM behind the program's end
 *   [program]            where it was linked; a position-independent one from PROGRAM_BASE + up to PROGRAM_RANDOM
 *
 * The random offsets make addresses hard to guess; with "cloudos.aslr=0" they are 0, so that runs are alike.
 */
#include <cloudos/cmdline.h>
#include <cloudos/random.h>
#include "vm_internal.h"

#define STACK_RANDOM	(UINT64_C(16) << 30)
#define MAP_RANDOM	(UINT64_C(1) << 40)
#define HEAP_RANDOM	(UINT64_C(32) << 20)
#define PROGRAM_RANDOM	(UINT64_C(1) << 40)
#define PROGRAM_BASE	(HAL_USER_TOP / 3 * 2)
#define STACK_ROOM_MIN	(UINT64_C(128) << 20)
#define STACK_ROOM_MAX	(HAL_USER_TOP / 6)

_Static_assert(HAL_USER_TOP > UINT64_C(1) << 46, "the offsets are chosen for an address space of 2^47 bytes or a little less");

static bool fixed;

void layout_init(void)
{
	fixed = !cmdline_flag("cloudos.aslr", true);
}

/* A multiple of the page size below `range`, a power of two. */
static uint64_t random_offset(uint64_t range)
{
	return fixed ? 0 : random_u64() & (range - 1) & PAGE_MASK;
}

uaddr_t layout_map_top(uint64_t stack_limit)
{
	uint64_t room = min(max(stack_limit, STACK_ROOM_MIN), STACK_ROOM_MAX) & PAGE_MASK;

	return HAL_USER_TOP - STACK_RANDOM - room - VM_GUARD_GAP - random_offset(MAP_RANDOM);
}

uaddr_t vm_layout_stack_top(void)
{
	return HAL_USER_TOP - PAGE_SIZE - random_offset(STACK_RANDOM);
}

uaddr_t vm_layout_program(uint64_t len)
{
	uaddr_t base = (PROGRAM_BASE & PAGE_MASK) + random_offset(PROGRAM_RANDOM);

	return len < HAL_USER_TOP - base ? base : VM_MIN_ADDR;
}

uaddr_t vm_layout_heap(uaddr_t program_end)
{
	return align_up(program_end, PAGE_SIZE) + random_offset(HEAP_RANDOM);
}
