/* SPDX-License-Identifier: MIT */
/*
 * Input processing of the line discipline: from characters typed to bytes that a reader gets.
 *
 * Each character passes, in this order: ISTRIP; the character after VLNEXT is data; flow control (IXON); signals (ISIG); CR and NL
 * mapping; line editing (ICANON); and then is data. Data is echoed and stored. A full buffer holds further input
 * back, except while a line that nobody can read yet fills it: then characters are lost, and the bell rings (IMAXBEL).
 */
#include <asm/signal.h>
#include <cloudos/string.h>
#include "ldisc.h"

enum verdict { TAKEN, TAKEN_STOP, NO_ROOM };

static bool iflag(const struct ldisc *l, tcflag_t flag)
{
	return (l->termios.c_iflag & flag) != 0;
}

static bool lflag(const struct ldisc *l, tcflag_t flag)
{
	return (l->termios.c_lflag & flag) != 0;
}

/* Linux's defaults for a terminal (what a new tty starts with). */
static const struct ktermios initial = {
	.c_iflag = ICRNL | IXON,
	.c_oflag = OPOST | ONLCR,
	.c_cflag = B38400 | CS8 | CREAD | HUPCL,
	.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.c_cc = {
		[VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VMIN] = 1,
		[VSTART] = 17, [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22,
	},
	.c_ispeed = 38400,
	.c_ospeed = 38400,
};

void ldisc_init(struct ldisc *l, const struct ldisc_port *port)
{
	memset(l, 0, sizeof(*l));
	l->port = port;
	l->termios = initial;
}

/* What waits becomes one line, or loose bytes, when ICANON is switched. */
void ldisc_set_termios(struct ldisc *l, const struct ktermios *termios)
{
	bool was_canonical = ldisc_canonical(l);

	l->termios = *termios;
	if (was_canonical == ldisc_canonical(l))
		return;
	memset(l->ends, 0, sizeof(l->ends));
	WRITE_ONCE(l->line, l->head);
	l->literal_next = false;
	if (!was_canonical && l->head != l->tail)
		bitmap_set(l->ends, (l->head - 1) % LDISC_BYTES);
}

void ldisc_flush_input(struct ldisc *l)
{
	WRITE_ONCE(l->head, 0);
	WRITE_ONCE(l->line, 0);
	WRITE_ONCE(l->tail, 0);
	l->literal_next = false;
	memset(l->ends, 0, sizeof(l->ends));
}

/* ---- storing ---- */

static void store(struct ldisc *l, char c, bool end)
{
	uint32_t slot = l->head % LDISC_BYTES;

	l->input[slot] = c;
	if (end)
		bitmap_set(l->ends, slot);
	ADD_ONCE(l->head, 1);
	if (end || !ldisc_canonical(l))
		WRITE_ONCE(l->line, l->head);
}

/* Room for one more byte? A line's last place is kept for its end. */
static bool has_room(const struct ldisc *l, bool end)
{
	uint32_t used = l->head - l->tail;

	return used < LDISC_BYTES - (ldisc_canonical(l) && !end ? 1 : 0);
}

static enum verdict overflow(struct ldisc *l)
{
	if (!ldisc_canonical(l) || ldisc_readable(l))
		return NO_ROOM;
	if (iflag(l, IMAXBEL))
		ldisc_put(l, '\a');
	return TAKEN;
}

static enum verdict data(struct ldisc *l, char c)
{
	if (!has_room(l, false))
		return overflow(l);
	if (l->head == l->line)
		l->line_column = l->column;
	if (lflag(l, ECHO))
		ldisc_echo(l, c);
	store(l, c, false);
	return TAKEN;
}

static enum verdict line_end(struct ldisc *l, char c, bool echo)
{
	if (!has_room(l, true))
		return NO_ROOM;
	if (echo)
		ldisc_echo(l, c);
	store(l, c, true);
	return TAKEN;
}

/* ---- the stages ---- */

static enum verdict canonical(struct ldisc *l, char c)
{
	if (ldisc_is_cc(l, VERASE, c)) {
		ldisc_erase(l, VERASE);
	} else if (ldisc_is_cc(l, VKILL, c)) {
		ldisc_erase(l, VKILL);
	} else if (ldisc_is_cc(l, VWERASE, c) && lflag(l, IEXTEN)) {
		ldisc_erase(l, VWERASE);
	} else if (ldisc_is_cc(l, VLNEXT, c) && lflag(l, IEXTEN)) {
		l->literal_next = true;
		if (lflag(l, ECHO) && lflag(l, ECHOCTL)) {
			ldisc_put(l, '^');
			ldisc_put(l, '\b');
		}
	} else if (ldisc_is_cc(l, VREPRINT, c) && lflag(l, IEXTEN) && lflag(l, ECHO)) {
		ldisc_reprint(l);
	} else if (c == '\n') {
		return line_end(l, c, lflag(l, ECHO) || lflag(l, ECHONL));
	} else if (ldisc_is_cc(l, VEOF, c)) {
		return line_end(l, 0, false);
	} else if (ldisc_is_cc(l, VEOL, c) || (ldisc_is_cc(l, VEOL2, c) && lflag(l, IEXTEN))) {
		return line_end(l, c, lflag(l, ECHO));
	} else {
		return data(l, c);
	}
	return TAKEN;
}

static int signal_of(const struct ldisc *l, char c)
{
	if (!lflag(l, ISIG))
		return 0;
	if (ldisc_is_cc(l, VINTR, c))
		return SIGINT;
	if (ldisc_is_cc(l, VQUIT, c))
		return SIGQUIT;
	return ldisc_is_cc(l, VSUSP, c) ? SIGTSTP : 0;
}

static enum verdict interrupt(struct ldisc *l, char c, int signal, struct ldisc_effects *fx)
{
	fx->signal = signal;
	if (!lflag(l, NOFLSH)) {
		ldisc_flush_input(l);
		fx->flush_output = true;
	}
	if (l->stopped) {
		WRITE_ONCE(l->stopped, false);
		fx->restarted = true;
	}
	if (lflag(l, ECHO))
		ldisc_echo(l, c);
	return TAKEN_STOP;
}

/* True if c was flow control. */
static bool flow(struct ldisc *l, char c, struct ldisc_effects *fx)
{
	bool start = ldisc_is_cc(l, VSTART, c), stop = ldisc_is_cc(l, VSTOP, c);

	if (!iflag(l, IXON))
		return false;
	if (l->stopped && (start || (iflag(l, IXANY) && !stop))) {
		WRITE_ONCE(l->stopped, false);
		fx->restarted = true;
	} else if (stop) {
		WRITE_ONCE(l->stopped, true);
	}
	return start || stop;
}

static enum verdict receive(struct ldisc *l, char c, struct ldisc_effects *fx)
{
	int signal;

	if (iflag(l, ISTRIP))
		c &= 0x7f;
	if (iflag(l, IUCLC) && lflag(l, IEXTEN) && c >= 'A' && c <= 'Z')
		c = (char)(c - 'A' + 'a');
	if (l->literal_next) {
		l->literal_next = false;
		return data(l, c);
	}
	if (flow(l, c, fx))
		return TAKEN;
	signal = signal_of(l, c);
	if (signal)
		return interrupt(l, c, signal, fx);
	if (c == '\r') {
		if (iflag(l, IGNCR))
			return TAKEN;
		if (iflag(l, ICRNL))
			c = '\n';
	} else if (c == '\n' && iflag(l, INLCR)) {
		c = '\r';
	}
	return ldisc_canonical(l) ? canonical(l, c) : data(l, c);
}

size_t ldisc_receive(struct ldisc *l, const char *buf, size_t len, struct ldisc_effects *ret)
{
	size_t taken = 0;

	*ret = (struct ldisc_effects){ 0 };
	while (taken < len) {
		enum verdict v = receive(l, buf[taken], ret);

		if (v == NO_ROOM)
			break;
		taken++;
		if (v == TAKEN_STOP)
			break;
	}
	ldisc_flush_out(l);
	return taken;
}

/* ---- the reader's side ---- */

static bool ends_at(const struct ldisc *l, uint32_t position)
{
	return bitmap_test(l->ends, position % LDISC_BYTES);
}

/* An end-of-file stands at the reader's place: take it away. */
static bool take_end_of_file(struct ldisc *l)
{
	if (l->tail == l->line || !ends_at(l, l->tail) || l->input[l->tail % LDISC_BYTES] != 0)
		return false;
	bitmap_clear(l->ends, l->tail % LDISC_BYTES);
	ADD_ONCE(l->tail, 1);
	return true;
}

static size_t take_line(struct ldisc *l, char *to, size_t max, bool *ret_end)
{
	size_t n = 0;
	bool end = take_end_of_file(l);

	while (!end && n < max && l->tail != l->line) {
		uint32_t slot = l->tail % LDISC_BYTES;

		ADD_ONCE(l->tail, 1);
		to[n++] = l->input[slot];
		end = bitmap_test(l->ends, slot);
		bitmap_clear(l->ends, slot);
		if (!end)
			end = take_end_of_file(l);
	}
	*ret_end = end;
	return n;
}

size_t ldisc_take(struct ldisc *l, char *to, size_t max, bool *ret_end)
{
	size_t n = 0;

	*ret_end = false;
	if (ldisc_canonical(l))
		return take_line(l, to, max, ret_end);
	for (; n < max && l->tail + (uint32_t)n != l->head; n++)
		to[n] = l->input[(l->tail + n) % LDISC_BYTES];
	WRITE_ONCE(l->tail, l->tail + (uint32_t)n);
	return n;
}

size_t ldisc_waiting(const struct ldisc *l)
{
	size_t n = l->line - l->tail;

	if (!ldisc_canonical(l))
		return n;
	for (uint32_t i = l->tail; i != l->line; i++)
		if (ends_at(l, i) && l->input[i % LDISC_BYTES] == 0)
			n--;
	return n;
}
