/* SPDX-License-Identifier: MIT */
/* ACPI's tables of an aarch64 machine: made here, whole and bent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/errno.h>
#include "../../arch/aarch64/acpi.h"

#define BASE 0x10000u

static uint8_t memory[4096], rsdp[36];
static uint32_t used;
static struct dt_machine machine;

static const void *map(const struct physwin *w, paddr_t pa, size_t len)
{
	(void)w;
	return pa >= BASE && len <= used && pa - BASE <= used - len ? memory + (pa - BASE) : NULL;
}

static const struct physwin window = {map};

static void put(uint8_t *at, uint64_t value, unsigned len)
{
	memcpy(at, &value, len);
}

static void seal(uint8_t *p, uint32_t len, uint32_t at)
{
	uint8_t sum = 0;

	p[at] = 0;
	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	p[at] = (uint8_t)-sum;
}

/* A table of zeros with a header. */
static uint8_t *table(const char *signature, uint32_t len)
{
	uint8_t *t = memory + used;

	memset(t, 0, len);
	memcpy(t, signature, 4);
	put(t + 4, len, 4);
	used += (len + 15) & ~15u;
	return t;
}

static void madt(uint8_t *t)
{
	uint8_t *cpu = t + 44, *dist = cpu + 2 * 80, *redist = dist + 24;

	for (unsigned i = 0; i < 2; i++, cpu += 80) {
		cpu[0] = 0x0b;
		cpu[1] = 80;
		put(cpu + 12, 1, 4);
		put(cpu + 68, i == 0 ? 0 : 0x100, 8);
	}
	dist[0] = 0x0c;
	dist[1] = 24;
	put(dist + 8, 0x8000000, 8);
	dist[20] = 3;
	redist[0] = 0x0e;
	redist[1] = 16;
	put(redist + 4, 0x80a0000, 8);
	put(redist + 12, 0xf60000, 4);
}

/* Five tables and their root, all sums right. */
static void build(void)
{
	static const char names[5][5] = {"APIC", "GTDT", "SPCR", "FACP", "MCFG"};
	static const uint32_t sizes[5] = {44 + 160 + 24 + 16, 104, 80, 276, 60};
	uint8_t *t[5], *root;

	used = 0;
	for (unsigned i = 0; i < 5; i++)
		t[i] = table(names[i], sizes[i]);
	madt(t[0]);
	put(t[1] + 64, 27, 4);
	t[2][36] = 3;
	put(t[2] + 44, 0x9000000, 8);
	put(t[2] + 54, 33, 4);
	put(t[3] + 129, 3, 2);
	put(t[4] + 44, UINT64_C(0x4010000000), 8);
	t[4][55] = 255;
	root = table("XSDT", 36 + 5 * 8);
	for (unsigned i = 0; i < 5; i++) {
		put(root + 36 + 8 * i, BASE + (uint64_t)(t[i] - memory), 8);
		seal(t[i], sizes[i], 9);
	}
	seal(root, 36 + 5 * 8, 9);
	memset(rsdp, 0, sizeof(rsdp));
	memcpy(rsdp, "RSD PTR ", 8);
	rsdp[15] = 2;
	put(rsdp + 24, BASE + (uint64_t)(root - memory), 8);
	seal(rsdp, 20, 8);
	seal(rsdp, 36, 32);
}

static int decode(void)
{
	memset(&machine, 0, sizeof(machine));
	return acpi_decode(&window, rsdp, sizeof(rsdp), &machine);
}

static void a_machine_is_read(void **state)
{
	(void)state;
	build();
	assert_int_equal(decode(), 0);
	assert_int_equal(machine.cpu_count, 2);
	assert_int_equal(machine.mpidr[1], 0x100);
	assert_int_equal(machine.gic, DT_GIC_V3);
	assert_int_equal(machine.gic_distributor.base, 0x8000000);
	assert_int_equal(machine.gic_redistributors, 1);
	assert_int_equal(machine.gic_redistributor[0].size, 0xf60000);
	assert_int_equal(machine.timer_line, 27);
	assert_int_equal(machine.uart.base, 0x9000000);
	assert_int_equal(machine.uart_line, 33);
	assert_int_equal(machine.psci, DT_PSCI_HVC);
	assert_int_equal(machine.pcie.ecam.base, UINT64_C(0x4010000000));
	assert_int_equal(machine.pcie.ecam.size, UINT64_C(256) << 20);
}

static void a_table_with_a_bad_sum_is_not_there(void **state)
{
	(void)state;
	build();
	memory[9]++;
	assert_int_equal(decode(), 0);
	assert_int_equal(machine.cpu_count, 0);
	assert_int_equal(machine.gic, DT_GIC_NONE);
	assert_int_equal(machine.timer_line, 27);
}

static void bent_bytes_never_break_the_reader(void **state)
{
	static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff};

	(void)state;
	build();
	for (uint32_t at = 0; at < used; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			build();
			memory[at] = values[v];
			for (uint32_t t = 0; t + 36 <= used; t += 16) {
				uint32_t len;

				memcpy(&len, memory + t + 4, 4);
				if (len >= 36 && len <= used - t)
					seal(memory + t, len, 9);
			}
			(void)decode();
			assert_true(machine.cpu_count <= DT_CPUS_MAX);
		}
	}
}

static void cut_memory_is_no_table(void **state)
{
	(void)state;
	build();
	uint32_t all = used;
	for (uint32_t len = 0; len < all; len++) {
		used = len;
		(void)decode();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_is_read),
		cmocka_unit_test(a_table_with_a_bad_sum_is_not_there),
		cmocka_unit_test(bent_bytes_never_break_the_reader),
		cmocka_unit_test(cut_memory_is_no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
