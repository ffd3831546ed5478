/* SPDX-License-Identifier: MIT */
/*
 * LZ4: the frame format (lz4_Frame_format.md, version 1.6.2) and the legacy format that boot images carry. The
 * blocks are the library's to decode; the frames around them are taken apart here, since the input lies in
 * memory and a block is then decoded from where it is.
 *
 * Workspace of a frame: 64 KiB of history, then one block's output. A frame whose blocks are linked may refer to
 * the last 64 KiB before the block, so that the end of each output is moved into the history. A skippable frame
 * is no LZ4 frame and ends the matter (the caller sees its magic number). Dictionaries are not taken.
 */

#define XXH_STATIC_LINKING_ONLY /* the state by value */

#include "decompress_internal.h"

#include <cloudos/errno.h>
#include <lz4.h>
#include <xxhash.h>

#define HISTORY_SIZE	  (64u << 10)
#define LEGACY_BLOCK_SIZE (8u << 20) /* output of one legacy block, at most */

#define FLG_VERSION(flg)	  ((flg) >> 6)
#define FLG_BLOCKS_INDEPENDENT	  0x20u
#define FLG_BLOCK_CHECKSUM	  0x10u
#define FLG_CONTENT_SIZE	  0x08u
#define FLG_CONTENT_CHECKSUM	  0x04u
#define FLG_RESERVED		  0x02u
#define FLG_DICTIONARY		  0x01u
#define BLOCK_STORED		  0x80000000u /* in a block's length word: not compressed */

/* A frame's header, taken apart. */
struct lz4_frame {
	uint8_t flags;
	size_t block_max; /* output bytes of one block */
	size_t header_len;
};

/* What is decoded so far. */
struct lz4_output {
	uint8_t *block;	    /* HISTORY_SIZE bytes lie in front of it */
	size_t history_len; /* how many of those are valid */
	XXH32_state_t checksum;
	struct decompress_sink *sink;
};

static int frame_header(const uint8_t *data, size_t len, struct lz4_frame *ret)
{
	if (len < 7)
		return -EINVAL;
	uint8_t flags = data[4], descriptor = data[5];
	unsigned code = descriptor >> 4 & 7;
	size_t header_len = 7 + (flags & FLG_CONTENT_SIZE ? 8 : 0);

	if (FLG_VERSION(flags) != 1 || flags & (FLG_RESERVED | FLG_DICTIONARY) || descriptor & 0x8f || code < 4)
		return -EINVAL;
	if (len < header_len || (uint8_t)(XXH32(data + 4, header_len - 5, 0) >> 8) != data[header_len - 1])
		return -EINVAL;
	*ret = (struct lz4_frame){flags, (size_t)1 << (8 + 2 * code), header_len};
	return 0;
}

int lz4_frame_work_size(const uint8_t *data, size_t len, size_t *ret_size)
{
	struct lz4_frame frame;
	int err = frame_header(data, len, &frame);

	if (err)
		return err;
	*ret_size = HISTORY_SIZE + frame.block_max;
	return 0;
}

/* Keeps the last 64 KiB of history and block together in front of the next block. */
static void history_keep(struct lz4_output *out, size_t block_len)
{
	size_t total = out->history_len + block_len;
	size_t keep = total < HISTORY_SIZE ? total : HISTORY_SIZE;

	__builtin_memmove(out->block - keep, out->block + block_len - keep, keep);
	out->history_len = keep;
}

/* Decodes one block of `size` input bytes and hands its output on. */
static int frame_block(const struct lz4_frame *frame, struct lz4_output *out, const uint8_t *in, size_t size,
		       bool stored)
{
	size_t len = size;
	const uint8_t *result = in;

	if (size > frame->block_max)
		return -EILSEQ;
	if (stored) {
		__builtin_memcpy(out->block, in, size);
	} else {
		int n = LZ4_decompress_safe_usingDict((const char *)in, (char *)out->block, (int)size,
						      (int)frame->block_max,
						      (const char *)out->block - out->history_len,
						      (int)out->history_len);
		if (n < 0)
			return -EILSEQ;
		len = (size_t)n;
		result = out->block;
	}
	if (len == 0)
		return 0;
	if (frame->flags & FLG_CONTENT_CHECKSUM)
		(void)XXH32_update(&out->checksum, result, len);
	int err = out->sink->write(out->sink, result, len);
	if (!err && !(frame->flags & FLG_BLOCKS_INDEPENDENT))
		history_keep(out, len);
	return err;
}

/* The frame's end: the checksum of all output, where the frame has one. */
static int frame_end(const struct lz4_frame *frame, struct lz4_output *out, const uint8_t *data, size_t len, size_t at,
		     size_t *ret_used)
{
	if (frame->flags & FLG_CONTENT_CHECKSUM) {
		if (len - at < 4)
			return -EINVAL;
		if (read_le32(data + at) != XXH32_digest(&out->checksum))
			return -EILSEQ;
		at += 4;
	}
	*ret_used = at;
	return 0;
}

int lz4_frame_decompress(const uint8_t *data, size_t len, void *work, size_t work_len, struct decompress_sink *sink,
			 size_t *ret_used)
{
	struct lz4_output out = {.block = (uint8_t *)work + HISTORY_SIZE, .sink = sink};
	struct lz4_frame frame;
	int err = frame_header(data, len, &frame);

	(void)work_len; /* the caller checked it against lz4_frame_work_size() */
	if (err)
		return err;
	(void)XXH32_reset(&out.checksum, 0);
	size_t trailer = frame.flags & FLG_BLOCK_CHECKSUM ? 4 : 0;
	size_t at = frame.header_len;
	while (len - at >= 4) {
		uint32_t word = read_le32(data + at);
		size_t size = word & ~BLOCK_STORED;

		at += 4;
		if (word == 0)
			return frame_end(&frame, &out, data, len, at, ret_used);
		if (len - at < size + trailer)
			return -EINVAL;
		if (trailer && read_le32(data + at + size) != XXH32(data + at, size, 0))
			return -EILSEQ;
		err = frame_block(&frame, &out, data + at, size, word & BLOCK_STORED);
		if (err)
			return err;
		at += size + trailer;
	}
	return -EINVAL; /* truncated: the end mark is missing */
}

int lz4_legacy_work_size(const uint8_t *data, size_t len, size_t *ret_size)
{
	(void)data;
	(void)len;
	*ret_size = LEGACY_BLOCK_SIZE;
	return 0;
}

/* The format has no end mark: it ends with the input, or where a length cannot be one (padding, another magic). */
int lz4_legacy_decompress(const uint8_t *data, size_t len, void *work, size_t work_len, struct decompress_sink *sink,
			  size_t *ret_used)
{
	size_t at = 4;

	(void)work_len;
	while (len - at >= 4) {
		size_t size = read_le32(data + at);

		if (size == 0 || size > (size_t)LZ4_COMPRESSBOUND(LEGACY_BLOCK_SIZE))
			break;
		if (len - at - 4 < size)
			return -EINVAL;
		int n = LZ4_decompress_safe((const char *)data + at + 4, work, (int)size, LEGACY_BLOCK_SIZE);
		if (n < 0)
			return -EILSEQ;
		int err = n > 0 ? sink->write(sink, work, (size_t)n) : 0;
		if (err)
			return err;
		at += 4 + size;
	}
	*ret_used = at;
	return 0;
}
