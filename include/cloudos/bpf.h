/* SPDX-License-Identifier: MIT */
/* Classic BPF programs over a few 32-bit words, as seccomp(2) takes them (linux/filter.h). */
#ifndef CLOUDOS_BPF_H
#define CLOUDOS_BPF_H

#include <cloudos/types.h>
#include <linux/filter.h>

#define BPF_DATA_WORDS 16 /* a program reads struct seccomp_data: 64 bytes */

/* A place in a program, and its registers there. */
struct bpf_place {
	uint32_t pc, a, x;
};

/*
 * May the `n` instructions be run? 0; -EINVAL: unknown ones, reads outside the data or unaligned, jumps out of the program, no return at
 * the end, a division by the constant zero, scratch memory that is read before it is written; -ENOMEM.
 */
int bpf_check(const struct sock_filter *program, size_t n);

/* What a checked program returns from `from` on (with empty scratch memory), for these BPF_DATA_WORDS words. Any context. */
uint32_t bpf_run(const struct sock_filter *program, struct bpf_place from, const uint32_t *data);

/*
 * Runs a checked program from `place` as far as words alone decide that `known` has a bit for. True: it returns *ret_value, whatever the
 * other words are. False: *place is where, and with which registers, it goes on when they are.
 */
bool bpf_run_known(const struct sock_filter *program, struct bpf_place *place, const uint32_t *data, uint32_t known, uint32_t *ret_value);

#endif
