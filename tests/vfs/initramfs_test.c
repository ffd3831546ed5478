/* SPDX-License-Identifier: MIT */
/* Unpacking archives into the real tree: what is made, what is left out, and where it ends when the archive is no good. */
#include "world.h"

#include <cloudos/format.h>

static char archive[65536];
static size_t len;

static void put(const void *data, size_t n)
{
	memcpy(archive + len, data, n);
	len = align_up(len + n, (size_t)4);
}

static void entry_linked(const char *name, uint32_t mode, const char *data, uint32_t size, uint32_t ino, uint32_t nlink)
{
	char header[111];

	fmt_string(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ino, mode, 3, 4, nlink,
		   1000000, size, 0, 0, 1, 3, (uint32_t)strlen(name) + 1, 0);
	memcpy(archive + len, header, 110);
	len += 110;
	put(name, strlen(name) + 1);
	put(data, strlen(data));
}

static void entry(const char *name, uint32_t mode, const char *data)
{
	entry_linked(name, mode, data, (uint32_t)strlen(data), 0, 1);
}

static void begin(void)
{
	memset(archive, 0, sizeof(archive));
	len = 0;
}

static void check_text(const char *name, const char *text)
{
	char buf[64] = "";
	struct file *f;

	assert_int_equal(vfs_open(AT_FDCWD, name, O_RDONLY, 0, &f), 0);
	assert_int_equal(file_read_kernel(f, buf, sizeof(buf) - 1, 0), strlen(text));
	assert_string_equal(buf, text);
	file_put(f);
}

static void remove_all(const char *const *names)
{
	for (; *names; names++)
		if (vfs_unlink(AT_FDCWD, *names) == -EISDIR)
			assert_int_equal(vfs_rmdir(AT_FDCWD, *names), 0);
}

static void everything_is_made(void **state)
{
	struct file_stat st;
	char link[32];

	(void)state;
	begin();
	entry(".", S_IFDIR | 0755, "");
	entry("./bin", S_IFDIR | 0711, "");
	entry("bin/tool", S_IFREG | 04755, "contents");
	entry("/bin/link", S_IFLNK | 0777, "tool");
	entry("bin/null", S_IFCHR | 0666, "");
	entry_linked("one", S_IFREG | 0600, "", 0, 9, 2);
	entry_linked("two", S_IFREG | 0600, "shared", 6, 9, 2);
	entry("TRAILER!!!", 0, "");
	len += 512;
	entry_linked("three", S_IFREG | 0600, "other", 5, 9, 2);
	entry("TRAILER!!!", 0, "");
	assert_int_equal(initramfs_unpack(archive, len), 0);
	check_text("/bin/tool", "contents");
	assert_int_equal(vfs_stat(AT_FDCWD, "/bin/tool", 0, &st), 0);
	assert_int_equal(st.mode, S_IFREG | 04755);
	assert_true(st.uid == 3 && st.gid == 4 && st.mtime_ns == 1000000 * (int64_t)NSEC_PER_SEC);
	assert_int_equal(vfs_readlink(AT_FDCWD, "/bin/link", link, sizeof(link)), 4);
	assert_int_equal(vfs_stat(AT_FDCWD, "/bin/null", 0, &st), 0);
	assert_int_equal(st.rdev, dev_make(1, 3));
	check_text("/one", "shared");
	assert_int_equal(ino_of("/one"), ino_of("/two"));
	assert_int_not_equal(ino_of("/one"), ino_of("/three"));
	remove_all((const char *const[]){ "/bin/tool", "/bin/link", "/bin/null", "/bin", "/one", "/two", "/three", NULL });
}

static void later_entries_replace(void **state)
{
	(void)state;
	begin();
	entry("a", S_IFREG | 0600, "a long first text");
	entry("b", S_IFDIR | 0700, "");
	entry("a", S_IFREG | 0600, "short");
	entry("b", S_IFREG | 0600, "now a file");
	entry("TRAILER!!!", 0, "");
	assert_int_equal(initramfs_unpack(archive, len), 0);
	check_text("/a", "short");
	check_text("/b", "now a file");
	remove_all((const char *const[]){ "/a", "/b", NULL });
}

static void names_cannot_lead_out(void **state)
{
	(void)state;
	begin();
	entry("../out", S_IFREG | 0600, "x");
	entry("a/../../out", S_IFREG | 0600, "x");
	entry("..", S_IFDIR | 0600, "");
	entry("no/such/folder", S_IFREG | 0600, "x");
	entry("..fine", S_IFREG | 0600, "fine");
	entry("TRAILER!!!", 0, "");
	assert_int_equal(initramfs_unpack(archive, len), 0);
	assert_false(exists("/out"));
	check_text("/..fine", "fine");
	remove_all((const char *const[]){ "/..fine", NULL });
}

static void cut_anywhere(void **state)
{
	size_t whole;

	(void)state;
	begin();
	entry("first", S_IFREG | 0600, "kept");
	entry("second", S_IFREG | 0600, "perhaps");
	entry("TRAILER!!!", 0, "");
	whole = len;
	for (size_t cut = 0; cut < whole; cut++) {
		initramfs_unpack(archive, cut);
		if (cut > 132)
			check_text("/first", "kept");
		remove_all((const char *const[]){ "/first", "/second", NULL });
	}
}

static void junk_is_refused(void **state)
{
	(void)state;
	begin();
	entry("good", S_IFREG | 0600, "kept");
	entry("TRAILER!!!", 0, "");
	put("junk", 4);
	assert_int_equal(initramfs_unpack(archive, len), -EINVAL);
	check_text("/good", "kept");
	remove_all((const char *const[]){ "/good", NULL });
	assert_int_equal(initramfs_unpack("0707070707", 10), -EINVAL);
	assert_int_equal(initramfs_unpack("\x04\x22\x4d\x18junk", 8), -EINVAL);
	assert_int_equal(initramfs_unpack("", 0), 0);
}

static void no_room(void **state)
{
	(void)state;
	begin();
	entry_linked("huge", S_IFREG | 0600, "", UINT32_MAX, 0, 1);
	assert_int_equal(initramfs_unpack(archive, len), -EINVAL);
	remove_all((const char *const[]){ "/huge", NULL });
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(everything_is_made), UNIT_TEST(later_entries_replace), UNIT_TEST(names_cannot_lead_out),
		UNIT_TEST(cut_anywhere),       UNIT_TEST(junk_is_refused),	 UNIT_TEST(no_room),
	};

	return WORLD_MAIN(tests, 32, 1);
}
