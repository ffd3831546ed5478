/* SPDX-License-Identifier: MIT */
/* What the files of the block layer tell each other. */
#ifndef BLOCK_INTERNAL_H
#define BLOCK_INTERNAL_H

#include <cloudos/block.h>
#include <cloudos/errno.h>

#define BLOCK_MAJOR	 254u /* of the range that Linux gives to whom asks for any */
#define BLOCK_MINORS	 16u  /* a device's share of minor numbers: itself, and partitions that may come */

struct file;

/* request.c */
void block_requests_init(struct block_device *d);
void block_requests_stop(struct block_device *d); /* no request is left, and none will come; may sleep */

/* node.c: the entry in /dev. */
int block_node_add(struct block_device *d);
void block_node_remove(struct block_device *d);
struct block_device *block_of_file(const struct file *f); /* borrowed; null: it is another kind of file */

/* files.c: /sys/block/NAME, which stays and is empty while there is no device of that name; /proc/diskstats and /proc/partitions. */
int block_files_add(struct block_device *d);
int block_procfs_add(void);

/* A copy of the figures, busy_ns up to now; *ret_in_flight: requests that have not ended. */
void block_stats_get(struct block_device *d, struct block_stats *ret, uint32_t *ret_in_flight);

#endif
