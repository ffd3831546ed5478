/* SPDX-License-Identifier: MIT */
/* The host channel's input parser (see hostchan_parser.h): whatever arrives, it goes on at the next start byte. */
#include <cloudos/panic.h>
#include <cloudos/string.h>
#include "hostchan_parser.h"

void hostchan_parser_want(struct hostchan_parser *p, uint32_t n)
{
	ASSERT(n > 0 && n <= HOSTCHAN_PIECE_MAX && p->wanted == 0);
	p->wanted = n;
	p->filled = 0;
}

static enum hostchan_event end_of_payload(struct hostchan_parser *p)
{
	p->in_payload = false;
	if (p->dropping)
		return HOSTCHAN_MORE;
	p->wanted = 0;
	return HOSTCHAN_PIECE;
}

/* The head is there: what is its payload to be? */
static enum hostchan_event begin_payload(struct hostchan_parser *p)
{
	p->head_len = 0;
	p->left = p->head[2] | (uint32_t)p->head[3] << 8;
	p->dropping = p->head[1] != 'i' || p->wanted == 0 || p->left > p->wanted;
	if (p->dropping)
		p->errors++;
	p->in_payload = true;
	return p->left == 0 ? end_of_payload(p) : HOSTCHAN_MORE;
}

static enum hostchan_event feed_head(struct hostchan_parser *p, uint8_t c)
{
	if (p->head_len == 0 && c != HOSTCHAN_START) {
		p->errors++;
		return HOSTCHAN_MORE;
	}
	p->head[p->head_len++] = c;
	return p->head_len == HOSTCHAN_HEAD ? begin_payload(p) : HOSTCHAN_MORE;
}

static enum hostchan_event feed_payload(struct hostchan_parser *p, const uint8_t *buf, size_t len, size_t *ret_taken)
{
	uint32_t n = len < p->left ? (uint32_t)len : p->left;

	if (!p->dropping) {
		memcpy(p->piece + p->filled, buf, n);
		p->filled += n;
	}
	p->left -= n;
	*ret_taken = n;
	return p->left == 0 ? end_of_payload(p) : HOSTCHAN_MORE;
}

enum hostchan_event hostchan_parser_feed(struct hostchan_parser *p, const uint8_t *buf, size_t len, size_t *ret_taken)
{
	enum hostchan_event event = HOSTCHAN_MORE;
	size_t at = 0;

	while (at < len && event == HOSTCHAN_MORE) {
		size_t taken = 1;

		if (p->in_payload)
			event = feed_payload(p, buf + at, len - at, &taken);
		else
			event = feed_head(p, buf[at]);
		at += taken;
	}
	*ret_taken = at;
	return event;
}
