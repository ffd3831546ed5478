/* SPDX-License-Identifier: MIT */
/* The VFS as services, the root file system, and the identity of kernel threads that open files. */
#define LOG_SUBSYSTEM "vfs"
#include <cloudos/log.h>
#include <cloudos/service.h>
#include <cloudos/vm.h>
#include "vfs_internal.h"

static int vfs_start(void)
{
	int error = dentry_cache_init();

	if (!error)
		error = file_init();
	if (!error)
		error = memfs_init();
	vm_file_ops = &file_mapping_ops;
	return error;
}
SERVICE_DEFINE(vfs, .requires = SERVICE_REQUIRES("vm"), .start = vfs_start, .flags = SERVICE_ESSENTIAL);

static int tmpfs_start(void)
{
	int error = tmpfs_init();

	return error ? error : memfd_init();
}
SERVICE_DEFINE(tmpfs, .requires = SERVICE_REQUIRES("vfs"), .start = tmpfs_start, .flags = SERVICE_ESSENTIAL);

static int devfs_start(void)
{
	int error = devfs_init();

	if (!error)
		error = devpts_init();
	if (!error)
		error = memdev_add();
	return error ? error : kmsg_add();
}
SERVICE_DEFINE(devfs, .requires = SERVICE_REQUIRES("vfs"), .start = devfs_start, .flags = SERVICE_ESSENTIAL);

static int procfs_start(void)
{
	static const struct procfs_limit mounts = { "sys/fs/mount-max", &mounts_max, 1, MOUNTS_LIMIT };
	int error = procfs_init();

	if (!error)
		error = procfs_add_files();
	return error ? error : procfs_add_limits(&mounts, 1);
}
SERVICE_DEFINE(procfs, .requires = SERVICE_REQUIRES("vfs"), .start = procfs_start);

static int sysfs_start(void)
{
	return sysfs_init();
}
SERVICE_DEFINE(sysfs, .requires = SERVICE_REQUIRES("vfs"), .start = sysfs_start);

/* ---- kernel threads ---- */

int vfs_adopt_kernel_thread(void)
{
	struct thread *t = thread_current();

	if (!t->cred)
		t->cred = cred_create_root();
	if (!t->fs)
		(void)vfs_enter_mounts(mount_namespace_initial, &t->fs);
	if (!t->files)
		t->files = fd_table_create();
	return t->cred && t->fs && t->files ? 0 : -ENOMEM;
}

void vfs_release_kernel_thread(void)
{
	struct thread *t = thread_current();

	if (t->files)
		fd_table_put(t->files);
	if (t->fs)
		fs_context_put(t->fs);
	if (t->cred)
		cred_put(t->cred);
	t->files = NULL;
	t->fs = NULL;
	t->cred = NULL;
}

/* ---- the root ---- */

int vfs_mount_root(void)
{
	struct super_block *sb;
	const void *initrd;
	size_t len;
	int error = tmpfs_type.mount(&tmpfs_type, "rootfs", "mode=0755", &sb);

	if (error)
		return error;
	error = mount_namespace_first(sb, "rootfs");
	if (!error)
		error = vfs_adopt_kernel_thread();
	if (error)
		return error;
	if (!hal_initrd(&initrd, &len))
		log_warning("no initramfs was given: the root file system is empty");
	else
		initramfs_unpack(initrd, len); /* it says what went wrong; what is there may do */
	return 0;
}
