/* SPDX-License-Identifier: MIT */
/*
 * Sockets. A family (AF_UNIX; later AF_INET and others) makes sockets and fills struct socket_ops; what is the same for all of them -
 * the file, common options, control messages - is in src/kernel/net/{socket,option,control}.c.
 */
#ifndef CLOUDOS_SOCKET_H
#define CLOUDOS_SOCKET_H

#include <cloudos/io.h>
#include <cloudos/socket_abi.h>
#include <cloudos/types.h>
#include <cloudos/vfs.h>

struct socket;
struct rights;

#define SOCKET_ADDRESS_MAX 128 /* struct sockaddr_storage */
#define SOCKET_BUFFER_DEFAULT 212992 /* Linux's net.core.wmem_default */

struct socket_address {
	uint32_t len; /* 0: none */
	union {
		uint16_t family;
		uint8_t bytes[SOCKET_ADDRESS_MAX];
	};
};

/* What travels beside the data of one message. */
struct socket_control {
	struct rights *rights; /* open files, or null; owned */
	bool has_cred;
	struct socket_cred cred;
};

/* One send or receive. `flags` are MSG_*; receive sets MSG_TRUNC, MSG_CTRUNC, MSG_EOR in ret_flags. */
struct socket_message {
	struct io_iter *data;
	unsigned flags, ret_flags;
	struct socket_address *address; /* send: where to, or null; receive: filled if not null */
	struct socket_control *control; /* send: what goes along (the family takes over the rights), or null; receive: filled, or
					   null if nobody asks */
};

/* A null operation: -EOPNOTSUPP. All may sleep. Addresses have at least their family. */
struct socket_ops {
	int (*bind)(struct socket *s, const struct socket_address *a);
	int (*connect)(struct socket *s, const struct socket_address *a, bool nonblock);
	int (*listen)(struct socket *s, int backlog);
	int (*accept)(struct socket *s, bool nonblock, struct socket **ret); /* the new one, with no file yet */
	int (*pair)(struct socket *a, struct socket *b);
	ssize_t (*send)(struct socket *s, struct socket_message *m);
	ssize_t (*receive)(struct socket *s, struct socket_message *m);
	int (*shutdown)(struct socket *s, int how);
	int (*name)(struct socket *s, bool peer, struct socket_address *ret);
	uint32_t (*poll)(struct socket *s, struct poll_table *pt);
	int64_t (*ioctl)(struct socket *s, unsigned cmd, uaddr_t arg);
	/* Beside the common options; `len` bytes at `value` are valid. get sets *len. -ENOPROTOOPT for an unknown one. */
	int (*set_option)(struct socket *s, int level, int name, const void *value, uint32_t len);
	int (*get_option)(struct socket *s, int level, int name, void *value, uint32_t *len);
	void (*release)(struct socket *s); /* frees it */
};

enum socket_option_bits {
	SOCKET_REUSEADDR = 1,
	SOCKET_KEEPALIVE = 2,
	SOCKET_BROADCAST = 4,
	SOCKET_PASSCRED = 8,
	SOCKET_OOBINLINE = 16,
	SOCKET_REUSEPORT = 32,
	SOCKET_DONTROUTE = 64,
};

/* The part of a socket that all families share; embedded in theirs. Fields: C = constant; A = atomic words, each for itself. */
struct socket {
	const struct socket_ops *ops; /* C */
	uint16_t family, type, protocol; /* C */
	uint32_t options;	      /* A: enum socket_option_bits */
	int32_t error;		      /* A: a pending errno, positive: taken by SO_ERROR and by the next call */
	uint64_t receive_timeout_ns, send_timeout_ns; /* A: 0: none */
	uint32_t send_buffer, receive_buffer, low_water; /* A */
	struct socket_linger linger;  /* A */
	struct file *file;	      /* C once there is one; no reference */
};

/* A family, in the table of socket.c. */
struct socket_family {
	uint16_t family;
	/* 0, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -ENOMEM. */
	int (*create)(int type, int protocol, struct socket **ret);
};
extern const struct socket_family unix_family;

/* ---- for sys_socket.c ---- */

/* Each gives files with one reference. `flags` of O_NONBLOCK. */
int socket_create(int family, int type, int protocol, uint32_t flags, struct file **ret);
int socket_create_pair(int family, int type, int protocol, uint32_t flags, struct file *ret[2]);
int socket_accept(struct socket *s, bool nonblock, uint32_t flags, struct file **ret);
struct socket *socket_of_file(struct file *f); /* null: no socket */

ssize_t socket_send(struct socket *s, struct socket_message *m); /* O_NONBLOCK counts as MSG_DONTWAIT */
ssize_t socket_receive(struct socket *s, struct socket_message *m);
int socket_set_option(struct socket *s, int level, int name, const void *value, uint32_t len);
int socket_get_option(struct socket *s, int level, int name, void *value, uint32_t *len);

/* Control messages. From user memory: 0 or an errno (then nothing is held). */
int control_from_user(uaddr_t control, uint64_t len, struct socket_control *ret);
/*
 * To user memory, at most `len` bytes: installs descriptors, drops what does not fit with MSG_CTRUNC in *flags; returns the bytes
 * written. Takes over the rights.
 */
uint64_t control_to_user(struct socket_control *c, uaddr_t control, uint64_t len, unsigned *flags);

/* ---- for families ---- */

void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type, int protocol);

/* The end of a wait, HAL_TIMER_NEVER without a time-out. Then what a wait that ended with `error` gives the user. */
uint64_t socket_deadline(uint64_t timeout_ns);
int socket_wait_error(int error, uint64_t timeout_ns);

/* Takes the pending error: 0 or negative. */
int socket_take_error(struct socket *s);

/* Open files on their way: a bundle owns a reference on each. */
struct rights {
	struct rights *next; /* among those to be dropped */
	uint32_t count;
	struct file *files[];
};
struct rights *rights_copy(const struct rights *r); /* null: out of memory */
void rights_drop(struct rights *r);		    /* null: nothing. May sleep: hold no lock */
/* The running process as SCM_CREDENTIALS (real ids) and SO_PEERCRED (effective ids) show it. */
struct socket_cred socket_cred_real(void);
struct socket_cred socket_cred_effective(void);
struct socket_cred socket_cred_seen(const struct socket_cred *c); /* as the running process sees them */

#endif
