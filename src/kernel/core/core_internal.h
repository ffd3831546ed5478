/* SPDX-License-Identifier: MIT */
#ifndef CORE_INTERNAL_H
#define CORE_INTERNAL_H

void log_panic_mode(void);

/* The registry holds these services from now on, none of them started yet, instead of those that the linker collected: for tests. */
struct service;
void services_use(const struct service *first, const struct service *end);

#endif
