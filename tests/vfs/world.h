/* SPDX-License-Identifier: MIT */
/* A root file system for unit tests: the VFS's services by hand, an empty tmpfs, and the test's thread as root in it. */
#ifndef WORLD_H
#define WORLD_H

#include "unit.h"

/* Linux's header gives S_IFREG and its like only where the C library's is not at home. */
#pragma push_macro("__GLIBC__")
#undef __GLIBC__
#include <linux/stat.h>
#pragma pop_macro("__GLIBC__")

#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/vm.h>
#include "../../src/kernel/vfs/vfs_internal.h"

int vm_start(void); /* src/kernel/vm/space.c */

static inline int world_setup(void **state)
{
	unit_group_setup(state);
	vm_start();
	vm_file_ops = &file_mapping_ops;
	if (dentry_cache_init() || file_init() || memfs_init() || tmpfs_init())
		return -1;
	return vfs_mount_root();
}

#define WORLD_MAIN(tests, mib, cpu_count)                                                 \
	(unit_machine = (struct unit_machine){ .memory_mib = (mib), .cpus = (cpu_count) }, \
	 cmocka_run_group_tests_name(__FILE__, tests, world_setup, NULL))

static inline int touch(const char *name)
{
	struct file *f;
	int error = vfs_open(AT_FDCWD, name, O_WRONLY | O_CREAT, 0644, &f);

	if (!error)
		file_put(f);
	return error;
}

static inline bool exists(const char *name)
{
	struct file_stat st;

	return vfs_stat(AT_FDCWD, name, 0, &st) == 0;
}

static inline uint64_t ino_of(const char *name)
{
	struct file_stat st;

	return vfs_stat(AT_FDCWD, name, LOOKUP_FOLLOW, &st) ? 0 : st.ino;
}

#endif
