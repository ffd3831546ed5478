/* SPDX-License-Identifier: MIT */
/*
 * What the hosted files of user/ tell each other: a stub process, and the two ways to run one. host_stub.c
 * has what they share, host_stub_ptrace.c and host_stub_seccomp.c a table of functions each.
 */
#ifndef SIM_STUB_PRIVATE_H
#define SIM_STUB_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <signal.h>
#include <sys/types.h>
#include <linux/seccomp.h>
#include <sys/user.h>

#undef PAGE_SIZE /* <sys/user.h> has its own */
#undef PAGE_MASK
#include <hal/mmu.h>
#include <sim/stub.h>

#define STUB_STOP	 1000	 /* no system call: a stub tells us that it has stopped (or starts) */
#define STUB_KICK_SIGNAL SIGUSR1 /* makes a stub stop */
#define STUB_HOST_TOP	 UINT64_C(0x7ffffffff000) /* TASK_SIZE_MAX */

struct stub_call {
	uint64_t number, args[6];
};

/*
 * The data of a stub, at SIM_STUB_DATA there. With ptrace it sees the first page alone, read-only, for the
 * calls; with seccomp all of it, writable, for the stack of signal handlers.
 */
#define STUB_CALLS_MAX ((PAGE_SIZE - 64) / sizeof(struct stub_call))

struct stub_page {
	uint64_t end;	/* address behind the last call             */
	uint64_t frame; /* what rt_sigreturn() takes; 0: nothing yet */
	uint64_t bases; /* not 0: set these                          */
	uint64_t fs_base, gs_base;
	uint64_t unused[3];
	struct stub_call calls[STUB_CALLS_MAX];
	char rest[PAGE_SIZE - 64 - STUB_CALLS_MAX * sizeof(struct stub_call)];
	char stack[SIM_STUB_DATA_SIZE - PAGE_SIZE];
};
_Static_assert(offsetof(struct stub_page, calls) == 64, "host_stub_x86_64.S");
_Static_assert(offsetof(struct stub_page, stack) == PAGE_SIZE, "the stack has pages of its own");
_Static_assert(sizeof(struct stub_page) == SIM_STUB_DATA_SIZE, "host_stub_x86_64.S");
_Static_assert(SIM_STUB_DATA == UINT64_C(0x7fff00001000) && SIM_STUB_DATA_SIZE == 0x8000,
	       "host_stub_x86_64.S");

struct stub_ops;

enum stub_where {
	STUB_NEW,	 /* has run no user code yet                                */
	STUB_AT_CALL,	 /* seccomp: in a system call of the user's                 */
	STUB_AT_HANDLER, /* seccomp: in its signal handler, registers in the frame  */
	STUB_LOST,	 /* killed, for what its program did                        */
};

struct host_stub {
	const struct stub_ops *ops;
	int pid;
	unsigned calls; /* queued in page->calls */
	struct stub_page *page;
	uint64_t page_offset; /* in the memfd of all pages */
	/* seccomp alone: */
	enum stub_where where;
	int listener;
	uint64_t secret, notification;
	struct seccomp_data call;    /* AT_CALL, and after it until the stub runs again */
	size_t frame, fpu, fpu_size; /* AT_HANDLER: offsets in the page           */
	uint64_t fs_base, gs_base;   /* AT_HANDLER: what they are                 */
};

struct stub_ops {
	const char *name;
	int more_clone_flags;
	int (*child)(void *stub);		/* in the child until it executes the image */
	bool (*settle)(struct host_stub *stub); /* the child has executed it: to where it can run */
	void (*run)(struct host_stub *stub, struct user_regs_struct *regs, bool partial,
		    struct sim_stop *ret);
	void (*complete)(struct host_stub *stub, struct user_regs_struct *regs);
	void (*forget)(struct host_stub *stub); /* null, or: all is being unmapped */
	int (*get_fpu)(struct host_stub *stub, void *area, size_t len);
	int (*set_fpu)(struct host_stub *stub, const void *area, size_t len);
};

extern const struct stub_ops host_stub_ptrace, host_stub_seccomp;

/* A filter for the child to install: its own program counter aside, only what `secret` comes with is let
 * through. */
int host_stub_filter_install(uint64_t secret);
int host_stub_filter_install_vsyscall(void);

/* In host_stub_x86_64.S, and where that is in a stub. */
extern const char host_stub_code[], host_stub_code_end[], host_stub_traced[], host_stub_batch[],
    host_stub_handler[], host_stub_stopped[];
uint64_t stub_address(const char *in_code);

int stub_image_fd(void);
int stub_data_fd(void);

/* In the child: what both back ends want of a stub. */
void stub_child_begin(void);

/* Queues the calls that take away what execve() brought along and, if asked for, hide the host's processor.
 */
void stub_queue(struct host_stub *stub, struct stub_call call);
void stub_queue_settling(struct host_stub *stub);

/*
 * What a signal means, with the registers as they are to be seen: `info` is a copy, of which nothing need be
 * true.
 */
void stub_signal_stop(int signo, const siginfo_t *info, struct user_regs_struct *regs, struct sim_stop *ret);

/* The program counter is in the stub's own pages, to which its program has no business to jump. */
static inline bool stub_is_own(uint64_t pc)
{
	return pc >= SIM_STUB_CODE && pc < SIM_STUB_END;
}

#endif
