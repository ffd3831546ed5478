/* SPDX-License-Identifier: MIT */
/*
 * The tree of files, on tmpfs. One worker does all operations against a reference (tree_reference.h): the same errno, the same types, sizes,
 * bytes, link counts and folders. Or, if the seed wants it, several do them at once: a name that they replace by renaming is there all the
 * time; and at the end names and link counts agree, ".." leads back, every entry can be removed, and the file system's own
 * books are as they were.
 */
#include "model.h"

#include <asm/fcntl.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/lock.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <sim/trace.h>
#include "tree_reference.h"

#pragma push_macro("__GLIBC__")
#undef __GLIBC__
#include <linux/stat.h>
#pragma pop_macro("__GLIBC__")

#define GONE_MAX 8 /* times that an unmount hears that nothing is mounted, before that is believed */
#define WORKERS	  3
#define HANDLES	  3
#define TEXT_MAX  64 /* of a name */
#define PATH_TEXT (TEXT_MAX * 4)
#define BYTES_MAX 5000
#define AT_CWD	  (-100)
#define BASE	  "/model"

/* Operations with one worker know what must come out. */
static bool exact;

static struct handle {
	struct file *file;
	int node;
} handles[WORKERS][HANDLES];

static struct fs_context *whole; /* of who prepared it: the root of all */
static char buffers[WORKERS][BYTES_MAX];

/* ---- paths ---- */

static void draw_path(struct model_op *op, struct tree_path *ret)
{
	*ret = (struct tree_path){.count = (uint8_t)(1 + model_below(op, TREE_PATH_MAX)), .absolute = true};
	for (unsigned i = 0; i < TREE_PATH_MAX; i++) {
		bool dots = model_chance(op, 15);

		ret->names[i] = (uint8_t)(dots && i > 0 ? TREE_DOT + model_below(op, 2) : model_below(op, TREE_NAMES));
	}
	ret->names[ret->count - 1] = (uint8_t)model_below(op, TREE_NAMES);
}

static void draw_target(struct model_op *op, struct tree_path *ret)
{
	draw_path(op, ret);
	ret->absolute = model_chance(op, 50);
	if (!ret->absolute && model_chance(op, 50))
		ret->names[0] = TREE_DOTDOT;
}

static void text_of(const struct tree_path *path, char text[PATH_TEXT])
{
	static const char *const names[] = {"a", "b", "a-name-that-is-too-long-to-be-kept-inline", "d", ".", ".."};
	size_t n = 0;

	for (unsigned i = 0; i < path->count; i++)
		n += (size_t)fmt_string(text + n, PATH_TEXT - n, "%s%s", i || path->absolute ? "/" : "", names[path->names[i]]);
}

/* A path of an operation: its text, and where the reference says that it leads. */
struct place {
	char text[PATH_TEXT];
	int error;
	struct tree_place at;
};

static void draw_place(struct model_op *op, bool follow, struct place *ret)
{
	struct tree_path path;

	draw_path(op, &path);
	text_of(&path, ret->text);
	ret->error = exact ? tree_walk(&path, follow, &ret->at) : 0;
}

/* What came out against what the reference says; true if the reference is to change. */
static bool agrees(const char *what, const struct place *p, int got, int wanted)
{
	sim_note("%s %s: %d", what, p->text, got);
	if (!exact || (got == -ENOMEM && model_may_fail()))
		return false;
	if (got != wanted)
		model_failed(__FILE__, __LINE__, "%s %s gives %d, not %d", what, p->text, got, wanted);
	return got == 0;
}

/* ---- names ---- */

static void do_mkdir(struct model_op *op)
{
	struct place p;
	int got;

	draw_place(op, false, &p);
	got = vfs_mkdir(AT_CWD, p.text, 0755);
	if (agrees("mkdir", &p, got, p.error ? p.error : tree_may_make(&p.at)))
		MODEL_CHECK(tree_make(&p.at, TREE_FOLDER) >= 0);
}

static void do_symlink(struct model_op *op)
{
	struct tree_path target;
	char text[PATH_TEXT], back[PATH_TEXT];
	struct place p;
	int got, node;

	draw_place(op, false, &p);
	draw_target(op, &target);
	text_of(&target, text);
	got = vfs_symlink(text, AT_CWD, p.text);
	if (!agrees("symlink", &p, got, p.error ? p.error : tree_may_make(&p.at)))
		return;
	node = tree_make(&p.at, TREE_LINK);
	tree_nodes[node].target = target;
	tree_nodes[node].size = strlen(text);
	do
		got = vfs_readlink(AT_CWD, p.text, back, sizeof(back));
	while (got == -ENOMEM && model_may_fail());
	MODEL_EQUAL(got, strlen(text));
	MODEL_EQUAL(memcmp(back, text, strlen(text)), 0);
}

static void do_remove(struct model_op *op, bool folder)
{
	struct place p;
	int got, wanted;

	draw_place(op, false, &p);
	got = folder ? vfs_rmdir(AT_CWD, p.text) : vfs_unlink(AT_CWD, p.text);
	wanted = p.error || !exact ? p.error : folder ? tree_may_rmdir(&p.at) : tree_may_unlink(&p.at);
	if (agrees(folder ? "rmdir" : "unlink", &p, got, wanted))
		tree_remove(&p.at);
}

static void do_link(struct model_op *op)
{
	struct place from, to;
	int got, wanted;

	draw_place(op, false, &from);
	draw_place(op, false, &to);
	sim_note("link to %s", to.text);
	got = vfs_link(AT_CWD, from.text, AT_CWD, to.text, 0);
	wanted = from.error || !exact ? from.error : from.at.node < 0 ? -ENOENT : to.error;
	if (agrees("link", &from, got, wanted || !exact ? wanted : tree_may_link(&from.at, &to.at)))
		tree_link(&from.at, &to.at);
}

static void do_rename(struct model_op *op)
{
	unsigned flags = (unsigned)model_below(op, 3);
	struct place from, to;
	int got, wanted;

	draw_place(op, false, &from);
	draw_place(op, false, &to);
	sim_note("rename to %s, flags %u", to.text, flags);
	got = vfs_rename(AT_CWD, from.text, AT_CWD, to.text, flags);
	wanted = from.error ? from.error : to.error;
	if (agrees("rename", &from, got, wanted || !exact ? wanted : tree_may_rename(&from.at, &to.at, flags)))
		tree_rename(&from.at, &to.at, flags);
}

/* ---- files ---- */

static int open_wanted(const struct place *p, bool exclusive)
{
	if (p->error || !exact)
		return p->error;
	if (p->at.node < 0)
		return 0;
	if (exclusive)
		return -EEXIST;
	return tree_nodes[p->at.node].type == TREE_FOLDER ? -EISDIR : 0;
}

static void close_handle(struct handle *h)
{
	if (h->file)
		file_put(h->file);
	if (h->file && exact)
		tree_close(h->node);
	h->file = NULL;
}

static bool appeared(const char *text)
{
	struct file_stat st;
	bool armed = sim_faults_armed(), there;

	sim_faults_arm(false);
	there = vfs_stat(AT_CWD, text, LOOKUP_FOLLOW, &st) == 0;
	sim_faults_arm(armed);
	return there;
}

static void do_open(struct model_op *op, struct handle *h)
{
	bool exclusive = model_chance(op, 30);
	struct file *f = NULL;
	struct place p;
	int got;

	draw_place(op, !exclusive, &p);
	got = vfs_open(AT_CWD, p.text, O_RDWR | O_CREAT | (exclusive ? O_EXCL : 0), 0644, &f);
	if (agrees("open", &p, got, open_wanted(&p, exclusive)) && p.at.node < 0)
		p.at.node = tree_make(&p.at, TREE_FILE);
	/* What opening had no memory for may have been made all the same. */
	if (exact && got == -ENOMEM && p.error == 0 && p.at.node < 0 && appeared(p.text))
		(void)tree_make(&p.at, TREE_FILE);
	if (got)
		return;
	close_handle(h);
	*h = (struct handle){f, p.at.node};
	if (exact)
		tree_open(p.at.node);
}

static void do_write(struct model_op *op, struct handle *h, char *buf)
{
	uint64_t at = model_below(op, TREE_BYTES_MAX - BYTES_MAX), len = model_below(op, BYTES_MAX), fill = model_draw(op);
	int64_t pos = (int64_t)at;
	struct io_iter from;
	ssize_t n;

	if (!h->file)
		return;
	for (uint64_t i = 0; i < len; i++)
		buf[i] = (char)(fill + i * 7);
	io_iter_kernel(&from, buf, len);
	n = file_write(h->file, &from, &pos);
	MODEL_CHECK(n == (ssize_t)len || ((n == -ENOMEM || n >= 0) && model_may_fail()));
	if (exact && n > 0)
		tree_write(h->node, at, buf, (uint64_t)n);
}

static void do_read(struct model_op *op, const struct handle *h, char *buf)
{
	uint64_t at = model_below(op, TREE_BYTES_MAX), len = model_below(op, BYTES_MAX), there;
	int64_t pos = (int64_t)at;
	struct io_iter to;
	ssize_t n;

	if (!h->file)
		return;
	io_iter_kernel(&to, buf, len);
	n = file_read(h->file, &to, &pos);
	if (!exact || (n == -ENOMEM && model_may_fail()))
		return;
	there = tree_nodes[h->node].size > at ? min(tree_nodes[h->node].size - at, len) : 0;
	MODEL_CHECK(n == (ssize_t)there || (n >= 0 && n < (ssize_t)there && model_may_fail()));
	MODEL_EQUAL(memcmp(buf, tree_nodes[h->node].data + at, (size_t)n), 0);
}

static void do_truncate(struct model_op *op, const struct handle *h)
{
	uint64_t any = model_below(op, TREE_BYTES_MAX), size = model_chance(op, 40) ? align_down(any, PAGE_SIZE) : any;
	int error;

	if (!h->file)
		return;
	error = vfs_truncate(h->file->inode, size);
	MODEL_CHECK(error == 0 || (error == -ENOMEM && model_may_fail()));
	if (exact && !error)
		tree_set_size(h->node, size);
}

/* ---- looking ---- */

static void check_stat(const struct file_stat *st, int node)
{
	static const uint32_t types[] = {0, S_IFDIR, S_IFREG, S_IFLNK};
	const struct tree_node *n = &tree_nodes[node];

	MODEL_EQUAL(st->mode & S_IFMT, types[n->type]);
	MODEL_EQUAL(st->nlink, tree_link_count(node));
	if (n->type != TREE_FOLDER)
		MODEL_EQUAL(st->size, n->size);
}

static void do_stat(struct model_op *op)
{
	bool follow = model_chance(op, 50);
	struct file_stat st;
	struct place p;
	int got;

	draw_place(op, follow, &p);
	got = vfs_stat(AT_CWD, p.text, follow ? LOOKUP_FOLLOW : 0, &st);
	if (agrees("stat", &p, got, p.error || !exact ? p.error : p.at.node < 0 ? -ENOENT : 0))
		check_stat(&st, p.at.node);
}

static void do_stat_handle(const struct handle *h)
{
	struct file_stat st;

	if (!h->file)
		return;
	file_getattr(h->file, &st);
	if (exact)
		check_stat(&st, h->node);
}

struct names {
	struct dir_emitter emitter;
	unsigned count, dots;
	char names[TREE_NAMES][TEXT_MAX];
};

static bool emit(struct dir_emitter *e, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
	struct names *n = container_of(e, struct names, emitter);

	(void)ino;
	(void)type;
	(void)next;
	if (name[0] == '.') {
		n->dots++;
		return true;
	}
	MODEL_CHECK(n->count < TREE_NAMES && len < TEXT_MAX);
	memcpy(n->names[n->count], name, len);
	n->names[n->count++][len] = 0;
	return true;
}

/* -errno, or 0 with what is in a folder. */
static int list(const char *text, struct names *ret)
{
	struct file *f;
	uint64_t pos = 0;
	int error = vfs_open(AT_CWD, text, O_RDONLY | O_DIRECTORY, 0, &f);

	*ret = (struct names){.emitter.emit = emit};
	if (error)
		return error;
	error = f->ops->readdir(f, &ret->emitter, &pos);
	file_put(f);
	return error;
}

static void do_readdir(struct model_op *op)
{
	struct names names;
	struct place p;
	unsigned count = 0;
	int wanted;

	draw_place(op, true, &p);
	if (!exact)
		return;
	wanted = p.error ? p.error : p.at.node < 0 ? -ENOENT : tree_nodes[p.at.node].type == TREE_FOLDER ? 0 : -ENOTDIR;
	if (!agrees("readdir", &p, list(p.text, &names), wanted))
		return;
	for (int i = 0; i < TREE_NAMES; i++)
		count += tree_nodes[p.at.node].children[i] >= 0;
	MODEL_EQUAL(names.count, count);
	MODEL_EQUAL(names.dots, 2);
}

/* ---- mounts: on folders outside, which no other operation knows ---- */

static void mount_and_unmount(struct model_op *op)
{
	static const char *const points[] = {"/model-mount/a", "/model-mount/b"};
	const char *point = points[model_below(op, 2)];
	bool detach = exact ? model_chance(op, 50) : true;
	struct path on, top;
	struct file_stat st;
	int error;

	if (path_lookup(AT_CWD, point, LOOKUP_FOLLOW, &on))
		return;
	error = vfs_mount(&on, "tmpfs", "model", "", 0);
	path_put(&on);
	/* What it was to stand on may have been unmounted meanwhile. */
	MODEL_CHECK(error == 0 || (error == -ENOMEM && model_may_fail()) || (error == -EINVAL && !exact));
	if (error)
		return;
	if (exact) { /* else another worker's detached mount may have taken ours along, and the folder would really go */
		error = vfs_rmdir(AT_CWD, point);
		MODEL_CHECK(error == -EBUSY || (error == -ENOMEM && model_may_fail()));
	}
	(void)vfs_stat(AT_CWD, point, LOOKUP_FOLLOW, &st);
	do
		error = path_lookup(AT_CWD, point, LOOKUP_FOLLOW, &top);
	while (error == -ENOMEM && model_may_fail());
	MODEL_EQUAL(error, 0);
	/* Another worker may have mounted on it meanwhile: then that goes, and ours with its turn. */
	error = vfs_unmount(&top, detach);
	path_put(&top);
	MODEL_CHECK(error == 0 || (error == -EBUSY && !detach) || (error == -EINVAL && !exact));
	/* A detached mount takes along what stands on it: then ours is gone, and -EINVAL is all that is to be heard. */
	for (unsigned gone = 0; error == -EBUSY || (error == -EINVAL && gone < GONE_MAX); gone += error == -EINVAL) {
		MODEL_EQUAL(path_lookup(AT_CWD, point, LOOKUP_FOLLOW, &top), 0);
		error = vfs_unmount(&top, true);
		path_put(&top);
	}
}

static void do_mount(struct model_op *op)
{
	struct fs_context *inside = thread_current()->fs;

	thread_current()->fs = whole;
	mount_and_unmount(op);
	thread_current()->fs = inside;
}

/* ---- a name that is replaced by renaming, and so is always there ---- */

#define KEPT	    "/model-mount/kept"
#define REPLACEMENT "/model-mount/new"

static void replace_kept(void)
{
	struct file *f;
	int error = vfs_open(AT_CWD, REPLACEMENT, O_RDWR | O_CREAT, 0644, &f);

	if (!error)
		file_put(f);
	if (!error)
		error = vfs_rename(AT_CWD, REPLACEMENT, AT_CWD, KEPT, 0); /* unless another worker has done it */
	MODEL_CHECK(error == 0 || error == -ENOENT || (error == -ENOMEM && model_may_fail()));
}

static void look_for_kept(void)
{
	struct file_stat st;
	int error = vfs_stat(AT_CWD, KEPT, LOOKUP_FOLLOW, &st);

	MODEL_CHECK(error == 0 || (error == -ENOMEM && model_may_fail()));
}

static void do_kept(struct model_op *op)
{
	struct fs_context *inside = thread_current()->fs;

	thread_current()->fs = whole;
	if (model_chance(op, 50))
		replace_kept();
	else
		look_for_kept();
	thread_current()->fs = inside;
}

/* ---- all of it ---- */

static void operation(struct model_op *op, unsigned worker)
{
	struct handle *h = &handles[worker][model_below(op, HANDLES)];
	uint64_t what = model_below(op, 37);

	if (what < 4)
		do_mkdir(op);
	else if (what < 9)
		do_open(op, h);
	else if (what < 11)
		do_symlink(op);
	else if (what < 14)
		do_remove(op, what == 11);
	else if (what < 16)
		do_link(op);
	else if (what < 20)
		do_rename(op);
	else if (what < 22)
		do_write(op, h, buffers[worker]);
	else if (what < 24)
		do_read(op, h, buffers[worker]);
	else if (what < 25)
		do_truncate(op, h);
	else if (what < 27)
		do_stat(op);
	else if (what < 28)
		do_stat_handle(h);
	else if (what < 29)
		do_readdir(op);
	else if (what < 30)
		close_handle(h);
	else if (what < 31)
		do_mount(op);
	else if (what < 33)
		do_kept(op);
	else if (what < 36)
		do_truncate(op, h);
	else
		thread_yield();
}

/* The root of a worker is the folder of the model, so that ".." leads out of it nowhere. Out of memory: tries again. */
static void adopt(void)
{
	struct fs_context *inside;
	struct path base;
	int error;

	while ((error = vfs_adopt_kernel_thread()) == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	MODEL_EQUAL(error, 0);
	while ((error = path_lookup(AT_CWD, BASE, 0, &base)) == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	MODEL_EQUAL(error, 0);
	while (!(inside = fs_context_create(thread_current()->fs->mounts, &base, &base)))
		MODEL_CHECK(model_may_fail());
	fs_context_put(thread_current()->fs);
	thread_current()->fs = inside;
	path_put(&base);
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);
	uint64_t sum = 0;

	adopt();
	while (model_next(&op)) {
		operation(&op, worker);
		for (int i = 0; exact && i < TREE_NODES; i++)
			sum = sum * 31 + (uint64_t)tree_nodes[i].type * 7 + (uint64_t)tree_nodes[i].links;
		model_state(sum);
	}
	for (unsigned i = 0; i < HANDLES; i++)
		close_handle(&handles[worker][i]);
	vfs_release_kernel_thread();
}

/* ---- the end ---- */

/* Each inode that has a name: how often it was seen, and how often it says. */
static struct {
	uint64_t ino;
	uint32_t seen, says;
} inodes[256];
static unsigned inode_count;

static void count_name(const struct file_stat *st)
{
	unsigned i = 0;

	while (i < inode_count && inodes[i].ino != st->ino)
		i++;
	MODEL_CHECK(i < ARRAY_SIZE(inodes));
	if (i == inode_count) {
		inodes[inode_count].ino = st->ino;
		inodes[inode_count].says = st->nlink;
		inodes[inode_count++].seen = 0;
	}
	MODEL_EQUAL(inodes[i].says, st->nlink);
	inodes[i].seen++;
}

/* The folders that are yet to be emptied, as texts: a stack, each above its parent. */
static char stack[64][TEXT_MAX * 16];

/* Looks at a folder's entries; removes what is no folder, pushes what is. Returns the new height. */
static unsigned visit(const char *folder, unsigned height, uint32_t *ret_folders)
{
	static char name[sizeof(stack[0])];
	struct file_stat st;
	struct names names;

	MODEL_EQUAL(list(folder, &names), 0);
	for (unsigned i = 0; i < names.count; i++) {
		fmt_string(name, sizeof(name), "%s/%s", folder, names.names[i]);
		MODEL_EQUAL(vfs_stat(AT_CWD, name, 0, &st), 0);
		if ((st.mode & S_IFMT) != S_IFDIR) {
			count_name(&st);
			continue;
		}
		(*ret_folders)++;
		MODEL_CHECK(height < ARRAY_SIZE(stack));
		memcpy(stack[height++], name, sizeof(name));
	}
	return height;
}

static void check_folder(const char *folder, uint32_t folders)
{
	static char up[sizeof(stack[0])];
	struct file_stat st, parent, by_dots;
	size_t len = strlen(folder);

	MODEL_EQUAL(vfs_stat(AT_CWD, folder, 0, &st), 0);
	MODEL_EQUAL(st.nlink, 2 + folders);
	fmt_string(up, sizeof(up), "%s/..", folder);
	MODEL_EQUAL(vfs_stat(AT_CWD, up, LOOKUP_FOLLOW, &by_dots), 0);
	while (folder[--len] != '/')
		;
	memcpy(up, folder, len);
	up[len] = 0;
	MODEL_EQUAL(vfs_stat(AT_CWD, len ? up : "/", LOOKUP_FOLLOW, &parent), 0);
	MODEL_EQUAL(by_dots.ino, parent.ino);
}

static void check_all(void)
{
	unsigned height = 1;

	str_copy(stack[0], sizeof(stack[0]), BASE);
	while (height > 0) {
		static char folder[sizeof(stack[0])];
		uint32_t folders = 0;

		memcpy(folder, stack[--height], sizeof(folder));
		height = visit(folder, height, &folders);
		check_folder(folder, folders);
	}
	for (unsigned i = 0; i < inode_count; i++)
		MODEL_EQUAL(inodes[i].seen, inodes[i].says);
}

/* Removes what is in a folder; true if it is empty then (its folders were). */
static void empty_folder(const char *folder, unsigned depth)
{
	static char names_of[64][TEXT_MAX * 16];
	struct names names;

	MODEL_CHECK(depth < ARRAY_SIZE(names_of));
	MODEL_EQUAL(list(folder, &names), 0);
	for (unsigned i = 0; i < names.count; i++) {
		char *name = names_of[depth];
		int error;

		fmt_string(name, sizeof(names_of[0]), "%s/%s", folder, names.names[i]);
		error = vfs_unlink(AT_CWD, name);
		if (error == -EISDIR) {
			empty_folder(name, depth + 1);
			error = vfs_rmdir(AT_CWD, name);
		}
		MODEL_EQUAL(error, 0);
	}
}

static void prepare(void)
{
	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	whole = thread_current()->fs;
	MODEL_EQUAL(vfs_mkdir(AT_CWD, BASE, 0755), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, "/model-mount", 0755), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, "/model-mount/a", 0755), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, "/model-mount/b", 0755), 0);
	MODEL_EQUAL(vfs_mknod(AT_CWD, KEPT, S_IFREG | 0644, 0), 0);
}

static void statistics(struct fs_statistics *ret)
{
	struct path path;

	MODEL_EQUAL(path_lookup(AT_CWD, BASE, 0, &path), 0);
	MODEL_EQUAL(vfs_statfs(&path, ret), 0);
	path_put(&path);
}

static void run(void)
{
	struct model_op op = MODEL_OPS(100);
	struct fs_statistics before, after;

	sim_faults_arm(false);
	(void)model_next(&op);
	exact = model_chance(&op, 50);
	sim_note("%s", exact ? "one worker, with a reference" : "several workers");
	tree_reset();
	statistics(&before);
	sim_faults_arm(true);
	model_workers(exact ? 1 : WORKERS, work);
	model_recover();
	check_all();
	empty_folder(BASE, 0);
	(void)vfs_unlink(AT_CWD, REPLACEMENT);
	statistics(&after);
	MODEL_EQUAL(after.blocks_free, before.blocks_free);
	MODEL_EQUAL(after.files_free, before.files_free);
}

MODEL_DEFINE(tree, .what = "the tree of files, on tmpfs", .prepare = prepare, .run = run, .cpus = 4, .operations = 80);
