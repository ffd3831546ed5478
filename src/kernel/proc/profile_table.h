/* SPDX-License-Identifier: MIT */
/* Stacks and how often each was seen, in bounded memory: what the profiler gathers, and the folded text that it is read as. See profile_table.c. */
#ifndef PROC_PROFILE_TABLE_H
#define PROC_PROFILE_TABLE_H

#include <cloudos/lock.h>
#include <cloudos/types.h>

#define PROFILE_STACKS_MAX 16384u	  /* different stacks */
#define PROFILE_SLOTS	   (2 * PROFILE_STACKS_MAX)
#define PROFILE_PROBES_MAX 64u		  /* places that are tried for a stack */
#define PROFILE_FRAMES_MAX (256u << 10)	  /* of all stacks together */
#define PROFILE_NAMES_MAX  256u		  /* of mapped files */
#define PROFILE_NAME_SIZE  256u		  /* bytes of one, with its NUL */
#define PROFILE_TEXT_MAX   (3u << 20)	  /* bytes of text; stacks beyond are one line together */
#define PROFILE_COMM_SIZE  16u

#define PROFILE_KERNEL UINT32_MAX	  /* profile_frame.in: `at` is an address of the kernel */
#define PROFILE_WHOLE  UINT64_MAX	  /* profile_frame.at: no offset is known, or it says nothing */

struct text_out;

/* Where a stack passes: a place in a mapped file, named by profile_table_name(), or in the kernel. Compared byte by byte. */
struct profile_frame {
	uint64_t at;
	uint32_t in, zero;
};

struct profile_stack {
	char comm[PROFILE_COMM_SIZE];
	uint64_t count;
	uint32_t hash, first, frames;
};

/* Fields: L = lock; a stack, its frames and names do not change once `used` counts them, but for the count. */
struct profile_table {
	struct spinlock lock;
	struct profile_stack *stacks;	/* PROFILE_STACKS_MAX */
	struct profile_frame *frames;	/* PROFILE_FRAMES_MAX */
	uint32_t *slots;		/* L: PROFILE_SLOTS: a stack's number, and one; 0: free */
	char (*names)[PROFILE_NAME_SIZE]; /* PROFILE_NAMES_MAX */
	uint32_t used, frames_used, names_used; /* L */
	uint32_t run;			/* L, read freely: how often it was cleared */
	uint64_t lost;			/* L: samples for which there was no room */
};

int profile_table_init(struct profile_table *t); /* 0 or -ENOMEM. May sleep */
void profile_table_fini(struct profile_table *t); /* may sleep */
void profile_table_clear(struct profile_table *t);

/* The number by which a frame names what is mapped; one for all that there is no room for. Any context. */
uint32_t profile_table_name(struct profile_table *t, const char *name);

/*
 * `count` samples of a stack, outermost frame first; they are lost where there is no room, and none if the table has been cleared since
 * t->run was `run`. Any context.
 */
void profile_table_add(struct profile_table *t, uint32_t run, const char *comm, const struct profile_frame *frames, uint32_t n, uint64_t count);
void profile_table_lose(struct profile_table *t, uint64_t count);

/*
 * The folded text: "comm;frame;frame COUNT" a line, the outermost first, as tools that draw flame graphs read it. A frame of a file is
 * "path+0xOFFSET" in the file, one of the kernel "symbol_[k]". The caller sees to it that nobody clears the table meanwhile. May sleep.
 */
void profile_table_show(struct profile_table *t, struct text_out *o);

#endif
