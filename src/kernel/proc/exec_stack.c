/* SPDX-License-Identifier: MIT */
/*
 * The stack of a new program (System V ABI, process initialisation), from the top down:
 *
 *   eight zero bytes; file name; environment strings; argument strings   (these four as gathered, in rising order:
 *                                                                         arguments, environment, name, zeros)
 *   16 random bytes, platform name
 *   auxiliary vector; environment pointers, 0; argument pointers, 0; argc        <- sp, 16-byte aligned
 *
 * The lower part is built in one block of kernel memory and written in one go.
 */
#include "exec_internal.h"
#include <asm-generic/mman-common.h>
#include <cloudos/random.h>
#include <cloudos/user_namespace.h>
#include <linux/auxvec.h>

#define STACK_FIRST_SIZE (UINT64_C(128) << 10) /* mapped at once; it grows by faults */
#define STACK_ROOM_END	 8		       /* zero bytes at the very top */
#define RANDOM_SIZE	 16
#define CLOCK_TICKS	 100

/* The lower part, while it is being filled in. */
struct block {
	uint64_t *words;
	size_t at; /* next word */
};

static void put(struct block *b, uint64_t word)
{
	b->words[b->at++] = word;
}

static int map_stack(struct exec *x, uint64_t size)
{
	uint64_t len = align_up(size + STACK_FIRST_SIZE, PAGE_SIZE);
	struct vm_map_request r = {
		.addr = x->stack_top - len,
		.len = len,
		.prot = PROT_READ | PROT_WRITE | (x->image.stack_exec ? PROT_EXEC : 0),
		.may_prot = PROT_READ | PROT_WRITE | PROT_EXEC,
		.flags = VM_GROWSDOWN | VM_STACK,
		.fixed = true,
		.noreplace = true,
		.name = "[stack]",
	};
	uaddr_t at;

	return vm_map(x->space, &r, &at);
}

static void put_pointers(struct block *b, const char *strings, size_t *at, uaddr_t base, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		put(b, base + *at);
		*at += strlen(strings + *at) + 1;
	}
	put(b, 0);
}

static void put_aux(struct exec *x, struct block *b, uaddr_t name, uaddr_t random, uaddr_t platform)
{
	const struct cred *c = x->cred;
	const uint64_t pairs[][2] = {
		{ AT_HWCAP, hal_abi_hwcap() },
		{ AT_PAGESZ, PAGE_SIZE },
		{ AT_CLKTCK, CLOCK_TICKS },
		{ AT_PHDR, x->image.phdr ? x->bias + x->image.phdr : 0 },
		{ AT_PHENT, 56 /* sizeof(Elf64_Phdr), as the parser checked */ },
		{ AT_PHNUM, x->image.phdr_count },
		{ AT_BASE, x->interp_bias },
		{ AT_FLAGS, 0 },
		{ AT_ENTRY, x->bias + x->image.entry },
		{ AT_UID, uid_out(c->uid) },
		{ AT_EUID, uid_out(c->euid) },
		{ AT_GID, gid_out(c->gid) },
		{ AT_EGID, gid_out(c->egid) },
		{ AT_SECURE, x->secure },
		{ AT_RANDOM, random },
		{ AT_HWCAP2, hal_abi_hwcap2() },
		{ AT_EXECFN, name },
		{ AT_PLATFORM, platform },
		{ AT_MINSIGSTKSZ, HAL_ABI_MINSIGSTKSZ },
	};

	if (x->space->vdso) {
		put(b, AT_SYSINFO_EHDR);
		put(b, x->space->vdso);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		put(b, pairs[i][0]);
		put(b, pairs[i][1]);
	}
	put(b, AT_NULL);
	put(b, 0);
}

#define AUX_WORDS 42 /* at most, with its end: 19 pairs, AT_SYSINFO_EHDR, AT_NULL */

static void keep_aux(struct vm_space *s, const uint64_t *aux, size_t words)
{
	_Static_assert(sizeof(s->auxv) >= AUX_WORDS * sizeof(uint64_t), "room for all of it");
	memcpy(s->auxv, aux, words * sizeof(aux[0]));
	s->auxv_words = (uint32_t)words;
}

static int write_all(struct vm_space *s, uaddr_t at, const void *data, size_t len)
{
	return vm_access(s, at, (void *)(uintptr_t)data, len, true, true) == (ssize_t)len ? 0 : -ENOMEM;
}

/* Pointers, auxiliary vector, platform, random bytes: everything below the strings. */
static int write_block(struct exec *x, uaddr_t strings_at, size_t words, size_t tail)
{
	const struct exec_strings *s = &x->strings;
	uaddr_t sp = x->sp, tail_at = sp + words * sizeof(uint64_t);
	struct block b = { .words = kmalloc(words * sizeof(uint64_t) + tail) };
	size_t at = 0, aux;
	char *end;
	int err;

	if (!b.words)
		return -ENOMEM;
	put(&b, s->argc);
	put_pointers(&b, s->data, &at, strings_at, s->argc);
	put_pointers(&b, s->data, &at, strings_at, s->envc);
	aux = b.at;
	put_aux(x, &b, strings_at + s->name_at, tail_at, tail_at + RANDOM_SIZE);
	keep_aux(x->space, b.words + aux, b.at - aux);
	ASSERT(b.at <= words);
	memset(b.words + b.at, 0, (words - b.at) * sizeof(uint64_t));
	end = (char *)(b.words + words);
	random_bytes(end, RANDOM_SIZE);
	memcpy(end + RANDOM_SIZE, HAL_ABI_MACHINE, sizeof(HAL_ABI_MACHINE));
	err = write_all(x->space, sp, b.words, words * sizeof(uint64_t) + tail);
	kfree(b.words);
	return err;
}

int exec_stack(struct exec *x)
{
	const struct exec_strings *s = &x->strings;
	size_t words = 1 + s->argc + 1 + s->envc + 1 + AUX_WORDS, tail = RANDOM_SIZE + sizeof(HAL_ABI_MACHINE);
	struct vm_space *space = x->space;
	uaddr_t strings_at;
	int err;

	x->stack_top = vm_layout_stack_top();
	strings_at = x->stack_top - STACK_ROOM_END - s->used;
	x->sp = (strings_at - tail - words * sizeof(uint64_t)) & ~UINT64_C(15);
	err = map_stack(x, x->stack_top - x->sp);
	if (err < 0)
		return err;
	err = write_all(space, strings_at, s->data, s->used);
	if (err < 0)
		return err;
	space->arg_start = strings_at;
	space->arg_end = space->env_start = strings_at + s->env_at;
	space->env_end = strings_at + s->name_at;
	space->stack_start = x->sp;
	return write_block(x, strings_at, words, tail);
}
