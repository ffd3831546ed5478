/* SPDX-License-Identifier: MIT */
/* What the frame (kernel half) and the explorer (hosted half) of models tell each other. */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <stdint.h>

struct model;

/* By name, or null; the i-th, or null. */
const struct model *model_find(const char *name);
const struct model *model_number(unsigned i);

/* Continues as the booted kernel, runs the scenario's model, and switches off. */
void model_main(void);

/* Hosted: the run went well; a state was seen. */
void explore_finished(void);

#endif
