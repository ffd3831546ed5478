/* SPDX-License-Identifier: MIT */
/*
 * The flattened device tree, as a stream of items: see <arch/fdt.h>. A tree comes from firmware or from
 * whoever wrote the disk image, so that every offset and length in it is checked against the block that it
 * points into before it is used.
 *
 * I1  structure, strings and reserved lie within the buffer given to fdt_open().
 * I2  The strings block ends in NUL, so that every offset into it is a string.
 * I3  fdt_next() moves the cursor by at least one token, or fails: a walk takes at most structure_len / 4
 * steps.
 */
#include <arch/fdt.h>
#include <linux/errno.h>

#define MAGIC	    0xd00dfeedu
#define VERSION_MIN 16 /* we read versions that are compatible with this one */
#define TOKEN_NOP   4

/* byte offsets in the header */
enum {
	AT_MAGIC = 0,
	AT_TOTAL_SIZE = 4,
	AT_STRUCTURE = 8,
	AT_STRINGS = 12,
	AT_RESERVED = 16,
	AT_VERSION = 20,
	AT_COMPATIBLE = 24,
	AT_STRINGS_LEN = 32,
	AT_STRUCTURE_LEN = 36,
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t fdt_cells(const uint8_t *value, unsigned cells)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < cells; i++)
		n = n << 32 | be32(value + 4 * i);
	return n;
}

uint32_t fdt_total_size(const void *blob)
{
	const uint8_t *p = blob;

	return be32(p + AT_MAGIC) == MAGIC ? be32(p + AT_TOTAL_SIZE) : 0;
}

/* The block [offset, offset+len) of the tree, or null where it sticks out. */
static const uint8_t *block(const uint8_t *blob, uint32_t total, uint32_t offset, uint32_t len)
{
	return offset <= total && len <= total - offset ? blob + offset : NULL;
}

int fdt_open(const void *blob, size_t len, struct fdt *ret)
{
	const uint8_t *p = blob;
	struct fdt fdt;

	if (len < FDT_HEADER_SIZE || fdt_total_size(p) < FDT_HEADER_SIZE)
		return -EINVAL;
	uint32_t total = fdt_total_size(p);
	if (total > len || be32(p + AT_COMPATIBLE) > VERSION_MIN + 1 || be32(p + AT_VERSION) <= VERSION_MIN)
		return -EINVAL;
	fdt.structure_len = be32(p + AT_STRUCTURE_LEN) & ~3u;
	fdt.structure = block(p, total, be32(p + AT_STRUCTURE), fdt.structure_len);
	fdt.strings_len = be32(p + AT_STRINGS_LEN);
	fdt.strings = block(p, total, be32(p + AT_STRINGS), fdt.strings_len);
	while (fdt.strings != NULL && fdt.strings_len > 0 && fdt.strings[fdt.strings_len - 1] != 0)
		fdt.strings_len--;
	fdt.reserved = block(p, total, be32(p + AT_RESERVED), 0);
	if (fdt.structure == NULL || fdt.strings == NULL || fdt.reserved == NULL)
		return -EINVAL;
	fdt.reserved_len = (uint32_t)(p + total - fdt.reserved);
	*ret = fdt;
	return 0;
}

bool fdt_reservation(const struct fdt *fdt, uint32_t i, uint64_t *ret_base, uint64_t *ret_size)
{
	if (i >= fdt->reserved_len / 16)
		return false;
	const uint8_t *entry = fdt->reserved + 16 * i;
	if (fdt_cells(entry, 2) == 0 && fdt_cells(entry + 8, 2) == 0)
		return false;
	*ret_base = fdt_cells(entry, 2);
	*ret_size = fdt_cells(entry + 8, 2);
	return true;
}

/* Length of the string at p, NUL not counted; -1 if none ends within max bytes. */
static int64_t string_length(const uint8_t *p, uint32_t max)
{
	for (uint32_t n = 0; n < max; n++) {
		if (p[n] == 0)
			return n;
	}
	return -1;
}

static int read_node(const struct fdt *fdt, uint32_t *cursor, struct fdt_item *ret)
{
	const uint8_t *name = fdt->structure + *cursor;
	int64_t len = string_length(name, fdt->structure_len - *cursor);

	if (len < 0)
		return -EINVAL;
	ret->name = (const char *)name;
	*cursor += ((uint32_t)len + 4) & ~3u; /* fits: structure_len is a multiple of 4 */
	return 0;
}

static int read_property(const struct fdt *fdt, uint32_t *cursor, struct fdt_item *ret)
{
	uint32_t left = fdt->structure_len - *cursor;

	if (left < 8)
		return -EINVAL;
	const uint8_t *p = fdt->structure + *cursor;
	uint32_t len = be32(p), name = be32(p + 4);
	left -= 8;
	if (len > left || name >= fdt->strings_len)
		return -EINVAL;
	ret->name = (const char *)fdt->strings + name;
	ret->value = p + 8;
	ret->len = len;
	*cursor += 8 + ((len + 3) & ~3u); /* cannot wrap or pass the end: left is a multiple of 4 */
	return 0;
}

int fdt_next(const struct fdt *fdt, uint32_t *cursor, struct fdt_item *ret)
{
	struct fdt_item item = {0};
	uint32_t at = *cursor, token;
	int error = 0;

	do {
		if (at > fdt->structure_len || fdt->structure_len - at < 4)
			return -EINVAL;
		token = be32(fdt->structure + at);
		at += 4;
	} while (token == TOKEN_NOP);
	switch (token) {
	case FDT_NODE:
		error = read_node(fdt, &at, &item);
		break;
	case FDT_PROPERTY:
		error = read_property(fdt, &at, &item);
		break;
	case FDT_NODE_END:
	case FDT_END:
		break;
	default:
		error = -EINVAL;
	}
	if (error != 0)
		return error;
	item.token = (enum fdt_token)token;
	*ret = item;
	*cursor = at;
	return 0;
}

bool fdt_list_has(const uint8_t *value, uint32_t len, const char *wanted)
{
	uint32_t at = 0;

	while (at < len) {
		int64_t n = string_length(value + at, len - at);

		if (n < 0)
			return false;
		for (uint32_t i = 0; wanted[i] == (char)value[at + i]; i++) {
			if (wanted[i] == 0)
				return true;
		}
		at += (uint32_t)n + 1;
	}
	return false;
}
