/* SPDX-License-Identifier: MIT */
/*
 * IPC namespaces (ipc_namespaces(7)): each has tables and limits of its own. A new one is empty, with the limits that the system started
 * with. It is held by its tasks, by files of /proc/PID/ns, and by what maps its shared memory; with the last of them all objects in it go.
 * Memory is limited for all of them together.
 */
#include <cloudos/task.h>
#include <linux/sched.h>
#include "ipc_internal.h"
#include "mq_internal.h"
#include "sem_internal.h"

static void destroy(struct namespace *base)
{
	struct ipc_namespace *ns = (struct ipc_namespace *)(void *)base;

	ipc_ids_clear(&ns->shm);
	ipc_ids_clear(&ns->sem);
	ipc_ids_clear(&ns->msg);
	mq_end(ns);
	kfree(ns);
}

static const struct namespace_kind kind = { .name = "ipc", .clone_flag = CLONE_NEWIPC, .destroy = destroy };

struct ipc_namespace ipc_first = { .base = { .kind = &kind, .refs = { 1 }, .number = UINT32_C(0xefffffff) } }; /* Linux's number of it */

/* Kernel threads are in the first. */
struct ipc_namespace *ipc_current(void)
{
	struct task *t = task_current();

	return t && t->ipc ? t->ipc : &ipc_first;
}

bool ipc_capable(unsigned capability)
{
	return cred_capable_over(thread_current()->cred, namespace_owner(&ipc_current()->base), capability);
}

static int init(struct ipc_namespace *ns)
{
	ns->shm_max = ns->shm_all = SHM_BYTES_MAX;
	ns->sem_per_set = SEMMSL;
	ns->sem_all = SEMMNS;
	ns->sem_per_call = SEMOPM;
	ns->msg_max = MSGMAX;
	ns->msg_room = MSGMNB;
	ipc_ids_init(&ns->shm, ns, SHMMNI, shm_free_object);
	ipc_ids_init(&ns->sem, ns, SEMMNI, sem_free_object);
	ipc_ids_init(&ns->msg, ns, MSGMNI, msg_free_object);
	return mq_begin(ns);
}

/* ---- for proc ---- */

static int create(struct user_namespace *owner, struct ipc_namespace **ret)
{
	struct ipc_namespace *ns = kzalloc(sizeof(*ns));
	int error;

	if (!ns)
		return -ENOMEM;
	error = namespace_init(&ns->base, &kind, user_namespace_base(owner));
	if (error) {
		kfree(ns);
		return error;
	}
	error = init(ns);
	if (error) {
		namespace_put(&ns->base);
		return error;
	}
	*ret = ns;
	return 0;
}

static struct namespace *base_of(struct ipc_namespace *ns)
{
	return &ns->base;
}

static struct ipc_namespace *of(struct namespace *base)
{
	return base->kind == &kind ? (struct ipc_namespace *)(void *)base : NULL;
}

static const struct task_ipc_ops ops = { .create = create, .base = base_of, .of = of, .first = &ipc_first };

int ipc_namespaces_init(void)
{
	task_ipc_ops = &ops;
	return init(&ipc_first);
}
