/* SPDX-License-Identifier: MIT */
/*
 * The line discipline: what happens to characters between a terminal and a program (termios(3)). Pure: it knows no locks, threads or
 * files. The tty above it locks, sleeps, and sends the signals that are asked for.
 */
#ifndef LDISC_H
#define LDISC_H

#include <asm/termios.h>
#include <cloudos/bitmap.h>
#include <cloudos/types.h>

#define LDISC_BYTES	4096u /* input that waits for its reader, a power of two: N_TTY's size, MAX_CANON of programs  */
#define LDISC_OUT_BYTES 256u  /* collected before the port is called                                                  */
#define LDISC_EXPANSION 8u    /* most bytes that one character can become on output                                    */

struct ldisc;

/* Where output goes. write() takes all that room() promised. */
struct ldisc_port {
	size_t (*room)(struct ldisc *l);
	void (*write)(struct ldisc *l, const char *buf, size_t len);
};

/*
 * L1  tail <= line <= head <= tail + LDISC_BYTES (32-bit positions that wrap; byte n is input[n % LDISC_BYTES]).
 * L2  With ICANON [tail, line) holds complete lines; the last byte of each, and only that, has its bit in `ends`. An end that is a
 *     NUL stands for end-of-file and is never given to the reader. Without ICANON line == head and no bit is set.
 */
struct ldisc {
	const struct ldisc_port *port;
	struct ktermios termios;
	uint32_t head, line, tail;
	uint32_t column;      /* where the cursor is         */
	uint32_t line_column; /* where the line being edited began */
	bool literal_next;    /* VLNEXT was typed            */
	bool stopped;	      /* output is held (VSTOP, TCOOFF) */
	uint16_t out_len;
	char out[LDISC_OUT_BYTES];
	char input[LDISC_BYTES];
	uint64_t ends[BITMAP_WORDS(LDISC_BYTES)];
};

/* What input asks the tty to do. */
struct ldisc_effects {
	int signal;	   /* for the foreground group: SIGINT, SIGQUIT, SIGTSTP, or 0 */
	bool flush_output; /* what is written but not shown yet goes                   */
	bool restarted;	   /* output goes on                                           */
};

void ldisc_init(struct ldisc *l, const struct ldisc_port *port);
void ldisc_set_termios(struct ldisc *l, const struct ktermios *termios);

/* Takes characters typed; stops early where one asked for a signal, or had no room: returns how many were taken. */
size_t ldisc_receive(struct ldisc *l, const char *buf, size_t len, struct ldisc_effects *ret);

/* Puts a program's output through OPOST to the port; returns how many bytes were taken (limited by room). */
size_t ldisc_write(struct ldisc *l, const char *buf, size_t len);

/*
 * Gives input to a reader, at most max bytes. With ICANON not beyond one line; *ret_end then says that the line is over (by end-of-file
 * if nothing was given).
 */
size_t ldisc_take(struct ldisc *l, char *to, size_t max, bool *ret_end);

void ldisc_flush_input(struct ldisc *l);
size_t ldisc_waiting(const struct ldisc *l); /* bytes that a reader would get; FIONREAD */

static inline bool ldisc_canonical(const struct ldisc *l)
{
	return (l->termios.c_lflag & ICANON) != 0;
}

/* Is there a line (canonical), or any byte, to take? An end-of-file counts. */
static inline bool ldisc_readable(const struct ldisc *l)
{
	return READ_ONCE(l->line) != READ_ONCE(l->tail);
}

static inline bool ldisc_is_cc(const struct ldisc *l, unsigned index, char c)
{
	return c != 0 && l->termios.c_cc[index] == (cc_t)c; /* 0: _POSIX_VDISABLE */
}

/* ---- among the files of the discipline ---- */

/* ldisc_output.c: one character through OPOST into out[]; needs LDISC_EXPANSION bytes of room, else it is dropped. */
void ldisc_put(struct ldisc *l, char c);
void ldisc_flush_out(struct ldisc *l);
bool ldisc_is_continuation(const struct ldisc *l, char c); /* a later byte of a UTF-8 character */

/* ldisc_edit.c: echo, and editing of the line [line, head). */
void ldisc_echo(struct ldisc *l, char c); /* control characters as ^X with ECHOCTL */
void ldisc_erase(struct ldisc *l, unsigned index); /* VERASE, VWERASE, VKILL */
void ldisc_reprint(struct ldisc *l);

#endif
