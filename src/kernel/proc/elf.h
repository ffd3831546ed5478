/* SPDX-License-Identifier: MIT */
/* The ELF parser: from the bytes at the head of a file to what is to be mapped. Pure: no memory but the caller's, no kernel state. */
#ifndef PROC_ELF_H
#define PROC_ELF_H

#include <cloudos/types.h>

#define ELF_SEGMENTS_MAX 32	/* PT_LOADs: ENOEXEC beyond */
#define ELF_HEADER_MAX	 65536u /* bytes that ELF header and program headers may take */

struct elf_segment {
	uint64_t vaddr, file_offset, file_size, mem_size;
	uint32_t prot; /* PROT_* */
};

struct elf_image {
	bool relocatable;	  /* ET_DYN: may be mapped anywhere */
	bool stack_exec;	  /* PT_GNU_STACK asks for it, or is not there */
	uint64_t entry;
	uint64_t low, high;	  /* page-aligned span of the segments */
	uint64_t align;		  /* of a relocatable image: a power of two, a page to 2 MiB */
	uint64_t phdr;		  /* address of the program headers in memory, 0 if no segment holds them */
	uint32_t phdr_count;
	uint32_t segment_count;
	struct elf_segment segments[ELF_SEGMENTS_MAX]; /* ascending addresses */
	uint64_t interp_offset, interp_size; /* size 0: none */
};

/* How many bytes from the head of the file elf_parse() needs; 0: not an ELF file that could run (-ENOEXEC). */
size_t elf_header_size(const void *head, size_t len);

/*
 * Parses `len` bytes from the head of a file for `machine` (EM_*), whose programs may use addresses below `top`. 0 or -ENOEXEC.
 * Then every segment lies in [PAGE_SIZE, top), or in a span shorter than that if relocatable, and no sum of its fields overflows.
 */
int elf_parse(const void *head, size_t len, unsigned machine, uint64_t top, struct elf_image *ret);

#endif
