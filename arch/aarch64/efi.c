/* SPDX-License-Identifier: MIT */
/*
 * The EFI stub: what the image does when firmware, or GRUB by way of firmware, starts it as an application.
 * It collects the memory map, the device tree, the command line and the initramfs into efi_boot, ends the
 * firmware's boot services, and lets head.S go on as after any other loader.
 *
 * It runs at the image's physical address with the firmware's MMU, stack and identity map, so that no static
 * pointer may be followed; and efi_boot is not in .bss, which head.S clears afterwards.
 *
 * The initramfs comes from the LoadFile2 protocol on Linux's vendor media path, if the loader offers that;
 * else from the device tree's chosen node, where older GRUBs put it.
 */
#include "aarch64.h"
#include "efi.h"

struct efi_boot efi_boot __attribute__((section(".data.early"))) = {.booted = false};

static bool guid_equal(const struct efi_guid *a, const struct efi_guid *b)
{
	bool equal = a->a == b->a && a->b == b->b && a->c == b->c;

	for (unsigned i = 0; i < 8; i++)
		equal &= a->d[i] == b->d[i];
	return equal;
}

static void *find_table(const struct efi_system_table *system, const struct efi_guid *guid)
{
	for (uint64_t i = 0; i < system->table_count; i++) {
		if (guid_equal(&system->tables[i].guid, guid))
			return system->tables[i].table;
	}
	return NULL;
}

/* UCS-2 to ASCII; what is not ASCII becomes a question mark. */
static void take_command_line(const struct efi_boot_services *boot, void *image)
{
	static const struct efi_guid loaded_image = {
	    0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
	void *found;
	size_t n = 0;

	if (boot->handle_protocol(image, &loaded_image, &found) != 0)
		return;
	const struct efi_loaded_image *loaded = found;
	const uint16_t *text = loaded->load_options;
	size_t len = text != NULL ? loaded->load_options_size / 2 : 0;
	while (n < len && text[n] != 0 && n < HAL_CMDLINE_MAX - 1) {
		efi_boot.cmdline[n] = text[n] >= ' ' && text[n] < 0x7f ? (char)text[n] : '?';
		n++;
	}
	efi_boot.cmdline[n] = 0;
	efi_boot.cmdline_cut = n < len && text[n] != 0;
}

/* False when the loader does not offer one, or it cannot be loaded. */
static bool load_initrd(const struct efi_boot_services *boot)
{
	static const struct efi_guid load_file2 = {
	    0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}};
	struct {
		struct efi_device_path vendor_media;
		struct efi_guid linux_initrd;
		struct efi_device_path end;
	} __attribute__((packed)) full_path = {
	    {4, 3, {20, 0}},
	    {0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}},
	    {0x7f, 0xff, {4, 0}},
	};
	struct efi_device_path *path = &full_path.vendor_media;
	void *device, *protocol;
	uint64_t size = 0;
	paddr_t pa;

	if (boot->locate_device_path(&load_file2, &path, &device) != 0 ||
	    boot->handle_protocol(device, &load_file2, &protocol) != 0)
		return false;
	struct efi_load_file2 *file = protocol;
	if (file->load_file(file, path, false, &size, NULL) != EFI_BUFFER_TOO_SMALL || size == 0 ||
	    boot->allocate_pages(EFI_ALLOCATE_ANY, EFI_LOADER_DATA, (size + PAGE_SIZE - 1) / PAGE_SIZE,
				 &pa) != 0 ||
	    file->load_file(file, path, false, &size, (void *)pa) != 0)
		return false;
	efi_boot.initrd = pa;
	efi_boot.initrd_len = size;
	return true;
}

/* The firmware often keeps the real-time clock for itself; this is the one time to ask. */
static void take_time(const struct efi_runtime_services *runtime)
{
	struct efi_time t;

	if (runtime->get_time(&t, NULL) != 0 || t.month < 1 || t.month > 12 || t.year < 1970)
		return;
	int64_t zone = t.zone_minutes != EFI_TIME_LOCAL ? t.zone_minutes : 0;
	efi_boot.wall_seconds = rtc_seconds(t.year, t.month, t.day) + t.hour * 3600u + t.minute * 60u +
				t.second + (uint64_t)(zone * 60);
}

/* All that is RAM is listed, so that the direct map has few edges; what the firmware keeps of it is then
 * reserved. */
static bool is_ram(const struct efi_memory_descriptor *d)
{
	bool ram = (d->type >= EFI_LOADER_CODE && d->type <= EFI_CONVENTIONAL) ||
		   d->type == EFI_ACPI_RECLAIM || d->type == EFI_ACPI_NVS;

	return ram && (d->attribute & EFI_MEMORY_WRITE_BACK) != 0;
}

static bool is_kept(const struct efi_memory_descriptor *d)
{
	return d->type == EFI_RUNTIME_CODE || d->type == EFI_RUNTIME_DATA || d->type == EFI_ACPI_RECLAIM ||
	       d->type == EFI_ACPI_NVS;
}

static void list_memory(const uint8_t *map, uint64_t size, uint64_t step)
{
	for (uint64_t at = 0; step != 0 && at + step <= size; at += step) {
		const struct efi_memory_descriptor *d = (const struct efi_memory_descriptor *)(map + at);

		if (is_ram(d))
			memmap_add(&efi_boot.memory, d->physical, d->pages * PAGE_SIZE);
	}
	for (uint64_t at = 0; step != 0 && at + step <= size; at += step) {
		const struct efi_memory_descriptor *d = (const struct efi_memory_descriptor *)(map + at);

		if (is_ram(d) && is_kept(d))
			memmap_reserve(&efi_boot.memory, d->physical, d->pages * PAGE_SIZE, HAL_MEM_RESERVED);
	}
}

/* The map that the firmware agrees to be left with: taking it and leaving may need a second try
 * (UEFI 2.10, 7.4.6). */
static uint64_t leave(const struct efi_boot_services *boot, void *image)
{
	uint64_t room = 0, key, step = 0, size = 0, error;
	uint32_t version;
	void *map;

	boot->get_memory_map(&room, NULL, &key, &step, &version);
	room += 16 * step; /* the allocation itself may split some */
	error = boot->allocate_pool(EFI_LOADER_DATA, room, &map);
	for (unsigned tries = 0; tries < 3 && error == 0; tries++) {
		size = room;
		error = boot->get_memory_map(&size, map, &key, &step, &version);
		if (error != 0 || boot->exit_boot_services(image, key) == 0)
			break;
		error = tries == 2 ? EFI_LOAD_ERROR : 0;
	}
	if (error == 0)
		list_memory(map, size, step);
	return error;
}

/*
 * A tree or tables, or there is nothing to go by. GRUB makes a tree with no machine in it where the firmware
 * has none.
 */
static bool find_description(const struct efi_system_table *system, paddr_t *ret_fdt)
{
	static const struct efi_guid device_tree = {
	    0xb1b621d5, 0xf19c, 0x41a5, {0x83, 0x0b, 0xd9, 0x15, 0x2c, 0x69, 0xaa, 0xe0}};
	static const struct efi_guid acpi = {
	    0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};

	*ret_fdt = (paddr_t)find_table(system, &device_tree);
	efi_boot.rsdp = (paddr_t)find_table(system, &acpi);
	return *ret_fdt != 0 || efi_boot.rsdp != 0;
}

uint64_t efi_main(void *image, struct efi_system_table *system, paddr_t *ret_fdt)
{
	if (system->signature != EFI_SYSTEM_SIGNATURE)
		return EFI_UNSUPPORTED;
	if (!find_description(system, ret_fdt)) {
		system->out->output_string(system->out, u"CloudOS: no device tree and no ACPI tables\r\n");
		return EFI_UNSUPPORTED;
	}
	take_command_line(system->boot, image);
	efi_boot.initrd_loaded = load_initrd(system->boot);
	take_time(system->runtime);
	efi_boot.booted = true;
	return leave(system->boot, image);
}
