/* SPDX-License-Identifier: MIT */
/*
 * The host channel's parser: whatever arrives, a piece is never longer than what was asked for. The first
 * byte of the input says how the rest is cut and how much is asked for.
 */
#include <cloudos/panic.h>
#include <cloudos/string.h>
#include "../src/kernel/drivers/hostchan_parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hostchan_parser p;
	uint32_t want = size > 0 ? 1u + data[0] * 16u : 1, step = size > 0 ? 1u + data[0] % 13u : 1;
	size_t at = 1;

	memset(&p, 0, sizeof(p));
	while (at < size) {
		size_t taken, n = step < size - at ? step : size - at;

		if (p.wanted == 0)
			hostchan_parser_want(&p, want);
		if (hostchan_parser_feed(&p, data + at, n, &taken) == HOSTCHAN_PIECE)
			ASSERT(p.filled <= want && p.wanted == 0);
		ASSERT(taken > 0 && taken <= n && p.filled <= HOSTCHAN_PIECE_MAX);
		at += taken;
	}
	return 0;
}
