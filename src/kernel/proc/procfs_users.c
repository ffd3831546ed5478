/* SPDX-License-Identifier: MIT */
/* /proc/PID/uid_map, gid_map, projid_map and setgroups: of the user namespace that the process is in (security/id_map.c). */
#include "procfs.h"
#include <linux/capability.h>

static int show_map(const struct process_look *l, enum id_kind kind, struct text_out *o)
{
	if (!l->cred)
		return -EINVAL; /* as Linux, of a zombie */
	id_map_show(l->cred->user_ns, kind, o);
	return 0;
}

int procfs_uid_map(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)s;
	return show_map(l, ID_UID, o);
}

int procfs_gid_map(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)s;
	return show_map(l, ID_GID, o);
}

int procfs_projid_map(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)s;
	return show_map(l, ID_PROJECT, o);
}

int procfs_setgroups(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)s;
	if (!l->cred)
		return -EINVAL;
	setgroups_show(l->cred->user_ns, o);
	return 0;
}

static int store_in_namespace(struct user_namespace *ns, const char *file, const struct cred *opener, const char *text, size_t len)
{
	if (str_equal(file, "setgroups"))
		return cred_capable_over(opener, ns, CAP_SYS_ADMIN) ? setgroups_store(ns, text, len) : -EACCES;
	return id_map_store(ns, str_equal(file, "uid_map") ? ID_UID : str_equal(file, "gid_map") ? ID_GID : ID_PROJECT, opener, text, len);
}

bool procfs_is_of_users(const char *file)
{
	return str_equal(file, "uid_map") || str_equal(file, "gid_map") || str_equal(file, "projid_map") || str_equal(file, "setgroups");
}

int procfs_users_store(int pid, int tid, const char *file, const struct cred *opener, const char *text, size_t len)
{
	struct process_look *l = kmalloc(sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	err = process_look(&pid_namespace_first, pid, tid, l);
	if (err == 0)
		err = l->cred ? store_in_namespace(l->cred->user_ns, file, opener, text, len) : -EINVAL;
	process_look_end(l);
	kfree(l);
	return err;
}
