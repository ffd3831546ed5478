/* SPDX-License-Identifier: MIT */
/*
 * A reader of cpio archives ("newc", magic 070701 and 070702; cpio(5)) that is fed bytes as they come and tells a sink what it found. It
 * allocates nothing, keeps no input, and takes any input.
 */
#ifndef CPIO_H
#define CPIO_H

#include <cloudos/types.h>

#define CPIO_HEADER_LEN 110
#define CPIO_NAME_MAX	4096 /* bytes of a name or link target, with the NUL */

struct cpio_entry {
	const char *name; /* NUL terminated, as it stands in the archive */
	uint32_t ino, mode, uid, gid, nlink, mtime, size, dev_major, dev_minor, rdev_major, rdev_minor;
};

/* What is wrong with one entry is the sink's to report; the archive goes on. */
struct cpio_sink {
	void (*entry)(struct cpio_sink *s, const struct cpio_entry *e);	     /* begins; regular files get data() next */
	void (*data)(struct cpio_sink *s, const void *data, size_t len);     /* of a regular file, in order           */
	void (*symlink)(struct cpio_sink *s, const struct cpio_entry *e, const char *target);
	void (*end)(struct cpio_sink *s, const struct cpio_entry *e, bool good); /* after its data; good: checksum right  */
	void (*trailer)(struct cpio_sink *s);				     /* an archive is complete                */
};

enum cpio_state { CPIO_BETWEEN, CPIO_HEADER, CPIO_NAME, CPIO_DATA, CPIO_SKIP };

struct cpio {
	struct cpio_sink *sink;
	enum cpio_state state;
	uint64_t offset;       /* bytes taken so far                         */
	uint64_t entry_offset; /* where the entry at hand began              */
	const char *error;     /* what was wrong, after -EINVAL              */
	uint32_t have;	       /* bytes in header or name                    */
	uint32_t left;	       /* bytes of data still to come                */
	uint32_t pad, skip;    /* bytes to skip: after the data; now         */
	uint32_t name_len, sum, check;
	bool has_check, in_data; /* in_data: CPIO_SKIP leads to data         */
	struct cpio_entry entry;
	char header[CPIO_HEADER_LEN];
	char name[CPIO_NAME_MAX];
	char target[CPIO_NAME_MAX];
};

void cpio_init(struct cpio *c, struct cpio_sink *sink);

/*
 * Takes bytes: how many is in *ret_used. 0: all of them, or up to what is no archive (between two archives, a byte that is neither
 * zero nor a magic's first). -EINVAL: not well formed; c->error and c->entry_offset say what and where.
 */
int cpio_feed(struct cpio *c, const void *data, size_t len, size_t *ret_used);

/* Null, or what is missing if the input ends here. */
const char *cpio_incomplete(const struct cpio *c);

#endif
