/* SPDX-License-Identifier: MIT */
/*
 * Zstandard frames (RFC 8878), by the library's streaming decoder in a static workspace.
 *
 * The frame's header tells the window, thus the workspace. The library's own flush buffer is in it as well; each
 * full piece of output goes from a buffer at the workspace's end to the sink.
 */

#define ZSTD_STATIC_LINKING_ONLY

#include "decompress_internal.h"

#include <cloudos/errno.h>
#include <zstd.h>

#define WINDOW_MAX (8u << 20) /* 8 MiB: what RFC 8878, section 3.1.1.1.2, asks of every decoder */
#define PIECE_SIZE (64u << 10)

int zstd_work_size(const uint8_t *data, size_t len, size_t *ret_size)
{
	ZSTD_frameHeader header;

	if (ZSTD_getFrameHeader(&header, data, len) != 0)
		return -EINVAL;
	if (header.windowSize > WINDOW_MAX)
		return -EFBIG;
	size_t size = ZSTD_estimateDStreamSize(header.windowSize);
	if (ZSTD_isError(size))
		return -EINVAL;
	*ret_size = size + PIECE_SIZE;
	return 0;
}

int zstd_decompress(const uint8_t *data, size_t len, void *work, size_t work_len, struct decompress_sink *sink,
		    size_t *ret_used)
{
	uint8_t *piece = (uint8_t *)work + work_len - PIECE_SIZE;
	ZSTD_DStream *stream = ZSTD_initStaticDStream(work, work_len - PIECE_SIZE);
	ZSTD_inBuffer in = {.src = data, .size = len};
	size_t left;

	if (!stream)
		return -ENOBUFS;
	do {
		ZSTD_outBuffer out = {.dst = piece, .size = PIECE_SIZE};
		size_t before = in.pos;

		left = ZSTD_decompressStream(stream, &out, &in);
		if (ZSTD_isError(left))
			return -EILSEQ;
		if (out.pos == 0 && in.pos == before && left != 0)
			return -EINVAL; /* truncated: no progress, not at the end */
		if (out.pos > 0) {
			int err = sink->write(sink, piece, out.pos);
			if (err)
				return err;
		}
	} while (left != 0);
	*ret_used = in.pos;
	return 0;
}
