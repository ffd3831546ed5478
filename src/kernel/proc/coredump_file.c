/* SPDX-License-Identifier: MIT */
/*
 * A core file: an ELF header, one program header for all notes and one for each area of memory, the notes, and from the next whole page on the
 * memory. What an area has of itself there is told by /proc/PID/coredump_filter; pages that were never touched are holes in the file.
 *
 * RLIMIT_CORE counts what is written, not the holes, as Linux does; where it is reached the file ends, and is still one.
 */
#include "coredump.h"
#include <cloudos/fs.h>
#include <linux/elf.h>
#include <linux/stat.h>

#define AREAS_SPARE 16		    /* room for what others who use the memory map meanwhile; more is left out */
#define AREAS_MAX   (PN_XNUM - 2u) /* with that of the notes, what e_phnum has room for */

/* Bits of coredump_filter. */
enum { FILTER_ANONYMOUS = 1, FILTER_SHARED = 2, FILTER_FILES = 4, FILTER_SHARED_FILES = 8, FILTER_HEADERS = 16 };

struct core_area {
	uaddr_t start, end;
	uint64_t size;	 /* what the file has of it, from its start on */
	uint64_t backed; /* bytes from its start on that may hold something: behind the end of a mapped file nothing does */
	uint32_t prot;
	bool mapped_file; /* a page that is not in memory may hold something */
	bool header;	  /* its first page alone, if that is a program's */
};

struct core_areas {
	struct core_area *list;
	uint32_t count, room;
	uint16_t filter;
};

/* ---- writing ---- */

static int write_all(struct core *c, const void *data, size_t len)
{
	struct io_iter it;

	io_iter_kernel(&it, data, len);
	while (it.count > 0) {
		ssize_t n = file_write(c->file, &it, &c->at);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EIO;
	}
	return 0;
}

int core_emit(struct core *c, const void *data, size_t len)
{
	int err;

	if (READ_ONCE(c->dying->process->core_killed))
		return -EINTR;
	if (len > c->limit || c->written > c->limit - len)
		return -EFBIG;
	err = write_all(c, data, len);
	if (err == 0)
		c->written += len;
	return err;
}

/* ---- which memory ---- */

static bool is_named_file(const struct vm_area *a)
{
	const struct file *f = a->file;

	return f && f->inode && READ_ONCE(f->inode->nlink) > 0;
}

static bool is_program(const struct vm_area *a)
{
	const struct file *f = a->file;

	return f && a->object_page == 0 && (a->prot & HAL_PROT_READ) && f->inode && S_ISREG(inode_mode(f->inode));
}

static uint64_t size_shown(const struct vm_area *a, uint16_t filter, bool *ret_header)
{
	uint64_t all = a->end - a->start;

	if (a->flags & VM_SPECIAL) /* of the vDSO its code, and not what the kernel keeps there */
		return a->prot & HAL_PROT_EXEC ? all : 0;
	if (a->flags & VM_DONTDUMP)
		return 0;
	if (a->flags & VM_SHARED)
		return filter & (is_named_file(a) ? FILTER_SHARED_FILES : FILTER_SHARED) ? all : 0;
	if ((!a->object || READ_ONCE(a->has_private)) && (filter & FILTER_ANONYMOUS))
		return all;
	if (!a->object)
		return 0;
	if (filter & FILTER_FILES)
		return all;
	*ret_header = (filter & FILTER_HEADERS) && is_program(a);
	return *ret_header ? PAGE_SIZE : 0;
}

static uint64_t bytes_backed(const struct vm_area *a)
{
	uint64_t all = a->end - a->start, size = a->object ? READ_ONCE(a->object->size) : UINT64_MAX, from = a->object_page << PAGE_SHIFT;

	if (size == UINT64_MAX)
		return all;
	return size > from ? min(all, align_up(size - from, PAGE_SIZE)) : 0;
}

static int note_area(struct vm_area *a, void *arg)
{
	struct core_areas *areas = arg;
	struct core_area *to = &areas->list[areas->count];

	if (areas->count == areas->room)
		return 1;
	*to = (struct core_area){ .start = a->start, .end = a->end, .prot = a->prot, .mapped_file = a->object != NULL };
	to->size = size_shown(a, areas->filter, &to->header);
	to->backed = bytes_backed(a);
	areas->count++;
	return 0;
}

static bool begins_program(struct vm_space *s, const struct core_area *a)
{
	char magic[SELFMAG];

	return vm_access(s, a->start, magic, sizeof(magic), false, true) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

static int note_areas(struct core *c, struct core_areas *ret)
{
	struct vm_space *s = thread_current()->vm;

	ret->room = min(READ_ONCE(s->area_count) + AREAS_SPARE, AREAS_MAX);
	ret->filter = READ_ONCE(c->dying->process->core_filter);
	ret->list = kva_alloc(ret->room * sizeof(ret->list[0]));
	if (!ret->list)
		return -ENOMEM;
	(void)vm_for_each_area(s, note_area, ret);
	for (uint32_t i = 0; i < ret->count; i++)
		if (ret->list[i].header && !begins_program(s, &ret->list[i]))
			ret->list[i].size = 0;
	return 0;
}

/* ---- headers ---- */

static int emit_header(struct core *c, uint32_t segments)
{
	Elf64_Ehdr h = { .e_type = ET_CORE,
			 .e_machine = HAL_ABI_ELF_MACHINE,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(h),
			 .e_ehsize = sizeof(h),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = (Elf64_Half)segments };

	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_ident[EI_VERSION] = EV_CURRENT;
	h.e_ident[EI_OSABI] = ELFOSABI_NONE;
	return core_emit(c, &h, sizeof(h));
}

static uint32_t flags_of(uint32_t prot)
{
	return (prot & HAL_PROT_READ ? PF_R : 0) | (prot & HAL_PROT_WRITE ? PF_W : 0) | (prot & HAL_PROT_EXEC ? PF_X : 0);
}

static int emit_segments(struct core *c, const struct core_areas *areas, uint64_t notes_at, uint64_t notes_size, uint64_t memory_at)
{
	Elf64_Phdr h = { .p_type = PT_NOTE, .p_offset = notes_at, .p_filesz = notes_size, .p_align = 4 };
	int err = core_emit(c, &h, sizeof(h));

	for (uint32_t i = 0; i < areas->count && err == 0; i++) {
		const struct core_area *a = &areas->list[i];

		h = (Elf64_Phdr){ .p_type = PT_LOAD,
				  .p_flags = flags_of(a->prot),
				  .p_offset = memory_at,
				  .p_vaddr = a->start,
				  .p_filesz = a->size,
				  .p_memsz = a->end - a->start,
				  .p_align = PAGE_SIZE };
		memory_at += a->size;
		err = core_emit(c, &h, sizeof(h));
	}
	return err;
}

/* ---- memory ---- */

/* `memory_at`: where the area's first byte goes. What cannot be read is a hole. */
static int emit_area(struct core *c, const struct core_area *a, int64_t memory_at, void *page)
{
	struct vm_space *s = thread_current()->vm;
	uaddr_t end = a->start + min(a->size, a->backed), at = a->start;
	int err = 0;

	while (at < end && err == 0) {
		if (!a->mapped_file)
			at = vm_next_present(s, at, end);
		if (at == end)
			break;
		if (vm_access(s, at, page, PAGE_SIZE, false, true) == PAGE_SIZE) {
			c->at = memory_at + (int64_t)(at - a->start);
			err = core_emit(c, page, PAGE_SIZE);
		}
		at += PAGE_SIZE;
		sched_point(); /* holes are not written: nothing else in here sleeps */
		if (READ_ONCE(c->dying->process->core_killed))
			err = -EINTR;
	}
	return err;
}

static int emit_memory(struct core *c, const struct core_areas *areas, uint64_t memory_at)
{
	void *page = kmalloc(PAGE_SIZE);
	int err = page ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < areas->count && err == 0; i++) {
		err = emit_area(c, &areas->list[i], (int64_t)memory_at, page);
		memory_at += areas->list[i].size;
	}
	kfree(page);
	return err == 0 && c->at < (int64_t)memory_at ? vfs_truncate(c->file->inode, memory_at) : err; /* it ends with a hole */
}

int core_write_file(struct core *c)
{
	struct core_areas areas = { 0 };
	struct core_files files = { 0 };
	uint64_t notes_at, notes_size, memory_at;
	int err = note_areas(c, &areas);

	if (err < 0)
		return err;
	core_files_make(thread_current()->vm, &files);
	notes_at = sizeof(Elf64_Ehdr) + (areas.count + 1) * sizeof(Elf64_Phdr);
	notes_size = core_notes_size(c, &files);
	memory_at = align_up(notes_at + notes_size, PAGE_SIZE);
	err = emit_header(c, areas.count + 1);
	if (err == 0)
		err = emit_segments(c, &areas, notes_at, notes_size, memory_at);
	if (err == 0)
		err = core_notes_emit(c, &files);
	if (err == 0)
		err = emit_memory(c, &areas, memory_at);
	kva_free(files.data);
	kva_free(areas.list);
	return err;
}
