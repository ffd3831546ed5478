/* SPDX-License-Identifier: MIT */
/*
 * Reads a flattened device tree (Devicetree Specification 0.4, chapter 5). Pure functions over a buffer:
 * nothing is copied or changed, no byte outside the buffer is read whatever the tree says, and every walk
 * ends.
 */
#ifndef ARCH_FDT_H
#define ARCH_FDT_H

#include <hal/types.h>

#define FDT_HEADER_SIZE 40

struct fdt {
	const uint8_t *structure, *strings, *reserved;
	uint32_t structure_len, strings_len, reserved_len;
};

enum fdt_token {
	FDT_NODE = 1, /* name                                                    */
	FDT_NODE_END = 2,
	FDT_PROPERTY = 3, /* name, value, len                                    */
	FDT_END = 9,
};

struct fdt_item {
	enum fdt_token token;
	const char *name; /* NUL terminated inside the tree */
	const uint8_t *value;
	uint32_t len;
};

/* Size of the tree that begins at `blob`, of which FDT_HEADER_SIZE bytes can be read; 0 when there is none.
 */
uint32_t fdt_total_size(const void *blob);

/* 0, or -EINVAL when the header does not describe a tree within blob[0..len). Borrows blob. */
int fdt_open(const void *blob, size_t len, struct fdt *ret);

/* The item at *cursor (first 0), which moves on. 0, or -EINVAL where the tree is broken: the walk ends there.
 */
int fdt_next(const struct fdt *fdt, uint32_t *cursor, struct fdt_item *ret);

/* Entry i of the memory reservation block; false at its end. */
bool fdt_reservation(const struct fdt *fdt, uint32_t i, uint64_t *ret_base, uint64_t *ret_size);

/* A big-endian number of 32-bit cells at value; of more than two cells, the last two. */
uint64_t fdt_cells(const uint8_t *value, unsigned cells);

/* True if the list of NUL-terminated strings value[0..len) has `wanted`. A string without NUL is none. */
bool fdt_list_has(const uint8_t *value, uint32_t len, const char *wanted);

#endif
