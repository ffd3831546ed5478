/* SPDX-License-Identifier: MIT */
/* Descriptor tables against a model: an array of what is open. */
#include "world.h"

#define FDS 300

static struct file *open_files[FDS];
static bool cloexec[FDS];
static uint64_t seed = 11;

static unsigned below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)((seed >> 33) % n);
}

static uint64_t few(void)
{
	return FDS;
}

static int lowest_free(int from)
{
	while (from < FDS && open_files[from])
		from++;
	return from;
}

static void random_open(struct file *f)
{
	int from = below(3) ? 0 : (int)below(FDS), want = lowest_free(from);
	bool close_on_exec = below(2);
	int fd = fd_reserve(from, close_on_exec);

	assert_int_equal(fd, want < FDS ? want : -EMFILE);
	if (fd < 0)
		return;
	file_get(f);
	fd_install(fd, f);
	open_files[fd] = f;
	cloexec[fd] = close_on_exec;
}

static void random_replace(struct file *f)
{
	int fd = (int)below(FDS);

	file_get(f);
	assert_int_equal(fd_replace(fd, f, true), 0);
	open_files[fd] = f;
	cloexec[fd] = true;
}

static void check_all(void)
{
	for (int fd = 0; fd < FDS; fd++) {
		bool put;

		assert_ptr_equal(fd_begin(fd, &put), open_files[fd]);
		assert_false(put);
		assert_int_equal(fd_get_cloexec(fd), open_files[fd] ? cloexec[fd] : -EBADF);
	}
}

static void random_changes_agree(void **state)
{
	struct fd_table *mine = thread_current()->files, *copy;
	struct file *f;

	(void)state;
	assert_int_equal(vfs_open(AT_FDCWD, "/f", O_RDWR | O_CREAT, 0600, &f), 0);
	fd_limit = few;
	thread_current()->files = fd_table_create();
	for (int i = 0; i < 20000; i++) {
		unsigned fd = below(FDS);

		switch (below(4)) {
		case 0:
			random_replace(f);
			break;
		case 1:
			random_open(f);
			break;
		default:
			assert_int_equal(fd_close((int)fd), open_files[fd] ? 0 : -EBADF);
			open_files[fd] = NULL;
		}
		if (i % 1000 == 0)
			check_all();
	}
	copy = fd_table_copy(thread_current()->files);
	fd_table_put(thread_current()->files);
	thread_current()->files = copy;
	check_all();
	fd_table_close_on_exec(copy);
	for (int fd = 0; fd < FDS; fd++)
		open_files[fd] = cloexec[fd] ? NULL : open_files[fd];
	check_all();
	fd_close_range(0, UINT32_MAX, false);
	memset(open_files, 0, sizeof(open_files));
	check_all();
	fd_table_put(copy);
	thread_current()->files = mine;
	assert_int_equal(refcount_read(&f->refs), 1);
	file_put(f);
	fd_limit = NULL;
	assert_int_equal(vfs_unlink(AT_FDCWD, "/f"), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { UNIT_TEST(random_changes_agree) };

	return WORLD_MAIN(tests, 32, 1);
}
