/* SPDX-License-Identifier: MIT */
/* Record locks against a model: an array that says of each byte and owner what it has. */
#include "world.h"

#define BYTES  24
#define OWNERS 3

static uint64_t seed = 7;
static unsigned below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)((seed >> 33) % n);
}

static int model[OWNERS][BYTES];

static bool model_conflicts(unsigned owner, int type, unsigned start, unsigned end)
{
	for (unsigned o = 0; o < OWNERS; o++)
		for (unsigned b = start; b <= end; b++)
			if (o != owner && model[o][b] != F_UNLCK && (type == F_WRLCK || model[o][b] == F_WRLCK))
				return true;
	return false;
}

static void random_locks_agree(void **state)
{
	struct file *f;
	static const char owners[OWNERS];

	(void)state;
	assert_int_equal(vfs_open(AT_FDCWD, "/locks", O_RDWR | O_CREAT, 0600, &f), 0);
	for (unsigned o = 0; o < OWNERS; o++)
		for (unsigned b = 0; b < BYTES; b++)
			model[o][b] = F_UNLCK;
	for (int i = 0; i < 20000; i++) {
		unsigned owner = below(OWNERS), start = below(BYTES), end = start + below(BYTES - start);
		int type = (int)below(3);
		struct lock_request r = { .type = type, .pid = 1, .start = start, .end = end, .owner = &owners[owner] }, q = r;
		bool conflict = type != F_UNLCK && model_conflicts(owner, type, start, end);

		if (type != F_UNLCK) {
			lock_range_get(f->inode, &q);
			assert_int_equal(q.type != F_UNLCK, conflict);
		}
		assert_int_equal(lock_range_set(f->inode, &r, false), conflict ? -EAGAIN : 0);
		for (unsigned b = start; b <= end && !conflict; b++)
			model[owner][b] = type;
	}
	for (unsigned o = 0; o < OWNERS; o++)
		locks_release_owner(f->inode, &owners[o], NULL);
	file_put(f);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/locks"), 0);
}

static void ends_of_the_range(void **state)
{
	static const char owner, other;
	struct lock_request r = { .type = F_WRLCK, .start = 0, .end = INT64_MAX, .owner = &owner };
	struct lock_request q = { .type = F_RDLCK, .start = INT64_MAX, .end = INT64_MAX, .owner = &other };
	struct file *f;

	(void)state;
	assert_int_equal(vfs_open(AT_FDCWD, "/locks", O_RDWR | O_CREAT, 0600, &f), 0);
	assert_int_equal(lock_range_set(f->inode, &r, false), 0);
	assert_int_equal(lock_range_set(f->inode, &q, false), -EAGAIN);
	r.type = F_UNLCK;
	r.start = INT64_MAX;
	assert_int_equal(lock_range_set(f->inode, &r, false), 0);
	assert_int_equal(lock_range_set(f->inode, &q, false), 0);
	locks_release_owner(f->inode, &owner, NULL);
	locks_release_owner(f->inode, &other, NULL);
	file_put(f);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/locks"), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { UNIT_TEST(random_locks_agree), UNIT_TEST(ends_of_the_range) };

	return WORLD_MAIN(tests, 32, 1);
}
