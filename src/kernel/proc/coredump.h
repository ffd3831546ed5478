/* SPDX-License-Identifier: MIT */
/* What the files about core files share. */
#ifndef PROC_COREDUMP_H
#define PROC_COREDUMP_H

#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include "proc_internal.h"

#define CORE_NAME_MAX	 4096 /* bytes of a core file's name, with the 0: none is written under a longer one */
#define CORE_PATTERN_MAX 128  /* likewise of /proc/sys/kernel/core_pattern */

struct core {
	struct task *dying; /* the thread that dies of the signal, running */
	const struct signal_info *info;
	uint64_t limit;	    /* RLIMIT_CORE */
	struct file *file;
	uint64_t written;   /* bytes, without holes */
	int64_t at;	    /* in the file */
	struct task **tasks; /* those that it shows, the dying one first; they stand still */
	uint32_t task_count;
};

/* ---- coredump_name.c ---- */

/* What to call it, by core_pattern. 0; -ENOENT: none is wanted; -ENAMETOOLONG; -ENOMEM. May sleep. */
int core_name(const struct core *c, char *buf, size_t size);

/* /proc/sys/kernel/core_pattern and core_uses_pid. */
int core_pattern_show(struct text_out *o, void *arg);
int core_pattern_store(const char *text, size_t len, void *arg);
int core_uses_pid_show(struct text_out *o, void *arg);
int core_uses_pid_store(const char *text, size_t len, void *arg);

/* ---- coredump_file.c ---- */

/* Writes all of it: 0, or an errno, with what could be written there. May sleep long. */
int core_write_file(struct core *c);

/* The next bytes of the file: 0; -EFBIG: beyond the limit; -EINTR: SIGKILL; what writing gives. */
int core_emit(struct core *c, const void *data, size_t len);

/* ---- coredump_notes.c ---- */

/* What all notes together take, and the notes. *ret_files is core_files_note()'s. */
struct core_files {
	char *data; /* null: there is no such note */
	size_t len;
};
void core_files_make(struct vm_space *s, struct core_files *ret); /* of NT_FILE; without memory there is none. May sleep */
uint64_t core_notes_size(const struct core *c, const struct core_files *files);
int core_notes_emit(struct core *c, const struct core_files *files);

#endif
