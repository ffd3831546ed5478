/* SPDX-License-Identifier: MIT */
/* The ELF parser: what it accepts is within the bounds that it promises, for both architectures' machine numbers. */
#include "../src/kernel/proc/elf.h"
#include <cloudos/panic.h>

#define TOP UINT64_C(0x00007ffffffff000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segment(const struct elf_image *image, const struct elf_segment *s)
{
	ASSERT(s->mem_size > 0 && s->file_size <= s->mem_size);
	ASSERT(s->vaddr <= TOP && s->mem_size <= TOP - s->vaddr);
	ASSERT((s->vaddr & (PAGE_SIZE - 1)) == (s->file_offset & (PAGE_SIZE - 1)));
	ASSERT(s->file_offset + s->file_size <= INT64_MAX);
	ASSERT(s->vaddr >= image->low && s->vaddr + s->mem_size <= image->high);
}

static void check(const struct elf_image *image)
{
	ASSERT(image->segment_count > 0 && image->segment_count <= ELF_SEGMENTS_MAX);
	ASSERT(is_aligned(image->low, PAGE_SIZE) && is_aligned(image->high, PAGE_SIZE));
	ASSERT(image->low < image->high && image->high <= TOP && image->entry < TOP);
	ASSERT(image->relocatable || image->low >= PAGE_SIZE);
	ASSERT(image->align >= PAGE_SIZE && (image->align & (image->align - 1)) == 0);
	for (uint32_t i = 0; i < image->segment_count; i++) {
		check_segment(image, &image->segments[i]);
		ASSERT(i == 0 || image->segments[i].vaddr >= image->segments[i - 1].vaddr);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned machines[] = { 62 /* EM_X86_64 */, 183 /* EM_AARCH64 */ };
	static struct elf_image image;

	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (elf_parse(data, size, machines[i], TOP, &image) == 0)
			check(&image);
	return 0;
}
