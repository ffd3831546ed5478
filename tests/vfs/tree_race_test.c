/* SPDX-License-Identifier: MIT */
/* Walks on several CPUs while the tree changes under them: each sees a state that was true, nothing leaks, nothing is freed too soon. */
#include "world.h"

#include <cloudos/format.h>

#define WALKERS 3
#define ROUNDS	3000

static uint32_t running, wrong;

static void begin_thread(void)
{
	assert_int_equal(vfs_adopt_kernel_thread(), 0);
}

static void end_thread(void)
{
	vfs_release_kernel_thread();
	__atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
}

/* /here/dir or /there/dir is always there, with its file; a walk may come too late for one and too early for the other. */
static void walker(void *arg)
{
	struct file_stat st;

	(void)arg;
	begin_thread();
	for (int i = 0; i < ROUNDS; i++) {
		int a = vfs_stat(AT_FDCWD, "/here/dir/deep/file", LOOKUP_FOLLOW, &st);
		int b = vfs_stat(AT_FDCWD, "/link/there/dir/deep/../deep/file", LOOKUP_FOLLOW, &st);

		if ((a && a != -ENOENT) || (b && b != -ENOENT) || ((!a || !b) && st.size != 0))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
		if (i % 16 == 0)
			thread_yield();
	}
	end_thread();
}

static void mover(void *arg)
{
	(void)arg;
	begin_thread();
	for (int i = 0; i < ROUNDS / 2; i++) {
		if (vfs_rename(AT_FDCWD, "/here/dir", AT_FDCWD, "/there/dir", 0) ||
		    vfs_rename(AT_FDCWD, "/there/dir", AT_FDCWD, "/here/dir", 0))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
		thread_yield();
	}
	end_thread();
}

static void maker(void *arg)
{
	char name[32];

	(void)arg;
	begin_thread();
	for (int i = 0; i < ROUNDS; i++) {
		fmt_string(name, sizeof(name), "/here/f%d", i % 50);
		if (i % 100 < 50 ? touch(name) : vfs_unlink(AT_FDCWD, name))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
		if (i % 16 == 0)
			thread_yield();
	}
	end_thread();
}

static void run_all(void)
{
	running = WALKERS + 2;
	for (int i = 0; i < WALKERS; i++)
		assert_int_equal(thread_spawn("walker", walker, NULL), 0);
	assert_int_equal(thread_spawn("mover", mover, NULL), 0);
	assert_int_equal(thread_spawn("maker", maker, NULL), 0);
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE))
		thread_delay(NSEC_PER_MSEC);
}

static void walks_survive_changes(void **state)
{
	(void)state;
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/here", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/there", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/here/dir", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/here/dir/deep", 0755), 0);
	assert_int_equal(touch("/here/dir/deep/file"), 0);
	assert_int_equal(vfs_symlink("/", AT_FDCWD, "/link"), 0);
	run_all();
	assert_int_equal(wrong, 0);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/here/dir/deep/file"), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/here/dir/deep"), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/here/dir"), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/here"), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/there"), 0);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/link"), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { UNIT_TEST(walks_survive_changes) };

	return WORLD_MAIN(tests, 32, 4);
}
