/* SPDX-License-Identifier: MIT */
/*
 * The host channel's frames, as they come from the wire. Pure: used by the driver, its unit test and its fuzzer.
 *
 * A frame is the byte 0x01, a letter, the payload's length (16 bits, little endian), the payload. The host sends only `i`, a piece of
 * standard input, and only as an answer to a request; a piece of length 0 is the end of the file.
 */
#ifndef HOSTCHAN_PARSER_H
#define HOSTCHAN_PARSER_H

#include <cloudos/types.h>

#define HOSTCHAN_START	   0x01
#define HOSTCHAN_HEAD	   4u	 /* bytes before the payload                                         */
#define HOSTCHAN_PIECE_MAX 4096u /* payload of one frame, both ways: more than is ever asked for      */

/* C1  `filled` <= `wanted` <= HOSTCHAN_PIECE_MAX; bytes of a piece go to piece[0 .. filled). */
struct hostchan_parser {
	uint8_t head[HOSTCHAN_HEAD];
	uint8_t head_len;
	bool in_payload;
	bool dropping;	   /* the payload of a frame that nobody asked for */
	uint32_t left;	   /* of the payload */
	uint32_t wanted;   /* asked for and not answered yet; 0: nothing */
	uint32_t filled;
	uint64_t errors;   /* frames and bytes dropped */
	uint8_t piece[HOSTCHAN_PIECE_MAX];
};

enum hostchan_event { HOSTCHAN_MORE, HOSTCHAN_PIECE /* complete: piece[0..filled), 0 = end of file */ };

/* The caller asks the host for at most n bytes (1 .. HOSTCHAN_PIECE_MAX). */
void hostchan_parser_want(struct hostchan_parser *p, uint32_t n);

/* Takes bytes up to the end of a piece, or all; *ret_taken says how many. */
enum hostchan_event hostchan_parser_feed(struct hostchan_parser *p, const uint8_t *buf, size_t len, size_t *ret_taken);

#endif
