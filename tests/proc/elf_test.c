/* SPDX-License-Identifier: MIT */
/* The ELF parser: what it takes from a good file, and what it refuses. */
#include "unit.h"
#include "../../src/kernel/proc/elf.h"
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <linux/elf.h>

#define TOP	UINT64_C(0x00007ffffffff000)
#define MACHINE 62

static struct {
	Elf64_Ehdr header;
	Elf64_Phdr ph[ELF_SEGMENTS_MAX + 2];
} file;
static struct elf_image image;

static Elf64_Phdr load(uint64_t offset, uint64_t vaddr, uint64_t file_size, uint64_t mem_size)
{
	return (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = offset, .p_vaddr = vaddr,
			     .p_filesz = file_size, .p_memsz = mem_size, .p_align = PAGE_SIZE };
}

/* A static program of one segment, to be spoilt by the tests. */
static void begin(void)
{
	memset(&file, 0, sizeof(file));
	memcpy(file.header.e_ident, ELFMAG, SELFMAG);
	file.header.e_ident[EI_CLASS] = ELFCLASS64;
	file.header.e_ident[EI_DATA] = ELFDATA2LSB;
	file.header.e_ident[EI_VERSION] = EV_CURRENT;
	file.header.e_type = ET_EXEC;
	file.header.e_machine = MACHINE;
	file.header.e_entry = 0x401000;
	file.header.e_phoff = sizeof(Elf64_Ehdr);
	file.header.e_phentsize = sizeof(Elf64_Phdr);
	file.header.e_phnum = 1;
	file.ph[0] = load(0, 0x400000, 0x1800, 0x2400);
}

static int parse(void)
{
	return elf_parse(&file, sizeof(file), MACHINE, TOP, &image);
}

static void a_static_program_is_taken(void **state)
{
	(void)state;
	begin();
	assert_int_equal(parse(), 0);
	assert_false(image.relocatable);
	assert_int_equal(image.segment_count, 1);
	assert_int_equal(image.segments[0].file_size, 0x1800);
	assert_int_equal(image.low, 0x400000);
	assert_int_equal(image.high, 0x403000);
	assert_int_equal(image.phdr, 0x400000 + sizeof(Elf64_Ehdr));
	assert_int_equal(image.interp_size, 0);
	assert_true(image.stack_exec); /* nothing says otherwise */
}

static void interpreter_stack_and_alignment_are_noted(void **state)
{
	(void)state;
	begin();
	file.header.e_type = ET_DYN;
	file.header.e_phnum = 3;
	file.ph[0] = load(0, 0, 0x1000, 0x1000);
	file.ph[0].p_align = 0x200000;
	file.ph[1] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = 0x200, .p_filesz = 28 };
	file.ph[2] = (Elf64_Phdr){ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W };
	assert_int_equal(parse(), 0);
	assert_true(image.relocatable);
	assert_int_equal(image.align, 0x200000);
	assert_int_equal(image.interp_offset, 0x200);
	assert_int_equal(image.interp_size, 28);
	assert_false(image.stack_exec);
}

#define REFUSED(spoil)                                \
	do {                                          \
		begin();                              \
		spoil;                                \
		assert_int_equal(parse(), -ENOEXEC); \
	} while (0)

static void wrong_headers_are_refused(void **state)
{
	(void)state;
	REFUSED(file.header.e_ident[0] = 'X');
	REFUSED(file.header.e_ident[EI_CLASS] = ELFCLASS32);
	REFUSED(file.header.e_ident[EI_DATA] = ELFDATA2MSB);
	REFUSED(file.header.e_type = ET_REL);
	REFUSED(file.header.e_machine = EM_386);
	REFUSED(file.header.e_phentsize = 32);
	REFUSED(file.header.e_phnum = 0);
	REFUSED(file.header.e_phnum = PN_XNUM);
	REFUSED(file.header.e_phoff = UINT64_MAX - 8);
	REFUSED(file.header.e_phoff = sizeof(file));
	REFUSED(file.header.e_entry = TOP);
}

static void wrong_segments_are_refused(void **state)
{
	(void)state;
	REFUSED(file.ph[0].p_filesz = file.ph[0].p_memsz + 1);
	REFUSED(file.ph[0].p_memsz = TOP);
	REFUSED(file.ph[0].p_vaddr = UINT64_MAX & PAGE_MASK);
	REFUSED(file.ph[0].p_offset = 1);
	REFUSED(file.ph[0].p_offset = INT64_MAX & (int64_t)PAGE_MASK);
	REFUSED(file.ph[0].p_vaddr = 0);
	REFUSED(file.ph[0].p_type = PT_NOTE);
	REFUSED(file.ph[0].p_memsz = 0; file.ph[0].p_filesz = 0);
}

static void segments_must_ascend_and_not_be_too_many(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i <= ELF_SEGMENTS_MAX; i++)
		file.ph[i] = load(0, 0x400000 + i * 0x10000, 0x1000, 0x1000);
	file.header.e_phnum = ELF_SEGMENTS_MAX;
	assert_int_equal(parse(), 0);
	file.header.e_phnum = ELF_SEGMENTS_MAX + 1;
	assert_int_equal(parse(), -ENOEXEC);
	file.header.e_phnum = 2;
	file.ph[1].p_vaddr = 0x300000;
	assert_int_equal(parse(), -ENOEXEC);
}

static void every_cut_is_refused(void **state)
{
	size_t need;

	(void)state;
	begin();
	need = elf_header_size(&file, sizeof(file));
	assert_int_equal(need, sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr));
	for (size_t n = 0; n < need; n++)
		assert_int_equal(elf_parse(&file, n, MACHINE, TOP, &image), -ENOEXEC);
	assert_int_equal(elf_parse(&file, need, MACHINE, TOP, &image), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(a_static_program_is_taken),	     UNIT_TEST(interpreter_stack_and_alignment_are_noted),
		UNIT_TEST(wrong_headers_are_refused),	     UNIT_TEST(wrong_segments_are_refused),
		UNIT_TEST(segments_must_ascend_and_not_be_too_many), UNIT_TEST(every_cut_is_refused),
	};

	return UNIT_MAIN(tests, 16, 1);
}
