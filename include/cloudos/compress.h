/* SPDX-License-Identifier: MIT */
/*
 * Decompression of data that lies in memory, piece by piece into a sink, in a workspace of the caller's.
 *
 * One call takes one frame: an LZ4 frame, the legacy LZ4 format (what `lz4 -l` writes) or a Zstandard frame.
 * What follows it in the input is the caller's to look at. Nothing is allocated and no lock is taken; the
 * input may be hostile. Any context that may run for milliseconds.
 */
#ifndef CLOUDOS_COMPRESS_H
#define CLOUDOS_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

/* No frame that needs more workspace than this is taken (Zstandard: windows up to 8 MiB). */
#define DECOMPRESS_WORK_MAX (17u << 20)

enum compress_format {
	COMPRESS_NONE, /* no format known here */
	COMPRESS_LZ4,
	COMPRESS_LZ4_LEGACY,
	COMPRESS_ZSTD,
};

/* Takes len (> 0) bytes of output, in order; they are gone after the call. 0, or an errno that ends it all. */
struct decompress_sink {
	int (*write)(struct decompress_sink *sink, const void *data, size_t len);
};

/* What the first bytes of data say. */
enum compress_format compress_format_detect(const void *data, size_t len);

/* Name of a format, for messages. */
const char *compress_format_name(enum compress_format format);

/*
 * Bytes of workspace that the frame at data needs. -EINVAL: no format known here, or a header that is not well
 * formed; -EFBIG: a frame made with a window above the limit.
 */
int decompress_work_size(const void *data, size_t len, size_t *ret_size);

/*
 * Decompresses the frame at data into the sink; *ret_used is how much of the input it took. work: of at least
 * the size told above, aligned to 8. -EILSEQ: corrupt (a checksum that is there is checked); -EINVAL: as above,
 * or truncated; -ENOBUFS: workspace too small; else what the sink returned.
 */
int decompress(const void *data, size_t len, void *work, size_t work_len, struct decompress_sink *sink,
	       size_t *ret_used);

#endif
