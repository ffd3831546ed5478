/* SPDX-License-Identifier: MIT */
/* Decompression: tells the formats apart by their first four bytes and hands over to the one that it is. */

#include "decompress_internal.h"

#include <cloudos/errno.h>

struct decompressor {
	const char *name;
	uint32_t magic; /* first four bytes, little-endian */
	int (*work_size)(const uint8_t *data, size_t len, size_t *ret_size);
	int (*run)(const uint8_t *data, size_t len, void *work, size_t work_len, struct decompress_sink *sink,
		   size_t *ret_used);
};

static const struct decompressor decompressors[] = {
	[COMPRESS_NONE] = {"no compression", 0, NULL, NULL},
	[COMPRESS_LZ4] = {"LZ4", LZ4_FRAME_MAGIC, lz4_frame_work_size, lz4_frame_decompress},
	[COMPRESS_LZ4_LEGACY] = {"legacy LZ4", LZ4_LEGACY_MAGIC, lz4_legacy_work_size, lz4_legacy_decompress},
	[COMPRESS_ZSTD] = {"Zstandard", ZSTD_FRAME_MAGIC, zstd_work_size, zstd_decompress},
};

enum compress_format compress_format_detect(const void *data, size_t len)
{
	if (len < 4)
		return COMPRESS_NONE;
	for (enum compress_format format = COMPRESS_LZ4; format <= COMPRESS_ZSTD; format++) {
		if (read_le32(data) == decompressors[format].magic)
			return format;
	}
	return COMPRESS_NONE;
}

const char *compress_format_name(enum compress_format format)
{
	return decompressors[format].name;
}

int decompress_work_size(const void *data, size_t len, size_t *ret_size)
{
	enum compress_format format = compress_format_detect(data, len);

	if (format == COMPRESS_NONE)
		return -EINVAL;
	return decompressors[format].work_size(data, len, ret_size);
}

int decompress(const void *data, size_t len, void *work, size_t work_len, struct decompress_sink *sink,
	       size_t *ret_used)
{
	enum compress_format format = compress_format_detect(data, len);
	size_t needed;

	if (format == COMPRESS_NONE)
		return -EINVAL;
	int err = decompressors[format].work_size(data, len, &needed);
	if (err)
		return err;
	if (work_len < needed)
		return -ENOBUFS;
	return decompressors[format].run(data, len, work, work_len, sink, ret_used);
}
