/* SPDX-License-Identifier: MIT */
/*
 * Mounts that hear of each other: one worker binds, moves, unmounts and changes in up to three namespaces, and compares all of their trees
 * with a reference (propagation_reference.c) after each operation; two others walk there meanwhile, look at mountinfo, and
 * copy the trees for user namespaces of their own, of which nobody hears.
 *
 *   M1  the trees are those of the reference: the same on the same places, with the same peers and masters
 *   M2  what fails has changed nothing
 *   M3  no namespace has more mounts than mount-max
 *   M4  all mounts and groups go in the end (leak check)
 */
#include "model.h"
#include "propagation_reference.h"

#include <cloudos/cred.h>
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/namespace.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include "../../src/kernel/vfs/vfs_internal.h"

#define WORKERS	  3
#define AT_CWD	  (-100)
#define PATH_TEXT 64

static const char *const names[REF_FOLDERS] = { "", "/a", "/b", "/a/a", "/a/b", "/b/a", "/b/b" };

static struct path point;		     /* where the base stands, in the first tree */
static struct dentry *folders[REF_FOLDERS];
static struct fs_context *contexts[REF_SPACES]; /* null: there is no such namespace */
static struct path places[REF_SPACES];	     /* the base's place in each */
static uint32_t others[REF_SPACES];	     /* mounts of each beside those of the reference */
static uint32_t visiting;		     /* visits so far: their copies receive, and are in the way */
static struct fs_context *shown;	     /* by shown_lock: for visits */
static struct spinlock shown_lock = SPINLOCK_INIT(RANK_SPIN);

/* Does `call` again while memory is what it wants and may well want. */
#define PERSIST(error, call)              \
	do                                \
		(error) = (call);         \
	while ((error) == -ENOMEM && model_may_fail())

/* ---- comparing ---- */

static struct peer_group *groups[REF_GROUPS];

static void same_group(int ref, struct peer_group *actual)
{
	if (!ref) {
		MODEL_CHECK(!actual);
		return;
	}
	MODEL_CHECK(actual);
	if (!groups[ref]) {
		for (int g = 0; g < REF_GROUPS; g++)
			MODEL_CHECK(groups[g] != actual);
		groups[ref] = actual;
		same_group(ref_group_master[ref], actual->master);
	}
	MODEL_CHECK(groups[ref] == actual);
}

static int folder_of(const struct dentry *d)
{
	int f = 0;

	while (folders[f] != d)
		f++;
	return f;
}

static uint32_t compare(int ref, struct mount *m)
{
	struct ref_mount *r = &ref_mounts[ref];
	uint32_t count = 1;
	struct mount *on;

	r->actual = m;
	r->id = m->id;
	MODEL_CHECK(m->root == folders[r->root] && m->unbindable == r->unbindable && m->fate == 0 && !m->copy);
	same_group(r->group, m->group);
	same_group(r->master, m->master);
	list_for_each (on, &m->children, siblings) {
		int child = ref_child(ref, folder_of(on->point));

		MODEL_CHECK(child >= 0 && on->parent == m && mount_find(m, on->point) == on);
		count += compare(child, on);
	}
	return count;
}

static void compare_all(void) /* M1, M3 */
{
	memset(groups, 0, sizeof(groups));
	tree_read_enter();
	for (int s = 0; s < REF_SPACES; s++) {
		struct mount_namespace *ns = contexts[s] ? contexts[s]->mounts : NULL;
		uint32_t count;

		if (!ns)
			continue;
		count = compare(ref_base(s), mount_find(places[s].mount, places[s].dentry));
		MODEL_EQUAL(count, ref_count(s));
		MODEL_EQUAL(count + others[s], ns->count);
		MODEL_EQUAL(ns->coming, 0);
	}
	tree_read_leave();
}

/* ---- operations ---- */

/* One of the reference's mounts in a namespace. */
static int choose(struct model_op *op, int space)
{
	int n = (int)model_below(op, 1000) % ref_count(space), m = -1;

	do {
		m++;
		n -= ref_mounts[m].used && ref_mounts[m].space == space;
	} while (n >= 0);
	return m;
}

/* A folder that it shows. */
static int choose_folder(struct model_op *op, int m)
{
	int f = (int)model_below(op, REF_FOLDERS);

	return ref_below(f, ref_mounts[m].root) ? f : ref_mounts[m].root;
}

static struct path path_of(int m, int folder)
{
	struct path p = { ref_mounts[m].actual, folders[folder] };

	path_get(&p);
	return p;
}

/* What came out, though visitors are in the way, is what had to. False: nothing was done. */
static bool agrees(int error, int busy)
{
	if (error == -ENOMEM && model_may_fail())
		return false;
	return !(READ_ONCE(visiting) && error == busy);
}

static void bind(struct model_op *op, int space)
{
	int from = choose(op, space), folder = choose_folder(op, from), on = choose(op, space), place = choose_folder(op, on);
	bool recursive = model_chance(op, 30);
	struct path to = path_of(on, place), of = path_of(from, folder);
	int error = vfs_mount_bind(&to, &of, recursive);

	path_put(&to);
	path_put(&of);
	if (agrees(error, -ENOSPC))
		MODEL_EQUAL(error, ref_bind(from, folder, on, place, recursive));
}

static void move(struct model_op *op, int space)
{
	int m = choose(op, space), on = choose(op, space), place = choose_folder(op, on);
	struct path to = path_of(on, place), of = path_of(m, ref_mounts[m].root);
	int error;

	if (ref_mounts[m].parent >= 0) {
		error = vfs_mount_move(&to, &of);
		if (agrees(error, -ENOSPC))
			MODEL_EQUAL(error, ref_move(m, on, place));
	}
	path_put(&to);
	path_put(&of);
}

static void change(struct model_op *op, int space)
{
	static const unsigned types[] = { MS_SHARED, MS_SHARED, MS_SHARED, MS_SLAVE, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE };
	int m = choose(op, space);
	unsigned type = types[model_below(op, ARRAY_SIZE(types))];
	bool recursive = model_chance(op, 25);
	struct path at = path_of(m, ref_mounts[m].root);
	int error = vfs_mount_change(&at, type, recursive);

	path_put(&at);
	if (agrees(error, 0))
		MODEL_EQUAL(error, ref_change(m, type, recursive));
	else if (!error)
		(void)ref_change(m, type, recursive);
}

static void unmount(struct model_op *op, int space)
{
	int m = choose(op, space);
	bool detach = model_chance(op, 40);
	struct path at = path_of(m, ref_mounts[m].root);
	int error = 0;

	if (ref_mounts[m].parent >= 0)
		error = vfs_unmount(&at, detach);
	path_put(&at);
	if (ref_mounts[m].parent >= 0 && error != -EBUSY)
		MODEL_EQUAL(error, ref_unmount(m, detach));
	else if (error == -EBUSY && !READ_ONCE(visiting)) /* else somebody may walk there */
		MODEL_CHECK(!detach);
}

/* ---- namespaces ---- */

static void show(struct fs_context *c)
{
	struct fs_context *old;

	if (c)
		fs_context_get(c);
	spin_lock(&shown_lock);
	old = shown;
	shown = c;
	spin_unlock(&shown_lock);
	if (old)
		fs_context_put(old);
}

/* The base's place in a tree: on the root's mount. */
static void find_place(int space)
{
	struct mount *root = contexts[space]->mounts->root;

	places[space] = (struct path){ root, point.dentry };
	others[space] = contexts[space]->mounts->count - (uint32_t)ref_count(space);
}

static void copy_space(struct model_op *op, int space)
{
	int to = (int)model_below(op, REF_SPACES);

	if (to == space)
		return;
	if (contexts[to]) {
		show(NULL);
		while (refcount_read(&contexts[to]->refs) > 1)
			model_compute(1000); /* a visitor keeps it */
		fs_context_put(contexts[to]);
		contexts[to] = NULL;
		ref_end_space(to);
	} else if (vfs_unshare_mounts(contexts[space], thread_current()->cred->user_ns, &contexts[to]) == 0) {
		ref_copy_space(space, to);
		find_place(to);
	}
}

static void operate(struct model_op *op)
{
	int space = (int)model_below(op, REF_SPACES);
	uint64_t what = model_below(op, 100);

	while (!contexts[space])
		space = (space + 1) % REF_SPACES;
	thread_current()->fs = contexts[space];
	if (what < 36)
		bind(op, space);
	else if (what < 56)
		change(op, space);
	else if (what < 80)
		unmount(op, space);
	else if (what < 90)
		move(op, space);
	else if (what < 95)
		copy_space(op, space);
	else
		show(contexts[space]);
}

static void operator(void)
{
	struct model_op op = MODEL_OPS(0);
	struct fs_context *first = thread_current()->fs;

	int error;

	PERSIST(error, vfs_unshare_mounts(first, thread_current()->cred->user_ns, &contexts[0]));
	MODEL_EQUAL(error, 0);
	ref_start();
	find_place(0);
	WRITE_ONCE(mounts_max, others[0] + REF_ROOM);
	compare_all();
	while (model_next(&op)) {
		operate(&op);
		compare_all();
		model_state((uint64_t)ref_count(0) | (uint64_t)ref_count(1) << 8 | (uint64_t)ref_count(2) << 16);
	}
	show(NULL);
	thread_current()->fs = first;
	for (int s = 0; s < REF_SPACES; s++)
		if (contexts[s])
			fs_context_put(contexts[s]);
	WRITE_ONCE(mounts_max, MOUNTS_MAX);
}

/* ---- visitors ---- */

static void walk(struct model_op *op)
{
	char text[PATH_TEXT];
	struct path p;

	fmt_string(text, sizeof(text), "/model-pr%s%s", names[model_below(op, REF_FOLDERS)], model_chance(op, 50) ? "/../b" : "");
	if (path_lookup(AT_CWD, text, LOOKUP_FOLLOW, &p) == 0)
		path_put(&p);
}

static void look(struct fs_context *fs)
{
	struct text_out out;

	text_out_init(&out);
	mount_show(&out, fs, true);
	text_out_free(&out);
}

/* A copy as for somebody with fewer rights. */
static void visit_copy(struct model_op *op, struct fs_context *theirs)
{
	struct cred *c = cred_copy(thread_current()->cred);
	struct fs_context *own = thread_current()->fs, *copy;

	if (c && user_namespace_create(c) == 0 && vfs_unshare_mounts(theirs, c->user_ns, &copy) == 0) {
		thread_current()->fs = copy;
		for (int i = 0; i < 3; i++)
			walk(op);
		thread_current()->fs = own;
		fs_context_put(copy);
	}
	if (c)
		cred_put(c);
}

static void visit(struct model_op *op)
{
	struct fs_context *own = thread_current()->fs, *theirs;

	spin_lock(&shown_lock);
	theirs = shown;
	if (theirs) {
		fs_context_get(theirs);
		__atomic_add_fetch(&visiting, 1, __ATOMIC_RELAXED);
	}
	spin_unlock(&shown_lock);
	if (!theirs)
		return;
	thread_current()->fs = theirs;
	if (model_chance(op, 60))
		walk(op);
	else if (model_chance(op, 50))
		look(theirs);
	else
		visit_copy(op, theirs);
	thread_current()->fs = own;
	fs_context_put(theirs);
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);
	int error;

	PERSIST(error, vfs_adopt_kernel_thread());
	MODEL_EQUAL(error, 0);
	if (worker == 0)
		operator();
	else
		while (model_next(&op))
			visit(&op);
	vfs_release_kernel_thread();
}

static void prepare(void)
{
	struct path base, p;
	char text[PATH_TEXT];

	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, "/model-pr", 0755), 0);
	MODEL_EQUAL(path_lookup(AT_CWD, "/model-pr", LOOKUP_FOLLOW, &point), 0);
	MODEL_EQUAL(vfs_mount(&point, "tmpfs", "model", "", 0), 0);
	MODEL_EQUAL(path_lookup(AT_CWD, "/model-pr", LOOKUP_FOLLOW, &base), 0);
	folders[0] = base.dentry;
	for (int f = 1; f < REF_FOLDERS; f++) {
		fmt_string(text, sizeof(text), "/model-pr%s", names[f]);
		MODEL_EQUAL(vfs_mkdir(AT_CWD, text, 0755), 0);
		MODEL_EQUAL(path_lookup(AT_CWD, text, LOOKUP_FOLLOW, &p), 0);
		folders[f] = p.dentry;
	}
}

static void run(void)
{
	model_workers(WORKERS, work);
	model_recover();
}

MODEL_DEFINE(propagation, .what = "mounts that hear of each other", .prepare = prepare, .run = run, .cpus = 3, .operations = 90);
