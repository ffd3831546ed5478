/* SPDX-License-Identifier: MIT */
/*
 * From the first C code at the kernel's virtual address to kernel_main(): what the loader left is read, the
 * memory map and the direct map are made, and the devices that the seam needs come up. Boot CPU only,
 * interrupts off, on the boot stack.
 *
 * Order matters: the device tree is read through its window, before any memory is handed out; the direct map
 * comes before everything that maps registers; the console before everything that may have something to say.
 * The tree is not reserved: dt_decode() copied what is needed of it.
 */
#include "aarch64.h"
#include "acpi.h"
#include <arch/note.h>
#include <cloudos/string.h>

#define RSDP_SIZE 36

struct dt_machine machine;
struct hal_cpu boot_cpu;
static struct memmap memory;
static bool by_acpi; /* the tree described no machine */

_Noreturn void boot_fail(const char *why)
{
	arch_note("boot", why);
	smp_park();
}

/* Where the tree says what it is made of, and in the window's bounds. */
static int read_tree(paddr_t pa)
{
	const uint8_t *blob = (const uint8_t *)(FDT_WINDOW + (pa & 0x1fffff));
	uint64_t room = FDT_WINDOW_SIZE - (pa & 0x1fffff);
	struct fdt fdt;

	if (pa == 0 || fdt_open(blob, fdt_total_size(blob) < room ? fdt_total_size(blob) : room, &fdt) != 0)
		return -1;
	return dt_decode(&fdt, &machine);
}

/* RAM is what the firmware's map says it is, or else the tree. */
static void list_memory(void)
{
	const struct dt_machine *m = &machine;

	if (efi_boot.booted)
		memory = efi_boot.memory;
	for (unsigned i = 0; i < m->memory_count && !efi_boot.booted; i++)
		memmap_add(&memory, m->memory[i].base, m->memory[i].size);
	memmap_remove(&memory, 0, PAGE_SIZE);
	for (unsigned i = 0; i < m->reserved_count; i++)
		memmap_reserve(&memory, m->reserved[i].base, m->reserved[i].size, HAL_MEM_RESERVED);
	memmap_reserve(&memory, kernel_image_pa, (uint64_t)(_end - _text), HAL_MEM_RESERVED);
	if (m->initrd_start < m->initrd_end)
		memmap_reserve(&memory, m->initrd_start, m->initrd_end - m->initrd_start, HAL_MEM_INITRD);
}

/* What came with the EFI stub comes first. */
static void merge_efi(void)
{
	if (efi_boot.initrd_loaded) {
		machine.initrd_start = efi_boot.initrd;
		machine.initrd_end = efi_boot.initrd + efi_boot.initrd_len;
	}
	if (efi_boot.cmdline[0] != 0) {
		memcpy(machine.cmdline, efi_boot.cmdline, sizeof(machine.cmdline));
		machine.cmdline_cut = efi_boot.cmdline_cut;
	}
}

/* For ACPI's parser: any part of listed memory, by the direct map. */
static const void *map_listed(const struct physwin *w, paddr_t pa, size_t len)
{
	(void)w;
	for (size_t i = 0; i < memory.count; i++) {
		const struct hal_mem_range *r = &memory.range[i];

		if (pa >= r->base && pa - r->base < r->size && len <= r->size - (pa - r->base))
			return hal_phys_to_virt(pa);
	}
	return NULL;
}

static int read_acpi(void)
{
	const struct physwin window = {map_listed};
	const void *rsdp = efi_boot.rsdp != 0 ? map_listed(&window, efi_boot.rsdp, RSDP_SIZE) : NULL;

	return rsdp != NULL ? acpi_decode(&window, rsdp, RSDP_SIZE, &machine) : -1;
}

static void report(void)
{
	if (machine.left_out != 0 || memory.dropped != 0)
		arch_note("boot",
			  "memory ranges left out: the table is full, or they are smaller than a page");
	if (machine.cmdline_cut)
		arch_note("boot", "the kernel command line was cut");
	if (machine.cpus_ignored != 0)
		arch_note("boot", "more CPUs than the kernel supports");
}

_Noreturn void boot_main(paddr_t fdt, uint64_t counter)
{
	int error = read_tree(fdt);

	if (efi_boot.booted)
		merge_efi();
	list_memory();
	mmu_map_memory(&memory);
	mmu_forget_fdt_window();
	by_acpi = machine.gic == DT_GIC_NONE;
	if (by_acpi)
		error = read_acpi();
	if (pl011_init(&machine.uart, machine.uart_line) != 0)
		smp_park();
	if (error != 0)
		arch_note("boot", "the description of the machine is missing or broken");
	report();
	timer_init(counter);
	cpu_init();
	aspace_init();
	psci_init(machine.psci, machine.psci_cpu_on);
	smp_init(&machine);
	if (gic_init(&machine) != 0)
		boot_fail("no interrupt controller that is understood");
	timer_init_cpu();
	kernel_main();
}

size_t hal_mem_ranges(const struct hal_mem_range **ret)
{
	*ret = memory.range;
	return memory.count;
}

const char *hal_cmdline(void)
{
	return machine.cmdline;
}

/* Only if it lies in memory that is listed: the direct map reaches nothing else. */
bool hal_initrd(const void **ret_data, size_t *ret_len)
{
	for (size_t i = 0; i < memory.count; i++) {
		const struct hal_mem_range *r = &memory.range[i];

		if (r->kind == HAL_MEM_INITRD && machine.initrd_start >= r->base &&
		    machine.initrd_end <= r->base + r->size) {
			*ret_data = hal_phys_to_virt(machine.initrd_start);
			*ret_len = machine.initrd_end - machine.initrd_start;
			return true;
		}
	}
	return false;
}

const char *hal_boot_path(void)
{
	return efi_boot.booted ? (by_acpi ? "EFI/ACPI" : "EFI/DT") : "Image/DT";
}
