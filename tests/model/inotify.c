/* SPDX-License-Identifier: MIT */
/*
 * inotify. Each worker has a folder of its own, watches it and its files with an instance of its own, and knows what must be told:
 *
 *   events    those of its folder and files, in their order; two alike are one; the cookies of a move agree and are new
 *   ends      a watch says IN_IGNORED once, as its last, when it is removed, used up, or its file is gone
 *   overflow  beyond the queue's limit there is one IN_Q_OVERFLOW, and nothing until there is room
 *
 * All of them also watch one folder, in which they make, move and remove files that the others watch: of those events only the ends are
 * checked. A call that found no memory may have left events out: then the worker begins anew.
 */
#include "model.h"

#include <asm/fcntl.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/inotify.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>

#define WORKERS	  3
#define FILES	  3
#define QUEUE_MAX 24 /* events: the limit while the model runs */
#define AT_CWD	  (-100)
#define SHARED	  "/model-shared"

struct expected {
	int wd;
	uint32_t mask;
	int file; /* whose name it tells, or -1 */
	bool same_cookie; /* as the event before */
};

static struct worker {
	unsigned number;
	struct file *instance, *shared;
	int folder_wd;
	bool exists[FILES];
	int wd[FILES]; /* of a watch on it; 0: none */
	uint32_t mask[FILES];
	struct expected events[QUEUE_MAX];
	unsigned count;
	bool overflowed;
	uint32_t last_cookie;
	int shared_wds[64]; /* that have ended, a bit each */
	bool lost;	    /* an event may be missing */
} workers[WORKERS];

static const char *path_of(const struct worker *w, int file, char text[64])
{
	if (file < 0)
		fmt_string(text, 64, "/model-%u", w->number);
	else
		fmt_string(text, 64, "/model-%u/%s%d", w->number, file == 2 ? "name-of-more-than-sixteen-bytes-" : "f", file);
	return text;
}

/* ---- what must be told ---- */

static void expect(struct worker *w, int wd, uint32_t mask, int file, bool same_cookie)
{
	struct expected *last = w->count ? &w->events[w->count - 1] : NULL;

	if (!w->overflowed && last && !(mask & IN_IGNORED) && last->wd == wd && last->mask == mask && last->file == file)
		return;
	if (w->count == QUEUE_MAX)
		w->overflowed = true;
	else
		w->events[w->count++] = (struct expected){wd, mask, file, same_cookie};
}

/* The folder hears of a file of that name, and then who watches the file itself. */
static void expect_file(struct worker *w, int file, uint32_t mask)
{
	expect(w, w->folder_wd, mask, file, false);
	if (w->wd[file] && (w->mask[file] & mask)) {
		expect(w, w->wd[file], mask, -1, false);
		if (w->mask[file] & IN_ONESHOT) {
			expect(w, w->wd[file], IN_IGNORED, -1, false);
			w->wd[file] = 0;
		}
	}
}

/* The file itself, but not by a name. */
static void expect_self(struct worker *w, int file, uint32_t mask)
{
	if (!w->wd[file] || !(w->mask[file] & mask))
		return;
	expect(w, w->wd[file], mask, -1, false);
	if (w->mask[file] & IN_ONESHOT) {
		expect(w, w->wd[file], IN_IGNORED, -1, false);
		w->wd[file] = 0;
	}
}

static void expect_gone(struct worker *w, int file)
{
	if (w->wd[file]) {
		if (w->mask[file] & IN_DELETE_SELF)
			expect(w, w->wd[file], IN_DELETE_SELF, -1, false);
		expect(w, w->wd[file], IN_IGNORED, -1, false);
	}
	w->wd[file] = 0;
	w->exists[file] = false;
}

/* ---- reading ---- */

static int64_t next_event(struct file *f, char *buf, size_t size)
{
	struct io_iter to;
	ssize_t n;

	io_iter_kernel(&to, buf, size);
	n = file_read(f, &to, NULL);
	MODEL_CHECK(n > 0 || n == -EAGAIN);
	return n;
}

static void check_event(struct worker *w, const struct inotify_event *e, const struct expected *x)
{
	char text[64];
	const char *name = x->file < 0 ? "" : path_of(w, x->file, text) + sizeof("/model-0");

	MODEL_EQUAL((unsigned)e->wd, (unsigned)x->wd);
	MODEL_EQUAL(e->mask, x->mask);
	MODEL_EQUAL(strcmp(e->len ? e->name : "", name), 0);
	MODEL_CHECK(e->len % sizeof(*e) == 0);
	if (x->mask & IN_MOVED_FROM)
		MODEL_CHECK(e->cookie > w->last_cookie);
	else if (x->same_cookie)
		MODEL_EQUAL(e->cookie, w->last_cookie);
	else
		MODEL_EQUAL(e->cookie, 0);
	if (e->cookie)
		w->last_cookie = e->cookie;
}

/* Reads all that is there. */
static void drain(struct worker *w)
{
	_Alignas(8) char buf[256];
	unsigned i = 0;
	int64_t n;

	while ((n = next_event(w->instance, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const void *)p;

			p += sizeof(*e) + e->len;
			MODEL_CHECK(p <= buf + n);
			if ((e->mask & IN_Q_OVERFLOW) && model_may_fail())
				w->lost = true;
			if (w->lost)
				continue;
			if (i == w->count) {
				MODEL_CHECK(w->overflowed && e->wd == -1);
				MODEL_EQUAL(e->mask, IN_Q_OVERFLOW);
				w->overflowed = false;
				continue;
			}
			check_event(w, e, &w->events[i++]);
		}
	MODEL_CHECK(w->lost || (i == w->count && !w->overflowed));
	w->count = 0;
	w->overflowed = false;
}

/* ---- operations ---- */

static bool open_and_close(const char *path, uint32_t flags, bool write)
{
	struct file *f;
	struct io_iter from;
	bool good = true;
	int64_t pos = 0;
	int error = vfs_open(AT_CWD, path, flags, 0644, &f);

	if (error) {
		MODEL_CHECK((error == -ENOMEM && model_may_fail()) || error == -ENOENT);
		return false;
	}
	if (write) {
		io_iter_kernel(&from, "x", 1);
		good = file_write(f, &from, &pos) == 1;
		MODEL_CHECK(good || model_may_fail());
	}
	file_put(f);
	return good;
}

static void make(struct worker *w, int file)
{
	char path[64];

	if (w->exists[file])
		return;
	if (!open_and_close(path_of(w, file, path), O_RDWR | O_CREAT, false)) {
		w->lost = true;
		return;
	}
	w->exists[file] = true;
	expect_file(w, file, IN_CREATE);
	expect_file(w, file, IN_OPEN);
	expect_file(w, file, IN_CLOSE_WRITE);
}

static void use(struct worker *w, int file, bool write)
{
	char path[64];

	if (!w->exists[file])
		return;
	if (!open_and_close(path_of(w, file, path), write ? O_RDWR : O_RDONLY, write)) {
		w->lost = true;
		return;
	}
	expect_file(w, file, IN_OPEN);
	if (write)
		expect_file(w, file, IN_MODIFY);
	expect_file(w, file, write ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
}

static void remove(struct worker *w, int file)
{
	char path[64];
	int error = vfs_unlink(AT_CWD, path_of(w, file, path));

	if (error == -ENOMEM && model_may_fail())
		return;
	MODEL_EQUAL(error, w->exists[file] ? 0 : -ENOENT);
	if (error)
		return;
	expect_self(w, file, IN_ATTRIB);
	expect_gone(w, file);
	expect(w, w->folder_wd, IN_DELETE, file, false);
}

static void move(struct worker *w, int from, int to)
{
	char path[64], new_path[64];
	int error = vfs_rename(AT_CWD, path_of(w, from, path), AT_CWD, path_of(w, to, new_path), 0);

	if (error == -ENOMEM && model_may_fail())
		return;
	MODEL_EQUAL(error, w->exists[from] ? 0 : -ENOENT);
	if (error || from == to)
		return;
	expect(w, w->folder_wd, IN_MOVED_FROM, from, false);
	expect(w, w->folder_wd, IN_MOVED_TO, to, true);
	if (w->exists[to])
		expect_self(w, to, IN_ATTRIB);
	expect_self(w, from, IN_MOVE_SELF);
	expect_gone(w, to);
	w->exists[to] = true;
	w->exists[from] = false;
	w->wd[to] = w->wd[from];
	w->mask[to] = w->mask[from];
	w->wd[from] = 0;
}

static int64_t watch(struct file *instance, const char *name, uint32_t mask)
{
	struct path path;
	int64_t wd = path_lookup(AT_CWD, name, 0, &path);

	if (wd)
		return wd;
	wd = inotify_watch(instance, path.dentry->inode, mask);
	path_put(&path);
	return wd;
}

static void change_watch(struct worker *w, int file, uint32_t mask)
{
	int64_t wd;
	char path[64];

	if (!w->exists[file])
		return;
	if (mask == 0 && w->wd[file]) {
		MODEL_EQUAL(inotify_unwatch(w->instance, w->wd[file]), 0);
		expect(w, w->wd[file], IN_IGNORED, -1, false);
		w->wd[file] = 0;
		return;
	}
	wd = watch(w->instance, path_of(w, file, path), mask | IN_OPEN);
	if (wd < 0) {
		MODEL_CHECK(wd == -ENOMEM && model_may_fail());
		return;
	}
	MODEL_CHECK(!w->wd[file] || w->wd[file] == wd);
	w->wd[file] = (int)wd;
	w->mask[file] = mask | IN_OPEN;
}

/* Attributes by the path: the folder is told, too. */
static void change_mode(struct worker *w, int file, uint32_t mode)
{
	struct path path;
	char text[64];
	int error = path_lookup(AT_CWD, path_of(w, file, text), 0, &path);

	if (error) {
		MODEL_CHECK(!w->exists[file] || (error == -ENOMEM && model_may_fail()));
		return;
	}
	MODEL_EQUAL(vfs_chmod(&path, mode), 0);
	path_put(&path);
	expect_file(w, file, IN_ATTRIB);
}

/* ---- what all of them watch ---- */

static void check_shared(struct worker *w)
{
	_Alignas(8) char buf[256];
	int64_t n;

	while ((n = next_event(w->shared, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const void *)p;

			p += sizeof(*e) + e->len;
			if (e->mask & IN_Q_OVERFLOW)
				continue;
			MODEL_CHECK(e->wd > 0 && e->wd < (int)ARRAY_SIZE(w->shared_wds) && !w->shared_wds[e->wd]);
			if (e->mask & IN_IGNORED)
				w->shared_wds[e->wd] = 1;
		}
}

static void share(struct model_op *op, struct worker *w)
{
	char path[64], other[64];
	int64_t wd;

	fmt_string(path, sizeof(path), SHARED "/%u", (unsigned)model_below(op, 2));
	fmt_string(other, sizeof(other), SHARED "/%u", (unsigned)model_below(op, 2));
	switch (model_below(op, 6)) {
	case 0:
	case 1:
		(void)open_and_close(path, O_RDWR | O_CREAT, true);
		return;
	case 2:
		(void)vfs_unlink(AT_CWD, path);
		return;
	case 3:
		(void)vfs_rename(AT_CWD, path, AT_CWD, other, 0);
		return;
	case 4:
		wd = watch(w->shared, model_chance(op, 30) ? SHARED : path, IN_ALL_EVENTS | (model_chance(op, 30) ? IN_ONESHOT : 0));
		MODEL_CHECK(wd > 0 || wd == -ENOENT || (wd == -ENOMEM && model_may_fail()));
		return;
	default:
		check_shared(w);
		(void)inotify_unwatch(w->shared, 1 + (int)model_below(op, 6));
	}
}

/* ---- all of it ---- */

static struct file *create(void)
{
	struct file *f;
	int error;

	while ((error = inotify_file_create(O_NONBLOCK, &f)) == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	MODEL_EQUAL(error, 0);
	return f;
}

static void begin(struct worker *w)
{
	char path[64];

	w->count = 0;
	w->overflowed = w->lost = false;
	memset(w->wd, 0, sizeof(w->wd));
	w->instance = create();
	while ((w->folder_wd = (int)watch(w->instance, path_of(w, -1, path), IN_ALL_EVENTS)) == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	MODEL_CHECK(w->folder_wd > 0);
}

/* Which files are there, after something may have been done by halves. */
static void look(struct worker *w)
{
	char path[64];

	for (int i = 0; i < FILES; i++) {
		struct file_stat st;
		int error;

		do
			error = vfs_stat(AT_CWD, path_of(w, i, path), 0, &st);
		while (error == -ENOMEM);
		w->exists[i] = error == 0;
	}
}

static void operation(struct model_op *op, struct worker *w)
{
	int file = (int)model_below(op, FILES), other = (int)model_below(op, FILES);

	switch (model_below(op, 12)) {
	case 0:
	case 1:
		return make(w, file);
	case 2:
	case 3:
		return use(w, file, model_chance(op, 50));
	case 4:
		return remove(w, file);
	case 5:
		return move(w, file, other);
	case 6:
	case 7:
		return change_watch(w, file, model_chance(op, 25) ? 0 :
				    model_chance(op, 50) ? IN_ALL_EVENTS : (uint32_t)model_below(op, IN_ALL_EVENTS) |
							   (model_chance(op, 30) ? IN_ONESHOT : 0));
	case 8:
		return change_mode(w, file, (uint32_t)model_below(op, 0777));
	case 9:
		return drain(w);
	default:
		return share(op, w);
	}
}

static void work(unsigned number)
{
	struct model_op op = MODEL_OPS(number);
	struct worker *w = &workers[number];

	while (vfs_adopt_kernel_thread() == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	*w = (struct worker){.number = number};
	begin(w);
	w->shared = create();
	while (model_next(&op)) {
		operation(&op, w);
		if (w->lost) {
			file_put(w->instance);
			begin(w);
			look(w);
		}
		model_state((uint64_t)w->count << 8 ^ (uint64_t)w->folder_wd << 16 ^ number);
	}
	drain(w);
	check_shared(w);
	file_put(w->instance);
	file_put(w->shared);
	vfs_release_kernel_thread();
}

static void prepare(void)
{
	char path[64];

	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, SHARED, 0755), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		MODEL_EQUAL(vfs_mkdir(AT_CWD, path_of(&(struct worker){.number = i}, -1, path), 0755), 0);
	inotify_queue_max = QUEUE_MAX;
}

static void run(void)
{
	char path[64];

	model_workers(WORKERS, work);
	model_recover();
	for (unsigned i = 0; i < WORKERS; i++)
		for (int file = 0; file < FILES; file++)
			(void)vfs_unlink(AT_CWD, path_of(&workers[i], file, path));
	(void)vfs_unlink(AT_CWD, SHARED "/0");
	(void)vfs_unlink(AT_CWD, SHARED "/1");
	MODEL_EQUAL(READ_ONCE(inotify_watch_count), 0);
}

MODEL_DEFINE(inotify, .what = "inotify", .prepare = prepare, .run = run, .cpus = 4, .operations = 80);
