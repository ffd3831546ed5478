/* SPDX-License-Identifier: MIT */
/*
 * User frames, by frame pointers: both architectures keep { the caller's frame pointer, the return address } where the frame pointer points.
 *
 * This runs on the way to user mode, not in the sampling interrupt, so that it may read memory that is not there yet. The program is not
 * trusted: a frame must lie in the mapping that the stack pointer is in, above the one before it, and its return address in what may be
 * executed; else the walk ends. Programs that were compiled without frame pointers show their innermost frame, and perhaps a few that are left over.
 *
 * A return address stands behind its call; the byte before it belongs to the call.
 */
#include "profile.h"
#include "proc_internal.h"
#include <asm-generic/mman-common.h>
#include <cloudos/uaccess.h>
#include <cloudos/vm.h>

struct user_record {
	uint64_t fp, pc;
};

struct place {
	struct profile_table *table;
	uaddr_t addr;
	struct profile_frame frame;
};

static int describe(struct vm_area *a, void *arg)
{
	char path[PROFILE_NAME_SIZE];
	struct place *p = arg;

	if (!(a->prot & PROT_EXEC))
		return -EACCES;
	p->frame = (struct profile_frame){ .at = PROFILE_WHOLE };
	if (!a->file) {
		p->frame.in = profile_table_name(p->table, a->name ? a->name : "[anonymous]");
	} else if (vm_file_ops->path(a->file, path, sizeof(path)) < 0) {
		p->frame.in = profile_table_name(p->table, "[long name]");
	} else {
		p->frame.at = p->addr - a->start + a->object_page * PAGE_SIZE;
		p->frame.in = profile_table_name(p->table, path);
	}
	return 0;
}

static int end_of(struct vm_area *a, void *arg)
{
	*(uaddr_t *)arg = a->end;
	return 0;
}

uint32_t profile_user_frames(struct task *t, struct profile_table *table, struct profile_frame *ret, uint32_t max)
{
	struct place place = { .table = table };
	struct vm_space *s = t->thread.vm;
	uaddr_t low, high, fp;
	uint32_t n = 0;

	if (!s)
		return 0;
	hal_user_sync(&t->user);
	place.addr = hal_abi_pc(&t->user.regs);
	low = hal_abi_sp(&t->user.regs);
	fp = hal_abi_fp(&t->user.regs);
	if (vm_with_area(s, low, end_of, &high) < 0)
		high = 0;
	while (n < max && vm_with_area(s, place.addr, describe, &place) == 0) {
		struct user_record record;

		ret[n++] = place.frame;
		if (fp < low || fp >= high || high - fp < sizeof(record) || !is_aligned(fp, sizeof(uint64_t)) || copy_from_user(&record, fp, sizeof(record)))
			break;
		low = fp + sizeof(record);
		fp = record.fp;
		place.addr = record.pc - 1;
	}
	return n;
}
