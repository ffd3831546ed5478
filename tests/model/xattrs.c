/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes on tmpfs. Several workers set, read, list and remove attributes of the same files, each under names of its own, which it
 * knows the values of; nobody else's change may be seen in them. What is still there at the end goes with the files.
 */
#include "model.h"

#include <asm/fcntl.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/string.h>
#include <cloudos/vfs.h>
#include <linux/xattr.h>

#define WORKERS	  3
#define FILES	  2
#define NAMES	  3 /* of a worker on a file */
#define VALUE_MAX 14000 /* so that the limit of a file is met */
#define AT_CWD	  (-100)
#define FOLDER	  "/model-xattrs"
#define NAME_TEXT 64

static struct worker {
	unsigned number;
	struct {
		bool there;
		size_t size;
		uint8_t first; /* byte i is first + i */
	} known[FILES][NAMES];
	uint8_t buf[VALUE_MAX];
	char list[WORKERS * NAMES * NAME_TEXT];
} workers[WORKERS];

static void path_of(unsigned file, char text[NAME_TEXT])
{
	fmt_string(text, NAME_TEXT, FOLDER "/%u", file);
}

static void name_of(const struct worker *w, unsigned name, char text[NAME_TEXT])
{
	fmt_string(text, NAME_TEXT, "%s.worker-%u-%u", name == 0 ? "security" : "trusted", w->number, name);
}

static struct path find(unsigned file)
{
	char text[NAME_TEXT];
	struct path path;
	int error;

	path_of(file, text);
	while ((error = path_lookup(AT_CWD, text, 0, &path)) == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	MODEL_EQUAL(error, 0);
	return path;
}

static void set(struct model_op *op, struct worker *w, const struct path *path, unsigned file, unsigned name)
{
	size_t size = model_below(op, model_chance(op, 50) ? 20 : VALUE_MAX);
	uint8_t first = (uint8_t)model_draw(op);
	unsigned flags = (unsigned)model_below(op, 3); /* XATTR_CREATE, XATTR_REPLACE or neither */
	bool there = w->known[file][name].there;
	char text[NAME_TEXT];
	int error;

	for (size_t i = 0; i < size; i++)
		w->buf[i] = (uint8_t)(first + i);
	name_of(w, name, text);
	error = vfs_xattr_set(path, text, w->buf, size, flags);
	if (error == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	else if (error == -ENOSPC) /* at least: what the others could have left room for */
		MODEL_CHECK(WORKERS * NAMES * (VALUE_MAX + NAME_TEXT) > XATTR_INODE_MAX);
	else
		MODEL_EQUAL((unsigned)error, (unsigned)(there && flags == XATTR_CREATE ? -EEXIST : !there && flags == XATTR_REPLACE ? -ENODATA : 0));
	if (error)
		return;
	w->known[file][name].there = true;
	w->known[file][name].size = size;
	w->known[file][name].first = first;
}

static void get(struct worker *w, const struct path *path, unsigned file, unsigned name, size_t room)
{
	char text[NAME_TEXT];
	ssize_t n;

	name_of(w, name, text);
	n = vfs_xattr_get(path, text, w->buf, room);
	if (!w->known[file][name].there) {
		MODEL_EQUAL(n, -ENODATA);
		return;
	}
	if (room && room < w->known[file][name].size) {
		MODEL_EQUAL(n, -ERANGE);
		return;
	}
	MODEL_EQUAL(n, w->known[file][name].size);
	for (ssize_t i = 0; room && i < n; i++)
		MODEL_EQUAL(w->buf[i], (uint8_t)(w->known[file][name].first + i));
}

static void remove(struct worker *w, const struct path *path, unsigned file, unsigned name)
{
	char text[NAME_TEXT];

	name_of(w, name, text);
	MODEL_EQUAL(vfs_xattr_remove(path, text), w->known[file][name].there ? 0 : -ENODATA);
	w->known[file][name].there = false;
}

/* Each of the worker's names is listed once, or not at all. */
static void list(struct worker *w, const struct path *path, unsigned file)
{
	ssize_t n = vfs_xattr_list(path, w->list, sizeof(w->list));

	MODEL_CHECK(n >= 0 && n <= (ssize_t)sizeof(w->list));
	for (unsigned name = 0; name < NAMES; name++) {
		char text[NAME_TEXT];
		unsigned seen = 0;

		name_of(w, name, text);
		for (const char *p = w->list; p < w->list + n; p += strlen(p) + 1)
			seen += strcmp(p, text) == 0;
		MODEL_EQUAL(seen, w->known[file][name].there);
	}
}

static void operation(struct model_op *op, struct worker *w)
{
	unsigned file = (unsigned)model_below(op, FILES), name = (unsigned)model_below(op, NAMES);
	struct path path = find(file);

	switch (model_below(op, 8)) {
	case 0:
	case 1:
	case 2:
		set(op, w, &path, file, name);
		break;
	case 3:
	case 4:
		get(w, &path, file, name, model_chance(op, 20) ? model_below(op, VALUE_MAX) : VALUE_MAX);
		break;
	case 5:
		remove(w, &path, file, name);
		break;
	case 6:
		list(w, &path, file);
		break;
	default:
		get(w, &path, file, name, 0);
	}
	path_put(&path);
}

static void work(unsigned number)
{
	struct model_op op = MODEL_OPS(number);
	struct worker *w = &workers[number];

	while (vfs_adopt_kernel_thread() == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	w->number = number;
	while (model_next(&op)) {
		operation(&op, w);
		model_state((uint64_t)w->known[0][0].there << 8 ^ (uint64_t)w->known[1][0].size << 16 ^ number);
	}
	vfs_release_kernel_thread();
}

static void prepare(void)
{
	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, FOLDER, 0755), 0);
}

static void run(void)
{
	char text[NAME_TEXT];

	sim_faults_arm(false);
	for (unsigned i = 0; i < FILES; i++) {
		path_of(i, text);
		MODEL_EQUAL(vfs_mknod(AT_CWD, text, 0100644, 0), 0);
	}
	sim_faults_arm(true);
	model_workers(WORKERS, work);
	model_recover();
	for (unsigned i = 0; i < FILES; i++) {
		path_of(i, text);
		MODEL_EQUAL(vfs_unlink(AT_CWD, text), 0);
	}
}

MODEL_DEFINE(xattrs, .what = "extended attributes on tmpfs", .prepare = prepare, .run = run, .cpus = 4, .operations = 120);
