/* SPDX-License-Identifier: MIT */
/* /proc/version and /proc/sys/kernel: names and limits of the system, as programs read and (names) write them. */
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/random.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/uts.h>
#include <cloudos/vfs.h>
#include <linux/capability.h>
#include <linux/utsname.h>
#include "coredump.h"

static int show_version(struct text_out *o, void *arg)
{
	struct new_utsname u;

	(void)arg;
	uts_get(task_uts(), &u);
	out_printf(o, "%s version %s %s\n", u.sysname, u.release, u.version);
	return 0;
}

/* arg: the offset of a field of struct new_utsname. */
static int show_uts(struct text_out *o, void *arg)
{
	struct new_utsname u;

	uts_get(task_uts(), &u);
	out_printf(o, "%s\n", (const char *)&u + (uintptr_t)arg);
	return 0;
}

static int store_uts(const char *text, size_t len, void *arg)
{
	char name[__NEW_UTS_LEN + 1];

	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > __NEW_UTS_LEN)
		return -EINVAL;
	memcpy(name, text, len);
	name[len] = '\0';
	if ((uintptr_t)arg == offsetof(struct new_utsname, nodename))
		uts_set_node_name(task_uts(), name);
	else
		uts_set_domain_name(task_uts(), name);
	return 0;
}

static int show_number(struct text_out *o, void *arg)
{
	out_printf(o, "%lu\n", (unsigned long)(uintptr_t)arg);
	return 0;
}

static int show_threads_max(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "%u\n", task_limit());
	return 0;
}

static int show_last_pid(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "%d\n", pid_last());
	return 0;
}

/* Where numbers go on from: for who restores processes with the numbers that they had. */
static int store_last_pid(const char *text, size_t len, void *arg)
{
	char digits[8] = "";
	uint64_t last;

	(void)arg;
	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (!pid_namespace_capable(CAP_SYS_ADMIN) && !pid_namespace_capable(CAP_CHECKPOINT_RESTORE))
		return -EPERM;
	if (len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len);
	if (str_to_u64(digits, 10, &last) || last >= PID_LIMIT)
		return -EINVAL;
	pid_set_last((int)last);
	return 0;
}

/* A random (version 4) identifier: RFC 9562 section 5.4. */
static void out_uuid(struct text_out *o, uint8_t id[16])
{
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	for (unsigned i = 0; i < 16; i++)
		out_printf(o, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
	out_printf(o, "\n");
}

static int show_uuid(struct text_out *o, void *arg)
{
	uint8_t id[16];

	(void)arg;
	random_bytes(id, sizeof(id));
	out_uuid(o, id);
	return 0;
}

static uint8_t boot_id[16];

static int show_boot_id(struct text_out *o, void *arg)
{
	(void)arg;
	out_uuid(o, boot_id);
	return 0;
}

#define UTS(field) ((void *)offsetof(struct new_utsname, field))
#define NUMBER(n)  ((void *)(uintptr_t)(n))

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
		{ "sys/kernel/ostype", 0444, show_uts, NULL, UTS(sysname) },
		{ "sys/kernel/osrelease", 0444, show_uts, NULL, UTS(release) },
		{ "sys/kernel/version", 0444, show_uts, NULL, UTS(version) },
		{ "sys/kernel/hostname", 0644, show_uts, store_uts, UTS(nodename) },
		{ "sys/kernel/domainname", 0644, show_uts, store_uts, UTS(domainname) },
		{ "sys/kernel/pid_max", 0444, show_number, NULL, NUMBER(PID_LIMIT) },
		{ "sys/kernel/ns_last_pid", 0666, show_last_pid, store_last_pid, NULL },
		{ "sys/kernel/threads-max", 0444, show_threads_max, NULL, NULL },
		{ "sys/kernel/ngroups_max", 0444, show_number, NULL, NUMBER(CRED_GROUPS_MAX) },
		{ "sys/kernel/overflowuid", 0444, show_number, NULL, NUMBER(ID_OVERFLOW) },
		{ "sys/kernel/overflowgid", 0444, show_number, NULL, NUMBER(ID_OVERFLOW) },
		{ "sys/kernel/cap_last_cap", 0444, show_number, NULL, NUMBER(CAP_LAST_CAP) },
		{ "sys/kernel/core_pattern", 0644, core_pattern_show, core_pattern_store, NULL },
		{ "sys/kernel/core_uses_pid", 0644, core_uses_pid_show, core_uses_pid_store, NULL },
		{ "sys/fs/suid_dumpable", 0444, show_number, NULL, NUMBER(0) },
		{ "sys/kernel/random/uuid", 0444, show_uuid, NULL, NULL },
		{ "sys/kernel/random/boot_id", 0444, show_boot_id, NULL, NULL },
		{ "sys/kernel/random/entropy_avail", 0444, show_number, NULL, NUMBER(256) },
		{ "sys/kernel/random/poolsize", 0444, show_number, NULL, NUMBER(256) },
	};
	int error = 0;

	random_bytes(boot_id, sizeof(boot_id));
	for (size_t i = 0; i < ARRAY_SIZE(files) && !error; i++)
		error = procfs_add(files[i].name, files[i].mode, files[i].show, files[i].store, files[i].arg);
	return error;
}
SERVICE_DEFINE(sysctl, .requires = SERVICE_REQUIRES("procfs", "proc"), .start = sysctl_start);
