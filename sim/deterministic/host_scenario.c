/* SPDX-License-Identifier: MIT */
/*
 * Scenario files (hosted): lines of a word and its values; # begins a comment. docs/SIM.md lists the words.
 *
 *   seed 42            target pipe        cpus 2          memory 64        operations 120
 *   strategy pct 3     skip 4-17          fault disk.torn 2000             swarm
 *   fail-allocation 7  time-limit 60      append quiet
 *   schedule-seed 7    build points
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sim/host.h>
#include <sim/host_machine.h>
#include <sim/scenario.h>
#include <sim/vcpu.h>

#define LINE_SIZE 1024

static bool read_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

static const char *set_strategy(char *name, const char *depth)
{
	static const char *const names[] = {"seed", "random", "pct", "bounded"};
	uint64_t number = 0;

	for (unsigned i = 0; name && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]))
			continue;
		if (depth && !read_number(depth, 1, 8, &number))
			return "the depth of a strategy is a number from 1 to 8";
		sim_scenario.strategy = (enum sim_strategy)i;
		sim_scenario.depth = (unsigned)number;
		return NULL;
	}
	return "strategies are random, pct, bounded, each with a depth, and seed";
}

static const char *set_fault(const char *name, const char *rate)
{
	uint64_t ppm;

	for (unsigned i = 0; name && i < SIM_FAULTS; i++) {
		if (strcmp(name, sim_fault_name((enum sim_fault)i)))
			continue;
		if (!read_number(rate, 0, 1000000, &ppm))
			return "the rate of a fault is in millionths, 0 to 1000000";
		sim_scenario.fault_ppm[i] = (uint32_t)ppm;
		sim_scenario.fault_set[i] = true;
		return NULL;
	}
	return "there is no fault of that name (cloudos-sim --faults lists them)";
}

static const char *add_skip(char *range)
{
	char *dash = range ? strchr(range, '-') : NULL;
	uint64_t first, last;

	if (dash)
		*dash = 0;
	if (!read_number(range, 0, UINT64_MAX, &first) || !read_number(dash ? dash + 1 : range, first, UINT64_MAX, &last))
		return "what is skipped is a number or a range, as 4-17";
	if (sim_scenario.skips == SIM_SKIPS_MAX)
		return "too many ranges are skipped";
	sim_scenario.skip[sim_scenario.skips].first = first;
	sim_scenario.skip[sim_scenario.skips++].last = last;
	return NULL;
}

static const char *set_number(const char *word, const char *value, struct host_options *options)
{
	uint64_t number;

	if (!read_number(value, 0, UINT64_MAX, &number))
		return "a number is missing";
	if (!strcmp(word, "seed")) {
		sim_scenario.seed = number;
		sim_scenario.deterministic = true;
	} else if (!strcmp(word, "schedule-seed")) {
		sim_scenario.schedule_seed = number;
	} else if (!strcmp(word, "cpus")) {
		if (number < 1 || number > SIM_CPU_MAX)
			return "there are 1 to 64 CPUs";
		options->cpus = (unsigned)number;
	} else if (!strcmp(word, "memory")) {
		if (number < 8 || number > 65536)
			return "memory is from 8 to 65536 MiB";
		options->memory_mib = (unsigned long)number;
	} else if (!strcmp(word, "operations")) {
		sim_scenario.operations = number;
	} else if (!strcmp(word, "fail-allocation")) {
		sim_scenario.fail_allocation = number;
	} else if (!strcmp(word, "stop-at")) {
		sim_scenario.stop_at = number;
	} else if (!strcmp(word, "time-limit")) {
		sim_scenario.time_limit_ns = number * 1000000000;
	} else if (!strcmp(word, "user-limit")) {
		sim_scenario.user_limit_s = number;
	} else {
		return "no such word in scenarios";
	}
	return NULL;
}

const char *host_scenario_line(char *line, struct host_options *options)
{
	char *rest = line, *word, *value, *more;

	line[strcspn(line, "#\n")] = 0;
	word = strsep(&rest, " \t");
	if (!*word)
		return NULL;
	if (!strcmp(word, "append")) {
		options->append = rest ? strdup(rest) : "";
		return NULL;
	}
	value = rest ? strsep(&rest, " \t") : NULL;
	more = rest && *rest ? rest : NULL;
	if (!strcmp(word, "swarm")) {
		sim_scenario.swarm = true;
		return NULL;
	}
	if (!strcmp(word, "target")) {
		if (!value || strlen(value) >= SIM_TARGET_MAX)
			return "the target's name is missing or too long";
		strcpy(sim_scenario.target, value);
		return NULL;
	}
	if (!strcmp(word, "build"))
		return value && !strcmp(value, SIM_POINTS ? "points" : "plain")
			   ? NULL
			   : "this scenario is of another build: scheduling points at every basic block (points), or not (plain)";
	if (!strcmp(word, "strategy"))
		return set_strategy(value, more);
	if (!strcmp(word, "fault"))
		return set_fault(value, more);
	if (!strcmp(word, "skip"))
		return add_skip(value);
	return set_number(word, value, options);
}

void host_scenario_read(const char *name, struct host_options *options)
{
	FILE *file = fopen(name, "re");
	char line[LINE_SIZE];

	if (!file)
		host_fatal("%s: %s", name, strerror(errno));
	for (unsigned number = 1; fgets(line, sizeof(line), file); number++) {
		const char *wrong = host_scenario_line(line, options);

		if (wrong)
			host_fatal("%s:%u: %s", name, number, wrong);
	}
	fclose(file);
	if (!sim_scenario.deterministic)
		host_fatal("%s: a scenario has a seed", name);
}
