/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU state and the descriptor tables (Intel SDM volume 3A, chapters 3, 6, 8). Each CPU has a GDT and a
 * TSS of its own; the IDT is shared, and complete before a second CPU starts.
 */
#include <x86/cpu.h>
#include <x86/percpu.h>
#include <x86/trap.h>

#define ASSERT_OFFSET(type, member, value) _Static_assert(offsetof(type, member) == (value), #value)
ASSERT_OFFSET(struct cpu, self, CPU_SELF);
ASSERT_OFFSET(struct cpu, area, CPU_AREA);
ASSERT_OFFSET(struct cpu, current, CPU_CURRENT);
ASSERT_OFFSET(struct cpu, id, CPU_ID);
ASSERT_OFFSET(struct cpu, scratch, CPU_SCRATCH);
ASSERT_OFFSET(struct cpu, tss, CPU_TSS);
ASSERT_OFFSET(struct cpu, tss.rsp0, CPU_RSP0);
ASSERT_OFFSET(struct hal_user, regs.r15, USER_R15);
ASSERT_OFFSET(struct hal_user, regs.r14, USER_R14);
ASSERT_OFFSET(struct hal_user, regs.r13, USER_R13);
ASSERT_OFFSET(struct hal_user, regs.r12, USER_R12);
ASSERT_OFFSET(struct hal_user, regs.rbp, USER_RBP);
ASSERT_OFFSET(struct hal_user, regs.rbx, USER_RBX);
ASSERT_OFFSET(struct hal_user, regs.r11, USER_R11);
ASSERT_OFFSET(struct hal_user, regs.r10, USER_R10);
ASSERT_OFFSET(struct hal_user, regs.r9, USER_R9);
ASSERT_OFFSET(struct hal_user, regs.r8, USER_R8);
ASSERT_OFFSET(struct hal_user, regs.rax, USER_RAX);
ASSERT_OFFSET(struct hal_user, regs.rcx, USER_RCX);
ASSERT_OFFSET(struct hal_user, regs.rdx, USER_RDX);
ASSERT_OFFSET(struct hal_user, regs.rsi, USER_RSI);
ASSERT_OFFSET(struct hal_user, regs.rdi, USER_RDI);
ASSERT_OFFSET(struct hal_user, regs.orig_rax, USER_ORIG_RAX);
ASSERT_OFFSET(struct hal_user, regs.rip, USER_RIP);
ASSERT_OFFSET(struct hal_user, regs.rflags, USER_RFLAGS);
ASSERT_OFFSET(struct hal_user, regs.rsp, USER_RSP);
ASSERT_OFFSET(struct hal_user, regs.fs_base, USER_REGS_END);
ASSERT_OFFSET(struct hal_user, x86.regs_partial, USER_REGS_PARTIAL);
ASSERT_OFFSET(struct hal_user, kernel_sp, USER_KERNEL_SP);
ASSERT_OFFSET(struct hal_user, exit, USER_EXIT);
_Static_assert(USER_REGS_END % 16 == 0,
	       "the CPU aligns the stack pointer to 16 before it pushes a trap frame");

/* One page of stack whose last eight bytes point to the struct cpu. */
struct ist_stack {
	uint8_t bytes[PAGE_SIZE - 16];
	uint64_t alignment;
	struct cpu *owner;
};
_Static_assert(sizeof(struct ist_stack) == PAGE_SIZE, "one page");

struct descriptor_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, zero;
};
_Static_assert(sizeof(struct gate) == 16, "Intel SDM 3A 6.14.1");

#define GATE_INTERRUPT	    0x8e /* present, privilege 0; clears IF */
#define GATE_INTERRUPT_USER 0xee /* the same, `int n` allowed in user mode */

struct cpu *x86_cpus[HAL_CPU_MAX];
unsigned x86_cpu_count = 1;

static struct cpu boot_cpu __attribute__((aligned(64)));
static struct ist_stack boot_ist[IST_COUNT - 1] __attribute__((aligned(4096)));
static struct gate idt[256] __attribute__((aligned(16)));

static void gate_set(unsigned vector, uint8_t type, uint8_t ist)
{
	uintptr_t handler = (uintptr_t)x86_trap_stubs[vector];

	idt[vector] = (struct gate){
	    .offset0 = (uint16_t)handler,
	    .selector = SEL_KERNEL_CS,
	    .ist = ist,
	    .type = type,
	    .offset1 = (uint16_t)(handler >> 16),
	    .offset2 = (uint32_t)(handler >> 32),
	};
}

static void idt_fill(void)
{
	for (unsigned v = 0; v < 256; v++)
		gate_set(v, GATE_INTERRUPT, IST_NONE);
	gate_set(VECTOR_NMI, GATE_INTERRUPT, IST_NMI);
	gate_set(VECTOR_MACHINE_CHECK, GATE_INTERRUPT, IST_MCE);
	gate_set(VECTOR_DOUBLE_FAULT, GATE_INTERRUPT, IST_DOUBLE_FAULT);
	gate_set(VECTOR_BREAKPOINT, GATE_INTERRUPT_USER, IST_NONE);
	gate_set(VECTOR_OVERFLOW, GATE_INTERRUPT_USER, IST_NONE);
}

static void gdt_fill(struct cpu *c)
{
	uintptr_t tss = (uintptr_t)&c->tss;

	c->gdt[SEL_KERNEL_CS / 8] = 0x00af9b000000ffff;
	c->gdt[SEL_KERNEL_DS / 8] = 0x00cf93000000ffff;
	/* A user data segment whose limit is the CPU's number: `lsl` reads it in getcpu(). */
	c->gdt[SEL_CPU_NUMBER / 8] = 0x0040f50000000000 | c->id;
	c->gdt[X86_USER_SS / 8] = 0x00cff3000000ffff;
	c->gdt[X86_USER_CS / 8] = 0x00affb000000ffff;
	c->gdt[SEL_TSS / 8] = (sizeof(struct x86_tss) - 1) | (tss & 0xffffff) << 16 | UINT64_C(0x89) << 40 |
			      (tss >> 24 & 0xff) << 56;
	c->gdt[SEL_TSS / 8 + 1] = tss >> 32;
}

static void percpu_fill(struct cpu *c, unsigned id, uint32_t apic_id, struct ist_stack *stack[IST_COUNT])
{
	c->self = c;
	c->id = id;
	c->apic_id = apic_id;
	c->timer_deadline = HAL_TIMER_NEVER;
	c->tss.iomap_base = sizeof(struct x86_tss);
	for (unsigned i = IST_NMI; i < IST_COUNT; i++) {
		stack[i]->owner = c;
		c->tss.ist[i - 1] = (uintptr_t)&stack[i]->alignment;
	}
	gdt_fill(c);
	x86_cpus[id] = c;
}

void x86_percpu_load(struct cpu *c)
{
	struct descriptor_pointer gdtr = {sizeof(c->gdt) - 1, (uintptr_t)c->gdt};
	struct descriptor_pointer idtr = {sizeof(idt) - 1, (uintptr_t)idt};

	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	__asm__ volatile("lidt %0" : : "m"(idtr));
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
	wrmsr(MSR_GS_BASE, (uintptr_t)c);
}

void x86_percpu_boot(void)
{
	struct ist_stack *stack[IST_COUNT];

	for (unsigned i = IST_NMI; i < IST_COUNT; i++)
		stack[i] = &boot_ist[i - 1];
	idt_fill();
	percpu_fill(&boot_cpu, 0, 0, stack);
	boot_cpu.online = 1;
	x86_percpu_load(&boot_cpu);
}

static void *page_alloc(void)
{
	paddr_t pa = hal_upcalls.page_alloc == NULL ? 0 : hal_upcalls.page_alloc();

	return pa == 0 ? NULL : hal_phys_to_virt(pa);
}

static void page_free(void *page)
{
	if (page != NULL && hal_upcalls.page_free != NULL)
		hal_upcalls.page_free(hal_virt_to_phys(page));
}

struct cpu *x86_percpu_create(unsigned id, uint32_t apic_id)
{
	struct ist_stack *stack[IST_COUNT] = {NULL};
	struct cpu *c = page_alloc();
	bool complete = c != NULL;

	for (unsigned i = IST_NMI; i < IST_COUNT; i++) {
		stack[i] = page_alloc();
		complete = complete && stack[i] != NULL;
	}
	if (complete) {
		percpu_fill(c, id, apic_id, stack);
		return c;
	}
	page_free(c);
	for (unsigned i = IST_NMI; i < IST_COUNT; i++)
		page_free(stack[i]);
	return NULL;
}
