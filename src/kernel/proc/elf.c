/* SPDX-License-Identifier: MIT */
/*
 * Reading ELF headers (System V gABI, chapters 4 and 5). Everything comes from outside: each field is checked before it is used in a
 * sum, and what does not make sense is ENOEXEC. Whether the file is as long as its segments say is not asked: as on Linux, pages
 * beyond the end are SIGBUS when they are touched.
 */
#include "elf.h"
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <asm-generic/mman-common.h>
#include <linux/elf.h>
#include <linux/limits.h>

#define ELF_ALIGN_MAX UINT64_C(0x200000)

static bool header_ok(const Elf64_Ehdr *h)
{
	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_ident[EI_VERSION] == EV_CURRENT &&
	       (h->e_type == ET_EXEC || h->e_type == ET_DYN) && h->e_phentsize == sizeof(Elf64_Phdr) &&
	       h->e_phnum > 0 && h->e_phnum != PN_XNUM && h->e_phoff <= ELF_HEADER_MAX &&
	       h->e_phoff + (uint64_t)h->e_phnum * sizeof(Elf64_Phdr) <= ELF_HEADER_MAX;
}

size_t elf_header_size(const void *head, size_t len)
{
	Elf64_Ehdr h;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, head, sizeof(h));
	if (!header_ok(&h))
		return 0;
	return max(sizeof(h), (size_t)h.e_phoff + h.e_phnum * sizeof(Elf64_Phdr));
}

static uint32_t segment_prot(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) | (flags & PF_X ? PROT_EXEC : 0);
}

static bool segment_ok(const Elf64_Phdr *ph, uint64_t top)
{
	if (ph->p_filesz > ph->p_memsz || ph->p_memsz > top || ph->p_vaddr > top - ph->p_memsz)
		return false;
	if ((ph->p_vaddr ^ ph->p_offset) & (PAGE_SIZE - 1))
		return false;
	return ph->p_offset <= INT64_MAX && ph->p_filesz <= INT64_MAX - ph->p_offset &&
	       align_up(ph->p_vaddr + ph->p_memsz, PAGE_SIZE) <= top;
}

static int take_load(struct elf_image *image, const Elf64_Phdr *ph, uint64_t top)
{
	struct elf_segment *s;

	if (ph->p_memsz == 0)
		return 0;
	if (!segment_ok(ph, top) || image->segment_count == ELF_SEGMENTS_MAX)
		return -ENOEXEC;
	if (image->segment_count > 0 && ph->p_vaddr < image->segments[image->segment_count - 1].vaddr)
		return -ENOEXEC;
	s = &image->segments[image->segment_count++];
	*s = (struct elf_segment){ .vaddr = ph->p_vaddr, .file_offset = ph->p_offset, .file_size = ph->p_filesz,
				   .mem_size = ph->p_memsz, .prot = segment_prot(ph->p_flags) };
	if (image->segment_count == 1)
		image->low = align_down(s->vaddr, PAGE_SIZE);
	image->high = max(image->high, align_up(s->vaddr + s->mem_size, PAGE_SIZE));
	if (ph->p_align > image->align && ph->p_align <= ELF_ALIGN_MAX && (ph->p_align & (ph->p_align - 1)) == 0)
		image->align = ph->p_align;
	return 0;
}

static int take_header(struct elf_image *image, const Elf64_Phdr *ph, uint64_t top)
{
	switch (ph->p_type) {
	case PT_LOAD:
		return take_load(image, ph, top);
	case PT_INTERP:
		if (image->interp_size)
			return 0; /* the first one counts */
		if (ph->p_filesz < 2 || ph->p_filesz > PATH_MAX || ph->p_offset > INT64_MAX - PATH_MAX)
			return -ENOEXEC;
		image->interp_offset = ph->p_offset;
		image->interp_size = ph->p_filesz;
		return 0;
	case PT_GNU_STACK:
		image->stack_exec = (ph->p_flags & PF_X) != 0;
		return 0;
	default:
		return 0;
	}
}

/* Where the program headers are in memory: in the segment that maps their place in the file. */
static uint64_t phdr_address(const struct elf_image *image, uint64_t offset)
{
	for (uint32_t i = 0; i < image->segment_count; i++) {
		const struct elf_segment *s = &image->segments[i];

		if (offset >= s->file_offset && offset - s->file_offset < s->file_size)
			return s->vaddr + (offset - s->file_offset);
	}
	return 0;
}

int elf_parse(const void *head, size_t len, unsigned machine, uint64_t top, struct elf_image *ret)
{
	size_t need = elf_header_size(head, len);
	struct elf_image *image = ret;
	Elf64_Ehdr h;
	Elf64_Phdr ph;

	if (need == 0 || need > len)
		return -ENOEXEC;
	memcpy(&h, head, sizeof(h));
	if (h.e_machine != machine)
		return -ENOEXEC;
	memset(image, 0, offsetof(struct elf_image, segments));
	image->interp_size = 0;
	image->relocatable = h.e_type == ET_DYN;
	image->stack_exec = true;
	image->align = PAGE_SIZE;
	image->entry = h.e_entry;
	image->phdr_count = h.e_phnum;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		memcpy(&ph, (const char *)head + h.e_phoff + i * sizeof(ph), sizeof(ph));
		if (take_header(image, &ph, top) < 0)
			return -ENOEXEC;
	}
	if (image->segment_count == 0 || image->entry >= top || (!image->relocatable && image->low < PAGE_SIZE))
		return -ENOEXEC;
	image->phdr = phdr_address(image, h.e_phoff);
	return 0;
}
