/* SPDX-License-Identifier: MIT */
/*
 * The cpio reader on any bytes. The input is fed twice: at once, and in pieces whose lengths its own first byte gives; both must tell the same
 * story. What the sink is told must hold: names and targets end, data never exceed what the entry promised.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../src/kernel/vfs/cpio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(expression)            \
	do {                         \
		if (!(expression))   \
			abort();     \
	} while (0)

struct story {
	struct cpio_sink sink;
	uint64_t hash;
	uint32_t promised, got;
	int open;
};

static void tell(struct story *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		s->hash = (s->hash ^ p[i]) * UINT64_C(0x100000001b3);
}

static struct story *story_of(struct cpio_sink *sink)
{
	return (struct story *)(void *)((char *)sink - offsetof(struct story, sink));
}

static void on_entry(struct cpio_sink *sink, const struct cpio_entry *e)
{
	struct story *s = story_of(sink);

	CHECK(!s->open);
	s->open = 1;
	s->promised = e->size;
	s->got = 0;
	CHECK(strlen(e->name) < CPIO_NAME_MAX);
	tell(s, e->name, strlen(e->name) + 1);
	tell(s, &e->mode, sizeof(e->mode));
}

static void on_data(struct cpio_sink *sink, const void *data, size_t len)
{
	struct story *s = story_of(sink);

	CHECK(s->open && len > 0 && len <= s->promised - s->got);
	s->got += (uint32_t)len;
	tell(s, data, len);
}

static void on_symlink(struct cpio_sink *sink, const struct cpio_entry *e, const char *target)
{
	CHECK(story_of(sink)->open && strlen(target) == e->size);
	tell(story_of(sink), target, e->size);
}

static void on_end(struct cpio_sink *sink, const struct cpio_entry *e, bool good)
{
	struct story *s = story_of(sink);

	CHECK(s->open);
	CHECK((e->mode & 0170000) != 0100000 || s->got == s->promised);
	s->open = 0;
	tell(s, &good, sizeof(good));
}

static void on_trailer(struct cpio_sink *sink)
{
	CHECK(!story_of(sink)->open);
	tell(story_of(sink), "T", 1);
}

/* Feeds in pieces of up to `piece` bytes; the hash of the whole story. */
static uint64_t feed(const uint8_t *data, size_t size, size_t piece)
{
	static struct cpio c;
	struct story s = { .sink = { on_entry, on_data, on_symlink, on_end, on_trailer } };
	size_t at = 0;
	int error = 0;

	cpio_init(&c, &s.sink);
	while (at < size && !error) {
		size_t len = size - at < piece ? size - at : piece, used = len + 1;

		error = cpio_feed(&c, data + at, len, &used);
		CHECK(used <= len);
		at += used;
		CHECK(error || c.offset == at);
		if (!error && used < len)
			break; /* no archive from here on */
	}
	CHECK(!error == !c.error);
	tell(&s, &error, sizeof(error));
	tell(&s, &at, sizeof(at));
	return s.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	CHECK(feed(data + 1, size - 1, SIZE_MAX) == feed(data + 1, size - 1, (size_t)data[0] % 37 + 1));
	return 0;
}
