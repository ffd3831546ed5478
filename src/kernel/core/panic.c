/* SPDX-License-Identifier: MIT */
/*
 * The end of everything: says what happened, on which CPU, in which thread, with a symbolised backtrace, then stops the machine.
 * The first CPU to panic speaks; others that panic meanwhile wait to be stopped; a panic within the panic stops at once.
 */
#define LOG_SUBSYSTEM "panic"
#include <cloudos/format.h>
#include <cloudos/log.h>
#include <cloudos/panic.h>
#include <cloudos/string.h>
#include <hal/hal.h>
#include "core_internal.h"

#define BACKTRACE_MAX 32

static uint32_t panicking_cpu_plus_1;

void (*panic_describe_thread)(char *buf, size_t size);

static void emit(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void emit(const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = fmt_vstring(line, sizeof(line), format, args);
	va_end(args);
	console_output(line, min((size_t)n, sizeof(line) - 1), false);
}

/* A return address may lie behind the end of a function that calls one that does not return: its call stands a byte before. */
static bool symbol_of_call(uintptr_t pc, bool is_return, const char **ret_name, size_t *ret_offset)
{
	if (!hal_symbol_lookup(pc - is_return, ret_name, ret_offset))
		return false;
	*ret_offset += is_return;
	return true;
}

/* `exact`: the first is where it happened, not a return address. */
static void emit_frames(const uintptr_t *pcs, size_t n, bool exact)
{
	for (size_t i = 0; i < n; i++) {
		const char *name;
		size_t offset;

		if (symbol_of_call(pcs[i], i > 0 || !exact, &name, &offset))
			emit("  #%zu %#lx %s+%#zx\n", i, (unsigned long)pcs[i], name, offset);
		else
			emit("  #%zu %#lx\n", i, (unsigned long)pcs[i]);
	}
}

static void emit_place(void)
{
	char thread[64] = "no thread";

	if (panic_describe_thread && hal_current())
		panic_describe_thread(thread, sizeof(thread));
	emit("cpu %u, %s, %lu ns after boot\n", hal_cpu_id(), thread, (unsigned long)hal_clock_ns());
}

/* True for the one CPU that may speak. */
static void begin(void)
{
	uint32_t self = hal_cpu_id() + 1, none = 0;

	hal_irq_disable();
	if (!__atomic_compare_exchange_n(&panicking_cpu_plus_1, &none, self, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		if (none == self)
			hal_power_off();
		for (;;)
			hal_cpu_relax();
	}
	log_panic_mode();
	hal_cpu_stop_others();
}

static _Noreturn void end(void)
{
	emit("machine stopped\n");
	hal_power_off();
}

static _Noreturn void panic_text(const char *text)
{
	uintptr_t pcs[BACKTRACE_MAX];

	begin();
	emit("\npanic: %s\n", text);
	emit_place();
	emit_frames(pcs, hal_backtrace(pcs, BACKTRACE_MAX), false);
	end();
}

_Noreturn void panic(const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	fmt_vstring(text, sizeof(text), format, args);
	va_end(args);
	panic_text(text);
}

_Noreturn void assert_failed(const char *expression, const char *file, int line)
{
	panic("assertion failed: %s (%s:%d)", expression, file, line);
}

/* hal_upcalls.kernel_fault */
__attribute__((noreturn)) void panic_kernel_fault(const char *what, uintptr_t pc, uintptr_t fp, uintptr_t addr, const char *dump)
{
	uintptr_t pcs[BACKTRACE_MAX];

	begin();
	emit("\npanic: %s, address %#lx, pc %#lx\n", what, (unsigned long)addr, (unsigned long)pc);
	emit_place();
	if (dump)
		console_output(dump, strlen(dump), false);
	emit_frames(pcs, hal_backtrace_from(pc, fp, pcs, BACKTRACE_MAX), true);
	end();
}

void backtrace_log(void)
{
	uintptr_t pcs[BACKTRACE_MAX];
	size_t n = hal_backtrace(pcs, BACKTRACE_MAX);

	for (size_t i = 0; i < n; i++) {
		const char *name = "?";
		size_t offset = 0;

		symbol_of_call(pcs[i], true, &name, &offset);
		log_notice("#%zu %s+%#zx", i, name, offset);
	}
}
