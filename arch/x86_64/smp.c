/* SPDX-License-Identifier: MIT */
/*
 * Starting the other CPUs (Intel SDM volume 3A, 8.4; MultiProcessor Specification 1.4, B.4): INIT, then a
 * start-up message with the trampoline's page, and once more if nothing has happened. One at a time, by the
 * boot CPU.
 *
 * A CPU that does not report in time is put back to sleep by another INIT: it must not come late to a
 * trampoline that is meant for the next one.
 */
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/features.h>
#include <x86/mmu.h>
#include <x86/percpu.h>
#include <x86/smp.h>
#include <x86/timer.h>
#include <x86/trap.h>
#include <linux/errno.h>

#define AFTER_INIT_NS	20000u
#define FIRST_TRY_NS	20000000u
#define SECOND_TRY_NS	1000000000u
#define LOW_MEMORY_END	0xa0000u
#define STOP_WAIT_SPINS 10000u

struct trampoline_fields {
	uint64_t stack, cpu, entry;
	uint32_t cr3, cr4, efer, jump;
	uint16_t jump_selector;
	uint16_t gdt_limit;
	uint32_t gdt_base;
} __attribute__((packed));

extern const uint8_t x86_trampoline[], x86_trampoline_end[], x86_trampoline_fields[];
extern const uint64_t x86_boot_gdt[];

static uint32_t apic_ids[HAL_CPU_MAX];
static paddr_t trampoline_page;
static void (*start_entry)(void *); /* of the CPU that is being started */
static void *start_arg;

static void add_cpu(uint32_t apic_id)
{
	for (unsigned i = 0; i < x86_cpu_count; i++) {
		if (apic_ids[i] == apic_id)
			return;
	}
	if (x86_cpu_count < HAL_CPU_MAX)
		apic_ids[x86_cpu_count++] = apic_id;
}

void x86_smp_init(const struct acpi_info *acpi, struct memmap *m)
{
	apic_ids[0] = x86_apic_id();
	x86_cpus[0]->apic_id = apic_ids[0];
	for (unsigned i = 0; i < acpi->cpu_count; i++)
		add_cpu(acpi->cpu_apic_id[i]);
	if (x86_cpu_count > 1)
		trampoline_page = memmap_take(m, PAGE_SIZE, PAGE_SIZE, LOW_MEMORY_END);
	if (trampoline_page == 0)
		x86_cpu_count = 1;
}

unsigned hal_cpu_count(void)
{
	return x86_cpu_count;
}

/* The new CPU's first C, on the boot tables. */
static _Noreturn void take_off(struct cpu *c)
{
	void (*entry)(void *) = start_entry;
	void *arg = start_arg;

	write_cr3(x86_kernel_root);
	c->aspace_root = x86_kernel_root;
	x86_percpu_load(c);
	x86_features_enable();
	x86_apic_enable();
	x86_timer_enable();
	/* A message that was sent too early is lost, but the sender left a mark. */
	if (__atomic_load_n(&c->ipi_pending, __ATOMIC_SEQ_CST))
		x86_apic_send(c->apic_id, VECTOR_IPI);
	__atomic_store_n(&c->online, 1, __ATOMIC_SEQ_CST);
	/* What it has cached so far nobody asked it to drop. Changing PGE drops all. */
	write_cr4(read_cr4() & ~(uint64_t)CR4_PGE);
	write_cr4(read_cr4() | CR4_PGE);
	entry(arg);
	cpu_halt_forever();
}

static void trampoline_write(struct cpu *c, void *stack_top)
{
	uint8_t *page = hal_phys_to_virt(trampoline_page);
	size_t fields = (uintptr_t)x86_trampoline_fields - (uintptr_t)x86_trampoline;
	struct trampoline_fields *f = (void *)(page + fields);

	__builtin_memcpy(page, x86_trampoline, (uintptr_t)x86_trampoline_end - (uintptr_t)x86_trampoline);
	f->stack = (uintptr_t)stack_top;
	f->cpu = (uintptr_t)c;
	f->entry = (uintptr_t)take_off;
	f->cr3 = (uint32_t)x86_boot_root();
	f->cr4 = CR4_PAE;
	f->efer = EFER_LME | (x86_pte_nx != 0 ? EFER_NXE : 0);
	f->jump += (uint32_t)trampoline_page;
	f->gdt_base = (uint32_t)x86_image_paddr(x86_boot_gdt);
}

static void wait_ns(uint64_t ns)
{
	uint64_t end = hal_clock_ns() + ns;

	while (hal_clock_ns() < end)
		hal_cpu_relax();
}

static bool wait_online(const struct cpu *c, uint64_t ns)
{
	uint64_t end = hal_clock_ns() + ns;

	while (!__atomic_load_n(&c->online, __ATOMIC_ACQUIRE)) {
		if (hal_clock_ns() >= end)
			return false;
		hal_cpu_relax();
	}
	return true;
}

int hal_cpu_start(unsigned cpu, void *stack_top, void (*entry)(void *), void *arg)
{
	struct cpu *c;

	if (cpu == 0 || cpu >= x86_cpu_count || x86_cpus[cpu] != NULL)
		return -EINVAL;
	c = x86_percpu_create(cpu, apic_ids[cpu]);
	if (c == NULL)
		return -ENOMEM;
	start_entry = entry;
	start_arg = arg;
	trampoline_write(c, stack_top);
	x86_apic_send_init(c->apic_id);
	wait_ns(AFTER_INIT_NS);
	x86_apic_send_startup(c->apic_id, (unsigned)(trampoline_page >> PAGE_SHIFT));
	if (wait_online(c, FIRST_TRY_NS))
		return 0;
	x86_apic_send_startup(c->apic_id, (unsigned)(trampoline_page >> PAGE_SHIFT));
	if (wait_online(c, SECOND_TRY_NS))
		return 0;
	x86_apic_send_init(c->apic_id);
	return -EIO;
}

void hal_cpu_stop_others(void)
{
	__atomic_store_n(&x86_stopping, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < x86_cpu_count; i++) {
		struct cpu *c = x86_cpus[i];

		if (c != NULL && c != this_cpu() && __atomic_load_n(&c->online, __ATOMIC_ACQUIRE))
			x86_apic_send_nmi(c->apic_id);
	}
	/* Long enough for those that run; nothing waits for one that does not. */
	for (unsigned n = 0; n < STOP_WAIT_SPINS; n++)
		hal_cpu_relax();
}
