/* SPDX-License-Identifier: MIT */
/*
 * The console's devices: COM1, the VGA text screen, the PS/2 keyboard. Each is left alone where it is not
 * there.
 */
#ifndef X86_CONSOLE_H
#define X86_CONSOLE_H

#include <hal/types.h>

/*
 * Boot, first: the serial port. Later: the text screen, once registers can be mapped; and that a keyboard is
 * there.
 */
void x86_console_init(void);
void x86_console_init_late(bool text_screen, bool keyboard);

bool x86_serial_init(void);
void x86_serial_write(const char *buf, size_t len);
int x86_serial_input_start(void);
void x86_serial_input_resume(void);

bool x86_vga_init(void);
void x86_vga_write(const char *buf, size_t len);

int x86_keyboard_input_start(void);

#endif
