/* SPDX-License-Identifier: MIT */
/*
 * Message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2).
 *
 * A queue is a list of messages in the order of their sending, and two lists of those who wait:
 *
 *   I1 No waiting receiver would take a message that is in the queue: a sender hands its message to the first receiver that wants it, and
 *      only a message that nobody waits for comes into the queue. A receiver without room for it gets E2BIG, and the next one is asked.
 *   I2 A waiting sender's message does not fit. Whoever makes room wakes those whose message would; they try again, in turn with all others.
 *   I3 `bytes` and `count` are sums over the messages; bytes <= room unless the room was made smaller (IPC_SET).
 */
#include <cloudos/format.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <linux/capability.h>
#include "ipc_internal.h"

struct msg {
	struct list link; /* in msg_queue.messages */
	int64_t type;	  /* > 0 */
	size_t size;
	char text[];
};

/* All by ipc.lock. */
struct msg_queue {
	struct ipc_object ipc;
	struct list messages, receivers, senders;
	uint64_t bytes, count, room;
	int64_t sent_at, received_at; /* seconds */
	int32_t sender, receiver;     /* the last ones: processes */
};

/* What a receiver takes. */
struct wanted {
	int64_t type;  /* 0: any; < 0: the lowest type up to -type; with `number`: the how-manieth */
	bool except;   /* any but `type` */
	bool number;
	bool cut;      /* MSG_NOERROR */
	uint64_t size; /* the receiver's room */
};

struct receiver {
	struct ipc_waiter waiter;
	struct wanted wanted;
	int pid;
	int result;
	struct msg *msg;
};

struct sender {
	struct ipc_waiter waiter;
	size_t size;
};

static inline struct msg_queue *queue_of(struct ipc_object *o)
{
	return container_of(o, struct msg_queue, ipc);
}

static struct ipc_ids *ids(void)
{
	return &ipc_current()->msg;
}

/* ---- messages ---- */

static size_t msg_bytes(size_t size)
{
	return sizeof(struct msg) + size;
}

struct msg *msg_alloc(size_t size)
{
	struct msg *m = ipc_alloc(msg_bytes(size));

	if (m)
		m->size = size;
	return m;
}

void msg_free(struct msg *m)
{
	if (m)
		ipc_free(m, msg_bytes(m->size));
}

void *msg_text(struct msg *m)
{
	return m->text;
}

size_t msg_size(const struct msg *m)
{
	return m->size;
}

int64_t msg_type(const struct msg *m)
{
	return m->type;
}

uint64_t msg_size_max(void)
{
	return READ_ONCE(ipc_current()->msg_max);
}

static void count_in(struct msg_queue *q, struct msg *m)
{
	struct ipc_namespace *ns = q->ipc.ids->ns;

	list_add_tail(&q->messages, &m->link);
	q->bytes += m->size;
	q->count++;
	__atomic_add_fetch(&ns->msg_bytes, m->size, __ATOMIC_RELAXED);
	__atomic_add_fetch(&ns->msg_count, 1, __ATOMIC_RELAXED);
}

static void count_out(struct msg_queue *q, struct msg *m)
{
	struct ipc_namespace *ns = q->ipc.ids->ns;

	list_del(&m->link);
	q->bytes -= m->size;
	q->count--;
	__atomic_sub_fetch(&ns->msg_bytes, m->size, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&ns->msg_count, 1, __ATOMIC_RELAXED);
}

static bool fits(const struct msg_queue *q, size_t size)
{
	return size <= q->room && q->bytes <= q->room - size && q->count < q->room;
}

/* ---- who wants what ---- */

static bool wants(const struct wanted *w, const struct msg *m)
{
	if (w->type == 0 || w->number)
		return true;
	if (w->type > 0)
		return (m->type == w->type) != w->except;
	return m->type <= -w->type;
}

/* The message of the queue that a receiver takes, or null. */
static struct msg *find(const struct msg_queue *q, const struct wanted *w)
{
	struct msg *m, *best = NULL;
	int64_t number = 0;

	list_for_each(m, &q->messages, link) {
		if (w->number ? number++ != w->type : !wants(w, m))
			continue;
		if (w->type >= 0)
			return m;
		if (!best || m->type < best->type)
			best = m;
	}
	return best;
}

static bool too_big(const struct wanted *w, const struct msg *m)
{
	return m->size > w->size && !w->cut;
}

/* ---- sending ---- */

static void finish(struct receiver *r, int result)
{
	r->result = result;
	ipc_wake(&r->waiter);
}

/* Gives the message to a receiver that waits for it. False: none does. */
static bool hand_over(struct msg_queue *q, struct msg *m)
{
	struct receiver *r, *next;

	list_for_each_safe(r, next, &q->receivers, waiter.link) {
		if (!wants(&r->wanted, m))
			continue;
		if (too_big(&r->wanted, m)) {
			finish(r, -E2BIG);
			continue;
		}
		r->msg = m;
		q->receiver = r->pid;
		q->received_at = ipc_now();
		finish(r, 0);
		return true;
	}
	return false;
}

static int wait_for_room(struct msg_queue *q, size_t size, uint32_t flags)
{
	struct sender s = { .size = size };

	if (flags & IPC_NOWAIT)
		return -EAGAIN;
	return ipc_wait(&q->ipc.lock, &q->senders, &s.waiter, HAL_TIMER_NEVER) ? -ERESTARTNOHAND : 0;
}

/* The queue is locked. */
static int send_locked(struct msg_queue *q, struct msg *m, uint32_t flags)
{
	int error = 0;

	for (;;) {
		if (q->ipc.removed)
			return -EIDRM;
		error = ipc_permission(&q->ipc, IPC_WRITE); /* it may have changed while this one slept */
		if (error)
			return error;
		if (fits(q, m->size))
			break;
		error = wait_for_room(q, m->size, flags);
		if (error)
			return error;
	}
	q->sender = ipc_pid();
	q->sent_at = ipc_now();
	if (!hand_over(q, m))
		count_in(q, m);
	return 0;
}

int msg_send(int id, int64_t type, struct msg *m, uint32_t flags)
{
	struct ipc_object *o;
	int error;

	if (type < 1)
		return -EINVAL;
	error = ipc_lock(ids(), id, &o);
	if (error)
		return error;
	m->type = type;
	error = send_locked(queue_of(o), m, flags);
	ipc_unlock(o);
	return error;
}

/* ---- receiving ---- */

/* Senders that would find room now try again; those that sleep on know that the room is taken. */
static void room_made(struct msg_queue *q)
{
	struct sender *s, *next;

	list_for_each_safe(s, next, &q->senders, waiter.link)
		if (fits(q, s->size))
			ipc_wake(&s->waiter);
}

/* A copy of a message that stays: -EINVAL when it is larger than the receiver's room. */
static int copy(const struct msg *m, const struct wanted *w, struct msg **ret)
{
	struct msg *c;

	if (m->size > w->size)
		return -EINVAL;
	c = msg_alloc(m->size);
	if (!c)
		return -ENOMEM;
	c->type = m->type;
	memcpy(c->text, m->text, m->size);
	*ret = c;
	return 0;
}

static int take(struct msg_queue *q, struct msg *m, const struct wanted *w, struct msg **ret)
{
	if (too_big(w, m))
		return -E2BIG;
	if (w->number)
		return copy(m, w, ret);
	count_out(q, m);
	q->receiver = ipc_pid();
	q->received_at = ipc_now();
	room_made(q);
	*ret = m;
	return 0;
}

static int receive_locked(struct msg_queue *q, const struct wanted *w, uint32_t flags, struct msg **ret)
{
	struct receiver r = { .wanted = *w, .pid = ipc_pid() };

	do { /* again, where the queue was changed: perhaps it may not be read any more */
		int error = q->ipc.removed ? -EIDRM : ipc_permission(&q->ipc, IPC_READ);
		struct msg *m;

		if (error)
			return error;
		m = find(q, w);
		if (m)
			return take(q, m, w, ret);
		if (flags & IPC_NOWAIT)
			return -ENOMSG;
		r = (struct receiver){ .wanted = *w, .pid = r.pid };
		if (ipc_wait(&q->ipc.lock, &q->receivers, &r.waiter, HAL_TIMER_NEVER))
			return -ERESTARTNOHAND;
	} while (r.result == -EAGAIN);
	if (!r.result)
		*ret = r.msg;
	return r.result;
}

static int decode(int64_t type, uint64_t size, uint32_t flags, struct wanted *ret)
{
	*ret = (struct wanted){
		.type = type == INT64_MIN ? -INT64_MAX : type,
		.except = (flags & MSG_EXCEPT) && type > 0,
		.number = flags & MSG_COPY,
		.cut = flags & MSG_NOERROR,
		.size = size,
	};
	if (size > INT64_MAX)
		return -EINVAL;
	return ret->number && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT)) ? -EINVAL : 0;
}

int msg_receive(int id, int64_t type, uint64_t size, uint32_t flags, struct msg **ret)
{
	struct ipc_object *o;
	struct wanted w;
	int error = decode(type, size, flags, &w);

	if (!error)
		error = ipc_lock(ids(), id, &o);
	if (error)
		return error;
	error = receive_locked(queue_of(o), &w, flags, ret);
	ipc_unlock(o);
	return error;
}

/* ---- life ---- */

void msg_free_object(struct ipc_object *o)
{
	struct msg_queue *q = queue_of(o);
	struct msg *m, *next;

	list_for_each_safe(m, next, &q->messages, link) {
		count_out(q, m);
		msg_free(m);
	}
	kfree(q);
}

static int make(const struct ipc_get *g, struct ipc_object **ret)
{
	struct msg_queue *q = kzalloc(sizeof(*q));

	(void)g;
	if (!q)
		return -ENOMEM;
	q->room = READ_ONCE(ipc_current()->msg_room);
	list_init(&q->messages);
	list_init(&q->receivers);
	list_init(&q->senders);
	*ret = &q->ipc;
	return 0;
}

int64_t msg_get(int32_t key, uint32_t flags)
{
	const struct ipc_get g = { .key = key, .flags = flags, .make = make };

	return ipc_get(ids(), &g);
}

static void wake_senders(struct msg_queue *q)
{
	struct sender *s, *next;

	list_for_each_safe(s, next, &q->senders, waiter.link)
		ipc_wake(&s->waiter);
}

static void finish_receivers(struct msg_queue *q, int result)
{
	struct receiver *r, *next;

	list_for_each_safe(r, next, &q->receivers, waiter.link)
		finish(r, result);
}

int msg_remove(int id)
{
	struct ipc_object *o;
	int error = ipc_lock_to_remove(ids(), id, &o);

	if (error)
		return error;
	finish_receivers(queue_of(o), -EIDRM);
	wake_senders(queue_of(o)); /* they see that it is removed */
	ipc_unlink(o);
	ipc_unlock_removed(o);
	return 0;
}

/* ---- msgctl ---- */

int64_t msg_stat(int id, enum ipc_find how, struct msqid64_ds *ret)
{
	struct ipc_object *o;
	int64_t result = ipc_lock_to_see(ids(), id, how, &o);
	struct msg_queue *q;

	if (result)
		return result;
	q = queue_of(o);
	*ret = (struct msqid64_ds){
		.msg_stime = q->sent_at,
		.msg_rtime = q->received_at,
		.msg_ctime = o->changed,
		.msg_cbytes = q->bytes,
		.msg_qnum = q->count,
		.msg_qbytes = q->room,
		.msg_lspid = pid_seen(q->sender),
		.msg_lrpid = pid_seen(q->receiver),
	};
	ipc_fill(o, &ret->msg_perm);
	result = how == IPC_BY_ID ? 0 : o->id;
	ipc_unlock(o);
	return result;
}

/* Who waits looks at the new permissions: receivers begin again (their call is made anew), senders in their loop. */
static int set_locked(struct msg_queue *q, const struct ipc_change *c)
{
	int error;

	if (c->queue_bytes > READ_ONCE(ipc_current()->msg_room) && !cred_capable(thread_current()->cred, CAP_SYS_RESOURCE))
		return -EPERM;
	error = ipc_set(&q->ipc, c);
	if (error)
		return error;
	q->room = c->queue_bytes;
	finish_receivers(q, -EAGAIN);
	wake_senders(q);
	return 0;
}

int msg_set(int id, const struct ipc_change *c)
{
	struct ipc_object *o;
	int error = ipc_lock_to_change(ids(), id, &o);

	if (error)
		return error;
	error = set_locked(queue_of(o), c);
	ipc_unlock(o);
	return error;
}

int64_t msg_limits(struct msginfo *ret, bool figures)
{
	struct ipc_namespace *ns = ipc_current();

	*ret = (struct msginfo){
		.msgmni = (int)READ_ONCE(ns->msg.max),
		.msgmax = (int)READ_ONCE(ns->msg_max),
		.msgmnb = (int)READ_ONCE(ns->msg_room),
		.msgssz = MSGSSZ,
		.msgseg = (unsigned short)MSGSEG,
		.msgpool = figures ? (int)ipc_used(&ns->msg) : MSGPOOL,
		.msgmap = figures ? (int)READ_ONCE(ns->msg_count) : MSGMAP,
		.msgtql = figures ? (int)READ_ONCE(ns->msg_bytes) : MSGTQL,
	};
	return ipc_highest(&ns->msg);
}

void msg_show(struct ipc_object *o, void *out)
{
	const struct msg_queue *q = queue_of(o);

	out_printf(out, "%10d %10d  %4o  %10lu %10lu %5d %5d %5u %5u %5u %5u %10ld %10ld %10ld\n", READ_ONCE(o->key), o->id, o->mode,
		   (unsigned long)q->bytes, (unsigned long)q->count, pid_seen(q->sender), pid_seen(q->receiver),
		   uid_out(o->uid), gid_out(o->gid), uid_out(o->cuid), gid_out(o->cgid),
		   (long)q->sent_at, (long)q->received_at, (long)o->changed);
}
