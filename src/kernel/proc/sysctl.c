/* SPDX-License-Identifier: MIT */
/* /proc/version and the files of /proc/sys/kernel that tell of processes and of the system's names. */
#include "proc_internal.h"
#include <cloudos/service.h>
#include <cloudos/uts.h>
#include <cloudos/vfs.h>
#include <linux/utsname.h>

static int show_version(struct text_out *o, void *arg)
{
	struct new_utsname u;

	(void)arg;
	uts_get(&u);
	out_printf(o, "%s version %s %s\n", u.sysname, u.release, u.version);
	return 0;
}

/* arg: where in struct new_utsname the name is. */
static int show_name(struct text_out *o, void *arg)
{
	struct new_utsname u;

	uts_get(&u);
	out_printf(o, "%s\n", (const char *)&u + (uintptr_t)arg);
	return 0;
}

static int store_host_name(const char *text, size_t len, void *arg)
{
	char name[__NEW_UTS_LEN + 1];

	(void)arg;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > __NEW_UTS_LEN)
		return -EINVAL;
	memcpy(name, text, len);
	name[len] = '\0';
	uts_set_node_name(name);
	return 0;
}

static int show_pid_max(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "%u\n", PID_LIMIT);
	return 0;
}

static int show_threads_max(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "%u\n", task_limit());
	return 0;
}

#define NAME(field) (void *)offsetof(struct new_utsname, field)

static int sysctl_start(void)
{
	static const struct {
		const char *name;
		uint32_t mode;
		int (*show)(struct text_out *o, void *arg);
		int (*store)(const char *text, size_t len, void *arg);
		void *arg;
	} files[] = {
		{ "version", 0444, show_version, NULL, NULL },
		{ "sys/kernel/hostname", 0644, show_name, store_host_name, NAME(nodename) },
		{ "sys/kernel/domainname", 0444, show_name, NULL, NAME(domainname) },
		{ "sys/kernel/ostype", 0444, show_name, NULL, NAME(sysname) },
		{ "sys/kernel/osrelease", 0444, show_name, NULL, NAME(release) },
		{ "sys/kernel/version", 0444, show_name, NULL, NAME(version) },
		{ "sys/kernel/pid_max", 0444, show_pid_max, NULL, NULL },
		{ "sys/kernel/threads-max", 0444, show_threads_max, NULL, NULL },
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files) && err == 0; i++)
		err = procfs_add(files[i].name, files[i].mode, files[i].show, files[i].store, files[i].arg);
	return err;
}
SERVICE_DEFINE(sysctl, .requires = SERVICE_REQUIRES("proc", "procfs"), .start = sysctl_start);
