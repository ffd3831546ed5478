/* SPDX-License-Identifier: MIT */
/* ACPI's tables, made here in a buffer that plays physical memory from 0x10000 on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/errno.h>
#include <arch/acpi.h>

#define BASE 0x10000u

static uint8_t memory[16384];
static uint32_t used;
static uint8_t rsdp[36];

static const void *window_map(const struct physwin *w, paddr_t pa, size_t len)
{
	(void)w;
	if (pa < BASE || len > used || pa - BASE > used - len)
		return NULL;
	return memory + (pa - BASE);
}

static const struct physwin window = {window_map};

static void put16(uint8_t *at, uint16_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void put32(uint8_t *at, uint32_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void put64(uint8_t *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void set_sum(uint8_t *p, size_t len, size_t at)
{
	uint8_t sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	p[at] = (uint8_t)-sum;
}

static uint8_t *table(const char *signature, uint32_t len)
{
	uint8_t *t = memory + used;

	memset(t, 0, len);
	memcpy(t, signature, 4);
	put32(t + 4, len);
	used += len;
	return t;
}

static void close_table(uint8_t *t)
{
	set_sum(t, physwin_get32(t + 4), 9);
}

static uint64_t address(const uint8_t *t)
{
	return BASE + (uint64_t)(t - memory);
}

/* The root, with 8-byte entries and the old RSDT pointer to nowhere. */
static void make_root(uint8_t *const *tables, unsigned count)
{
	uint8_t *xsdt = table("XSDT", 36 + 8 * count);

	for (unsigned i = 0; i < count; i++)
		put64(xsdt + 36 + 8 * i, address(tables[i]));
	close_table(xsdt);
	memset(rsdp, 0, sizeof(rsdp));
	memcpy(rsdp, "RSD PTR ", 8);
	rsdp[15] = 2;
	put32(rsdp + 20, 36);
	put64(rsdp + 24, address(xsdt));
	set_sum(rsdp, 20, 8);
	set_sum(rsdp, 36, 32);
}

static uint8_t *make_madt(void)
{
	static const uint8_t entries[] = {
	    0, 8,  0,	 0, 1, 0, 0,	0,				 /* CPU 0 */
	    0, 8,  1,	 4, 1, 0, 0,	0,				 /* CPU with APIC id 4 */
	    0, 8,  2,	 5, 0, 0, 0,	0,				 /* an empty socket */
	    9, 16, 0,	 0, 0, 1, 0,	0,    1,    0, 0, 0, 0, 0, 0, 0, /* x2APIC id 256 */
	    1, 12, 0,	 0, 0, 0, 0xc0, 0xfe, 0,    0, 0, 0,		 /* I/O APIC */
	    2, 10, 0,	 9, 9, 0, 0,	0,    0x0d, 0,			 /* ISA 9: level, active high */
	    4, 6,  0xff, 0, 0, 1,					 /* NMI: not looked at */
	    0, 3,  0,							 /* too short for a CPU */
	};
	uint8_t *t = table("APIC", 44 + sizeof(entries));

	put32(t + 36, 0xfee00000);
	put32(t + 40, 1);
	memcpy(t + 44, entries, sizeof(entries));
	close_table(t);
	return t;
}

static uint8_t *make_fadt(void)
{
	/* Name(\_S5, Package(4){5, 6, 0, 0}), behind a string that only looks like it */
	static const uint8_t aml[] = {'_',  'S',  '5', '_',  0x0d, 0x08, '_', 'S', '5', '_',
				      0x12, 0x08, 4,   0x0a, 5,	   0x0a, 6,   0,   0};
	uint8_t *dsdt = table("DSDT", 36 + sizeof(aml));
	uint8_t *t = table("FACP", 244);

	memcpy(dsdt + 36, aml, sizeof(aml));
	put32(t + 40, (uint32_t)address(dsdt));
	put32(t + 48, 0xb2);
	t[52] = 0xf1;
	put32(t + 64, 0x604);
	put32(t + 76, 0x608);
	t[8] = 3;
	t[108] = 0x32;
	put16(t + 109, 2);
	put32(t + 112, 1u << 10);
	t[116] = ACPI_SPACE_PORT;
	t[117] = 8;
	put64(t + 120, 0xcf9);
	t[128] = 0x0f;
	close_table(t);
	return t;
}

static uint8_t *make_mcfg(void)
{
	uint8_t *t = table("MCFG", 44 + 2 * 16);

	put64(t + 44, 0xb0000000);
	t[44 + 11] = 255;
	put64(t + 60, 0xc0000000);
	t[60 + 10] = 9; /* last bus before the first */
	close_table(t);
	return t;
}

static struct acpi_info info;

static void make_all(void)
{
	uint8_t *tables[4];

	used = 16;
	tables[0] = make_madt();
	tables[1] = make_fadt();
	tables[2] = make_mcfg();
	tables[3] = table("HPET", 56);
	put64(tables[3] + 44, 0xfed00000);
	close_table(tables[3]);
	make_root(tables, 4);
}

static void a_usual_machine_is_understood(void **state)
{
	(void)state;
	make_all();
	assert_int_equal(acpi_parse(&window, rsdp, sizeof(rsdp), &info), 0);
	assert_int_equal(info.cpu_count, 3);
	assert_int_equal(info.cpu_apic_id[1], 4);
	assert_int_equal(info.cpu_apic_id[2], 256);
	assert_int_equal(info.lapic_address, 0xfee00000);
	assert_true(info.has_pics);
	assert_int_equal(info.ioapic_count, 1);
	assert_int_equal(info.ioapic[0].address, 0xfec00000);
	assert_int_equal(info.override_count, 1);
	assert_true(info.override[0].level && !info.override[0].active_low);
	assert_int_equal(info.pm1a_control.address, 0x604);
	assert_int_equal(info.pm1a_control.space, ACPI_SPACE_PORT);
	assert_int_equal(info.pm_timer_port, 0x608);
	assert_true(info.has_reset && info.reset.address == 0xcf9 && info.reset_value == 0x0f);
	assert_true(info.has_keyboard);
	assert_true(info.has_s5);
	assert_int_equal(info.s5_type_a, 5);
	assert_int_equal(info.s5_type_b, 6);
	assert_int_equal(info.ecam_count, 1);
	assert_int_equal(info.ecam[0].last_bus, 255);
	assert_int_equal(info.hpet_address, 0xfed00000);
	assert_int_equal(info.ignored, 2); /* the short CPU, the backward bus range */
}

static void a_bad_checksum_leaves_the_table_out(void **state)
{
	(void)state;
	make_all();
	memory[16 + 44]++; /* in the MADT */
	assert_int_equal(acpi_parse(&window, rsdp, sizeof(rsdp), &info), 0);
	assert_int_equal(info.cpu_count, 0);
	assert_true(info.has_fadt);
	rsdp[9]++;
	assert_int_equal(acpi_parse(&window, rsdp, sizeof(rsdp), &info), -EINVAL);
	assert_int_equal(acpi_parse(&window, rsdp, 19, &info), -EINVAL);
}

/* Whatever byte is changed, and however short memory is: no crash, and the counts stay within their arrays.
 */
static void bent_tables_are_survived(void **state)
{
	(void)state;
	srandom(3);
	for (unsigned round = 0; round < 20000; round++) {
		make_all();
		for (unsigned n = (unsigned)random() % 4; n > 0; n--)
			memory[(unsigned)random() % used] = (uint8_t)random();
		if (random() % 4 == 0)
			used = (unsigned)random() % used;
		(void)acpi_parse(&window, rsdp, sizeof(rsdp), &info);
		assert_true(info.cpu_count <= ACPI_CPUS_MAX && info.ioapic_count <= ACPI_IOAPICS_MAX);
		assert_true(info.ecam_count <= ACPI_ECAMS_MAX && info.override_count <= ACPI_OVERRIDES_MAX);
	}
}

static void s5_needs_a_whole_package(void **state)
{
	static const uint8_t aml[] = {'_', 'S', '5', '_', 0x12, 0x40, 0, 2, 0x01, 0x0a, 7};
	uint8_t a = 99, b = 99;

	(void)state;
	for (size_t len = 0; len < sizeof(aml); len++)
		assert_false(acpi_find_s5(aml, len, &a, &b));
	assert_int_equal(a, 99);
	assert_true(acpi_find_s5(aml, sizeof(aml), &a, &b));
	assert_int_equal(a, 1);
	assert_int_equal(b, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_usual_machine_is_understood),
	    cmocka_unit_test(a_bad_checksum_leaves_the_table_out),
	    cmocka_unit_test(bent_tables_are_survived),
	    cmocka_unit_test(s5_needs_a_whole_package),
	};

	return cmocka_run_group_tests_name("arch/acpi", tests, NULL, NULL);
}
