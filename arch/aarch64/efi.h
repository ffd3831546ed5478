/* SPDX-License-Identifier: MIT */
/* The few structures and calls of UEFI 2.10 that the stub uses; the rest of each table is padding. */
#ifndef AARCH64_EFI_H
#define AARCH64_EFI_H

#include <hal/types.h>

#define EFI_ERROR(n)	      (UINT64_C(1) << 63 | (n))
#define EFI_LOAD_ERROR	      EFI_ERROR(1)
#define EFI_UNSUPPORTED	      EFI_ERROR(3)
#define EFI_BUFFER_TOO_SMALL  EFI_ERROR(5)
#define EFI_SYSTEM_SIGNATURE  UINT64_C(0x5453595320494249)
#define EFI_ALLOCATE_ANY      0
#define EFI_MEMORY_WRITE_BACK 8

enum {
	EFI_LOADER_CODE = 1,
	EFI_LOADER_DATA = 2,
	EFI_BOOT_CODE = 3,
	EFI_BOOT_DATA = 4,
	EFI_RUNTIME_CODE = 5,
	EFI_RUNTIME_DATA = 6,
	EFI_CONVENTIONAL = 7,
	EFI_ACPI_RECLAIM = 9,
	EFI_ACPI_NVS = 10,
};

struct efi_guid {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
};

struct efi_memory_descriptor {
	uint32_t type, pad;
	uint64_t physical, virtual, pages, attribute;
};

struct efi_loaded_image {
	uint64_t unused[6];
	uint32_t load_options_size, pad;
	uint16_t *load_options;
};

struct efi_device_path {
	uint8_t type, subtype, length[2];
};

struct efi_load_file2 {
	uint64_t (*load_file)(struct efi_load_file2 *self, struct efi_device_path *path, bool boot_policy,
			      uint64_t *size, void *buffer);
};

struct efi_boot_services {
	uint64_t header[3];
	void *unused0[2];
	uint64_t (*allocate_pages)(unsigned how, unsigned type, uint64_t pages, paddr_t *ret);
	void *unused1;
	uint64_t (*get_memory_map)(uint64_t *size, void *map, uint64_t *key, uint64_t *descriptor_size,
				   uint32_t *version);
	uint64_t (*allocate_pool)(unsigned type, uint64_t size, void **ret);
	void *unused2[10];
	uint64_t (*handle_protocol)(void *handle, const struct efi_guid *protocol, void **ret);
	void *unused3[3];
	uint64_t (*locate_device_path)(const struct efi_guid *protocol, struct efi_device_path **path,
				       void **ret);
	void *unused4[5];
	uint64_t (*exit_boot_services)(void *image, uint64_t key);
};
_Static_assert(offsetof(struct efi_boot_services, handle_protocol) == 24 + 16 * 8, "UEFI 2.10, 4.4");
_Static_assert(offsetof(struct efi_boot_services, exit_boot_services) == 24 + 26 * 8, "UEFI 2.10, 4.4");

struct efi_time {
	uint16_t year;
	uint8_t month, day, hour, minute, second, pad1;
	uint32_t nanosecond;
	int16_t zone_minutes; /* local = UTC - zone; EFI_TIME_LOCAL: nobody knows */
	uint8_t daylight, pad2;
};
_Static_assert(sizeof(struct efi_time) == 16, "UEFI 2.10, 8.3");
#define EFI_TIME_LOCAL 2047

struct efi_runtime_services {
	uint64_t header[3];
	uint64_t (*get_time)(struct efi_time *ret, void *capabilities);
};

struct efi_configuration_table {
	struct efi_guid guid;
	void *table;
};

struct efi_text_output {
	void *reset;
	uint64_t (*output_string)(struct efi_text_output *self, const uint16_t *text);
};

struct efi_system_table {
	uint64_t signature, header[2];
	void *unused0[5];
	struct efi_text_output *out;
	void *unused1[2];
	struct efi_runtime_services *runtime;
	struct efi_boot_services *boot;
	uint64_t table_count;
	struct efi_configuration_table *tables;
};
_Static_assert(offsetof(struct efi_system_table, boot) == 96, "UEFI 2.10, 4.3");

#endif
