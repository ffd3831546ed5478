/* SPDX-License-Identifier: MIT */
/*
 * The system's names. It says that it is Linux, since programs decide by that word which system calls they make; the release is that of
 * the Linux whose ABI it keeps to, and the version says what it is.
 */
#include <cloudos/lock.h>
#include <cloudos/string.h>
#include <cloudos/uts.h>
#include <linux/utsname.h>

static struct spinlock uts_lock = SPINLOCK_INIT(RANK_LEAF);
static struct new_utsname names = {
	.sysname = "Linux",
	.nodename = "cloudos",
	.release = "6.1.0-cloudos",
	.version = "CloudOS 0.1",
	.machine = HAL_ABI_MACHINE,
	.domainname = "(none)",
};

void uts_get(struct new_utsname *ret)
{
	spin_lock(&uts_lock);
	*ret = names;
	spin_unlock(&uts_lock);
}

static void set(char *field, const char *name)
{
	char text[sizeof(names.nodename)] = { 0 };

	str_copy(text, sizeof(text), name);
	spin_lock(&uts_lock);
	memcpy(field, text, sizeof(text));
	spin_unlock(&uts_lock);
}

void uts_set_node_name(const char *name)
{
	set(names.nodename, name);
}

void uts_set_domain_name(const char *name)
{
	set(names.domainname, name);
}
