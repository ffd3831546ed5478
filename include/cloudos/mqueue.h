/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues (mq_overview(7)), for the system calls; src/kernel/ipc has the theory. A queue is a file of the file system "mqueue", its
 * descriptor an open file. All of these act as the running thread and may sleep; they give 0 or an errno.
 */
#ifndef CLOUDOS_MQUEUE_H
#define CLOUDOS_MQUEUE_H

#include <cloudos/types.h>
#include <linux/mqueue.h>
#include <linux/signal.h>

struct file;
struct mq;
struct mq_message;

/* `attr`: null, or mq_maxmsg and mq_msgsize of a new queue. *ret with a reference. */
int mqueue_open(const char *name, uint32_t flags, uint32_t mode, const struct mq_attr *attr, struct file **ret);
int mqueue_unlink(const char *name);

/* The queue of an open file, while that is open; null: it is another kind of file. */
struct mq *mq_of(const struct file *f);
uint64_t mq_size_of(const struct mq *q); /* bytes of the longest message */

/* Storage for a message; its text is mq_text(m)[0..mq_length(m)). Null: out of memory. */
struct mq_message *mq_message_alloc(size_t length, uint32_t priority);
void mq_message_free(struct mq_message *m);
char *mq_text(struct mq_message *m);
size_t mq_length(const struct mq_message *m);
uint32_t mq_priority(const struct mq_message *m);

/* What f's O_NONBLOCK says, is done; deadline_ns as wait_round() has it. -EAGAIN, -ETIMEDOUT, -ERESTARTSYS. */
int mqueue_send(struct file *f, struct mq_message *m, uint64_t deadline_ns); /* takes over m when it succeeds */
int mqueue_receive(struct file *f, uint64_t deadline_ns, struct mq_message **ret); /* the message is the caller's */

/* mq_notify(2): `event` null: no more. -EBUSY, -EINVAL. */
int mqueue_notify(struct file *f, const struct sigevent *event);

void mq_get(struct file *f, struct mq_attr *ret);
void mq_set_nonblocking(struct file *f, bool on);

#endif
