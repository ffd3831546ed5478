/* SPDX-License-Identifier: MIT */
/* The end of a deterministic run that found a fault (deterministic/verdict.c). */
#ifndef SIM_VERDICT_H
#define SIM_VERDICT_H

/*
 * Prints "verdict: KIND: ..." with what each CPU and thread does, and the trace's sum, on standard error; the process ends with
 * SIM_EXIT_VERDICT. Any context.
 */
_Noreturn __attribute__((format(printf, 2, 3))) void sim_verdict(const char *kind, const char *format, ...);

#endif
