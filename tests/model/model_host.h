/* SPDX-License-Identifier: MIT */
/* A model's figures, for the hosted half, which does not see the kernel's headers. */
#ifndef MODEL_HOST_H
#define MODEL_HOST_H

#include <stdint.h>

struct model;

const char *model_name(const struct model *m);
const char *model_what(const struct model *m);
const char *model_faulty(const struct model *m);
unsigned model_cpus(const struct model *m);
unsigned model_cpus_min(const struct model *m);
unsigned model_memory(const struct model *m);
uint64_t model_operation_count(const struct model *m);

void model_state(uint64_t hash);

#endif
