/* SPDX-License-Identifier: MIT */
/*
 * cloudos-explore (hosted): runs models in the deterministic world, one process a seed.
 *
 *   cloudos-explore --list
 *   cloudos-explore --scenario FILE | --target NAME --seed N   one run, as cloudos-sim would do it
 *   cloudos-explore --target NAME --seeds FIRST COUNT          many runs, each in a child
 *
 * A child is forked before there is a machine, so that each seed has memory, heap and kernel of its own. The parent says on
 * standard output, a line of JSON each, how far it is (every 200 ms) and which seeds failed, with what they printed; whoever
 * reads it (tools/cloudos/explore.py) draws the live line, shrinks, and decides when it is enough.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sim/draw.h>
#include <sim/host.h>
#include <sim/host_machine.h>
#include <sim/scenario.h>
#include <sim/trace.h>
#include <sim/vcpu.h>

#include "explore.h"
#include "model_host.h"

#define MEMORY_DEFAULT 24
#define OUTPUT_MAX     (256 * 1024) /* of a failure's text */
#define STATE_BITS     (UINT64_C(1) << 24)
#define REPORT_NS      200000000
#define RUN_LIMIT_S    20 /* of CPU time for one seed; then it hangs */

static const char usage[] =
    "usage: cloudos-explore --target NAME (--seed N | --seeds FIRST COUNT) [OPTIONS]\n"
    "       cloudos-explore --scenario FILE [OPTIONS]\n"
    "       cloudos-explore --list\n"
    "\n"
    "  --set LINE       a line of a scenario (docs/SIM.md)\n"
    "  --trace FILE     a timeline; - is standard error\n"
    "  --record FILE    its events, for comparing\n"
    "  --expand         prints the scenario, with all that the seed chose, and runs nothing\n"
    "  --all            with --seeds: go on after a failure\n"
    "  --hashes         with --seeds: the hash of each run\n"
    "  --limit SECONDS  of CPU time for one seed of --seeds; then it hangs (60)\n";

/* Shared with the children. */
static struct shared {
	uint64_t hash, events, time_ns;
	bool finished;
	_Atomic uint64_t states[STATE_BITS / 64];
} *shared;

static struct {
	bool many, all, hashes, expand;
	uint64_t first, count;
	long limit_s;
	int output; /* what the child writes, a file */
} mode = {.limit_s = RUN_LIMIT_S};

static struct host_options options = {.cpus = 0, .memory_mib = 0, .append = "quiet loglevel=3"};

/* ---- in the run ---- */

void model_state(uint64_t hash)
{
	uint64_t bit = hash * UINT64_C(0x9e3779b97f4a7c15) >> 40;

	sim_trace(SIM_TRACE_NOTE, 1, hash);
	if (shared)
		atomic_fetch_or_explicit(&shared->states[bit / 64], UINT64_C(1) << bit % 64, memory_order_relaxed);
}

void explore_finished(void)
{
	struct sim_trace_sum sum;

	if (!shared)
		return;
	sim_trace_sum(&sum);
	shared->hash = sum.hash;
	shared->events = sum.events;
	shared->time_ns = sum.time_ns;
	shared->finished = true;
}

/* What the scenario leaves open follows from the seed and the model. */
static void settle(const struct model *model)
{
	struct sim_generator g = sim_generator(sim_scenario.seed, 0x6d616368696e65); /* "machine" */
	unsigned least = model_cpus_min(model), most = model_cpus(model);

	if (!options.cpus)
		options.cpus = least + (unsigned)sim_generate_below(&g, most - least + 1);
	if (!options.memory_mib)
		options.memory_mib = model_memory(model) ? model_memory(model) : MEMORY_DEFAULT;
	if (!sim_scenario.time_limit_ns)
		sim_scenario.time_limit_ns = SIM_TIME_LIMIT_NS;
}

/* The scenario in full, so that parts of it can be taken away. */
static int expand(const struct model *model)
{
	settle(model);
	sim_deterministic_start();
	sim_scenario.operations = sim_scenario.operations ? sim_scenario.operations : model_operation_count(model);
	printf("build %s\ntarget %s\nseed %" PRIu64 "\ncpus %u\nmemory %lu\noperations %" PRIu64 "\n",
	       SIM_POINTS ? "points" : "plain", model_name(model), sim_scenario.seed, options.cpus, options.memory_mib,
	       sim_scenario.operations);
	for (unsigned i = 0; i < SIM_FAULTS; i++)
		if (sim_fault_rate((enum sim_fault)i))
			printf("fault %s %u\n", sim_fault_name((enum sim_fault)i), sim_fault_rate((enum sim_fault)i));
	return 0;
}

static _Noreturn void run(const struct model *model)
{
	settle(model);
	options.quiet = mode.many;
	host_machine_create(&options);
	sim_main = model_main;
	sim_deterministic_start();
	sim_start();
}

/* ---- many runs ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void child(const struct model *model, uint64_t seed)
{
	struct itimerval limit = {.it_value = {.tv_sec = mode.limit_s}};

	dup2(mode.output, STDOUT_FILENO);
	dup2(mode.output, STDERR_FILENO);
	setitimer(ITIMER_PROF, &limit, NULL);
	sim_scenario.seed = seed;
	run(model);
}

static void print_json_text(const char *text, size_t len)
{
	putchar('"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c == '\n')
			fputs("\\n", stdout);
		else if (c < ' ' || c > '~')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void report_failure(uint64_t seed, int status)
{
	static char text[OUTPUT_MAX];
	ssize_t len = pread(mode.output, text, sizeof(text), 0);

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
		len = snprintf(text, sizeof(text), "verdict: no end: %d s of the host's processor were not enough\n", RUN_LIMIT_S);

	printf("{\"failed\": %" PRIu64 ", \"status\": %d, \"text\": ", seed,
	       WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	print_json_text(text, len > 0 ? (size_t)len : 0);
	printf("}\n");
	fflush(stdout);
}

static struct {
	uint64_t seeds, failures, events, time_ns, began_ns;
} done;

static uint64_t count_states(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < STATE_BITS / 64; i++)
		n += (uint64_t)__builtin_popcountll(shared->states[i]);
	return n;
}

static void report_progress(const char *key)
{
	printf("{\"%s\": %" PRIu64 ", \"failures\": %" PRIu64 ", \"events\": %" PRIu64 ", \"virtual_ns\": %" PRIu64
	       ", \"states\": %" PRIu64 ", \"ns\": %" PRIu64 "}\n",
	       key, done.seeds, done.failures, done.events, done.time_ns, count_states(), now_ns() - done.began_ns);
	fflush(stdout);
}

/* True if the seed's run went well. */
static bool run_seed(const struct model *model, uint64_t seed)
{
	int status;
	pid_t pid;

	if (ftruncate(mode.output, 0) < 0 || lseek(mode.output, 0, SEEK_SET) < 0)
		host_fatal("the output file: %s", strerror(errno));
	shared->finished = false;
	pid = fork();
	if (pid < 0)
		host_fatal("fork: %s", strerror(errno));
	if (pid == 0)
		child(model, seed);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			host_fatal("waitpid: %s", strerror(errno));
	done.seeds++;
	done.events += shared->events;
	done.time_ns += shared->time_ns;
	if (status == 0 && shared->finished) {
		if (mode.hashes)
			printf("{\"seed\": %" PRIu64 ", \"hash\": \"%016" PRIx64 "\", \"events\": %" PRIu64 "}\n", seed,
			       shared->hash, shared->events);
		return true;
	}
	done.failures++;
	report_failure(seed, status);
	return false;
}

static int run_many(const struct model *model)
{
	uint64_t next_report;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	mode.output = memfd_create("output", MFD_CLOEXEC);
	if (shared == MAP_FAILED || mode.output < 0)
		host_fatal("no memory");
	done.began_ns = now_ns();
	next_report = done.began_ns + REPORT_NS;
	for (uint64_t i = 0; i < mode.count; i++) {
		if (!run_seed(model, mode.first + i) && !mode.all)
			break;
		if (now_ns() >= next_report) {
			report_progress("seeds");
			next_report = now_ns() + REPORT_NS;
		}
	}
	report_progress("end");
	return done.failures ? 1 : 0;
}

/* ---- the command line ---- */

static int list(void)
{
	const struct model *model;

	for (unsigned i = 0; (model = model_number(i)); i++)
		printf("{\"target\": \"%s\", \"what\": \"%s\", \"cpus\": %u, \"operations\": %" PRIu64
		       ", \"faulty\": \"%s\"}\n",
		       model_name(model), model_what(model), model_cpus(model), model_operation_count(model),
		       model_faulty(model));
	return 0;
}

static void set_line(const char *line)
{
	char copy[1024];
	const char *why;

	snprintf(copy, sizeof(copy), "%s", line);
	why = host_scenario_line(copy, &options);
	if (why)
		host_fatal("%s: %s", line, why);
}

static void set_word(const char *word, const char *value)
{
	char line[512];

	snprintf(line, sizeof(line), "%s %s", word, value);
	set_line(line);
}

static bool parse(int argc, char **argv)
{
	static const struct option known[] = {
	    {"target", required_argument, NULL, 't'}, {"seed", required_argument, NULL, 'S'},
	    {"seeds", required_argument, NULL, 'n'},  {"scenario", required_argument, NULL, 'f'},
	    {"set", required_argument, NULL, 'l'},    {"trace", required_argument, NULL, 'T'},
	    {"record", required_argument, NULL, 'r'}, {"all", no_argument, NULL, 'a'},
	    {"hashes", no_argument, NULL, 'H'},	      {"list", no_argument, NULL, 'L'},
	    {"expand", no_argument, NULL, 'x'},	      {"limit", required_argument, NULL, 'c'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	sim_scenario.swarm = true;
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 't':
			set_word("target", optarg);
			break;
		case 'S':
			set_word("seed", optarg);
			break;
		case 'n':
			mode.many = true;
			mode.first = strtoull(optarg, NULL, 0);
			mode.count = optind < argc ? strtoull(argv[optind++], NULL, 0) : 0;
			sim_scenario.deterministic = true;
			break;
		case 'f':
			sim_scenario.swarm = false; /* a scenario says all faults that it has */
			host_scenario_read(optarg, &options);
			break;
		case 'l':
			set_line(optarg);
			break;
		case 'T':
			options.timeline = optarg;
			break;
		case 'r':
			options.record = optarg;
			break;
		case 'a':
			mode.all = true;
			break;
		case 'H':
			mode.hashes = true;
			break;
		case 'x':
			mode.expand = true;
			break;
		case 'c':
			mode.limit_s = strtol(optarg, NULL, 0);
			break;
		case 'L':
			exit(list());
		default:
			return false;
		}
	}
	return optind == argc && sim_scenario.deterministic && sim_scenario.target[0];
}

int main(int argc, char **argv)
{
	const struct model *model;

	if (!parse(argc, argv)) {
		fputs(usage, stderr);
		return SIM_EXIT_USAGE;
	}
	model = model_find(sim_scenario.target);
	if (!model)
		host_fatal("there is no target %s; --list names them", sim_scenario.target);
	if (mode.expand)
		return expand(model);
	if (mode.many)
		return run_many(model);
	run(model);
}
