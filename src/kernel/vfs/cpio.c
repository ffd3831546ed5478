/* SPDX-License-Identifier: MIT */
/*
 * The cpio reader: a state machine over a stream of bytes.
 *
 *   BETWEEN ─'0'─► HEADER ─► NAME ─► SKIP (to 4 bytes) ─► DATA ─► SKIP ─► BETWEEN ...
 *                                      └─ no data, or the trailer ──────────┘
 *
 * Nothing in a header is believed beyond what is checked here: eight hexadecimal digits a field; a name of 1 to CPIO_NAME_MAX bytes that
 * ends in its only NUL; a link target shorter than CPIO_NAME_MAX without a NUL. Sizes need no check: a file's data are passed on as
 * they come, so an absurd size ends in the end of the input or the sink's refusal.
 */
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <linux/stat.h>
#include "cpio.h"

#define MAGIC	    "070701"
#define MAGIC_CHECK "070702"
#define MAGIC_LEN   6
#define FIELD_LEN   8
#define TRAILER	    "TRAILER!!!"

enum field { F_INO, F_MODE, F_UID, F_GID, F_NLINK, F_MTIME, F_SIZE, F_DEV_MAJOR, F_DEV_MINOR, F_RDEV_MAJOR, F_RDEV_MINOR, F_NAME_LEN, F_CHECK, FIELDS };
_Static_assert(MAGIC_LEN + FIELDS * FIELD_LEN == CPIO_HEADER_LEN, "newc's header");

void cpio_init(struct cpio *c, struct cpio_sink *sink)
{
	memset(c, 0, offsetof(struct cpio, header));
	c->sink = sink;
}

static int fail(struct cpio *c, const char *error)
{
	c->error = error;
	return -EINVAL;
}

static int hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch |= 0x20;
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static bool parse_field(const char *text, uint32_t *ret)
{
	uint32_t value = 0;

	for (int i = 0; i < FIELD_LEN; i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (uint32_t)digit;
	}
	*ret = value;
	return true;
}

static int parse_header(struct cpio *c)
{
	uint32_t f[FIELDS];

	c->has_check = memcmp(c->header, MAGIC_CHECK, MAGIC_LEN) == 0;
	if (!c->has_check && memcmp(c->header, MAGIC, MAGIC_LEN) != 0)
		return fail(c, "bad magic");
	for (int i = 0; i < FIELDS; i++)
		if (!parse_field(c->header + MAGIC_LEN + i * FIELD_LEN, &f[i]))
			return fail(c, "a header field is no number");
	if (f[F_NAME_LEN] == 0 || f[F_NAME_LEN] > CPIO_NAME_MAX)
		return fail(c, "absurd length of a name");
	c->entry = (struct cpio_entry){ c->name,	 f[F_INO],	 f[F_MODE],	 f[F_UID],
					f[F_GID],	 f[F_NLINK],	 f[F_MTIME],	 f[F_SIZE],
					f[F_DEV_MAJOR], f[F_DEV_MINOR], f[F_RDEV_MAJOR], f[F_RDEV_MINOR] };
	if (S_ISLNK(f[F_MODE]) && (f[F_SIZE] == 0 || f[F_SIZE] >= CPIO_NAME_MAX))
		return fail(c, "absurd length of a link target");
	c->name_len = f[F_NAME_LEN];
	c->left = f[F_SIZE];
	c->check = f[F_CHECK];
	c->sum = 0;
	return 0;
}

/* Bytes up to the next multiple of 4. */
static uint32_t padding(uint32_t len)
{
	return -len & 3;
}

static void skip_then(struct cpio *c, uint32_t bytes, bool in_data)
{
	c->skip = bytes;
	c->in_data = in_data;
	c->state = CPIO_SKIP;
}

/* The data, or what there is instead of data, are complete. */
static int end_entry(struct cpio *c)
{
	bool good = !c->has_check || !S_ISREG(c->entry.mode) || c->sum == c->check;

	if (S_ISLNK(c->entry.mode)) {
		c->target[c->entry.size] = '\0';
		if (strlen(c->target) != c->entry.size)
			return fail(c, "a link target holds a NUL");
		c->sink->symlink(c->sink, &c->entry, c->target);
	}
	c->sink->end(c->sink, &c->entry, good);
	skip_then(c, c->pad, false);
	return 0;
}

static int begin_entry(struct cpio *c)
{
	if (c->name[c->name_len - 1] != '\0')
		return fail(c, "a name without a NUL at its end");
	if (strlen(c->name) != c->name_len - 1)
		return fail(c, "a name with a NUL inside");
	c->pad = padding(c->left);
	if (str_equal(c->name, TRAILER)) {
		c->sink->trailer(c->sink);
		c->left = 0;
		skip_then(c, padding(CPIO_HEADER_LEN + c->name_len), false);
		return 0;
	}
	c->sink->entry(c->sink, &c->entry);
	skip_then(c, padding(CPIO_HEADER_LEN + c->name_len), true);
	return 0;
}

/* Collects up to `want` bytes of a text; true when it is complete. */
static bool collect(struct cpio *c, char *text, uint32_t want, const uint8_t **p, size_t *len)
{
	uint32_t n = want - c->have;

	if (n > *len)
		n = (uint32_t)*len;
	memcpy(text + c->have, *p, n);
	c->have += n;
	*p += n;
	*len -= n;
	if (c->have < want)
		return false;
	c->have = 0;
	return true;
}

/* True if the byte begins something that is not an archive's. */
static bool feed_between(struct cpio *c, const uint8_t **p, size_t *len)
{
	while (*len && **p == 0) {
		++*p;
		--*len;
	}
	if (!*len)
		return false;
	if (**p != '0')
		return true;
	c->state = CPIO_HEADER;
	return false;
}

static int feed_data(struct cpio *c, const uint8_t **p, size_t *len)
{
	uint32_t n = c->left < *len ? c->left : (uint32_t)*len;

	if (S_ISLNK(c->entry.mode)) {
		memcpy(c->target + (c->entry.size - c->left), *p, n);
	} else if (S_ISREG(c->entry.mode) && n) {
		if (c->has_check)
			for (uint32_t i = 0; i < n; i++)
				c->sum += (*p)[i];
		c->sink->data(c->sink, *p, n);
	}
	c->left -= n;
	*p += n;
	*len -= n;
	return c->left ? 0 : end_entry(c);
}

static void feed_skip(struct cpio *c, const uint8_t **p, size_t *len)
{
	uint32_t n = c->skip < *len ? c->skip : (uint32_t)*len;

	c->skip -= n;
	*p += n;
	*len -= n;
	if (!c->skip)
		c->state = c->in_data ? CPIO_DATA : CPIO_BETWEEN;
}

static int feed_header(struct cpio *c, const uint8_t **p, size_t *len)
{
	if (!collect(c, c->header, CPIO_HEADER_LEN, p, len))
		return 0;
	c->state = CPIO_NAME;
	return parse_header(c);
}

static int feed_name(struct cpio *c, const uint8_t **p, size_t *len)
{
	return collect(c, c->name, c->name_len, p, len) ? begin_entry(c) : 0;
}

/* A state that needs no input goes on without. */
static bool needs_input(const struct cpio *c)
{
	return !((c->state == CPIO_SKIP && !c->skip) || (c->state == CPIO_DATA && !c->left));
}

int cpio_feed(struct cpio *c, const void *data, size_t len, size_t *ret_used)
{
	const uint8_t *p = data;
	int error = 0;
	bool foreign = false;

	while (!error && !foreign && (len || !needs_input(c))) {
		const uint8_t *before = p;

		switch (c->state) {
		case CPIO_BETWEEN:
			foreign = feed_between(c, &p, &len);
			c->entry_offset = c->offset + (uint64_t)(p - before);
			break;
		case CPIO_HEADER:
			error = feed_header(c, &p, &len);
			break;
		case CPIO_NAME:
			error = feed_name(c, &p, &len);
			break;
		case CPIO_DATA:
			error = feed_data(c, &p, &len);
			break;
		case CPIO_SKIP:
			feed_skip(c, &p, &len);
			break;
		}
		c->offset += (uint64_t)(p - before);
	}
	*ret_used = (size_t)(p - (const uint8_t *)data);
	return error;
}

const char *cpio_incomplete(const struct cpio *c)
{
	switch (c->state) {
	case CPIO_HEADER:
		return "the end came inside a header";
	case CPIO_NAME:
		return "the end came inside a name";
	case CPIO_DATA:
		return "the end came inside a file's data";
	case CPIO_SKIP:
		return c->in_data && c->left ? "the end came before a file's data" : NULL;
	default:
		return NULL;
	}
}
