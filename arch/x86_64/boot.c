/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader's information to kernel_main(), on the boot CPU, interrupts off. The order is the
 * point:
 *
 *   1. traps and the serial port, so that what goes wrong can be seen
 *   2. the loader's information and ACPI's tables, through the boot window; the memory map
 *   3. the kernel's page tables: from here on the direct map and device registers
 *   4. the local APIC and the clock's measurement begin; everything that needs no clock is done while it runs
 *   5. the clock; kernel_main()
 */
#include <x86/apic.h>
#include <x86/bootinfo.h>
#include <x86/console.h>
#include <x86/cpu.h>
#include <x86/features.h>
#include <x86/irq.h>
#include <x86/machine.h>
#include <x86/mmu.h>
#include <x86/percpu.h>
#include <x86/smp.h>
#include <x86/timer.h>
#include <arch/note.h>
#include <linux/errno.h>

enum boot_protocol {
	BOOT_PVH = 0, /* entry.S knows these numbers */
	BOOT_MULTIBOOT2 = 1,
};

#define LAPIC_DEFAULT  UINT64_C(0xfee00000)
#define BDA_VIDEO_MODE 0x449u /* BIOS data area: 3 is text, 80 by 25 */

extern uint64_t x86_boot_tsc;
_Noreturn void x86_boot(unsigned protocol, paddr_t info);

struct acpi_info x86_acpi;
volatile uint8_t *x86_reset_register;

static struct boot_info boot;
static char cpu_model[49];

/* ---- what the kernel asks for later ---- */

size_t hal_mem_ranges(const struct hal_mem_range **ret)
{
	*ret = boot.mem.range;
	return boot.mem.count;
}

const char *hal_cmdline(void)
{
	return boot.cmdline;
}

bool hal_initrd(const void **ret_data, size_t *ret_len)
{
	if (boot.initrd_len == 0)
		return false;
	*ret_data = hal_phys_to_virt(boot.initrd);
	*ret_len = boot.initrd_len;
	return true;
}

const char *hal_boot_path(void)
{
	return boot.path;
}

const char *hal_cpu_model(void)
{
	return cpu_model[0] != '\0' ? cpu_model : "x86_64";
}

/* ---- steps ---- */

static _Noreturn void give_up(const char *why)
{
	arch_note("boot", why);
	cpu_halt_forever();
}

static void read_cpu_model(void)
{
	const char *p = cpu_model;
	size_t skip = 0;

	if (cpuid(0x80000000, 0).eax < 0x80000004)
		return;
	for (unsigned i = 0; i < 3; i++) {
		struct cpuid c = cpuid(0x80000002 + i, 0);

		__builtin_memcpy(cpu_model + 16 * i, &c, 16);
	}
	while (p[skip] == ' ')
		skip++;
	__builtin_memmove(cpu_model, cpu_model + skip, sizeof(cpu_model) - skip);
}

static int read_multiboot2(paddr_t info)
{
	const uint8_t *head = physwin_map(&x86_boot_window, info, 8);
	uint32_t len = head == NULL ? 0 : physwin_get32(head);

	if (len < 8 || len > MULTIBOOT2_INFO_MAX || physwin_map(&x86_boot_window, info, len) == NULL)
		return -EINVAL;
	return multiboot2_parse(head, len, &boot);
}

static void read_boot_info(unsigned protocol, paddr_t info)
{
	int err =
	    protocol == BOOT_MULTIBOOT2 ? read_multiboot2(info) : pvh_parse(&x86_boot_window, info, &boot);

	if (err != 0)
		give_up("the boot loader's information makes no sense");
	if (boot.ignored + boot.mem.dropped > 0)
		arch_note_hex(
		    "boot", "entries of the loader's information left out:", boot.ignored + boot.mem.dropped);
	if (protocol == BOOT_PVH) {
		const uint8_t *mode = physwin_map(&x86_boot_window, BDA_VIDEO_MODE, 1);

		boot.text_screen = mode != NULL && *mode == 3;
	}
}

/*
 * The loader may have put the initramfs anywhere in RAM, also astride two ranges' border; all of it must be
 * RAM.
 */
static void reserve_initrd(struct memmap *m)
{
	paddr_t at = boot.initrd, end = boot.initrd + boot.initrd_len;

	if (boot.initrd_len == 0)
		return;
	memmap_reserve(m, at, boot.initrd_len, HAL_MEM_INITRD);
	for (size_t i = 0; i < m->count && end > at; i++) {
		const struct hal_mem_range *r = &m->range[i];

		if (r->base <= at && at < r->base + r->size && r->kind == HAL_MEM_INITRD)
			at = r->base + r->size;
	}
	if (end < boot.initrd || at < end || end > X86_DIRECT_MAX) {
		arch_note_hex("boot", "the initramfs does not lie in free RAM:", boot.initrd);
		boot.initrd_len = 0;
	}
}

static void reserve_memory(void)
{
	struct memmap *m = &boot.mem;
	paddr_t image = x86_image_paddr(x86_text);

	memmap_reserve(m, 0, PAGE_SIZE, HAL_MEM_RESERVED); /* page 0 stands for "none" */
	memmap_reserve(m, image, x86_image_paddr(x86_end) - image, HAL_MEM_RESERVED);
	reserve_initrd(m);
}

static void read_acpi(void)
{
	const void *rsdp = boot.rsdp_copy;
	size_t len = boot.rsdp_copy_len;

	if (boot.rsdp != 0) {
		rsdp = physwin_map(&x86_boot_window, boot.rsdp, RSDP_MAX);
		len = RSDP_MAX;
	}
	if (rsdp == NULL || acpi_parse(&x86_boot_window, rsdp, len, &x86_acpi) != 0)
		arch_note("boot", "no usable ACPI tables: one CPU, no power off");
	if (x86_acpi.lapic_address == 0)
		x86_acpi.lapic_address = LAPIC_DEFAULT;
	if (x86_acpi.ignored > 0)
		arch_note_hex("boot", "ACPI entries left out:", x86_acpi.ignored);
}

static void init_devices(void)
{
	const struct acpi_info *acpi = &x86_acpi;

	x86_irq_init(acpi);
	x86_pci_init(acpi);
	x86_console_init_late(boot.text_screen, !acpi->has_fadt || acpi->has_keyboard);
	if (acpi->has_reset && acpi->reset.space == ACPI_SPACE_MEMORY)
		x86_reset_register = hal_mmio_map(acpi->reset.address, 1);
}

void x86_boot(unsigned protocol, paddr_t info)
{
	if (rdmsr(MSR_EFER) & EFER_NXE)
		x86_pte_nx = UINT64_C(1) << 63;
	x86_percpu_boot();
	x86_console_init();
	x86_features_detect();
	x86_features_enable();
	read_boot_info(protocol, info);
	reserve_memory();
	read_acpi();
	if (x86_paging_init(&boot.mem) != 0)
		give_up("no memory for the kernel's page tables");
	this_cpu()->aspace_root = x86_kernel_root;
	if (x86_apic_init(x86_acpi.lapic_address) != 0)
		give_up("this CPU has no local APIC");
	x86_apic_enable();
	x86_smp_init(&x86_acpi, &boot.mem);
	x86_time_begin(&x86_acpi, x86_boot_tsc);
	read_cpu_model();
	init_devices();
	x86_time_finish();
	x86_timer_enable();
	x86_paging_boot_done();
	kernel_main();
}
