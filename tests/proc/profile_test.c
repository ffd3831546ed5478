/* SPDX-License-Identifier: MIT */
/* The profiler's table: equal stacks are one, what has no room is counted, and nothing that a program is called spoils the text. */
#include <linux/stat.h> /* first: it hides what vfs needs from users of the C library */
#include "../../src/kernel/vfs/vfs_internal.h"
#include "unit.h"
#include "../../src/kernel/proc/profile_table.h"
#include <cloudos/format.h>
#include <cloudos/string.h>

#define DEEP 64u

static struct profile_table table;

static void begin(void)
{
	assert_int_equal(profile_table_init(&table), 0);
}

static struct profile_frame at(uint32_t in, uint64_t offset)
{
	return (struct profile_frame){ .at = offset, .in = in };
}

static void assert_text(const char *wanted)
{
	struct text_out o;

	text_out_init(&o);
	profile_table_show(&table, &o);
	assert_int_equal(o.error, 0);
	assert_int_equal(o.len, strlen(wanted));
	assert_memory_equal(o.buf, wanted, o.len);
	text_out_free(&o);
}

/* The sum of all counts in the text, and how long it is. */
static uint64_t text_sum(size_t *ret_len)
{
	uint64_t sum = 0, number = 0;
	struct text_out o;

	text_out_init(&o);
	profile_table_show(&table, &o);
	assert_int_equal(o.error, 0);
	for (size_t i = 0; i < o.len; i++) {
		if (o.buf[i] == '\n')
			sum += number;
		number = o.buf[i] >= '0' && o.buf[i] <= '9' ? number * 10 + (uint64_t)(o.buf[i] - '0') : 0;
	}
	*ret_len = o.len;
	text_out_free(&o);
	return sum;
}

static void equal_stacks_are_one_line(void **state)
{
	struct profile_frame frames[2];

	(void)state;
	begin();
	frames[0] = at(profile_table_name(&table, "/bin/program"), 0x1234);
	frames[1] = at(profile_table_name(&table, "[vdso]"), PROFILE_WHOLE);
	assert_int_equal(profile_table_name(&table, "/bin/program"), frames[0].in);
	profile_table_add(&table, table.run, "one", frames, 2, 3);
	profile_table_add(&table, table.run, "one", frames, 1, 1);
	profile_table_add(&table, table.run, "one", frames, 2, 4);
	profile_table_add(&table, table.run, "two", frames, 2, 1);
	profile_table_add(&table, table.run, "none", frames, 0, 1);
	assert_text("one;/bin/program+0x1234;[vdso] 7\none;/bin/program+0x1234 1\ntwo;/bin/program+0x1234;[vdso] 1\nnone 1\n");
	profile_table_fini(&table);
}

/* A test has no table of the kernel's symbols; run/MACHINE/profile sees their names. */
static void kernel_frames_are_marked(void **state)
{
	struct profile_frame frames[] = { at(PROFILE_KERNEL, 1), at(PROFILE_KERNEL, 2) };

	(void)state;
	begin();
	profile_table_add(&table, table.run, "k", frames, 2, 1);
	assert_text("k;[unknown]_[k];[unknown]_[k] 1\n");
	profile_table_fini(&table);
}

static void names_cannot_end_a_frame_or_a_line(void **state)
{
	struct profile_frame frame;

	(void)state;
	begin();
	frame = at(profile_table_name(&table, "/tmp/a;b\nc"), 1);
	profile_table_add(&table, table.run, "x;y\nz 9", &frame, 1, 2);
	assert_text("x?y?z 9;/tmp/a?b?c+0x1 2\n");
	profile_table_fini(&table);
}

static void cleared_table_forgets_older_samples(void **state)
{
	struct profile_frame frame = at(PROFILE_KERNEL, 1);
	uint32_t before;

	(void)state;
	begin();
	before = table.run;
	profile_table_add(&table, before, "a", &frame, 1, 1);
	profile_table_clear(&table);
	assert_text("");
	profile_table_add(&table, before, "a", &frame, 1, 1);
	assert_text("");
	profile_table_add(&table, table.run, "a", &frame, 0, 1);
	assert_text("a 1\n");
	profile_table_fini(&table);
}

static void stacks_beyond_the_limit_are_lost_and_counted(void **state)
{
	uint64_t samples = 0;
	size_t len;

	(void)state;
	begin();
	for (uint64_t i = 0; i < PROFILE_STACKS_MAX + 1000u; i++, samples++) {
		struct profile_frame frame = at(0, i * 64);

		profile_table_add(&table, table.run, "many", &frame, 1, 1);
	}
	assert_true(table.used <= PROFILE_STACKS_MAX);
	assert_true(table.lost >= 1000);
	assert_int_equal(text_sum(&len), samples);
	profile_table_lose(&table, 5);
	assert_int_equal(text_sum(&len), samples + 5);
	profile_table_fini(&table);
}

static void frames_and_text_have_limits(void **state)
{
	struct profile_frame frames[DEEP];
	uint32_t stacks = PROFILE_FRAMES_MAX / DEEP + 10;
	size_t len;

	(void)state;
	begin();
	for (uint32_t i = 0; i < stacks; i++) {
		for (uint32_t k = 0; k < DEEP; k++)
			frames[k] = at(PROFILE_NAMES_MAX, i * DEEP + k + (UINT64_C(1) << 40));
		profile_table_add(&table, table.run, "deep", frames, DEEP, 1);
	}
	assert_int_equal(table.frames_used, PROFILE_FRAMES_MAX);
	assert_int_equal(table.lost, 10);
	assert_int_equal(text_sum(&len), stacks);
	assert_true(len > PROFILE_TEXT_MAX && len < PROFILE_TEXT_MAX + 8192);
	profile_table_fini(&table);
}

static void files_beyond_the_limit_share_a_name(void **state)
{
	char name[16];
	struct profile_frame frame;

	(void)state;
	begin();
	for (uint32_t i = 0; i < PROFILE_NAMES_MAX; i++) {
		fmt_string(name, sizeof(name), "/%u", i);
		assert_int_equal(profile_table_name(&table, name), i);
	}
	frame = at(profile_table_name(&table, "/one/more"), 16);
	profile_table_add(&table, table.run, "a", &frame, 1, 1);
	assert_text("a;[other]+0x10 1\n");
	profile_table_fini(&table);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(equal_stacks_are_one_line),
		UNIT_TEST(kernel_frames_are_marked),
		UNIT_TEST(names_cannot_end_a_frame_or_a_line),
		UNIT_TEST(cleared_table_forgets_older_samples),
		UNIT_TEST(stacks_beyond_the_limit_are_lost_and_counted),
		UNIT_TEST(frames_and_text_have_limits),
		UNIT_TEST(files_beyond_the_limit_share_a_name),
	};

	return UNIT_MAIN(tests, 64, 1);
}
