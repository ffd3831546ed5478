/* SPDX-License-Identifier: MIT */
/*
 * The VGA text screen, 80 by 25, as a simple terminal: printable characters, CR, LF, BS, TAB; escape
 * sequences are swallowed. The adapter shows a window of its 32 KiB, so scrolling moves the window by a line
 * and clears one line; only when the end is reached is the screen copied back to the start.
 */
#include <x86/console.h>
#include <x86/cpu.h>
#include <hal/hal.h>

#define TEXT_BASE   0xb8000u
#define TEXT_SIZE   0x8000u
#define COLUMNS	    80u
#define ROWS	    25u
#define LINES	    (TEXT_SIZE / 2 / COLUMNS) /* that fit in the adapter's memory */
#define BLANK	    0x0720		      /* a space, grey on black */
#define TAB	    8u
#define CRTC_INDEX  0x3d4
#define CRTC_DATA   0x3d5
#define CRTC_START  0x0c
#define CRTC_CURSOR 0x0e

enum escape_state {
	ESCAPE_NONE,
	ESCAPE_SEEN,	 /* ESC */
	ESCAPE_SEQUENCE, /* ESC [ */
};

static volatile uint16_t *cells;
static unsigned top, row, column; /* top: the window's first line in the adapter's memory */
static enum escape_state escape;

static void crtc_write(uint8_t reg, unsigned value)
{
	outb(CRTC_INDEX, reg);
	outb(CRTC_DATA, (uint8_t)(value >> 8));
	outb(CRTC_INDEX, (uint8_t)(reg + 1));
	outb(CRTC_DATA, (uint8_t)value);
}

static void clear_line(unsigned line)
{
	for (unsigned i = 0; i < COLUMNS; i++)
		cells[line * COLUMNS + i] = BLANK;
}

static void scroll(void)
{
	if (top + ROWS == LINES) {
		for (unsigned i = 0; i < (ROWS - 1) * COLUMNS; i++)
			cells[i] = cells[(top + 1) * COLUMNS + i];
		top = 0;
	} else {
		top++;
	}
	clear_line(top + ROWS - 1);
	crtc_write(CRTC_START, top * COLUMNS);
}

static void line_feed(void)
{
	if (row + 1 < ROWS)
		row++;
	else
		scroll();
}

static void put_glyph(char c)
{
	if (column == COLUMNS) {
		column = 0;
		line_feed();
	}
	cells[(top + row) * COLUMNS + column++] = (uint16_t)(0x0700 | (uint8_t)c);
}

static void put_control(char c)
{
	switch (c) {
	case '\r':
		column = 0;
		break;
	case '\n':
		line_feed();
		break;
	case '\b':
		column -= column > 0;
		break;
	case '\t':
		column = (column / TAB + 1) * TAB < COLUMNS ? (column / TAB + 1) * TAB : COLUMNS - 1;
		break;
	case '\033':
		escape = ESCAPE_SEEN;
		break;
	default:
		break;
	}
}

static void put(char c)
{
	if (escape == ESCAPE_SEEN)
		escape = c == '[' ? ESCAPE_SEQUENCE : ESCAPE_NONE;
	else if (escape == ESCAPE_SEQUENCE)
		escape = c >= '@' && c <= '~' ? ESCAPE_NONE : ESCAPE_SEQUENCE;
	else if ((uint8_t)c < ' ' || c == 0x7f)
		put_control(c);
	else
		put_glyph(c);
}

bool x86_vga_init(void)
{
	cells = hal_mmio_map(TEXT_BASE, TEXT_SIZE);
	if (cells == NULL)
		return false;
	for (unsigned line = 0; line < ROWS; line++)
		clear_line(line);
	crtc_write(CRTC_START, 0);
	return true;
}

void x86_vga_write(const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put(buf[i]);
	crtc_write(CRTC_CURSOR, (top + row) * COLUMNS + (column < COLUMNS ? column : COLUMNS - 1));
}
