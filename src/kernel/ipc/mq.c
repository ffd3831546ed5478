/* SPDX-License-Identifier: MIT */
/* Passing messages through a POSIX message queue: mq_timedsend(2), mq_timedreceive(2). The rules stand in mq_internal.h. */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include "mq_internal.h"

struct mq_message {
	struct rb_node node; /* in mq.messages */
	uint32_t priority;
	size_t length;
	char text[];
};

/* One who sleeps: to send what `message` is, or to receive what it then is. */
struct party {
	struct ipc_waiter waiter;
	unsigned urgency;
	struct mq_message *message;
};

/* ---- messages ---- */

static size_t message_bytes(size_t length)
{
	return sizeof(struct mq_message) + length;
}

struct mq_message *mq_message_alloc(size_t length, uint32_t priority)
{
	struct mq_message *m = ipc_alloc(message_bytes(length));

	if (m) {
		m->length = length;
		m->priority = priority;
	}
	return m;
}

void mq_message_free(struct mq_message *m)
{
	ipc_free(m, message_bytes(m->length));
}

char *mq_text(struct mq_message *m)
{
	return m->text;
}

size_t mq_length(const struct mq_message *m)
{
	return m->length;
}

uint32_t mq_priority(const struct mq_message *m)
{
	return m->priority;
}

/* ---- the queue ---- */

static struct mq_message *message_of(struct rb_node *n)
{
	return rb_entry(n, struct mq_message, node);
}

static void put_locked(struct mq *q, struct mq_message *m)
{
	struct rb_node **at = &q->messages.root, *parent = NULL;

	while (*at) {
		parent = *at;
		at = m->priority > message_of(parent)->priority ? &parent->left : &parent->right;
	}
	rb_link(&q->messages, &m->node, parent, at);
	q->bytes += m->length;
	WRITE_ONCE(q->count, q->count + 1);
}

static struct mq_message *take_locked(struct mq *q)
{
	struct mq_message *m = message_of(rb_first(&q->messages));

	rb_remove(&q->messages, &m->node);
	q->bytes -= m->length;
	WRITE_ONCE(q->count, q->count - 1);
	return m;
}

void mq_setup(struct mq *q)
{
	mutex_init(&q->lock, RANK_IPC);
	q->messages = (struct rb_tree){ 0 };
	q->count = q->bytes = 0;
	list_init(&q->senders);
	list_init(&q->receivers);
	wait_queue_init(&q->changed);
	q->listener = (struct mq_listener){ 0 };
}

void mq_drop_messages(struct mq *q)
{
	while (q->count > 0)
		mq_message_free(take_locked(q));
}

/* ---- waiting ---- */

/* The first of a list; null: nobody waits. */
static struct party *first_of(struct list *list)
{
	return list_empty(list) ? NULL : list_first(list, struct party, waiter.link);
}

/* Before whom one of that urgency waits (M3). */
static struct list *place_for(struct list *list, unsigned urgency)
{
	struct party *p;

	list_for_each(p, list, waiter.link)
		if (p->urgency > urgency)
			return &p->waiter.link;
	return list;
}

static int wait_in(struct mq *q, struct list *list, struct party *self, uint64_t deadline_ns)
{
	self->urgency = thread_urgency(thread_current());
	return ipc_wait(&q->lock, place_for(list, self->urgency), &self->waiter, deadline_ns);
}

/* ---- sending ---- */

static int send_locked(struct mq *q, struct mq_message *m, bool wait, uint64_t deadline_ns)
{
	struct party self = { .message = m }, *receiver;

	if (q->count == q->count_max) /* who takes one out puts this one in */
		return wait ? wait_in(q, &q->senders, &self, deadline_ns) : -EAGAIN;
	inode_touch(&q->inode);
	receiver = first_of(&q->receivers);
	if (receiver) {
		receiver->message = m;
		ipc_wake(&receiver->waiter);
		return 0;
	}
	put_locked(q, m);
	if (q->count == 1)
		mq_tell_locked(q);
	wake_events(&q->changed, POLLIN | POLLRDNORM, false);
	return 0;
}

int mqueue_send(struct file *f, struct mq_message *m, uint64_t deadline_ns)
{
	struct mq *q = mq_of(f);
	int error;

	mutex_lock(&q->lock);
	error = send_locked(q, m, !(READ_ONCE(f->flags) & O_NONBLOCK), deadline_ns);
	mutex_unlock(&q->lock);
	return error;
}

/* ---- receiving ---- */

static int receive_locked(struct mq *q, bool wait, uint64_t deadline_ns, struct mq_message **ret)
{
	struct party self = { .message = NULL }, *sender;
	int error;

	if (q->count == 0) {
		error = wait ? wait_in(q, &q->receivers, &self, deadline_ns) : -EAGAIN;
		if (!error)
			*ret = self.message;
		return error;
	}
	*ret = take_locked(q);
	inode_touch(&q->inode);
	sender = first_of(&q->senders);
	if (sender) {
		put_locked(q, sender->message);
		ipc_wake(&sender->waiter);
		return 0;
	}
	wake_events(&q->changed, POLLOUT | POLLWRNORM, false);
	return 0;
}

int mqueue_receive(struct file *f, uint64_t deadline_ns, struct mq_message **ret)
{
	struct mq *q = mq_of(f);
	int error;

	mutex_lock(&q->lock);
	error = receive_locked(q, !(READ_ONCE(f->flags) & O_NONBLOCK), deadline_ns, ret);
	mutex_unlock(&q->lock);
	return error;
}
