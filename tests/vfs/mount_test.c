/* SPDX-License-Identifier: MIT */
/* Mounts: what a path sees of them, and when they may go. */
#include "world.h"

static int mount_at(const char *name, const char *options, uint32_t flags)
{
	struct path on;
	int error = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &on);

	if (error)
		return error;
	error = vfs_mount(&on, "tmpfs", "test", options, flags);
	path_put(&on);
	return error;
}

static int unmount_at(const char *name, bool detach)
{
	struct path at;
	int error = path_lookup(AT_FDCWD, name, 0, &at);

	if (error)
		return error;
	error = vfs_unmount(&at, detach);
	path_put(&at);
	return error;
}

static int bind(const char *from, const char *to, bool recursive)
{
	struct path a, b;
	int error = path_lookup(AT_FDCWD, from, 0, &a);

	assert_int_equal(error, 0);
	assert_int_equal(path_lookup(AT_FDCWD, to, 0, &b), 0);
	error = vfs_mount_bind(&b, &a, recursive);
	path_put(&a);
	path_put(&b);
	return error;
}

static void mount_hides_and_uncovers(void **state)
{
	(void)state;
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/m", 0755), 0);
	assert_int_equal(touch("/m/below"), 0);
	assert_int_equal(mount_at("/m", "", 0), 0);
	assert_false(exists("/m/below"));
	assert_int_equal(touch("/m/above"), 0);
	assert_int_equal(ino_of("/m/.."), ino_of("/"));
	assert_int_equal(ino_of("/m/../m/above"), ino_of("/m/above"));
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/m"), -EBUSY);
	assert_int_equal(vfs_rename(AT_FDCWD, "/m", AT_FDCWD, "/n", 0), -EBUSY);
	assert_int_equal(unmount_at("/m", false), 0);
	assert_true(exists("/m/below"));
	assert_false(exists("/m/above"));
	assert_int_equal(unmount_at("/m", false), -EINVAL);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/m/below"), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/m"), 0);
}

static void mounts_stack(void **state)
{
	(void)state;
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/s", 0755), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mount_at("/s", "", 0), 0);
		assert_false(exists("/s/mark"));
		assert_int_equal(touch("/s/mark"), 0);
	}
	assert_int_equal(ino_of("/s/.."), ino_of("/"));
	for (int i = 0; i < 3; i++)
		assert_int_equal(unmount_at("/s", false), 0);
	assert_false(exists("/s/mark"));
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/s"), 0);
}

static void busy_mount_stays(void **state)
{
	struct file *f;

	(void)state;
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/b", 0755), 0);
	assert_int_equal(mount_at("/b", "", 0), 0);
	assert_int_equal(vfs_open(AT_FDCWD, "/b/file", O_RDWR | O_CREAT, 0600, &f), 0);
	assert_int_equal(unmount_at("/b", false), -EBUSY);
	assert_int_equal(unmount_at("/b", true), 0);
	assert_false(exists("/b/file"));
	assert_int_equal(file_read_kernel(f, (char[4]){ 0 }, 4, 0), 0); /* lives until closed */
	file_put(f);
	assert_int_equal(unmount_at("/", false), -EBUSY);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/b"), 0);
}

static void binds_show_the_same_files(void **state)
{
	(void)state;
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/from", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/from/sub", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/to", 0755), 0);
	assert_int_equal(mount_at("/from/sub", "", 0), 0);
	assert_int_equal(touch("/from/sub/deep"), 0);
	assert_int_equal(bind("/from", "/to", false), 0);
	assert_int_equal(ino_of("/to"), ino_of("/from"));
	assert_false(exists("/to/sub/deep"));
	assert_int_equal(unmount_at("/to", false), 0);
	assert_int_equal(bind("/from", "/to", true), 0);
	assert_true(exists("/to/sub/deep"));
	assert_int_equal(unmount_at("/to", false), -EBUSY);
	assert_int_equal(unmount_at("/to", true), 0);
	assert_int_equal(unmount_at("/from/sub", false), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/from/sub"), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/from"), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/to"), 0);
}

static void read_only_is_kept(void **state)
{
	struct path at;
	struct file *f;

	(void)state;
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/r", 0755), 0);
	assert_int_equal(mount_at("/r", "", 0), 0);
	assert_int_equal(touch("/r/file"), 0);
	assert_int_equal(path_lookup(AT_FDCWD, "/r", 0, &at), 0);
	assert_int_equal(vfs_remount(&at, MS_RDONLY, false), 0);
	path_put(&at);
	assert_int_equal(touch("/r/new"), -EROFS);
	assert_int_equal(vfs_open(AT_FDCWD, "/r/file", O_RDWR, 0, &f), -EROFS);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/r/file"), -EROFS);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/r/d", 0700), -EROFS);
	assert_int_equal(unmount_at("/r", false), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/r"), 0);
}

static void options_are_checked(void **state)
{
	static const char *const bad[] = { "size=", "size=x", "size=200%", "mode=99", "what=1", "size", "uid=-1",
					   "size=99999999999999999999", "nr_inodes=1k2" };
	struct file *f;
	struct io_iter from;
	char page[PAGE_SIZE];
	int64_t pos = 0;

	(void)state;
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/o", 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(mount_at("/o", bad[i], 0), -EINVAL);
	assert_int_equal(mount_at("/o", "size=8k,nr_inodes=3,mode=0700", 0), 0);
	assert_int_equal(vfs_open(AT_FDCWD, "/o/f", O_RDWR | O_CREAT, 0600, &f), 0);
	memset(page, 1, sizeof(page));
	for (int i = 0; i < 3; i++) {
		io_iter_kernel(&from, page, sizeof(page));
		assert_int_equal(file_write(f, &from, &pos), i < 2 ? (ssize_t)PAGE_SIZE : -ENOSPC);
	}
	file_put(f);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/o/d", 0700), -ENOSPC);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/o/f"), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/o/d", 0700), 0);
	assert_int_equal(unmount_at("/o", false), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/o"), 0);
}

static void a_mount_is_not_put_into_itself(void **state)
{
	struct path on, from;

	(void)state;
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/x", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/y", 0755), 0);
	assert_int_equal(mount_at("/x", "", 0), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/x/inner", 0755), 0);
	assert_int_equal(path_lookup(AT_FDCWD, "/x", 0, &from), 0);
	assert_int_equal(path_lookup(AT_FDCWD, "/x/inner", 0, &on), 0);
	assert_int_equal(vfs_mount_move(&on, &from), -ELOOP);
	path_put(&on);
	assert_int_equal(path_lookup(AT_FDCWD, "/y", 0, &on), 0);
	assert_int_equal(vfs_mount_move(&on, &from), 0);
	path_put(&on);
	path_put(&from);
	assert_true(exists("/y/inner"));
	assert_false(exists("/x/inner"));
	assert_int_equal(unmount_at("/y", false), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/x"), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/y"), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(mount_hides_and_uncovers), UNIT_TEST(mounts_stack),	     UNIT_TEST(busy_mount_stays),
		UNIT_TEST(binds_show_the_same_files), UNIT_TEST(read_only_is_kept), UNIT_TEST(options_are_checked),
		UNIT_TEST(a_mount_is_not_put_into_itself),
	};

	return WORLD_MAIN(tests, 32, 1);
}
