/* SPDX-License-Identifier: MIT */
/*
 * The console: everything goes to the serial port and, where there is one, to the text screen; input comes
 * from both.
 */
#include <x86/console.h>
#include <hal/hal.h>

static bool has_screen, has_keyboard;

void x86_console_init(void)
{
	x86_serial_init();
}

void x86_console_init_late(bool text_screen, bool keyboard)
{
	has_screen = text_screen && x86_vga_init();
	has_keyboard = keyboard;
}

void hal_console_write(const char *buf, size_t len)
{
	x86_serial_write(buf, len);
	if (has_screen)
		x86_vga_write(buf, len);
}

int hal_console_input_start(void)
{
	if (has_keyboard)
		x86_keyboard_input_start(); /* without it there is still the serial port */
	return x86_serial_input_start();
}

void hal_console_input_resume(void)
{
	x86_serial_input_resume();
}
