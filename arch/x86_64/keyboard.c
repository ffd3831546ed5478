/* SPDX-License-Identifier: MIT */
/*
 * The PS/2 keyboard behind an 8042, in scan code set 1 (as the 8042 translates to), US layout: enough to type
 * at the console. What the kernel does not take is lost, as on any keyboard whose buffer is full.
 */
#include <x86/console.h>
#include <x86/cpu.h>
#include <x86/irq.h>
#include <hal/hal.h>
#include <linux/errno.h>

#define KEYBOARD_IRQ 1u
#define DATA	     0x60
#define STATUS	     0x64
#define STATUS_FULL  0x01
#define DRAIN_MAX    32u

enum key {
	KEY_CTRL = 0x1d,
	KEY_LEFT_SHIFT = 0x2a,
	KEY_RIGHT_SHIFT = 0x36,
	KEY_CAPS = 0x3a,
	KEY_EXTENDED = 0xe0,
	KEY_RELEASED = 0x80,
};

static const char plain[] = "\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] = "\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
_Static_assert(sizeof(plain) == sizeof(shifted), "one character a key");

static bool shift, ctrl, caps, extended;

static void offer(const char *s, size_t len)
{
	if (hal_upcalls.console_input != NULL)
		hal_upcalls.console_input(s, len);
}

/* The arrows, as a terminal sends them. */
static void extended_key(uint8_t code)
{
	static const char *const arrow[] = {
	    [0x48] = "\033[A", [0x50] = "\033[B", [0x4d] = "\033[C", [0x4b] = "\033[D"};

	if (code == KEY_CTRL || code == (KEY_CTRL | KEY_RELEASED))
		ctrl = !(code & KEY_RELEASED);
	else if (code < sizeof(arrow) / sizeof(arrow[0]) && arrow[code] != NULL)
		offer(arrow[code], 3);
}

static void character_key(uint8_t code)
{
	char c;

	if (code >= sizeof(plain) - 1)
		return;
	c = shift ? shifted[code] : plain[code];
	if (c == '\0')
		return;
	if (caps && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
		c ^= 0x20;
	if (ctrl && c >= '@' && c <= '~')
		c &= 0x1f;
	offer(&c, 1);
}

static void key(uint8_t code)
{
	bool released = (code & KEY_RELEASED) != 0;

	if (extended) {
		extended = false;
		extended_key(code);
		return;
	}
	switch (code & (uint8_t)~KEY_RELEASED) {
	case KEY_LEFT_SHIFT:
	case KEY_RIGHT_SHIFT:
		shift = !released;
		break;
	case KEY_CTRL:
		ctrl = !released;
		break;
	case KEY_CAPS:
		caps ^= !released;
		break;
	default:
		if (code == KEY_EXTENDED)
			extended = true;
		else if (!released)
			character_key(code);
	}
}

static void interrupt(void *ctx)
{
	(void)ctx;
	for (unsigned n = 0; n < DRAIN_MAX && (inb(STATUS) & STATUS_FULL); n++)
		key(inb(DATA));
}

int x86_keyboard_input_start(void)
{
	if (inb(STATUS) == 0xff)
		return -ENODEV; /* nobody drives the bus */
	for (unsigned n = 0; n < DRAIN_MAX && (inb(STATUS) & STATUS_FULL); n++)
		inb(DATA);
	return hal_irq_attach(x86_isa_line(KEYBOARD_IRQ), interrupt, NULL);
}
