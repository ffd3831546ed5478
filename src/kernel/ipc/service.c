/* SPDX-License-Identifier: MIT */
/* What /proc shows of an IPC namespace, that of who reads: /proc/sysvipc, and limits in /proc/sys/kernel. */
#include <cloudos/format.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include "ipc_internal.h"
#include "mq_internal.h"
#include "sem_internal.h"

#define MSG_MAX_LIMIT (UINT64_C(1) << 20) /* what a message's largest size may be set to */

/* ---- /proc/sysvipc ---- */

static int show_shm(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime"
		      "      ctime                   rss                  swap\n");
	ipc_for_each(&ipc_current()->shm, shm_show, o);
	return 0;
}

static int show_sem(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	ipc_for_each(&ipc_current()->sem, sem_show, o);
	return 0;
}

static int show_msg(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime"
		      "      ctime\n");
	ipc_for_each(&ipc_current()->msg, msg_show, o);
	return 0;
}

/* ---- limits: numbers that are read and set ---- */

struct limit {
	const char *name;
	size_t at; /* in a namespace */
	bool wide; /* 64 bits, or 32 */
	uint64_t min, max;
	bool mqueue; /* in the namespace's instance of mqueue */
};

static const struct limit limits[] = {
	{ "sys/kernel/shmmax", offsetof(struct ipc_namespace, shm_max), true, 0, UINT64_MAX, false },
	{ "sys/kernel/shmall", offsetof(struct ipc_namespace, shm_all), true, 0, UINT64_MAX, false },
	{ "sys/kernel/shmmni", offsetof(struct ipc_namespace, shm.max), false, 0, IPC_INDEX_MAX, false },
	{ "sys/kernel/msgmax", offsetof(struct ipc_namespace, msg_max), true, 0, MSG_MAX_LIMIT, false },
	{ "sys/kernel/msgmnb", offsetof(struct ipc_namespace, msg_room), true, 0, INT32_MAX, false },
	{ "sys/kernel/msgmni", offsetof(struct ipc_namespace, msg.max), false, 0, IPC_INDEX_MAX, false },
	{ "sys/fs/mqueue/queues_max", offsetof(struct mq_instance, queues_max), true, 0, INT32_MAX, true },
	{ "sys/fs/mqueue/msg_max", offsetof(struct mq_instance, count_max), true, 1, MQ_COUNT_HARD, true },
	{ "sys/fs/mqueue/msgsize_max", offsetof(struct mq_instance, size_max), true, MQ_SIZE_LEAST, MQ_SIZE_HARD, true },
	{ "sys/fs/mqueue/msg_default", offsetof(struct mq_instance, count_default), true, 1, MQ_COUNT_HARD, true },
	{ "sys/fs/mqueue/msgsize_default", offsetof(struct mq_instance, size_default), true, MQ_SIZE_LEAST, MQ_SIZE_HARD, true },
};

static void *limit_of(const struct limit *l)
{
	struct ipc_namespace *ns = ipc_current();

	return (l->mqueue ? (char *)ns->mq : (char *)ns) + l->at;
}

static int show_limit(struct text_out *o, void *arg)
{
	const struct limit *l = arg;
	void *field = limit_of(l);

	out_printf(o, "%lu\n", (unsigned long)(l->wide ? READ_ONCE(*(uint64_t *)field) : READ_ONCE(*(uint32_t *)field)));
	return 0;
}

/* A decimal number at *text, and what follows it is behind *text then. -EINVAL: there is none, or it is above `max`. */
static int parse(const char **text, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	while (**text == ' ' || **text == '\t')
		++*text;
	if (**text < '0' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; ++*text) {
		uint64_t digit = (uint64_t)(**text - '0');

		if (n > (max - digit) / 10)
			return -EINVAL;
		n = n * 10 + digit;
	}
	*ret = n;
	return 0;
}

static bool ends(const char *text)
{
	return *text == '\0' || (*text == '\n' && text[1] == '\0');
}

static int store_limit(const char *text, size_t len, void *arg)
{
	const struct limit *l = arg;
	uint64_t n;
	int error = parse(&text, l->max, &n);

	(void)len;
	if (error || !ends(text) || n < l->min)
		return -EINVAL;
	if (l->wide)
		WRITE_ONCE(*(uint64_t *)limit_of(l), n);
	else
		WRITE_ONCE(*(uint32_t *)limit_of(l), (uint32_t)n);
	return 0;
}

/* The four of semaphores stand in one file: of a set, of all, of a call, sets. */
static int show_sem_limits(struct text_out *o, void *arg)
{
	struct ipc_namespace *ns = ipc_current();

	(void)arg;
	out_printf(o, "%lu\t%lu\t%lu\t%u\n", (unsigned long)READ_ONCE(ns->sem_per_set), (unsigned long)READ_ONCE(ns->sem_all),
		   (unsigned long)READ_ONCE(ns->sem_per_call), READ_ONCE(ns->sem.max));
	return 0;
}

static int store_sem_limits(const char *text, size_t len, void *arg)
{
	static const uint64_t largest[4] = { SEM_PER_SET_MAX, INT32_MAX, SEM_PER_CALL_MAX, IPC_INDEX_MAX };
	struct ipc_namespace *ns = ipc_current();
	uint64_t n[4];

	(void)len;
	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(n); i++)
		if (parse(&text, largest[i], &n[i]))
			return -EINVAL;
	if (!ends(text))
		return -EINVAL;
	WRITE_ONCE(ns->sem_per_set, n[0]);
	WRITE_ONCE(ns->sem_all, n[1]);
	WRITE_ONCE(ns->sem_per_call, n[2]);
	WRITE_ONCE(ns->sem.max, (uint32_t)n[3]);
	return 0;
}

static int add_limits(void)
{
	int error = procfs_add("sys/kernel/sem", 0644, show_sem_limits, store_sem_limits, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(limits) && !error; i++)
		error = procfs_add(limits[i].name, 0644, show_limit, store_limit, (void *)(uintptr_t)&limits[i]);
	return error;
}

static int ipc_start(void)
{
	int error;

	error = mq_init();
	if (!error)
		error = ipc_namespaces_init();
	if (!error)
		error = sem_undo_init();
	if (!error)
		error = add_limits();
	if (!error)
		error = procfs_add("sysvipc/shm", 0444, show_shm, NULL, NULL);
	if (!error)
		error = procfs_add("sysvipc/sem", 0444, show_sem, NULL, NULL);
	return error ? error : procfs_add("sysvipc/msg", 0444, show_msg, NULL, NULL);
}
SERVICE_DEFINE(ipc, .requires = SERVICE_REQUIRES("procfs", "proc"), .start = ipc_start);
