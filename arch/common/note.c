/* SPDX-License-Identifier: MIT */
/* Messages of the machine: see <arch/note.h>. This is also the home of the table of upcalls. */
#include <hal/hal.h>
#include <arch/note.h>

struct hal_upcalls hal_upcalls;

static size_t text_length(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return n;
}

static void write_text(const char *s)
{
	hal_console_write(s, text_length(s));
}

static void write_hex(uint64_t value)
{
	char digits[18] = "0x";

	for (unsigned i = 0; i < 16; i++)
		digits[2 + i] = "0123456789abcdef"[(value >> (60 - 4 * i)) & 15];
	hal_console_write(digits, sizeof(digits));
}

void arch_note(const char *what, const char *detail)
{
	if (hal_upcalls.log != NULL) {
		hal_upcalls.log("%s: %s", what, detail);
		return;
	}
	write_text(what);
	write_text(": ");
	write_text(detail);
	write_text("\r\n");
}

void arch_note_hex(const char *what, const char *detail, uint64_t value)
{
	if (hal_upcalls.log != NULL) {
		hal_upcalls.log("%s: %s 0x%llx", what, detail, (unsigned long long)value);
		return;
	}
	write_text(what);
	write_text(": ");
	write_text(detail);
	write_text(" ");
	write_hex(value);
	write_text("\r\n");
}
