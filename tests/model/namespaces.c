/* SPDX-License-Identifier: MIT */
/*
 * Mount namespaces: each worker has one of its own, copies it again and again, mounts and unmounts in it, exchanges its root and back,
 * and visits and copies those of the others meanwhile.
 *
 *   N1  what a worker has mounted is there, in the order in which it was mounted, in its copies too; and what others mount is not
 *   N2  a root that was exchanged twice is the old one
 *   N3  a namespace goes with its last user, and all its mounts with it (leak check)
 */
#include "model.h"

#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/lock.h>
#include <cloudos/cred.h>
#include <cloudos/namespace.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>

#define WORKERS	  3
#define POINTS	  3
#define DEPTH_MAX 3
#define AT_CWD	  (-100)
#define PATH_TEXT 64

/* What a worker sees: the marks of what it has mounted on each point, the topmost last. Its own alone. */
struct view {
	unsigned depth[POINTS];
	unsigned mark[POINTS][DEPTH_MAX];
	unsigned marks; /* so far */
};

static struct view views[WORKERS];
static struct namespace *shared[WORKERS]; /* by shared_lock, with a reference: for visits */
static struct spinlock shared_lock = SPINLOCK_INIT(RANK_SPIN);

/* Does `call` again while memory is what it wants and may well want. */
#define PERSIST(error, call)              \
	do                                \
		(error) = (call);         \
	while ((error) == -ENOMEM && model_may_fail())

/* ---- names ---- */

/* Paths begin at the root, or at the working directory, which is the root: both must lead to the same. */
static const char *start(struct model_op *op)
{
	return model_chance(op, 50) ? "/" : "";
}

static void point_text(struct model_op *op, unsigned point, char text[PATH_TEXT])
{
	fmt_string(text, PATH_TEXT, "%smodel-ns/%c", start(op), 'a' + (int)point);
}

static void mark_text(struct model_op *op, unsigned worker, unsigned point, unsigned mark, char text[PATH_TEXT])
{
	fmt_string(text, PATH_TEXT, "%smodel-ns/%c/%u-%u", start(op), 'a' + (int)point, worker, mark);
}

static bool is_there(const char *name)
{
	struct file_stat st;
	int error;

	PERSIST(error, vfs_stat(AT_CWD, name, 0, &st));
	MODEL_CHECK(error == 0 || error == -ENOENT);
	return error == 0;
}

/* ---- operations ---- */

static void check(struct model_op *op, unsigned worker)
{
	const struct view *v = &views[worker];
	unsigned point = (unsigned)model_below(op, POINTS);
	char text[PATH_TEXT];

	for (unsigned i = 0; i < v->depth[point]; i++) {
		mark_text(op, worker, point, v->mark[point][i], text);
		MODEL_EQUAL(is_there(text), i + 1 == v->depth[point]); /* N1 */
	}
	if (v->depth[point] == 0) {
		mark_text(op, worker, point, v->marks, text);
		MODEL_CHECK(!is_there(text));
	}
}

static void mount_one(struct model_op *op, unsigned worker)
{
	struct view *v = &views[worker];
	unsigned point = (unsigned)model_below(op, POINTS);
	char text[PATH_TEXT];
	struct path on;
	int error;

	if (v->depth[point] == DEPTH_MAX)
		return;
	point_text(op, point, text);
	PERSIST(error, path_lookup(AT_CWD, text, LOOKUP_FOLLOW, &on));
	MODEL_EQUAL(error, 0);
	PERSIST(error, vfs_mount(&on, "tmpfs", "model", "", 0));
	path_put(&on);
	MODEL_EQUAL(error, 0);
	mark_text(op, worker, point, v->marks, text);
	PERSIST(error, vfs_mkdir(AT_CWD, text, 0755));
	MODEL_EQUAL(error, 0);
	v->mark[point][v->depth[point]++] = v->marks++;
}

static void unmount_one(struct model_op *op, unsigned worker)
{
	struct view *v = &views[worker];
	unsigned point = (unsigned)model_below(op, POINTS);
	char text[PATH_TEXT];
	struct path at;
	int error;

	if (v->depth[point] == 0)
		return;
	point_text(op, point, text);
	PERSIST(error, path_lookup(AT_CWD, text, LOOKUP_FOLLOW, &at));
	MODEL_EQUAL(error, 0);
	MODEL_EQUAL(vfs_unmount(&at, model_chance(op, 50)), 0);
	path_put(&at);
	v->depth[point]--;
}

/* Shows others the namespace that the worker is in now. */
static void share(unsigned worker)
{
	struct namespace *old, *ns = mount_namespace_as_namespace(thread_current()->fs->mounts);

	namespace_get(ns);
	spin_lock(&shared_lock);
	old = shared[worker];
	shared[worker] = ns;
	spin_unlock(&shared_lock);
	if (old)
		namespace_put(old);
}

static void unshare(unsigned worker)
{
	struct thread *t = thread_current();
	struct fs_context *new, *old = t->fs;
	int error = vfs_unshare_mounts(old, t->cred->user_ns, &new);

	MODEL_CHECK(error == 0 || (error == -ENOMEM && model_may_fail()));
	if (error)
		return;
	t->fs = new;
	fs_context_put(old);
	share(worker);
}

static void visit(struct model_op *op)
{
	unsigned whose = (unsigned)model_below(op, WORKERS);
	struct thread *t = thread_current();
	struct fs_context *own = t->fs, *theirs, *copy;
	struct namespace *ns;
	int error;

	spin_lock(&shared_lock);
	ns = shared[whose];
	if (ns)
		namespace_get(ns);
	spin_unlock(&shared_lock);
	if (!ns)
		return;
	PERSIST(error, vfs_enter_mounts(mount_namespace_of(ns), &theirs));
	MODEL_EQUAL(error, 0);
	namespace_put(ns);
	t->fs = theirs;
	(void)is_there("/model-ns/a");
	t->fs = own;
	if (model_chance(op, 50) && vfs_unshare_mounts(theirs, t->cred->user_ns, &copy) == 0) /* while its owner mounts */
		fs_context_put(copy);
	fs_context_put(theirs);
}

static void lookup(const char *name, struct path *ret)
{
	int error;

	PERSIST(error, path_lookup(AT_CWD, name, LOOKUP_FOLLOW, ret));
	MODEL_EQUAL(error, 0);
}

static void exchange(const char *new, const char *old)
{
	struct path to, from;

	lookup(new, &to);
	lookup(old, &from);
	MODEL_EQUAL(vfs_pivot_root(&to, &from), 0);
	path_put(&from);
	path_put(&to);
}

/* A fresh mount becomes the root, the old one its folder; and then the other way round. */
static void exchange_twice(struct model_op *op, unsigned worker)
{
	struct path on;
	int error;

	if (views[worker].depth[0] == DEPTH_MAX)
		return;
	lookup("/model-ns/a", &on);
	PERSIST(error, vfs_mount(&on, "tmpfs", "model", "", 0));
	path_put(&on);
	MODEL_EQUAL(error, 0);
	PERSIST(error, vfs_mkdir(AT_CWD, "/model-ns/a/old", 0755));
	MODEL_EQUAL(error, 0);
	exchange("/model-ns/a", "/model-ns/a/old");
	MODEL_CHECK(is_there("/old/model-ns/b") && is_there("old/model-ns/b") && !is_there("/model-ns"));
	exchange("/old", "/old/model-ns/a");
	MODEL_CHECK(is_there("/model-ns/b") && is_there("model-ns/a/old") && !is_there("/old")); /* N2 */
	lookup(model_chance(op, 50) ? "/model-ns/a" : "model-ns/a", &on);
	MODEL_EQUAL(vfs_unmount(&on, true), 0);
	path_put(&on);
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);
	struct fs_context *first;
	int error;

	PERSIST(error, vfs_adopt_kernel_thread());
	MODEL_EQUAL(error, 0);
	PERSIST(error, vfs_unshare_mounts(thread_current()->fs, thread_current()->cred->user_ns, &first));
	MODEL_EQUAL(error, 0);
	fs_context_put(thread_current()->fs);
	thread_current()->fs = first;
	share(worker);
	while (model_next(&op)) {
		uint64_t what = model_below(&op, 20);

		model_state(views[worker].depth[0] | views[worker].depth[1] << 4 | views[worker].depth[2] << 8 | worker << 12);

		if (what < 5)
			mount_one(&op, worker);
		else if (what < 9)
			unmount_one(&op, worker);
		else if (what < 15)
			check(&op, worker);
		else if (what < 17)
			unshare(worker);
		else if (what < 18)
			exchange_twice(&op, worker);
		else
			visit(&op);
	}
	vfs_release_kernel_thread();
}

static void prepare(void)
{
	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, "/model-ns", 0755), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, "/model-ns/a", 0755), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, "/model-ns/b", 0755), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, "/model-ns/c", 0755), 0);
}

static void run(void)
{
	model_workers(WORKERS, work);
	model_recover();
	for (unsigned worker = 0; worker < WORKERS; worker++)
		if (shared[worker])
			namespace_put(shared[worker]);
}

MODEL_DEFINE(namespaces, .what = "namespaces of mounts", .prepare = prepare, .run = run, .cpus = 3, .operations = 60);
