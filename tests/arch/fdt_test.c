/* SPDX-License-Identifier: MIT */
/* The device tree: blobs made here, whole and bent, through fdt_open(), fdt_next() and dt_decode(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/errno.h>
#include "../../arch/aarch64/dt.h"

/* ---- a writer ---- */

struct tree {
	uint8_t structure[8192], strings[1024], blob[16384];
	uint32_t structure_len, strings_len, total;
	uint64_t reserved[4]; /* pairs, ended by zeros */
};

static void put32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void word(struct tree *t, uint32_t value)
{
	put32(t->structure + t->structure_len, value);
	t->structure_len += 4;
}

static void bytes(struct tree *t, const void *data, uint32_t len)
{
	memcpy(t->structure + t->structure_len, data, len);
	t->structure_len += (len + 3) & ~3u;
}

static void node(struct tree *t, const char *name)
{
	word(t, FDT_NODE);
	bytes(t, name, (uint32_t)strlen(name) + 1);
}

static void end(struct tree *t)
{
	word(t, FDT_NODE_END);
}

static void property(struct tree *t, const char *name, const void *value, uint32_t len)
{
	word(t, FDT_PROPERTY);
	word(t, len);
	word(t, t->strings_len);
	bytes(t, value, len);
	strcpy((char *)t->strings + t->strings_len, name);
	t->strings_len += (uint32_t)strlen(name) + 1;
}

static void text(struct tree *t, const char *name, const char *value)
{
	property(t, name, value, (uint32_t)strlen(value) + 1);
}

#define cells(t, name, ...)                                                                                  \
	do {                                                                                                 \
		uint32_t list[] = {__VA_ARGS__};                                                             \
		uint8_t raw[sizeof(list)];                                                                   \
		for (size_t c = 0; c < sizeof(list) / 4; c++)                                                \
			put32(raw + 4 * c, list[c]);                                                         \
		property(t, name, raw, sizeof(list));                                                        \
	} while (0)

static void finish(struct tree *t)
{
	uint8_t *b = t->blob;
	uint32_t at_reserved = 40, at_structure = at_reserved + 48, at_strings;

	word(t, FDT_END);
	at_strings = at_structure + t->structure_len;
	t->total = at_strings + t->strings_len;
	uint32_t header[10] = {0xd00dfeed, t->total, at_structure,   at_strings,      at_reserved, 17,
			       16,	   0,	     t->strings_len, t->structure_len};
	for (int i = 0; i < 10; i++)
		put32(b + 4 * i, header[i]);
	for (int i = 0; i < 4; i++) {
		put32(b + at_reserved + 8 * i, (uint32_t)(t->reserved[i] >> 32));
		put32(b + at_reserved + 8 * i + 4, (uint32_t)t->reserved[i]);
	}
	memcpy(b + at_structure, t->structure, t->structure_len);
	memcpy(b + at_strings, t->strings, t->strings_len);
}

static struct tree *begin(void)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	node(t, "");
	cells(t, "#address-cells", 2);
	cells(t, "#size-cells", 2);
	text(t, "model", "test machine");
	return t;
}

/* An exact copy, so that a sanitizer sees what is read beyond. */
static int decode(const struct tree *t, uint32_t len, struct dt_machine *m)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct fdt fdt;

	assert_non_null(copy);
	memcpy(copy, t->blob, len);
	int error = fdt_open(copy, len, &fdt);
	if (error == 0)
		error = dt_decode(&fdt, m);
	free(copy);
	return error;
}

static struct dt_machine machine;

/* A machine much like QEMU's. */
static struct tree *virt(void)
{
	struct tree *t = begin();

	node(t, "psci");
	property(t, "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci", 35);
	text(t, "method", "hvc");
	end(t);
	node(t, "memory@40000000");
	text(t, "device_type", "memory");
	cells(t, "reg", 0, 0x40000000, 0, 0x10000000, 1, 0, 0, 0x1000);
	end(t);
	node(t, "cpus");
	cells(t, "#address-cells", 1);
	cells(t, "#size-cells", 0);
	for (uint32_t i = 0; i < 3; i++) {
		node(t, i == 0 ? "cpu@0" : i == 1 ? "cpu@1" : "cpu@100");
		text(t, "device_type", "cpu");
		cells(t, "reg", i == 2 ? 0x100 : i);
		if (i == 1)
			text(t, "status", "disabled");
		end(t);
	}
	end(t);
	node(t, "intc@8000000");
	text(t, "compatible", "arm,gic-v3");
	cells(t, "reg", 0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0xf60000);
	end(t);
	node(t, "timer");
	property(t, "compatible", "arm,armv8-timer\0arm,armv7-timer", 32);
	cells(t, "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
	end(t);
	node(t, "soc");
	cells(t, "#address-cells", 1);
	cells(t, "#size-cells", 1);
	cells(t, "ranges", 0x1000, 0, 0x9000000, 0x2000);
	node(t, "pl011@1000");
	property(t, "compatible", "arm,pl011\0arm,primecell", 24);
	cells(t, "reg", 0x1000, 0x1000);
	cells(t, "interrupts", 0, 1, 4);
	end(t);
	node(t, "pl011@2000");
	text(t, "compatible", "arm,pl011");
	cells(t, "reg", 0x2000, 0x1000);
	cells(t, "interrupts", 0, 2, 4);
	end(t);
	end(t);
	node(t, "chosen");
	text(t, "bootargs", "a=1 b");
	text(t, "stdout-path", "/soc/pl011@2000:115200n8");
	cells(t, "linux,initrd-start", 0x48000000);
	cells(t, "linux,initrd-end", 0, 0x48100000);
	property(t, "rng-seed", "0123456789", 10);
	end(t);
	node(t, "reserved-memory");
	cells(t, "#address-cells", 2);
	cells(t, "#size-cells", 2);
	property(t, "ranges", "", 0);
	node(t, "secure@40000000");
	cells(t, "reg", 0, 0x40000000, 0, 0x1000);
	end(t);
	end(t);
	end(t);
	t->reserved[0] = 0x4f000000;
	t->reserved[1] = 0x2000;
	finish(t);
	return t;
}

/* ---- tests ---- */

static void a_machine_is_read(void **state)
{
	struct tree *t = virt();
	struct dt_machine *m = &machine;

	(void)state;
	assert_int_equal(decode(t, t->total, m), 0);
	assert_string_equal(m->model, "test machine");
	assert_string_equal(m->cmdline, "a=1 b");
	assert_int_equal(m->memory_count, 2);
	assert_int_equal(m->memory[0].base, 0x40000000);
	assert_int_equal(m->memory[1].base, UINT64_C(1) << 32);
	assert_int_equal(m->initrd_start, 0x48000000);
	assert_int_equal(m->initrd_end, 0x48100000);
	assert_int_equal(m->seed_len, 10);
	assert_int_equal(m->cpu_count, 2);
	assert_int_equal(m->mpidr[1], 0x100);
	assert_int_equal(m->psci, DT_PSCI_HVC);
	assert_int_equal(m->psci_cpu_on, 0xc4000003);
	assert_int_equal(m->timer_line, 27);
	assert_int_equal(m->gic, DT_GIC_V3);
	assert_int_equal(m->gic_redistributors, 1);
	assert_int_equal(m->gic_redistributor[0].base, 0x80a0000);
	assert_int_equal(m->reserved_count, 2);
	assert_int_equal(m->reserved[0].base, 0x4f000000);
	free(t);
}

static void stdout_path_chooses_the_port_and_ranges_translate(void **state)
{
	struct tree *t = virt();

	(void)state;
	assert_int_equal(decode(t, t->total, &machine), 0);
	assert_int_equal(machine.uart.base, 0x9001000);
	assert_int_equal(machine.uart_line, 34);
	free(t);
}

static void a_tree_cut_anywhere_is_refused_or_read_in_part(void **state)
{
	struct tree *t = virt();

	(void)state;
	for (uint32_t len = 0; len < t->total; len++)
		assert_int_equal(decode(t, len, &machine), -EINVAL);
	free(t);
}

/* The header says less than there is: the blocks then stick out. */
static void a_shrunk_total_size_is_refused(void **state)
{
	struct tree *t = virt();

	(void)state;
	for (uint32_t total = 0; total < t->total; total++) {
		put32(t->blob + 4, total);
		assert_int_equal(decode(t, t->total, &machine), -EINVAL);
	}
	free(t);
}

static void bent_words_never_break_the_reader(void **state)
{
	static const uint32_t values[] = {0, 1, 2, 3, 4, 9, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
	struct tree *t = virt();
	uint8_t *original = malloc(t->total);

	(void)state;
	assert_non_null(original);
	memcpy(original, t->blob, t->total);
	for (uint32_t at = 0; at + 4 <= t->total; at += 4) {
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			put32(t->blob + at, values[v]);
			(void)decode(t, t->total, &machine);
			assert_true(machine.memory_count <= DT_MEMORY_MAX &&
				    machine.cpu_count <= DT_CPUS_MAX);
		}
		memcpy(t->blob + at, original + at, 4);
	}
	free(original);
	free(t);
}

static void a_missing_end_is_an_error_and_what_came_before_is_kept(void **state)
{
	struct tree *t = virt();

	(void)state;
	put32(t->blob + 88 + t->structure_len - 4, 0x77);
	assert_int_equal(decode(t, t->total, &machine), -EINVAL);
	assert_int_equal(machine.memory_count, 2);
	free(t);
}

static void deep_trees_are_passed_over(void **state)
{
	struct tree *t = begin();

	(void)state;
	for (int i = 0; i < 200; i++)
		node(t, "d");
	text(t, "compatible", "arm,pl011");
	for (int i = 0; i < 200; i++)
		end(t);
	end(t);
	end(t); /* one too many */
	finish(t);
	assert_int_equal(decode(t, t->total, &machine), 0);
	assert_int_equal(machine.uart.size, 0);
	free(t);
}

static void full_tables_are_counted(void **state)
{
	struct tree *t = begin();

	(void)state;
	for (uint32_t i = 0; i < DT_MEMORY_MAX + 5; i++) {
		node(t, "memory");
		text(t, "device_type", "memory");
		cells(t, "reg", i, 0, 0, 0x1000);
		end(t);
	}
	end(t);
	finish(t);
	assert_int_equal(decode(t, t->total, &machine), 0);
	assert_int_equal(machine.memory_count, DT_MEMORY_MAX);
	assert_int_equal(machine.left_out, 5);
	free(t);
}

static void a_long_command_line_is_cut(void **state)
{
	struct tree *t = begin();
	char line[HAL_CMDLINE_MAX + 100];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	node(t, "chosen");
	text(t, "bootargs", line);
	end(t);
	end(t);
	finish(t);
	assert_int_equal(decode(t, t->total, &machine), 0);
	assert_int_equal(strlen(machine.cmdline), HAL_CMDLINE_MAX - 1);
	assert_true(machine.cmdline_cut);
	free(t);
}

static void ranges_that_wrap_are_left_out(void **state)
{
	struct tree *t = begin();

	(void)state;
	node(t, "memory");
	text(t, "device_type", "memory");
	cells(t, "reg", 0xffffffff, 0xfffff000, 0, 0x10000);
	end(t);
	end(t);
	finish(t);
	assert_int_equal(decode(t, t->total, &machine), 0);
	assert_int_equal(machine.memory_count, 0);
	free(t);
}

static void pci_lines_and_windows_are_read(void **state)
{
	struct tree *t = begin();
	struct dt_pcie *p = &machine.pcie;

	(void)state;
	node(t, "pcie@10000000");
	text(t, "compatible", "pci-host-ecam-generic");
	cells(t, "reg", 0x40, 0x10000000, 0, 0x10000000);
	cells(t, "bus-range", 0, 255);
	cells(t, "ranges", 0x1000000, 0, 0, 0, 0x3eff0000, 0, 0x10000, /* ports: not memory */
	      0x2000000, 0, 0x10000000, 0, 0x10000000, 0, 0x2eff0000, 0x3000000, 0x80, 0, 0x80, 0, 0x80, 0);
	cells(t, "interrupt-map-mask", 0x1800, 0, 0, 7);
	cells(t, "interrupt-map", 0, 0, 0, 1, 0x8001, 0, 0, 0, 3, 4, 0x800, 0, 0, 2, 0x8001, 0, 0, 0, 5, 4);
	end(t);
	end(t);
	finish(t);
	assert_int_equal(decode(t, t->total, &machine), 0);
	assert_int_equal(p->ecam.base, UINT64_C(0x4010000000));
	assert_int_equal(p->window_count, 2);
	assert_int_equal(p->window[0].pci, 0x10000000);
	assert_true(p->window[1].wide);
	assert_int_equal(p->intx_count, 2);
	assert_int_equal(p->intx[0].line, 35);
	assert_int_equal(p->intx[1].devfn, 8);
	assert_int_equal(p->intx[1].pin, 2);
	assert_int_equal(p->intx[1].line, 37);
	free(t);
}

static void a_list_is_searched_by_whole_strings(void **state)
{
	static const uint8_t list[] = "one\0two\0three";

	(void)state;
	assert_true(fdt_list_has(list, sizeof(list), "two"));
	assert_true(fdt_list_has(list, sizeof(list), "three"));
	assert_false(fdt_list_has(list, sizeof(list), "tw"));
	assert_false(fdt_list_has(list, sizeof(list), "threes"));
	assert_false(fdt_list_has(list, sizeof(list) - 1, "three")); /* not terminated */
	assert_false(fdt_list_has(list, 0, "one"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_machine_is_read),
	    cmocka_unit_test(stdout_path_chooses_the_port_and_ranges_translate),
	    cmocka_unit_test(a_tree_cut_anywhere_is_refused_or_read_in_part),
	    cmocka_unit_test(a_shrunk_total_size_is_refused),
	    cmocka_unit_test(bent_words_never_break_the_reader),
	    cmocka_unit_test(a_missing_end_is_an_error_and_what_came_before_is_kept),
	    cmocka_unit_test(deep_trees_are_passed_over),
	    cmocka_unit_test(full_tables_are_counted),
	    cmocka_unit_test(a_long_command_line_is_cut),
	    cmocka_unit_test(ranges_that_wrap_are_left_out),
	    cmocka_unit_test(pci_lines_and_windows_are_read),
	    cmocka_unit_test(a_list_is_searched_by_whole_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
