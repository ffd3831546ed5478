/* SPDX-License-Identifier: MIT */
/*
 * Signals that an open file sends: whom it sends them to (F_SETOWN), which (F_SETSIG), and those of O_ASYNC, that it can be read or written
 * (vfs/file_signal.c).
 */
#ifndef CLOUDOS_FILE_SIGNAL_H
#define CLOUDOS_FILE_SIGNAL_H

#include <cloudos/types.h>

struct file;
struct file_signals;

/* Whom, and by whose right: who said so must be allowed to send to him. */
struct file_owner {
	int type;	  /* F_OWNER_* */
	int32_t pid;	  /* of a process, thread or group, in the first namespace of pids; 0: nobody */
	uint64_t born_ns; /* of that process or thread: one that has the number later is another; 0: of a group */
	uint32_t uid, euid;
};

/* What proc does for it; filled there. */
struct file_signal_ops {
	/* Fills in whom the running process knows by `number` (0: itself), and its own ids: 0 or -ESRCH. */
	int (*name)(int type, int32_t number, struct file_owner *ret);
	/* The number by which the running process knows him; 0: it does not. */
	int32_t (*number)(const struct file_owner *o);
	/* signo 0: a plain SIGIO; else that, with POLL_* and the descriptor, or SIGIO if it cannot be queued. Any context, no lock of RANK_PROC or above. */
	void (*send)(const struct file_owner *o, int signo, int code, int fd);
};
extern const struct file_signal_ops *file_signal_ops;

/* F_SETOWN_EX, F_GETOWN_EX, F_SETSIG, F_GETSIG. 0, -ESRCH, -ENOMEM; -EINVAL: no such type. The signal is a valid one, or 0. *ret_number: 0: nobody. */
int file_set_owner(struct file *f, int type, int32_t number);
int file_set_owner_self(struct file *f); /* the running process */
void file_get_owner(struct file *f, int *ret_type, int32_t *ret_number);
int file_set_signal(struct file *f, int signo);
int file_get_signal(struct file *f);

/* O_ASYNC on or off; fd is what its signals say. 0 or -ENOMEM; the caller sees to f->flags. Files with file_ops.async alone. May sleep. */
int file_set_async(struct file *f, int fd, bool on);

/* Sends the file's signal to its owner, if it has one. Any context, no lock of RANK_PROC or above. */
void file_send_signal(struct file *f, int code);
/* The descriptor that signals say. 0 or -ENOMEM. */
int file_signal_fd(struct file *f, int fd);

/* The last reference is gone: nothing is sent any more. */
void file_signals_free(struct file *f);

#endif
