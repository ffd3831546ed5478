/* SPDX-License-Identifier: MIT */
/*
 * Access control lists on tmpfs. Each worker has a file and a folder, on which it sets and removes lists, changes the mode, and makes files; what it
 * reads back, what the mode is, and what others may do, a reference that only looks entries up by tag and id knows. And all workers exchange
 * the list of one file that they share, while they ask what it allows: they hear what one of the lists says, and no list is freed too early.
 */
#include "model.h"

#include <asm/fcntl.h>
#include <cloudos/cred.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>

#define WORKERS	  3
#define IDS	  3 /* named users and groups: 1001... */
#define ENTRIES	  (4 + 2 * IDS)
#define AT_CWD	  (-100)
#define FOLDER	  "/model-acls"
#define NAME_TEXT 64
#define FIRST_ID  1001
#define UMASK	  022u

struct acl_list {
	unsigned count; /* 0: none */
	struct posix_acl_xattr_entry entries[ENTRIES];
};

struct value {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[ENTRIES];
};

static struct worker {
	struct acl_list access, inherited;
	unsigned mode;
} workers[WORKERS];

static struct cred *others[IDS]; /* user FIRST_ID + i, of group FIRST_ID + i, without capabilities */

/* ---- the reference ---- */

static struct posix_acl_xattr_entry *entry(struct acl_list *l, unsigned tag, uint32_t id)
{
	for (unsigned i = 0; i < l->count; i++)
		if (l->entries[i].e_tag == tag && l->entries[i].e_id == id)
			return &l->entries[i];
	return NULL;
}

static unsigned permissions(struct acl_list *l, unsigned tag, uint32_t id)
{
	const struct posix_acl_xattr_entry *e = entry(l, tag, id);

	return e ? e->e_perm : 0;
}

static unsigned group_tag(struct acl_list *l)
{
	return entry(l, ACL_MASK, (uint32_t)ACL_UNDEFINED_ID) ? ACL_MASK : ACL_GROUP_OBJ;
}

static unsigned shown_mode(struct acl_list *l)
{
	return permissions(l, ACL_USER_OBJ, (uint32_t)ACL_UNDEFINED_ID) << 6 | permissions(l, group_tag(l), (uint32_t)ACL_UNDEFINED_ID) << 3 |
	       permissions(l, ACL_OTHER, (uint32_t)ACL_UNDEFINED_ID);
}

static void follow(struct acl_list *l, unsigned mode)
{
	entry(l, ACL_USER_OBJ, (uint32_t)ACL_UNDEFINED_ID)->e_perm = mode >> 6 & 7;
	entry(l, group_tag(l), (uint32_t)ACL_UNDEFINED_ID)->e_perm = mode >> 3 & 7;
	entry(l, ACL_OTHER, (uint32_t)ACL_UNDEFINED_ID)->e_perm = mode & 7;
}

/* Of the user and group FIRST_ID + i, who are not the owner or his group. */
static bool allowed(struct acl_list *l, unsigned mode, unsigned i, unsigned want)
{
	unsigned mask = mode >> 3 & 7, have = mode & 7;

	if (l->count && mask && entry(l, ACL_USER, FIRST_ID + i))
		have = permissions(l, ACL_USER, FIRST_ID + i) & mask;
	else if (l->count && mask && entry(l, ACL_GROUP, FIRST_ID + i))
		have = permissions(l, ACL_GROUP, FIRST_ID + i) & mask;
	return (want & ~have) == 0;
}

/* ---- lists ---- */

static void add(struct acl_list *l, unsigned tag, uint32_t id, unsigned perm)
{
	l->entries[l->count++] = (struct posix_acl_xattr_entry){ (uint16_t)tag, (uint16_t)perm, id };
}

static void draw(struct model_op *op, struct acl_list *l)
{
	bool named = false;

	l->count = 0;
	add(l, ACL_USER_OBJ, (uint32_t)ACL_UNDEFINED_ID, (unsigned)model_below(op, 8));
	for (unsigned i = 0; i < IDS; i++)
		if (model_chance(op, 30) && (named = true))
			add(l, ACL_USER, FIRST_ID + i, (unsigned)model_below(op, 8));
	add(l, ACL_GROUP_OBJ, (uint32_t)ACL_UNDEFINED_ID, (unsigned)model_below(op, 8));
	for (unsigned i = 0; i < IDS; i++)
		if (model_chance(op, 30) && (named = true))
			add(l, ACL_GROUP, FIRST_ID + i, (unsigned)model_below(op, 8));
	if (named || model_chance(op, 20))
		add(l, ACL_MASK, (uint32_t)ACL_UNDEFINED_ID, (unsigned)model_below(op, 8));
	add(l, ACL_OTHER, (uint32_t)ACL_UNDEFINED_ID, (unsigned)model_below(op, 8));
}

static int set(const struct path *path, const char *attr, const struct acl_list *l)
{
	struct value v = { { POSIX_ACL_XATTR_VERSION }, { { 0 } } };

	memcpy(v.entries, l->entries, sizeof(v.entries));
	return vfs_xattr_set(path, attr, &v, sizeof(v.header) + l->count * sizeof(v.entries[0]), 0);
}

/* The attribute is that list, or is not there. */
static void check_is(const struct path *path, const char *attr, const struct acl_list *l)
{
	struct value v;
	ssize_t n = vfs_xattr_get(path, attr, &v, sizeof(v));

	if (!l->count) {
		MODEL_EQUAL(n, -ENODATA);
		return;
	}
	MODEL_EQUAL(n, (ssize_t)(sizeof(v.header) + l->count * sizeof(v.entries[0])));
	MODEL_CHECK(memcmp(v.entries, l->entries, l->count * sizeof(v.entries[0])) == 0);
}

static unsigned mode_of(const struct path *path)
{
	struct file_stat st;

	vfs_getattr(path, &st);
	return st.mode & 0777;
}

/* ---- operations ---- */

static int persist(int error)
{
	if (error == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	return error;
}

static struct path find(const char *what, unsigned number)
{
	char text[NAME_TEXT];
	struct path path;
	int error;

	fmt_string(text, sizeof(text), FOLDER "/%s%u", what, number);
	while (persist(error = path_lookup(AT_CWD, text, 0, &path)) == -ENOMEM)
		;
	MODEL_EQUAL(error, 0);
	return path;
}

static void set_access(struct model_op *op, struct worker *w, const struct path *path)
{
	struct acl_list l;
	int error;

	draw(op, &l);
	error = persist(set(path, XATTR_NAME_POSIX_ACL_ACCESS, &l));
	if (error == -ENOMEM)
		return;
	MODEL_EQUAL(error, 0);
	w->mode = shown_mode(&l);
	w->access = l;
	if (l.count == 3)
		w->access.count = 0;
}

static void change_mode(struct model_op *op, struct worker *w, const struct path *path)
{
	unsigned mode = (unsigned)model_below(op, 01000);
	int error = persist(vfs_chmod(path, mode));

	if (error == -ENOMEM)
		return;
	MODEL_EQUAL(error, 0);
	w->mode = mode;
	if (w->access.count)
		follow(&w->access, mode);
}

static void judge(struct model_op *op, struct worker *w, const struct path *path)
{
	unsigned i = (unsigned)model_below(op, IDS), want = (unsigned)(1 + model_below(op, 7));

	MODEL_EQUAL(inode_permission(path->dentry->inode, want, others[i]), allowed(&w->access, w->mode, i, want) ? 0 : -EACCES);
}

/* A file in the worker's folder: its mode and list come from the folder's, or from the umask. */
static void make(struct model_op *op, struct worker *w, unsigned number)
{
	unsigned asked = (unsigned)model_below(op, 01000), mode = asked & ~UMASK;
	struct acl_list want = w->inherited;
	char text[NAME_TEXT];
	struct path path;
	int error;

	fmt_string(text, sizeof(text), FOLDER "/folder%u/new", number);
	if (persist(vfs_mknod(AT_CWD, text, 0100000 | asked, 0)) == -ENOMEM)
		return;
	if (want.count) {
		mode = asked & shown_mode(&want);
		follow(&want, mode);
		if (want.count == 3)
			want.count = 0;
	}
	while (persist(error = path_lookup(AT_CWD, text, 0, &path)) == -ENOMEM)
		;
	MODEL_EQUAL(error, 0);
	MODEL_EQUAL(mode_of(&path), mode);
	check_is(&path, XATTR_NAME_POSIX_ACL_ACCESS, &want);
	path_put(&path);
	while (persist(error = vfs_unlink(AT_CWD, text)) == -ENOMEM)
		;
	MODEL_EQUAL(error, 0);
}

static void set_inherited(struct model_op *op, struct worker *w, const struct path *folder)
{
	struct acl_list l = { 0 };

	if (model_chance(op, 80))
		draw(op, &l);
	if (persist(l.count ? set(folder, XATTR_NAME_POSIX_ACL_DEFAULT, &l) : vfs_xattr_remove(folder, XATTR_NAME_POSIX_ACL_DEFAULT)) == 0)
		w->inherited = l;
	check_is(folder, XATTR_NAME_POSIX_ACL_DEFAULT, &w->inherited);
}

/* One of two lists, of which none lets the first user write, and each somebody read. */
static void share(bool which, const struct path *path)
{
	struct acl_list l = { 0 };

	add(&l, ACL_USER_OBJ, (uint32_t)ACL_UNDEFINED_ID, 6);
	add(&l, ACL_USER, FIRST_ID, 4);
	if (which)
		add(&l, ACL_USER, FIRST_ID + 1, 6);
	add(&l, ACL_GROUP_OBJ, (uint32_t)ACL_UNDEFINED_ID, 0);
	add(&l, ACL_MASK, (uint32_t)ACL_UNDEFINED_ID, 6);
	add(&l, ACL_OTHER, (uint32_t)ACL_UNDEFINED_ID, 0);
	persist(set(path, XATTR_NAME_POSIX_ACL_ACCESS, &l));
	for (unsigned i = 0; i < 4; i++) {
		MODEL_EQUAL(inode_permission(path->dentry->inode, MAY_READ, others[0]), 0);
		MODEL_EQUAL(inode_permission(path->dentry->inode, MAY_WRITE, others[0]), -EACCES);
		MODEL_EQUAL(inode_permission(path->dentry->inode, MAY_READ, others[2]), -EACCES);
	}
}

static void operation(struct model_op *op, struct worker *w, unsigned number)
{
	struct path file = find("file", number), folder = find("folder", number), shared = find("shared", 0);

	switch (model_below(op, 10)) {
	case 0:
	case 1:
		set_access(op, w, &file);
		break;
	case 2:
		change_mode(op, w, &file);
		break;
	case 3:
		if (persist(vfs_xattr_remove(&file, XATTR_NAME_POSIX_ACL_ACCESS)) == 0)
			w->access.count = 0;
		break;
	case 4:
		set_inherited(op, w, &folder);
		break;
	case 5:
		make(op, w, number);
		break;
	case 6:
	case 7:
		share(model_chance(op, 50), &shared);
		break;
	default:
		judge(op, w, &file);
	}
	check_is(&file, XATTR_NAME_POSIX_ACL_ACCESS, &w->access);
	MODEL_EQUAL(mode_of(&file), w->mode);
	path_put(&file);
	path_put(&folder);
	path_put(&shared);
}

static void work(unsigned number)
{
	struct model_op op = MODEL_OPS(number);
	struct worker *w = &workers[number];

	while (vfs_adopt_kernel_thread() == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	thread_current()->fs->umask = UMASK;
	while (model_next(&op)) {
		operation(&op, w, number);
		model_state((uint64_t)w->access.count << 16 ^ (uint64_t)w->inherited.count << 24 ^ w->mode);
	}
	vfs_release_kernel_thread();
}

static void prepare(void)
{
	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, FOLDER, 0755), 0);
	for (unsigned i = 0; i < IDS; i++) {
		struct cred *c = cred_copy(thread_current()->cred);

		MODEL_CHECK(c != NULL);
		c->uid = c->euid = c->suid = c->fsuid = FIRST_ID + i;
		c->gid = c->egid = c->sgid = c->fsgid = FIRST_ID + i;
		c->cap_effective = c->cap_permitted = 0;
		others[i] = c;
	}
}

static void make_all(const char *what, uint32_t mode, unsigned count)
{
	char text[NAME_TEXT];

	for (unsigned i = 0; i < count; i++) {
		fmt_string(text, sizeof(text), FOLDER "/%s%u", what, i);
		MODEL_EQUAL(mode ? vfs_mknod(AT_CWD, text, mode, 0) : vfs_mkdir(AT_CWD, text, 0755), 0);
	}
}

static void remove_all(const char *what, bool folder, unsigned count)
{
	char text[NAME_TEXT];

	for (unsigned i = 0; i < count; i++) {
		fmt_string(text, sizeof(text), FOLDER "/%s%u", what, i);
		MODEL_EQUAL(folder ? vfs_rmdir(AT_CWD, text) : vfs_unlink(AT_CWD, text), 0);
	}
}

static void run(void)
{
	struct path shared;

	sim_faults_arm(false);
	make_all("file", 0100644, WORKERS);
	make_all("folder", 0, WORKERS);
	make_all("shared", 0100644, 1);
	for (unsigned i = 0; i < WORKERS; i++)
		workers[i] = (struct worker){ .mode = 0644 };
	shared = find("shared", 0);
	share(false, &shared);
	path_put(&shared);
	sim_faults_arm(true);
	model_workers(WORKERS, work);
	model_recover();
	remove_all("file", false, WORKERS);
	remove_all("folder", true, WORKERS);
	remove_all("shared", false, 1);
}

MODEL_DEFINE(acls, .what = "access control lists", .prepare = prepare, .run = run, .cpus = 4, .operations = 120);
