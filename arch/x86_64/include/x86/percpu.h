/* SPDX-License-Identifier: MIT */
/*
 * What the machine keeps of each CPU: one page, found through GS. The boot CPU's lies in the kernel's image,
 * the others' come from hal_upcalls.page_alloc() when they are started, together with a page each for the
 * stacks of NMI, machine check and double fault. Such a stack's last eight bytes point to the struct cpu, for
 * a handler that cannot trust GS.
 *
 * Who may touch a field: [o] its own CPU alone, [c] set before the CPU starts, constant then, [a] anybody,
 * atomically.
 */
#ifndef X86_PERCPU_H
#define X86_PERCPU_H

#include <hal/hal.h>
#include <x86/percpu_offsets.h>

/*
 * Selectors: the order is what `syscall` and `sysret` want. No 32-bit code segment: there is no compatibility
 * mode.
 */
#define SEL_KERNEL_CS  0x08
#define SEL_KERNEL_DS  0x10
#define SEL_CPU_NUMBER 0x18 /* the vDSO uses it, with privilege 3 */
#define SEL_TSS	       0x38
#define GDT_ENTRIES    9

/* Interrupt stack table slots. */
enum {
	IST_NONE,
	IST_NMI,
	IST_MCE,
	IST_DOUBLE_FAULT,
	IST_COUNT,
};

struct x86_tss {
	uint32_t reserved0;
	uint64_t rsp0, rsp1, rsp2;
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap_base;
} __attribute__((packed));
_Static_assert(sizeof(struct x86_tss) == 104, "Intel SDM 3A 8.7");

struct trap_frame;

struct cpu {
	struct cpu *self;	/* [c] */
	void *area;		/* [o] hal_cpu_area() */
	void *current;		/* [o] hal_current() */
	uint32_t id;		/* [c] */
	uint32_t apic_id;	/* [c] */
	uint64_t unused;	/* keeps the next at its offset */
	uint64_t scratch;	/* [o] the user's stack pointer for two instructions */
	uint32_t ipi_pending;	/* [a] hal_ipi_send() was called, the upcall not yet */
	uint32_t flush_pending; /* [a] NMI: drop kernel translations */
	uint32_t pad;
	struct x86_tss tss;	   /* [o] */
	uint64_t gdt[GDT_ENTRIES]; /* [c] */
	struct hal_user *live;	   /* [o] whose FPU and segment bases are in the registers */
	paddr_t aspace_root;	   /* [o] what CR3 holds, without the identifier */
	struct pcid_cpu pcid;	   /* [o] */
	uint64_t timer_deadline;   /* [o] what was asked for, in ns, or HAL_TIMER_NEVER */
	uint64_t timer_hardware;   /* [o] when the timer will fire, or HAL_TIMER_NEVER */
	uint32_t online;	   /* [a] has taken off */
	const struct trap_frame *interrupted; /* [o] of kernel code, while an interrupt of it is handled; else null */
};
_Static_assert(sizeof(struct cpu) <= PAGE_SIZE, "one page");

extern struct cpu *x86_cpus[HAL_CPU_MAX];
extern unsigned x86_cpu_count;

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(c) : "i"(CPU_SELF));
	return c;
}

/* Makes the boot CPU's struct cpu and loads GS, GDT, TSS and the IDT. First of all calls. */
void x86_percpu_boot(void);

/* Allocates and fills the struct cpu of another CPU; null when out of memory. */
struct cpu *x86_percpu_create(unsigned id, uint32_t apic_id);

/* On the CPU itself: loads GS, GDT, TSS and the IDT. */
void x86_percpu_load(struct cpu *c);

#endif
