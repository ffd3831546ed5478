/* SPDX-License-Identifier: MIT */
/* The stages of execve share this: see exec.c. */
#ifndef PROC_EXEC_INTERNAL_H
#define PROC_EXEC_INTERNAL_H

#include <cloudos/clone.h>
#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include "elf.h"
#include "proc_internal.h"

#define EXEC_SCRIPTS_MAX 4   /* interpreters that are scripts themselves: ELOOP beyond */
#define EXEC_LINE_MAX	 256 /* bytes of a "#!" line that are looked at */
#define EXEC_HEAD_SIZE	 1024 /* read at first: enough for the headers of nearly every program */

/* The strings of the new program, one after the other: arguments, environment, file name. */
struct exec_strings {
	char *data;
	size_t used, size, limit;
	uint32_t argc, envc;
	size_t env_at, name_at; /* where the environment and the file name begin */
};

struct exec {
	struct file *file;	/* the program; in the end an ELF file */
	struct file *interpreter; /* PT_INTERP's, or null */
	const char *name;	/* as the program is told (AT_EXECFN) */
	char *made_name;	/* its storage, where it was made up; or null */
	const char *prefix[2 * EXEC_SCRIPTS_MAX + 1]; /* arguments that scripts put in place of argv[0] */
	uint32_t prefix_count;
	uint32_t scripts;
	char *head;		/* the first head_len bytes of `file` */
	size_t head_len;
	struct exec_strings strings;
	struct vm_space *space;
	struct cred *cred;	/* the new one, with a reference */
	struct signal_actions *actions; /* the new ones, or null: the old ones stay */
	bool secure;		/* AT_SECURE */
	bool gains;		/* ids or capabilities that the caller has not: not with no_new_privs, nor under a tracer without rights (ptrace.c) */
	bool unreadable;	/* the caller may execute the file, but not read it */
	uint64_t bias, interp_bias;
	uaddr_t entry, stack_top, sp;
	uint64_t stack_limit; /* RLIMIT_STACK when it began */
	/* not cleared at first: */
	char first[EXEC_HEAD_SIZE];
	char lines[EXEC_SCRIPTS_MAX][EXEC_LINE_MAX];
	struct elf_image image, interp_image;
};

/* exec_args.c */
int exec_strings_gather(struct exec *x, const struct exec_source *source);

/* exec_load.c */
int exec_load(struct exec *x);

/* exec_stack.c */
int exec_stack(struct exec *x);

/* exec_cred.c */
int exec_cred(struct exec *x);

#endif
