/* SPDX-License-Identifier: MIT */
/* cloudos-sim: the command line, then the machine (hosted). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sim/host.h>
#include <sim/host_machine.h>
#include <sim/scenario.h>
#include <sim/vcpu.h>

#define MEMORY_DEFAULT 256 /* MiB */

static const char usage[] =
    "usage: cloudos-sim [--initrd FILE] [--append STRING] [--smp N] [--memory MIB] [--disk FILE]...\n"
    "                   [--user seccomp|ptrace] [--hide-host]\n"
    "\n"
    "Runs the CloudOS kernel as a process of this host; the console is standard input and output.\n"
    "\n"
    "  --initrd FILE    initramfs: cpio, plain or compressed\n"
    "  --append STRING  kernel command line\n"
    "  --smp N          virtual CPUs, 1 to 64 (default 1)\n"
    "  --memory MIB     physical memory, 8 to 65536 (default 256)\n"
    "  --disk FILE      a virtio disk on this image; with a seed a copy of it, in memory\n"
    "  --seed N         the deterministic world: the same seed is the same run\n"
    "  --scenario FILE  the same, with all that FILE says of it (docs/SIM.md)\n"
    "  --set LINE       a line of a scenario\n"
    "  --trace FILE     a timeline of a deterministic run; - is standard error\n"
    "  --record FILE    its events, for comparing\n"
    "  --faults         lists the faults that scenarios can name\n"
    "  --user HOW       run user programs by seccomp (the default where the host can) or by ptrace\n"
    "  --hide-host      programs see a fixed processor and the machine's own time, not the host's\n"
    "  --help           this text\n"
    "\n"
    "At a terminal Ctrl-A x ends the run. Exit status: 0 powered off, 2 wrong arguments or refused by the\n"
    "host, 124 the deterministic world found a fault, 125 kernel panic.\n";

static _Noreturn void wrong(const char *option, const char *value, const char *why)
{
	fprintf(stderr, "cloudos-sim: %s %s: %s\n", option, value, why);
	exit(SIM_EXIT_USAGE);
}

static unsigned long number(const char *option, const char *text, unsigned long min, unsigned long max,
			    const char *why)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < min || value > max)
		wrong(option, text, why);
	return value;
}

static const char *user_backend(const char *name)
{
	if (strcmp(name, "seccomp") != 0 && strcmp(name, "ptrace") != 0)
		wrong("--user", name, "expected seccomp or ptrace");
	return name;
}

static void add_disk(const char *name, struct host_options *options)
{
	unsigned n = 0;

	while (n < SIM_DISKS_MAX && options->disks[n])
		n++;
	if (n == SIM_DISKS_MAX)
		wrong("--disk", name, "there can be at most 16 disks");
	options->disks[n] = name;
}

static void set_line(const char *option, const char *line, struct host_options *options)
{
	char copy[1024];
	const char *why;

	snprintf(copy, sizeof(copy), "%s", line);
	why = host_scenario_line(copy, options);
	if (why)
		wrong(option, line, why);
}

static void set_seed(const char *seed, struct host_options *options)
{
	char line[64];

	snprintf(line, sizeof(line), "seed %s", seed);
	set_line("--seed", line, options);
}

static void list_faults(void)
{
	for (unsigned i = 0; i < SIM_FAULTS; i++)
		puts(sim_fault_name((enum sim_fault)i));
	exit(0);
}

static void parse(int argc, char **argv, struct host_options *options)
{
	static const struct option known[] = {
	    {"initrd", required_argument, NULL, 'i'},
	    {"append", required_argument, NULL, 'a'},
	    {"smp", required_argument, NULL, 's'},
	    {"memory", required_argument, NULL, 'm'},
	    {"disk", required_argument, NULL, 'd'},
	    {"seed", required_argument, NULL, 'S'},
	    {"scenario", required_argument, NULL, 'f'},
	    {"set", required_argument, NULL, 'l'},
	    {"trace", required_argument, NULL, 't'},
	    {"record", required_argument, NULL, 'r'},
	    {"faults", no_argument, NULL, 'F'},
	    {"user", required_argument, NULL, 'u'},
	    {"hide-host", no_argument, NULL, 'H'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'i':
			options->initrd = optarg;
			break;
		case 'a':
			options->append = optarg;
			break;
		case 's':
			options->cpus = (unsigned)number("--smp", optarg, 1, SIM_CPU_MAX,
							 "expected a number from 1 to 64");
			break;
		case 'm':
			options->memory_mib =
			    number("--memory", optarg, 8, 65536, "expected MiB, from 8 to 65536");
			break;
		case 'd':
			add_disk(optarg, options);
			break;
		case 'S':
			set_seed(optarg, options);
			break;
		case 'f':
			host_scenario_read(optarg, options);
			break;
		case 'l':
			set_line("--set", optarg, options);
			break;
		case 't':
			options->timeline = optarg;
			break;
		case 'r':
			options->record = optarg;
			break;
		case 'F':
			list_faults();
			break;
		case 'u':
			options->user = user_backend(optarg);
			break;
		case 'H':
			options->hide_host = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs("Try cloudos-sim --help.\n", stderr);
			exit(SIM_EXIT_USAGE);
		}
	}
	if (optind < argc)
		wrong("argument", argv[optind], "expected options only; the kernel's own go into --append");
}

int main(int argc, char **argv)
{
	struct host_options options = {.cpus = 1, .memory_mib = MEMORY_DEFAULT, .append = ""};

	parse(argc, argv, &options);
	host_machine_create(&options);
	if (sim_scenario.deterministic)
		sim_deterministic_start();
	sim_start();
}
