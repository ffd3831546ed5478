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
#include <sim/vcpu.h>

#define MEMORY_DEFAULT 256 /* MiB */

static const char usage[] =
    "usage: cloudos-sim [--initrd FILE] [--append STRING] [--smp N] [--memory MIB] [--disk FILE]...\n"
    "\n"
    "Runs the CloudOS kernel as a process of this host; the console is standard input and output.\n"
    "\n"
    "  --initrd FILE    initramfs: cpio, plain or compressed\n"
    "  --append STRING  kernel command line\n"
    "  --smp N          virtual CPUs, 1 to 64 (default 1)\n"
    "  --memory MIB     physical memory, 8 to 65536 (default 256)\n"
    "  --disk FILE      a disk image; CloudOS has no block drivers yet, so nothing uses it\n"
    "  --help           this text\n"
    "\n"
    "At a terminal Ctrl-A x ends the run. Exit status: 0 powered off, 2 wrong arguments or refused by\n"
    "the host, 125 kernel panic.\n";

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

/* A disk must at least be there; that nothing will use it is said, not hidden. */
static void check_disk(const char *name)
{
	if (access(name, R_OK | W_OK) < 0)
		wrong("--disk", name, strerror(errno));
	fprintf(stderr, "cloudos-sim: --disk %s: no driver uses it yet\n", name);
}

static void parse(int argc, char **argv, struct host_options *options)
{
	static const struct option known[] = {
	    {"initrd", required_argument, NULL, 'i'},
	    {"append", required_argument, NULL, 'a'},
	    {"smp", required_argument, NULL, 's'},
	    {"memory", required_argument, NULL, 'm'},
	    {"disk", required_argument, NULL, 'd'},
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
			check_disk(optarg);
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
	sim_start();
}
