/* SPDX-License-Identifier: MIT */
/* The line discipline: what a reader gets and what the screen shows for what was typed. */
#include "unit.h"
#include "../../src/kernel/drivers/tty/ldisc.h"
#include <asm/signal.h>
#include <cloudos/string.h>

static char screen[8192];
static size_t screen_len, screen_room;

static size_t port_room(struct ldisc *l)
{
	(void)l;
	return screen_room - screen_len;
}

static void port_write(struct ldisc *l, const char *buf, size_t len)
{
	(void)l;
	assert_true(len <= screen_room - screen_len);
	memcpy(screen + screen_len, buf, len);
	screen_len += len;
	screen[screen_len] = 0;
}

static const struct ldisc_port port = { .room = port_room, .write = port_write };
static struct ldisc l;
static struct ldisc_effects effects;

static void begin(void)
{
	ldisc_init(&l, &port);
	screen_len = 0;
	screen[0] = 0;
	screen_room = sizeof(screen) - 1;
}

static size_t type(const char *text)
{
	return ldisc_receive(&l, text, strlen(text), &effects);
}

/* One read; the text, with '$' behind it when the line ended. */
static const char *take(size_t max)
{
	static char buf[8192];
	bool end;
	size_t n = ldisc_take(&l, buf, max, &end);

	if (end)
		buf[n++] = '$';
	buf[n] = 0;
	return buf;
}

static void set(tcflag_t lflag_on, tcflag_t lflag_off, tcflag_t iflag_on)
{
	struct ktermios k = l.termios;

	k.c_lflag = (k.c_lflag | lflag_on) & ~lflag_off;
	k.c_iflag |= iflag_on;
	ldisc_set_termios(&l, &k);
}

static void a_line_is_readable_at_its_end(void **state)
{
	(void)state;
	begin();
	type("ab");
	assert_false(ldisc_readable(&l));
	type("c\r");
	assert_true(ldisc_readable(&l));
	assert_int_equal(ldisc_waiting(&l), 4);
	assert_string_equal(take(100), "abc\n$");
	assert_string_equal(screen, "abc\r\n");
}

static void a_short_read_leaves_the_rest_of_the_line(void **state)
{
	(void)state;
	begin();
	type("abcd\nef\n");
	assert_string_equal(take(3), "abc");
	assert_string_equal(take(100), "d\n$");
	assert_string_equal(take(100), "ef\n$");
	assert_false(ldisc_readable(&l));
}

static void end_of_file_ends_a_read(void **state)
{
	(void)state;
	begin();
	type("\x04");
	assert_true(ldisc_readable(&l));
	assert_int_equal(ldisc_waiting(&l), 0);
	assert_string_equal(take(100), "$");
	type("ab\x04");
	assert_string_equal(take(2), "ab$");
	assert_false(ldisc_readable(&l));
	assert_string_equal(screen, "ab");
}

static void erase_takes_a_character_off_line_and_screen(void **state)
{
	(void)state;
	begin();
	type("ab\x7f\x7f\x7fz\n");
	assert_string_equal(take(100), "z\n$");
	assert_string_equal(screen, "ab\b \b\b \bz\r\n");
}

static void erase_knows_control_characters_and_tabs(void **state)
{
	(void)state;
	begin();
	type("\x16\x01\x7f"); /* VLNEXT ^A, erased: two cells */
	assert_string_equal(screen, "^\b^A\b \b\b \b");
	screen_len = 0;
	type("abc\t\x7f");
	assert_string_equal(screen, "abc\t\b\b\b\b\b");
	type("\n");
	assert_string_equal(take(100), "abc\n$");
}

static void erase_takes_whole_utf8_characters(void **state)
{
	(void)state;
	begin();
	set(0, 0, IUTF8);
	type("a\xc3\xa4\x7f\n");
	assert_string_equal(take(100), "a\n$");
	assert_string_equal(screen, "a\xc3\xa4\b \b\r\n");
}

static void word_and_line_erase(void **state)
{
	(void)state;
	begin();
	type("foo bar  \x17");
	type("x\n");
	assert_string_equal(take(100), "foo x\n$");
	type("gone\x15kept\n");
	assert_string_equal(take(100), "kept\n$");
}

static void signals_flush_and_stop_there(void **state)
{
	(void)state;
	begin();
	assert_int_equal(type("abc\x03" "def"), 4);
	assert_int_equal(effects.signal, SIGINT);
	assert_true(effects.flush_output);
	assert_string_equal(screen, "abc^C");
	type("x\n");
	assert_string_equal(take(100), "x\n$");
	type("\x1a");
	assert_int_equal(effects.signal, SIGTSTP);
	set(0, ISIG, 0);
	type("\x03\n");
	assert_int_equal(effects.signal, 0);
	assert_string_equal(take(100), "\x03\n$");
}

static void stop_and_start(void **state)
{
	(void)state;
	begin();
	type("\x13");
	assert_true(l.stopped);
	type("\x11");
	assert_false(l.stopped);
	assert_true(effects.restarted);
	assert_false(ldisc_readable(&l));
}

static void raw_bytes_are_readable_at_once(void **state)
{
	(void)state;
	begin();
	set(0, ICANON | ECHO | ISIG | IEXTEN, 0);
	type("a\x7f\x04");
	assert_int_equal(ldisc_waiting(&l), 3);
	assert_string_equal(take(2), "a\x7f");
	assert_string_equal(take(2), "\x04");
	assert_string_equal(screen, "");
}

static void switching_modes_keeps_what_waits(void **state)
{
	(void)state;
	begin();
	type("abc");
	set(0, ICANON, 0);
	assert_string_equal(take(100), "abc");
	type("de");
	set(ICANON, 0, 0);
	assert_true(ldisc_readable(&l));
	assert_string_equal(take(100), "de$");
}

static void a_full_line_rings_and_a_full_buffer_holds_back(void **state)
{
	static char many[LDISC_BYTES + 100];

	(void)state;
	begin();
	set(0, ECHO, IMAXBEL);
	memset(many, 'x', sizeof(many));
	assert_int_equal(ldisc_receive(&l, many, sizeof(many), &effects), sizeof(many));
	assert_int_equal(screen[0], '\a');
	type("\n");
	assert_int_equal(ldisc_waiting(&l), LDISC_BYTES);
	assert_int_equal(type("y"), 0);
	take(10);
	assert_int_equal(type("y"), 1);
}

static void output_is_processed(void **state)
{
	static const char text[] = "a\tb\n";

	(void)state;
	begin();
	assert_int_equal(ldisc_write(&l, text, 4), 4);
	assert_string_equal(screen, "a\tb\r\n");
	screen_len = 0;
	l.termios.c_oflag |= XTABS;
	ldisc_write(&l, text, 4);
	assert_string_equal(screen, "a       b\r\n");
	l.termios.c_oflag &= ~(tcflag_t)OPOST;
	screen_len = 0;
	ldisc_write(&l, text, 4);
	assert_string_equal(screen, text);
}

static void output_stops_at_the_room(void **state)
{
	(void)state;
	begin();
	screen_room = 20;
	assert_int_equal(ldisc_write(&l, "0123456789012345678901234567890", 31), 13);
	type("z"); /* an echo without room is lost */
	assert_int_equal(screen_len, 13);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(a_line_is_readable_at_its_end),
		UNIT_TEST(a_short_read_leaves_the_rest_of_the_line),
		UNIT_TEST(end_of_file_ends_a_read),
		UNIT_TEST(erase_takes_a_character_off_line_and_screen),
		UNIT_TEST(erase_knows_control_characters_and_tabs),
		UNIT_TEST(erase_takes_whole_utf8_characters),
		UNIT_TEST(word_and_line_erase),
		UNIT_TEST(signals_flush_and_stop_there),
		UNIT_TEST(stop_and_start),
		UNIT_TEST(raw_bytes_are_readable_at_once),
		UNIT_TEST(switching_modes_keeps_what_waits),
		UNIT_TEST(a_full_line_rings_and_a_full_buffer_holds_back),
		UNIT_TEST(output_is_processed),
		UNIT_TEST(output_stops_at_the_room),
	};

	return UNIT_MAIN(tests, 32, 1);
}
