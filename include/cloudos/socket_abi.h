/* SPDX-License-Identifier: MIT */
/*
 * The socket ABI that linux-libc-dev does not carry (Linux keeps it in a header that is not for user programs; C libraries have
 * their own): address families, types, message flags, and the structures of sendmsg(2), unix(7), socket(7).
 */
#ifndef CLOUDOS_SOCKET_ABI_H
#define CLOUDOS_SOCKET_ABI_H

#include <asm/fcntl.h>
#include <asm/socket.h>
#include <linux/socket.h>
#include <cloudos/types.h>

enum { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17, AF_MAX = 46 };

enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_RDM = 4, SOCK_SEQPACKET = 5, SOCK_TYPES = 11 };
#define SOCK_TYPE_MASK 0xf
#define SOCK_CLOEXEC   O_CLOEXEC
#define SOCK_NONBLOCK  O_NONBLOCK

enum { SHUT_RD, SHUT_WR, SHUT_RDWR };

#define SOMAXCONN 4096

enum message_flags {
	MSG_OOB = 0x1,
	MSG_PEEK = 0x2,
	MSG_DONTROUTE = 0x4,
	MSG_CTRUNC = 0x8,
	MSG_TRUNC = 0x20,
	MSG_DONTWAIT = 0x40,
	MSG_EOR = 0x80,
	MSG_WAITALL = 0x100,
	MSG_NOSIGNAL = 0x4000,
	MSG_MORE = 0x8000,
	MSG_WAITFORONE = 0x10000,
	MSG_CMSG_CLOEXEC = 0x40000000,
};

enum { SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 };
#define SCM_RIGHTS_MAX 253 /* descriptors of one message */

struct socket_cred { /* struct ucred */
	int32_t pid;
	uint32_t uid, gid;
};

struct message_header { /* struct msghdr */
	uint64_t name;
	int32_t name_len;
	uint32_t pad1;
	uint64_t iov, iov_len;
	uint64_t control, control_len;
	uint32_t flags, pad2;
};
_Static_assert(sizeof(struct message_header) == 56, "struct msghdr");

struct message_header_many { /* struct mmsghdr */
	struct message_header header;
	uint32_t len, pad;
};

struct control_header { /* struct cmsghdr; data follows, the next header is aligned to 8 */
	uint64_t len; /* with the header */
	int32_t level, type;
};
_Static_assert(sizeof(struct control_header) == 16, "struct cmsghdr");

struct socket_linger { /* struct linger */
	int32_t on, seconds;
};

struct socket_timeval { /* struct timeval of SO_RCVTIMEO */
	int64_t seconds, microseconds;
};

#endif
