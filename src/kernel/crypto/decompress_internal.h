/* SPDX-License-Identifier: MIT */
/* One pair of functions a format, as in <cloudos/compress.h>; decompress.c chooses. */
#ifndef DECOMPRESS_INTERNAL_H
#define DECOMPRESS_INTERNAL_H

#include <cloudos/compress.h>

#include <stdbool.h>

#define LZ4_FRAME_MAGIC	 0x184D2204u
#define LZ4_LEGACY_MAGIC 0x184C2102u
#define ZSTD_FRAME_MAGIC 0xFD2FB528u

static inline uint32_t read_le32(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

int lz4_frame_work_size(const uint8_t *data, size_t len, size_t *ret_size);
int lz4_frame_decompress(const uint8_t *data, size_t len, void *work, size_t work_len, struct decompress_sink *sink,
			 size_t *ret_used);

int lz4_legacy_work_size(const uint8_t *data, size_t len, size_t *ret_size);
int lz4_legacy_decompress(const uint8_t *data, size_t len, void *work, size_t work_len, struct decompress_sink *sink,
			  size_t *ret_used);

int zstd_work_size(const uint8_t *data, size_t len, size_t *ret_size);
int zstd_decompress(const uint8_t *data, size_t len, void *work, size_t work_len, struct decompress_sink *sink,
		    size_t *ret_used);

#endif
