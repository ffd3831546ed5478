/* SPDX-License-Identifier: MIT */
/* Output processing of the line discipline: OPOST and its friends, and the cursor's column, which erasing of tabs needs. */
#include "ldisc.h"

static void put_byte(struct ldisc *l, char c)
{
	if (l->out_len == LDISC_OUT_BYTES)
		ldisc_flush_out(l);
	l->out[l->out_len++] = c;
}

void ldisc_flush_out(struct ldisc *l)
{
	if (l->out_len > 0)
		l->port->write(l, l->out, l->out_len);
	l->out_len = 0;
}

bool ldisc_is_continuation(const struct ldisc *l, char c)
{
	return (l->termios.c_iflag & IUTF8) && ((unsigned char)c & 0xc0) == 0x80;
}

static void put_newline(struct ldisc *l)
{
	if (l->termios.c_oflag & ONLCR)
		put_byte(l, '\r');
	if (l->termios.c_oflag & (ONLCR | ONLRET))
		l->column = 0;
	put_byte(l, '\n');
}

static void put_return(struct ldisc *l)
{
	if ((l->termios.c_oflag & ONOCR) && l->column == 0)
		return;
	if (l->termios.c_oflag & OCRNL) {
		if (l->termios.c_oflag & ONLRET)
			l->column = 0;
		put_byte(l, '\n');
		return;
	}
	l->column = 0;
	put_byte(l, '\r');
}

static void put_tab(struct ldisc *l)
{
	unsigned spaces = 8 - l->column % 8;

	l->column += spaces;
	if ((l->termios.c_oflag & TABDLY) != XTABS) {
		put_byte(l, '\t');
		return;
	}
	while (spaces-- > 0)
		put_byte(l, ' ');
}

static void put_other(struct ldisc *l, char c)
{
	if ((l->termios.c_oflag & OLCUC) && c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if ((unsigned char)c >= ' ' && c != 0x7f && !ldisc_is_continuation(l, c))
		l->column++;
	put_byte(l, c);
}

static void put_processed(struct ldisc *l, char c)
{
	switch (c) {
	case '\n':
		put_newline(l);
		break;
	case '\r':
		put_return(l);
		break;
	case '\t':
		put_tab(l);
		break;
	case '\b':
		if (l->column > 0)
			l->column--;
		put_byte(l, c);
		break;
	default:
		put_other(l, c);
	}
}

static bool has_room(struct ldisc *l)
{
	return l->port->room(l) >= l->out_len + LDISC_EXPANSION;
}

void ldisc_put(struct ldisc *l, char c)
{
	if (!has_room(l))
		return;
	if (l->termios.c_oflag & OPOST)
		put_processed(l, c);
	else
		put_byte(l, c);
}

size_t ldisc_write(struct ldisc *l, const char *buf, size_t len)
{
	size_t done = 0, room = l->port->room(l);

	if (!(l->termios.c_oflag & OPOST)) {
		done = len < room ? len : room;
		l->port->write(l, buf, done);
		return done;
	}
	/* out[] is empty here; each character takes at most LDISC_EXPANSION bytes of the room. */
	while (done < len && room >= LDISC_EXPANSION) {
		size_t batch = room / LDISC_EXPANSION;

		for (; batch > 0 && done < len; batch--)
			put_processed(l, buf[done++]);
		ldisc_flush_out(l);
		room = l->port->room(l);
	}
	return done;
}
