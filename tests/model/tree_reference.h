/* SPDX-License-Identifier: MIT */
/*
 * A reference for trees of files: what a POSIX file system holds after a sequence of operations, and which errno each gives. Names are numbers;
 * a path is a list of components. Pure: no locks, no memory of the kernel.
 */
#ifndef TREE_REFERENCE_H
#define TREE_REFERENCE_H

#include <cloudos/types.h>

#define TREE_NAMES     4 /* in each folder at most */
#define TREE_DOT       4
#define TREE_DOTDOT    5
#define TREE_PATH_MAX  3 /* components */
#define TREE_NODES     48
#define TREE_BYTES_MAX 12000 /* of a file */
#define TREE_ROOT      0

enum tree_type { TREE_FREE, TREE_FOLDER, TREE_FILE, TREE_LINK };

struct tree_path {
	uint8_t count, names[TREE_PATH_MAX];
	bool absolute; /* of a link's target; a path of an operation begins at the root */
};

struct tree_node {
	enum tree_type type;
	int parent, children[TREE_NAMES]; /* folder; -1: none */
	uint32_t links, opens;
	uint64_t size;
	struct tree_path target;
	char data[TREE_BYTES_MAX];
};
extern struct tree_node tree_nodes[TREE_NODES];

/* Where a path leads: the folder and the name in it (folder -1: the path ended in "." or ".."), and the node or -1. */
struct tree_place {
	int folder, name, node;
};

void tree_reset(void);

/* 0 or -errno. ".." of the root is the root. A last component that is not there is no error: node -1. */
int tree_walk(const struct tree_path *path, bool follow, struct tree_place *ret);

/* Errors of the operations, as if they were done; 0 means that the *_do function may be called. */
int tree_may_make(const struct tree_place *at);
int tree_may_unlink(const struct tree_place *at);
int tree_may_rmdir(const struct tree_place *at);
int tree_may_link(const struct tree_place *from, const struct tree_place *to);
int tree_may_rename(const struct tree_place *from, const struct tree_place *to, unsigned flags);

/* A new node, or -1 when there are no more. */
int tree_make(const struct tree_place *at, enum tree_type type);
void tree_remove(const struct tree_place *at);
void tree_link(const struct tree_place *from, const struct tree_place *to);
void tree_rename(const struct tree_place *from, const struct tree_place *to, unsigned flags);
void tree_open(int node);
void tree_close(int node);

/* Bytes beyond the end are zero. */
void tree_set_size(int node, uint64_t size);
void tree_write(int node, uint64_t at, const char *bytes, uint64_t len);

uint32_t tree_link_count(int node); /* st_nlink */

#endif
