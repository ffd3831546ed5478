/* SPDX-License-Identifier: MIT */
/*
 * What mounts that hear of each other must do, said plainly: sets and fixed points over small arrays. One file system, whose folders are numbered
 * like a heap (0 is the root, 2n+1 and 2n+2 are in n), is all that is mounted.
 */
#ifndef PROPAGATION_REFERENCE_H
#define PROPAGATION_REFERENCE_H

#include <cloudos/types.h>

#define REF_MOUNTS  400
#define REF_GROUPS  400
#define REF_SPACES  3
#define REF_FOLDERS 7
#define REF_ROOM    40 /* mounts of a namespace */

struct ref_mount {
	bool used, unbindable;
	int space, parent, point, root; /* parent -1: the base of its namespace */
	int group, master;		/* 0: none */
	void *actual;
	uint32_t id; /* of the actual one: in order of age */
};

extern struct ref_mount ref_mounts[REF_MOUNTS];
extern int ref_group_master[REF_GROUPS]; /* 0: none; only of groups with members */

void ref_start(void); /* namespace 0 with its base */
int ref_base(int space); /* -1: there is no such namespace */
int ref_child(int m, int folder); /* what stands there, or -1 */
int ref_count(int space);
bool ref_below(int folder, int top);

/* Each answers 0 or an errno, and has changed nothing then. Types are MS_*. */
int ref_bind(int from, int folder, int on, int point, bool recursive);
int ref_move(int m, int on, int point);
int ref_change(int m, unsigned type, bool recursive);
int ref_unmount(int m, bool detach);
void ref_copy_space(int from, int to);
void ref_end_space(int space);

#endif
