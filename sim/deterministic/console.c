/* SPDX-License-Identifier: MIT */
/*
 * The console of the deterministic world. Output goes out at once. Input must not come when the host happens to have it, so it is
 * asked for at two moments that the run itself determines, and then waited for, while virtual time stands still:
 *
 *   - the guest has asked the host channel for standard input (a frame `w`, src/kernel/drivers/hostchan.c): the answering frame,
 *   - every vCPU idles and nothing is due: as much as there is, to the end of the file or a full buffer; from a terminal what is
 *     typed. A run into which somebody types replays only with the same typing.
 */
#include <sim/host.h>
#include "deterministic.h"

#define INPUT_SIZE 65536

static char input[INPUT_SIZE];
static size_t input_at, input_len;
static bool started, ended;

static uint64_t hash_of(const char *buf, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)buf[i]) * UINT64_C(0x100000001b3);
	return hash;
}

int det_console_start(void)
{
	started = true;
	return 0;
}

size_t det_console_peek(const char **ret)
{
	*ret = input + input_at;
	return input_len - input_at;
}

void det_console_take(size_t len)
{
	input_at += len;
}

/* Reads at least one byte, or the end; up to `len`, where `whole` all of it. */
static size_t read_input(char *to, size_t len, bool whole)
{
	size_t done = 0, n;

	while (done < len && !ended) {
		n = host_console_read(to + done, len - done);
		ended = n == 0;
		done += n;
		if (!whole)
			break;
	}
	return done;
}

static bool arrived(size_t len)
{
	input_at = 0;
	input_len = len;
	if (len) {
		sim_trace(SIM_TRACE_CONSOLE, len, hash_of(input, len));
		det_pend(0, SIM_IRQ_CONSOLE);
	}
	return len > 0;
}

bool det_console_wait(void)
{
	if (!started || ended || input_at < input_len || !sim_points)
		return false;
	return arrived(read_input(input, INPUT_SIZE, !host_console_is_terminal()));
}

/* Frames of the host channel: START, letter, length in two bytes, payload (include/cloudos/hostchan.h). */
#define FRAME_START '\x01'
#define FRAME_HEAD  4

static bool is_request(const char *buf, size_t len)
{
	return len >= FRAME_HEAD && buf[0] == FRAME_START && buf[1] == 'w' && sim_machine_has("cloudos.channel=1");
}

static void answer_request(void)
{
	size_t len = read_input(input, FRAME_HEAD, true);

	if (len == FRAME_HEAD) {
		size_t payload = (uint8_t)input[2] | (size_t)(uint8_t)input[3] << 8;

		len += read_input(input + FRAME_HEAD, payload < INPUT_SIZE - FRAME_HEAD ? payload : INPUT_SIZE - FRAME_HEAD, true);
	}
	arrived(len);
}

void det_console_write(const char *buf, size_t len)
{
	sim_trace(SIM_TRACE_CONSOLE, len, hash_of(buf, len));
	host_console_write(buf, len);
	if (sim_points && started && is_request(buf, len))
		answer_request();
}
