/* SPDX-License-Identifier: MIT */
/*
 * Mapping a parsed ELF file into a new space. The part of a segment that the file holds is mapped from it, privately; the rest of
 * its last page is cleared, and whole pages beyond are anonymous memory.
 */
#include "exec_internal.h"
#include <asm-generic/mman-common.h>

#define PROT_ALL (HAL_PROT_READ | HAL_PROT_WRITE | HAL_PROT_EXEC)

_Static_assert(PROT_READ == HAL_PROT_READ && PROT_WRITE == HAL_PROT_WRITE && PROT_EXEC == HAL_PROT_EXEC, "one encoding");

static const char zeros[PAGE_SIZE];

static int map_file_part(struct vm_space *s, struct file *f, const struct elf_segment *seg, uaddr_t bias)
{
	uaddr_t start = align_down(bias + seg->vaddr, PAGE_SIZE), at;
	struct vm_map_request r = {
		.addr = start,
		.len = align_up(bias + seg->vaddr + seg->file_size, PAGE_SIZE) - start,
		.prot = seg->prot,
		.may_prot = PROT_ALL,
		.fixed = true,
		.object_page = seg->file_offset / PAGE_SIZE,
		.file = f,
	};
	int err;

	if (!f->ops->mmap)
		return -ENODEV;
	err = f->ops->mmap(f, &r);
	return err < 0 ? err : vm_map(s, &r, &at);
}

/* The bytes behind the file's part in its last page. There is no such page when the file is shorter than it says. */
static int clear_tail(struct vm_space *s, const struct elf_segment *seg, uaddr_t bias)
{
	uaddr_t end = bias + seg->vaddr + seg->file_size;
	size_t n = (size_t)(align_up(end, PAGE_SIZE) - end);

	if (n == 0 || !(seg->prot & PROT_WRITE))
		return 0;
	return vm_access(s, end, (void *)(uintptr_t)zeros, n, true, true) == (ssize_t)n ? 0 : -ENOEXEC;
}

static int map_zero_part(struct vm_space *s, const struct elf_segment *seg, uaddr_t bias)
{
	uaddr_t start = bias + seg->vaddr + seg->file_size, end = align_up(bias + seg->vaddr + seg->mem_size, PAGE_SIZE), at;
	struct vm_map_request r = { .prot = seg->prot, .may_prot = PROT_ALL, .fixed = true };

	start = seg->file_size ? align_up(start, PAGE_SIZE) : align_down(start, PAGE_SIZE);
	if (start >= end)
		return 0;
	r.addr = start;
	r.len = end - start;
	return vm_map(s, &r, &at);
}

static int map_segment(struct vm_space *s, struct file *f, const struct elf_segment *seg, uaddr_t bias)
{
	int err = 0;

	if (seg->file_size)
		err = map_file_part(s, f, seg, bias);
	if (err == 0 && seg->mem_size > seg->file_size && seg->file_size)
		err = clear_tail(s, seg, bias);
	return err < 0 ? err : map_zero_part(s, seg, bias);
}

static int map_image(struct vm_space *s, struct file *f, const struct elf_image *image, uaddr_t bias)
{
	for (uint32_t i = 0; i < image->segment_count; i++) {
		int err = map_segment(s, f, &image->segments[i], bias);

		if (err < 0)
			return err;
	}
	return 0;
}

/* A program goes where it was linked, or where the layout wants it: what was chosen at random is rounded for its alignment. */
static uint64_t program_bias(const struct elf_image *image)
{
	if (!image->relocatable)
		return 0;
	return align_up(vm_layout_program(image->high - image->low + image->align), image->align) - image->low;
}

/* An interpreter goes where mmap would put it: its span is reserved, then mapped over. */
static int map_interpreter(struct exec *x)
{
	const struct elf_image *image = &x->interp_image;
	struct vm_map_request r = { .len = image->high - image->low + (image->align - PAGE_SIZE), .may_prot = PROT_ALL };
	uaddr_t at, base;
	int err;

	if (!image->relocatable)
		return map_image(x->space, x->interpreter, image, 0);
	err = vm_map(x->space, &r, &at);
	if (err < 0)
		return err;
	base = align_up(at, image->align);
	x->interp_bias = base - image->low;
	err = vm_unmap(x->space, at, r.len);
	return err < 0 ? err : map_image(x->space, x->interpreter, image, x->interp_bias);
}

/* Addresses for /proc and brk, as Linux counts them: code is what is executable, data what is not. */
static void note_layout(struct exec *x)
{
	struct vm_space *s = x->space;
	uaddr_t end = 0;

	s->code_start = UINT64_MAX;
	for (uint32_t i = 0; i < x->image.segment_count; i++) {
		const struct elf_segment *seg = &x->image.segments[i];
		uaddr_t start = x->bias + seg->vaddr, file_end = start + seg->file_size;

		s->code_start = min(s->code_start, start);
		s->data_start = max(s->data_start, start);
		if (seg->prot & PROT_EXEC)
			s->code_end = max(s->code_end, file_end);
		s->data_end = max(s->data_end, file_end);
		end = max(end, start + seg->mem_size);
	}
	s->brk_start = vm_layout_heap(end);
	s->brk_end = s->brk_start;
}

int exec_load(struct exec *x)
{
	int err;

	x->bias = program_bias(&x->image);
	err = map_image(x->space, x->file, &x->image, x->bias);
	if (err < 0)
		return err;
	note_layout(x);
	x->entry = x->bias + x->image.entry;
	if (!x->interpreter)
		return 0;
	err = map_interpreter(x);
	x->entry = x->interp_bias + x->interp_image.entry;
	return err;
}
