/* SPDX-License-Identifier: MIT */
/* Control groups as a service, and what /proc and /sys say of them. */
#include <cloudos/service.h>
#include "cgroup_internal.h"

/* Every controller is in the one hierarchy, which has the number 0. */
static int show_controllers(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
	mutex_lock(&cgroup_mutex);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		unsigned count = 0;

		cgroup_for_each(cg, cgroup_root)
			count += (cgroup_controllers_of(cg) & cgroup_controllers[i]->bit) != 0;
		out_printf(o, "%s\t0\t%u\t1\n", cgroup_controllers[i]->name, count);
	}
	mutex_unlock(&cgroup_mutex);
	return 0;
}

/* Files that a container's owner may be given. */
static int show_delegate(struct text_out *o, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < cgroup_core_file_count; i++)
		if (cgroup_core_files[i].flags & FILE_DELEGATED)
			out_printf(o, "%s\n", cgroup_core_files[i].name);
	return 0;
}

static int show_features(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "nsdelegate\n");
	return 0;
}

static int cgroup_start(void)
{
	int err = cgroup_fs_init();

	memory_init();
	if (!err)
		err = procfs_add("cgroups", 0444, show_controllers, NULL, NULL);
	if (!err)
		err = sysfs_add("kernel/cgroup/delegate", 0444, show_delegate, NULL, NULL);
	return err ? err : sysfs_add("kernel/cgroup/features", 0444, show_features, NULL, NULL);
}
SERVICE_DEFINE(cgroup, .requires = SERVICE_REQUIRES("procfs", "sysfs", "proc"), .start = cgroup_start);
