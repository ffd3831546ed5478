/* SPDX-License-Identifier: MIT */
/* sysfs: the skeleton that programs look for, and files that other parts add with sysfs_add(). */
#include <cloudos/thread.h>
#include <linux/magic.h>
#include "vfs_internal.h"

static struct super_block *sysfs;

static int sysfs_statfs(struct super_block *sb, struct fs_statistics *ret)
{
	(void)sb;
	*ret = (struct fs_statistics){ .magic = SYSFS_MAGIC, .block_size = PAGE_SIZE };
	return 0;
}

static const struct super_ops sysfs_super_ops = { .inode_free = memfs_inode_free, .statfs = sysfs_statfs };

static int sysfs_mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	(void)type, (void)source, (void)options;
	refcount_get(&sysfs->refs);
	*ret = sysfs;
	return 0;
}

const struct fs_type sysfs_type = { .name = "sysfs", .magic = SYSFS_MAGIC, .mount = sysfs_mount };

int sysfs_add(const char *name, uint32_t mode, int (*show)(struct text_out *o, void *arg), int (*store)(const char *text, size_t len, void *arg), void *arg)
{
	struct text_source source = { show, store, arg };

	return text_add(sysfs, name, mode, &source);
}

/* A mask of CPUs as "0-3,5". */
static int show_cpus(struct text_out *o, uint64_t mask)
{
	const char *comma = "";

	for (unsigned cpu = 0; cpu < 64; cpu++) {
		unsigned first = cpu;

		if (!(mask >> cpu & 1))
			continue;
		while (cpu < 63 && (mask >> (cpu + 1) & 1))
			cpu++;
		out_printf(o, first == cpu ? "%s%u" : "%s%u-%u", comma, first, cpu);
		comma = ",";
	}
	out_printf(o, "\n");
	return 0;
}

static int show_online(struct text_out *o, void *arg)
{
	(void)arg;
	return show_cpus(o, READ_ONCE(cpus_online));
}

static int show_possible(struct text_out *o, void *arg)
{
	unsigned n = hal_cpu_count();

	(void)arg;
	return show_cpus(o, n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1);
}

static int add_folder(const char *name)
{
	struct inode *inode = memfs_inode_create(sysfs, S_IFDIR | 0555, &memfs_dir_ops_readonly, NULL);
	int error = inode ? memfs_add(sysfs, name, inode, &memfs_dir_ops_readonly) : -ENOMEM;

	if (error && inode)
		inode_put(inode);
	return error == -EEXIST ? 0 : error;
}

int sysfs_init(void)
{
	static const char *const folders[] = { "block", "bus", "class", "dev", "devices", "firmware", "fs", "kernel", "module" };
	int error = memfs_super_create(&sysfs_type, &sysfs_super_ops, SB_PINNED | SB_SINGLE, &memfs_dir_ops_readonly, 0555, &sysfs);

	for (size_t i = 0; i < ARRAY_SIZE(folders) && !error; i++)
		error = add_folder(folders[i]);
	if (!error)
		error = sysfs_add("devices/system/cpu/online", 0444, show_online, NULL, NULL);
	if (!error)
		error = sysfs_add("devices/system/cpu/possible", 0444, show_possible, NULL, NULL);
	if (!error)
		error = sysfs_add("devices/system/cpu/present", 0444, show_possible, NULL, NULL);
	return error ? error : fs_register(&sysfs_type);
}
