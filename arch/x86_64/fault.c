/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own fault: names it, writes the registers out as text and hands both to
 * hal_upcalls.kernel_fault(). The faulting stack may be the fault (a guard page hit), so the report runs on a
 * stack set aside for it. The first CPU that comes here has it; another one stops.
 */
#include <x86/cpu.h>
#include <x86/percpu.h>
#include <x86/trap.h>
#include <arch/note.h>
#include <arch/text.h>

#define DUMP_SIZE 1024

struct report {
	const char *what;
	uintptr_t addr;
	struct trap_frame frame;
	char dump[DUMP_SIZE];
};

static struct report report;
static uint8_t report_stack[HAL_KSTACK_SIZE] __attribute__((aligned(16)));
static uint32_t report_taken;
static uint32_t report_cpu = X86_CPU_NONE;

static const char *const names[VECTOR_EXCEPTIONS] = {
    [VECTOR_DIVIDE] = "divide error",
    [VECTOR_DEBUG] = "debug exception",
    [VECTOR_NMI] = "non-maskable interrupt",
    [VECTOR_BREAKPOINT] = "breakpoint",
    [VECTOR_OVERFLOW] = "overflow",
    [VECTOR_BOUND] = "bound range exceeded",
    [VECTOR_INVALID_OPCODE] = "invalid opcode",
    [VECTOR_DOUBLE_FAULT] = "double fault (kernel stack overflow?)",
    [VECTOR_INVALID_TSS] = "invalid TSS",
    [VECTOR_NOT_PRESENT] = "segment not present",
    [VECTOR_STACK] = "stack fault",
    [VECTOR_PROTECTION] = "general protection fault",
    [VECTOR_FPU] = "x87 exception",
    [VECTOR_ALIGNMENT] = "alignment check",
    [VECTOR_MACHINE_CHECK] = "machine check",
    [VECTOR_SIMD] = "SIMD exception",
};

static const char *page_fault_name(uint64_t error)
{
	bool present = (error & PF_PRESENT) != 0;

	if (error & PF_FETCH)
		return present ? "page fault: execution of data" : "page fault: jump to unmapped";
	if (error & PF_WRITE)
		return present ? "page fault: write to read-only or user memory"
			       : "page fault: write to unmapped";
	return present ? "page fault: read of user memory" : "page fault: read of unmapped";
}

static const char *fault_name(unsigned vector, uint64_t error)
{
	if (vector == VECTOR_PAGE_FAULT)
		return page_fault_name(error);
	return vector < VECTOR_EXCEPTIONS && names[vector] != NULL ? names[vector] : "unexpected exception";
}

/* "rax 0123456789abcdef", four in a line. Returns the length. */
static size_t dump(const struct trap_frame *f, uintptr_t addr, char *buf, size_t size)
{
	const struct {
		const char *name;
		uint64_t value;
	} row[] = {
	    {"rip", f->rip},   {"rsp", f->rsp}, {"rbp", f->rbp},     {"rfl", f->rflags},  {"rax", f->rax},
	    {"rbx", f->rbx},   {"rcx", f->rcx}, {"rdx", f->rdx},     {"rsi", f->rsi},	  {"rdi", f->rdi},
	    {"r8 ", f->r8},    {"r9 ", f->r9},	{"r10", f->r10},     {"r11", f->r11},	  {"r12", f->r12},
	    {"r13", f->r13},   {"r14", f->r14}, {"r15", f->r15},     {"cs ", f->cs},	  {"ss ", f->ss},
	    {"err", f->error}, {"cr2", addr},	{"cr3", read_cr3()}, {"cr4", read_cr4()},
	};
	struct arch_text t = {buf, 0, size - 1};

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		text_put(&t, row[i].name);
		text_char(&t, ' ');
		text_hex(&t, row[i].value, 16);
		text_put(&t, i % 4 == 3 ? "\n" : "  ");
	}
	buf[t.len] = '\0';
	return t.len;
}

static void give_report(void *arg)
{
	struct report *r = arg;

	size_t len = dump(&r->frame, r->addr, r->dump, sizeof(r->dump));

	if (hal_upcalls.kernel_fault != NULL)
		hal_upcalls.kernel_fault(r->what, r->frame.rip, r->frame.rbp, r->addr, r->dump);
	arch_note("kernel fault", r->what);
	hal_console_write(r->dump, len);
	cpu_halt_forever();
}

void x86_fatal(unsigned vector, const struct trap_frame *f, uintptr_t addr)
{
	hal_irq_disable();
	/* A second CPU stops; a fault inside the report goes to the bare console by itself. */
	if (__atomic_fetch_add(&report_taken, 1, __ATOMIC_ACQ_REL) != 0) {
		if (hal_cpu_id() == report_cpu)
			arch_note_hex("kernel fault", "another one while reporting, at", f->rip);
		cpu_halt_forever();
	}
	report_cpu = hal_cpu_id();
	report.what = fault_name(vector, f->error);
	report.addr = addr;
	report.frame = *f;
	x86_call_on_stack(report_stack + sizeof(report_stack), give_report, &report);
}
