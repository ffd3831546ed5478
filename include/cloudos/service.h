/* SPDX-License-Identifier: MIT */
/*
 * The service registry. A service is a static descriptor, collected by the linker; the core starts services when all that they
 * require runs, several at once where there are CPUs, and times each. One that fails is reported by name, and what requires it
 * is not started; the rest goes on. start() and stop() run in a kernel thread and may sleep.
 *
 *   static int tmpfs_start(void) { return vfs_register(&tmpfs_type); }
 *   SERVICE_DEFINE(tmpfs, .requires = SERVICE_REQUIRES("vfs"), .start = tmpfs_start);
 */
#ifndef CLOUDOS_SERVICE_H
#define CLOUDOS_SERVICE_H

#include <cloudos/types.h>

#define SERVICE_REQUIRES_MAX 8

enum service_state { SERVICE_WAITING, SERVICE_STARTING, SERVICE_RUNNING, SERVICE_FAILED, SERVICE_BLOCKED, SERVICE_STOPPED };

/* What changes while the system runs; guarded by the registry's lock. */
struct service_status {
	uint32_t order;			 /* of its start, from 1                          */
	enum service_state state;
	int error;			 /* SERVICE_FAILED: what start() returned         */
	unsigned cpu;			 /* where start() ran                             */
	uint64_t begin_ns, end_ns;	 /* of start(), since boot                        */
	uint32_t restarts;
};

enum { SERVICE_RESTARTABLE = 1, SERVICE_ESSENTIAL = 2 /* its failure is a panic */ };

struct service {
	const char *name;
	const char *requires[SERVICE_REQUIRES_MAX]; /* names; null terminated if shorter */
	int (*start)(void);			    /* 0 or a negative errno              */
	void (*stop)(void);
	int (*health)(void); /* 0: well; optional, may sleep */
	unsigned flags;
	struct service_status *status;
};

#define SERVICE_REQUIRES(...) { __VA_ARGS__ }
#define SERVICE_DEFINE(ident, ...)                                                           \
	static struct service_status service_status_##ident;                                 \
	__attribute__((section("cloudos_services"), used, aligned(8)))                       \
	static const struct service service_##ident = { .name = #ident,                      \
							.status = &service_status_##ident,   \
							__VA_ARGS__ }

/* How the registry runs start() functions side by side without knowing threads; filled by sched. Null spawn: one after the other. */
struct service_threads {
	int (*spawn)(const char *name, void (*fn)(void *), void *arg); /* 0 or -ENOMEM */
	void (*wait)(bool (*done)(void));			       /* sleeps until done() */
	void (*notify)(void);					       /* done() may have changed */
};
extern struct service_threads service_threads;

/* Starts everything; returns when each service runs, failed or is blocked. Boot thread only. */
void services_start(void);

/* Stops running services in the reverse order of their start (shut-down). */
void services_stop(void);

/* Stops and starts one again: 0, -ENOENT, -EPERM (not restartable) or what start() returned. */
int service_restart(const char *name);

/* The i-th service by start time, for /proc/cloudos/services; false at the end. Copies *ret_status. */
bool service_get(size_t i, const struct service **ret, struct service_status *ret_status);
const char *service_state_name(enum service_state state);

#endif
