/* SPDX-License-Identifier: MIT */
/* Where the trace goes (hosted): a file of records, to be compared; a timeline as text; the line at a run's end. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sim/draw.h>
#include <sim/fault.h>
#include <sim/host.h>
#include <sim/scenario.h>
#include <sim/trace.h>
#include <sim/vcpu.h>
#include <hal/point.h>
#include "version.h"

bool sim_trace_wanted;

static FILE *records, *timeline;
static const char *const kinds[SIM_TRACE_KINDS] = {
#define X(name, text) text,
    SIM_TRACE_LIST(X)
#undef X
};

static FILE *open_file(const char *name)
{
	FILE *file = strcmp(name, "-") ? fopen(name, "we") : stderr;

	if (!file)
		host_fatal("%s: %s", name, strerror(errno));
	if (file != stderr)
		setvbuf(file, NULL, _IOFBF, 1 << 20);
	return file;
}

/* ---- what it costs the host: beside the trace, never in it ---- */

static uint64_t began_ns, user_ns;

void host_trace_user(void)
{
	user_ns = host_clock_ns();
}

static void report_cost(const struct sim_trace_sum *sum)
{
	double took = (double)(host_clock_ns() - began_ns) / 1e9;

	fprintf(stderr, "cloudos-sim: took %.4f s of the host", took);
	if (user_ns)
		fprintf(stderr, ", %.4f s to the first program", (double)(user_ns - began_ns) / 1e9);
	fprintf(stderr, "; simulated time ran %.1f times as fast\n", (double)sum->time_ns / 1e9 / took);
}

void host_trace_open(const char *record_name, const char *timeline_name)
{
	began_ns = host_clock_ns();
	if (record_name)
		records = open_file(record_name);
	if (timeline_name)
		timeline = open_file(timeline_name);
	sim_trace_wanted = records || timeline;
}

void host_trace_close(void)
{
	if (records)
		fclose(records);
	if (timeline && timeline != stderr)
		fclose(timeline);
	records = timeline = NULL;
	sim_trace_wanted = false;
}

/* ---- words for people ---- */

static const char *stream_name(uint64_t stream)
{
	static const char *const names[SIM_STREAMS] = {
#define X(name, text) text,
	    SIM_STREAM_LIST(X)
#undef X
	};

	return stream < SIM_STREAMS ? names[stream] : sim_fault_name((enum sim_fault)(stream - SIM_STREAMS));
}

static void write_bits(char *buf, size_t size, uint64_t bits)
{
	static const char *const names[] = {"timer", "ipi", "clock", "console", "halt", "device"};
	size_t at = 0;

	buf[0] = 0;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bits >> i & 1)
			at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? "+" : "", names[i]);
}

static void describe(char *buf, size_t size, const struct sim_trace_record *r, const struct sim_trace_names *names)
{
	static const char *const points[] = {"lock", "unlock", "atomic", "sleep", "wake", "wait"};
	static const char *const exits[] = {"system call", "page fault", "trap", "interrupt"};
	char bits[64];

	switch (r->kind) {
	case SIM_TRACE_POINT:
		snprintf(buf, size, "%-7s %#" PRIx64, r->a < 6 ? points[r->a] : "?", r->b);
		break;
	case SIM_TRACE_SWITCH:
		snprintf(buf, size, "to CPU %" PRIu64, r->a);
		break;
	case SIM_TRACE_KICK:
		write_bits(bits, sizeof(bits), r->b);
		snprintf(buf, size, "CPU %" PRIu64 ": %s", r->a, bits);
		break;
	case SIM_TRACE_INTERRUPT:
		write_bits(bits, sizeof(bits), r->a);
		snprintf(buf, size, "%s", bits);
		break;
	case SIM_TRACE_TIMER:
		if (r->a == UINT64_MAX)
			snprintf(buf, size, "off");
		else
			snprintf(buf, size, "for %.6f s", (double)r->a / 1e9);
		break;
	case SIM_TRACE_DRAW:
		snprintf(buf, size, "%s %#" PRIx64, stream_name(r->a), r->b);
		break;
	case SIM_TRACE_FAULT:
		snprintf(buf, size, "%s", sim_fault_name((enum sim_fault)r->a));
		break;
	case SIM_TRACE_USER:
		snprintf(buf, size, "%s %#" PRIx64, (r->a & 0xff) < 4 ? exits[r->a & 0xff] : "?", r->b);
		break;
	case SIM_TRACE_CONSOLE:
		snprintf(buf, size, "%" PRIu64 " bytes", r->a);
		break;
	case SIM_TRACE_NOTE:
		snprintf(buf, size, "%s", names->text ? names->text : "");
		break;
	case SIM_TRACE_OPERATION:
		snprintf(buf, size, "%" PRIu64 " %s", r->a, names->text ? names->text : "");
		break;
	default:
		snprintf(buf, size, "%#" PRIx64 " %#" PRIx64, r->a, r->b);
	}
}

void host_trace_record(const struct sim_trace_record *r, uint64_t number, const struct sim_trace_names *names)
{
	char what[256], where[96] = "";

	if (records)
		fwrite(r, sizeof(*r), 1, records);
	if (!timeline)
		return;
	describe(what, sizeof(what), r, names);
	if (names->symbol)
		snprintf(where, sizeof(where), "  in %s+%#zx", names->symbol, names->offset);
	fprintf(timeline, "%9" PRIu64 " %14.9f CPU%-2" PRIu32 " %-20s %-7s %s%s\n", number, (double)r->time_ns / 1e9, r->cpu,
		names->thread, kinds[r->kind], what, where);
}

void host_trace_report(const struct sim_trace_sum *sum)
{
	report_cost(sum);
	fprintf(stderr, "cloudos-sim: seed %" PRIu64 " commit %s time %.9f s events %" PRIu64 " hash %016" PRIx64 "\n",
		sim_scenario.seed, SIM_COMMIT, (double)sum->time_ns / 1e9, sum->events, sum->hash);
}
