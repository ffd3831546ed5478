/* SPDX-License-Identifier: MIT */
/* The dentry cache over a file system that must be asked: how often it is asked, what is kept, and what is forgotten. */
#include "world.h"

#include <cloudos/format.h>

static unsigned asked, inodes;
static struct super_block *toy;

static void toy_inode_free(struct inode *inode)
{
	inodes--;
	memfs_inode_free(inode);
}

static void toy_destroy(struct super_block *sb)
{
	kfree(sb);
}

/* Every name that begins with 'f' is a file, with 'd' a folder; nothing else is there. */
static int toy_lookup(struct inode *dir, struct dentry *dentry);
static const struct inode_ops toy_dir_ops = { .lookup = toy_lookup };
static const struct file_ops toy_file_ops;

static int toy_lookup(struct inode *dir, struct dentry *dentry)
{
	char kind = dentry->name[0];
	struct inode *inode;

	asked++;
	if (kind == 'e')
		return -EIO;
	if (kind != 'f' && kind != 'd')
		return 0;
	inode = memfs_inode_create(dir->sb, (kind == 'f' ? S_IFREG : S_IFDIR) | 0755, &toy_dir_ops, &toy_file_ops);
	if (!inode)
		return -ENOMEM;
	inodes++;
	dentry_attach(dentry, inode);
	return 0;
}

static const struct super_ops toy_super_ops = { .inode_free = toy_inode_free, .destroy = toy_destroy };

static int toy_mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	(void)source, (void)options;
	inodes++;
	return memfs_super_create(type, &toy_super_ops, 0, &toy_dir_ops, 0755, ret);
}

static const struct fs_type toy_type = { .name = "toy", .mount = toy_mount };

static void toy_begin(void)
{
	struct path on;

	fs_register(&toy_type);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/t", 0755), 0);
	assert_int_equal(path_lookup(AT_FDCWD, "/t", 0, &on), 0);
	assert_int_equal(vfs_mount(&on, "toy", "toy", "", 0), 0);
	path_put(&on);
	assert_int_equal(path_lookup(AT_FDCWD, "/t", 0, &on), 0);
	toy = on.mount->sb;
	path_put(&on);
	asked = 0;
}

static void toy_end(void)
{
	struct path at;

	assert_int_equal(path_lookup(AT_FDCWD, "/t", 0, &at), 0);
	assert_int_equal(vfs_unmount(&at, false), 0);
	path_put(&at);
	assert_int_equal(inodes, 0);
	assert_int_equal(dentry_unused_count(), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/t"), 0);
}

static void asked_once(void **state)
{
	(void)state;
	toy_begin();
	for (int i = 0; i < 10; i++)
		assert_true(exists("/t/d1/d2/file"));
	assert_int_equal(asked, 3);
	toy_end();
}

static void absence_is_remembered(void **state)
{
	(void)state;
	toy_begin();
	for (int i = 0; i < 10; i++)
		assert_false(exists("/t/none"));
	assert_int_equal(asked, 1);
	toy_end();
}

static void failure_is_not_remembered(void **state)
{
	struct file_stat st;

	(void)state;
	toy_begin();
	for (int i = 0; i < 3; i++)
		assert_int_equal(vfs_stat(AT_FDCWD, "/t/error", 0, &st), -EIO);
	assert_int_equal(asked, 3);
	toy_end();
}

static void oldest_is_forgotten(void **state)
{
	char name[32];

	(void)state;
	toy_begin();
	for (unsigned i = 0; i < DENTRY_UNUSED_MAX + 100; i++) {
		fmt_string(name, sizeof(name), "/t/f%u", i);
		assert_true(exists(name));
		assert_true(dentry_unused_count() <= DENTRY_UNUSED_MAX);
	}
	asked = 0;
	assert_true(exists(name));
	assert_int_equal(asked, 0);
	assert_true(exists("/t/f0"));
	assert_int_equal(asked, 1);
	toy_end();
}

static void what_is_open_is_kept(void **state)
{
	struct path open;
	char name[32];

	(void)state;
	toy_begin();
	assert_int_equal(path_lookup(AT_FDCWD, "/t/dir/fopen", 0, &open), 0);
	for (unsigned i = 0; i < DENTRY_UNUSED_MAX + 100; i++) {
		fmt_string(name, sizeof(name), "/t/n%u", i);
		assert_false(exists(name));
	}
	asked = 0;
	assert_true(exists("/t/dir/fopen"));
	assert_int_equal(asked, 0);
	path_put(&open);
	toy_end();
}

static void long_names(void **state)
{
	char name[NAME_LEN_MAX + 8] = "/t/";

	(void)state;
	toy_begin();
	memset(name + 3, 'f', NAME_LEN_MAX);
	name[3 + NAME_LEN_MAX] = '\0';
	assert_true(exists(name));
	name[3 + NAME_LEN_MAX] = 'f';
	assert_false(exists(name));
	assert_int_equal(asked, 1);
	toy_end();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(asked_once),		UNIT_TEST(absence_is_remembered), UNIT_TEST(failure_is_not_remembered),
		UNIT_TEST(oldest_is_forgotten), UNIT_TEST(what_is_open_is_kept),  UNIT_TEST(long_names),
	};

	return WORLD_MAIN(tests, 64, 1);
}
