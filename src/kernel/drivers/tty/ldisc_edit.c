/* SPDX-License-Identifier: MIT */
/*
 * Editing of the line that is being typed, and its echo. What a character takes on the screen is computed from the line itself, so
 * that tabs and control characters can be wiped out again.
 */
#include "ldisc.h"

static bool lflag(const struct ldisc *l, tcflag_t flag)
{
	return (l->termios.c_lflag & flag) != 0;
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

void ldisc_echo(struct ldisc *l, char c)
{
	if (is_control(c) && c != '\t' && c != '\n' && lflag(l, ECHOCTL)) {
		ldisc_put(l, '^');
		ldisc_put(l, (char)(c ^ 0x40));
		return;
	}
	ldisc_put(l, c);
}

static char at(const struct ldisc *l, uint32_t position)
{
	return l->input[position % LDISC_BYTES];
}

static uint32_t width(const struct ldisc *l, char c, uint32_t column)
{
	if (c == '\t')
		return 8 - column % 8;
	if (is_control(c))
		return lflag(l, ECHOCTL) ? 2 : 0;
	return ldisc_is_continuation(l, c) ? 0 : 1;
}

/* The column behind the line as it now is. */
static uint32_t line_end_column(const struct ldisc *l)
{
	uint32_t column = l->line_column;

	for (uint32_t i = l->line; i != l->head; i++)
		column += width(l, at(l, i), column);
	return column;
}

/* Wipes the screen behind the end of the line. A tab is only stepped back over. */
static void wipe(struct ldisc *l, char erased)
{
	uint32_t cells;

	if (erased == '\t') {
		uint32_t end = line_end_column(l);

		while (l->column > end) {
			uint32_t before = l->column;

			ldisc_put(l, '\b');
			if (l->column == before)
				return;
		}
		return;
	}
	for (cells = width(l, erased, 0); cells > 0; cells--) {
		ldisc_put(l, '\b');
		ldisc_put(l, ' ');
		ldisc_put(l, '\b');
	}
}

/* Takes the last character, all bytes of it, off the line, which is not empty. */
static char drop_last(struct ldisc *l)
{
	char c;

	do {
		ADD_ONCE(l->head, -1);
		c = at(l, l->head);
	} while (ldisc_is_continuation(l, c) && l->head != l->line);
	return c;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static void erase_one(struct ldisc *l)
{
	char c = drop_last(l);

	if (!lflag(l, ECHO))
		return;
	if (lflag(l, ECHOE))
		wipe(l, c);
	else
		ldisc_echo(l, (char)l->termios.c_cc[VERASE]);
}

static void erase_word(struct ldisc *l)
{
	bool in_word = false;

	while (l->head != l->line) {
		bool word = is_word(at(l, l->head - 1));
		char c;

		if (in_word && !word)
			return;
		in_word = word;
		c = drop_last(l);
		if (lflag(l, ECHO))
			wipe(l, c);
	}
}

static void erase_line(struct ldisc *l)
{
	if (!lflag(l, ECHO)) {
		WRITE_ONCE(l->head, l->line);
		return;
	}
	if (lflag(l, ECHOK) && lflag(l, ECHOKE) && lflag(l, ECHOE)) {
		while (l->head != l->line)
			wipe(l, drop_last(l));
		return;
	}
	WRITE_ONCE(l->head, l->line);
	ldisc_echo(l, (char)l->termios.c_cc[VKILL]);
	if (lflag(l, ECHOK))
		ldisc_put(l, '\n');
}

void ldisc_erase(struct ldisc *l, unsigned index)
{
	if (l->head == l->line)
		return;
	if (index == VERASE)
		erase_one(l);
	else if (index == VWERASE)
		erase_word(l);
	else
		erase_line(l);
}

void ldisc_reprint(struct ldisc *l)
{
	ldisc_echo(l, (char)l->termios.c_cc[VREPRINT]);
	ldisc_put(l, '\n');
	l->line_column = l->column;
	for (uint32_t i = l->line; i != l->head; i++)
		ldisc_echo(l, at(l, i));
}
