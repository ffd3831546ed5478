/* SPDX-License-Identifier: MIT */
/*
 * Classic BPF: an accumulator, an index register, sixteen words of scratch memory, jumps that only lead forward. So each program ends,
 * after at most as many steps as it has instructions, and what bpf_check() let through needs no further check while it runs.
 *
 * One interpreter serves both runs: with all words known, and with a few, where it stops in front of the first instruction that needs
 * another one (or that writes scratch memory, which a place does not keep).
 */
#include <cloudos/bpf.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>

#define DATA_BYTES (BPF_DATA_WORDS * sizeof(uint32_t))
#define ALL_KNOWN  ((1u << BPF_DATA_WORDS) - 1)

/* ---- checking ---- */

static int check_alu(const struct sock_filter *i)
{
	bool constant = BPF_SRC(i->code) == BPF_K;

	if (i->code & ~(BPF_CLASS(0xffff) | 0xf0 | BPF_X))
		return -EINVAL;
	switch (BPF_OP(i->code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		return 0;
	case BPF_DIV:
		return constant && i->k == 0 ? -EINVAL : 0;
	case BPF_LSH:
	case BPF_RSH:
		return constant && i->k >= 32 ? -EINVAL : 0;
	case BPF_NEG:
		return constant ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int check_jump(const struct sock_filter *i, size_t left)
{
	switch (i->code) {
	case BPF_JMP | BPF_JA:
		return i->k < left ? 0 : -EINVAL;
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return i->jt < left && i->jf < left ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* `left`: how many instructions follow. */
static int check_one(const struct sock_filter *i, size_t left)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_ALU:
		return check_alu(i);
	case BPF_JMP:
		return check_jump(i, left);
	}
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return i->k % sizeof(uint32_t) || i->k >= DATA_BYTES ? -EINVAL : 0;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return i->k < BPF_MEMWORDS ? 0 : -EINVAL;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
		return 0;
	default:
		return -EINVAL;
	}
}

static bool reads_scratch(uint16_t code)
{
	return code == (BPF_LD | BPF_MEM) || code == (BPF_LDX | BPF_MEM);
}

/*
 * No way leads to a read of a scratch word that was not written on it. written[i]: the words that all ways so far to instruction i have
 * written, a bit each; jumps lead forward, so that it is complete when i is reached.
 */
static int check_scratch(const struct sock_filter *program, size_t n, uint16_t *written)
{
	uint16_t now = 0;

	memset(written, 0xff, n * sizeof(*written));
	for (size_t at = 0; at < n; at++) {
		const struct sock_filter *i = &program[at];

		now &= written[at];
		if (i->code == BPF_ST || i->code == BPF_STX) {
			now |= (uint16_t)(1u << i->k);
		} else if (reads_scratch(i->code)) {
			if (!(now >> i->k & 1))
				return -EINVAL;
		} else if (i->code == (BPF_JMP | BPF_JA)) {
			written[at + 1 + i->k] &= now;
			now = UINT16_MAX;
		} else if (BPF_CLASS(i->code) == BPF_JMP) {
			written[at + 1 + i->jt] &= now;
			written[at + 1 + i->jf] &= now;
			now = UINT16_MAX;
		} else if (BPF_CLASS(i->code) == BPF_RET) {
			now = UINT16_MAX;
		}
	}
	return 0;
}

int bpf_check(const struct sock_filter *program, size_t n)
{
	uint16_t *written;
	int err;

	if (n == 0 || n > BPF_MAXINSNS || BPF_CLASS(program[n - 1].code) != BPF_RET)
		return -EINVAL;
	for (size_t at = 0; at < n; at++)
		if (check_one(&program[at], n - at - 1) < 0)
			return -EINVAL;
	written = kmalloc(n * sizeof(*written));
	if (!written)
		return -ENOMEM;
	err = check_scratch(program, n, written);
	kfree(written);
	return err;
}

/* ---- running ---- */

struct machine {
	struct bpf_place at;
	uint32_t scratch[BPF_MEMWORDS];
};

/* False: a division by zero, which ends the program with 0. */
static bool calculate(uint32_t *a, uint16_t op, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		*a += b;
		return true;
	case BPF_SUB:
		*a -= b;
		return true;
	case BPF_MUL:
		*a *= b;
		return true;
	case BPF_DIV:
		if (b == 0)
			return false;
		*a /= b;
		return true;
	case BPF_AND:
		*a &= b;
		return true;
	case BPF_OR:
		*a |= b;
		return true;
	case BPF_XOR:
		*a ^= b;
		return true;
	case BPF_LSH:
		*a <<= b & 31;
		return true;
	case BPF_RSH:
		*a >>= b & 31;
		return true;
	default:
		*a = -*a; /* BPF_NEG */
		return true;
	}
}

static bool compare(uint32_t a, uint16_t op, uint32_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGE:
		return a >= b;
	case BPF_JGT:
		return a > b;
	default:
		return (a & b) != 0; /* BPF_JSET */
	}
}

static void load(struct machine *m, const struct sock_filter *i, const uint32_t *data)
{
	uint32_t value = i->k;

	if (BPF_MODE(i->code) == BPF_ABS)
		value = data[i->k / sizeof(uint32_t)];
	else if (BPF_MODE(i->code) == BPF_MEM)
		value = m->scratch[i->k];
	else if (BPF_MODE(i->code) == BPF_LEN)
		value = DATA_BYTES;
	if (BPF_CLASS(i->code) == BPF_LD)
		m->at.a = value;
	else
		m->at.x = value;
}

static bool stops_at(const struct sock_filter *i, uint32_t known)
{
	uint16_t class = BPF_CLASS(i->code);

	if (class == BPF_LD && BPF_MODE(i->code) == BPF_ABS)
		return !(known >> i->k / sizeof(uint32_t) & 1);
	return class == BPF_ST || class == BPF_STX;
}

/* Goes on at m->at. True: the program returns *ret_value. False: it stands in front of what `known` does not cover. */
static inline __attribute__((always_inline)) bool run(const struct sock_filter *program, struct machine *m, const uint32_t *data,
						      uint32_t known, uint32_t *ret_value)
{
	for (;; m->at.pc++) {
		const struct sock_filter *i = &program[m->at.pc];
		uint32_t b = BPF_SRC(i->code) == BPF_X ? m->at.x : i->k;

		if (known != ALL_KNOWN && stops_at(i, known))
			return false;
		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
		case BPF_LDX:
			load(m, i, data);
			break;
		case BPF_ST:
			m->scratch[i->k] = m->at.a;
			break;
		case BPF_STX:
			m->scratch[i->k] = m->at.x;
			break;
		case BPF_ALU:
			if (calculate(&m->at.a, BPF_OP(i->code), b))
				break;
			*ret_value = 0;
			return true;
		case BPF_JMP:
			m->at.pc += BPF_OP(i->code) == BPF_JA ? i->k : compare(m->at.a, BPF_OP(i->code), b) ? i->jt : i->jf;
			break;
		case BPF_RET:
			*ret_value = BPF_RVAL(i->code) == BPF_A ? m->at.a : i->k;
			return true;
		default: /* BPF_MISC */
			if (BPF_MISCOP(i->code) == BPF_TAX)
				m->at.x = m->at.a;
			else
				m->at.a = m->at.x;
		}
	}
}

uint32_t bpf_run(const struct sock_filter *program, struct bpf_place from, const uint32_t *data)
{
	struct machine m = { .at = from };
	uint32_t value;

	(void)run(program, &m, data, ALL_KNOWN, &value);
	return value;
}

bool bpf_run_known(const struct sock_filter *program, struct bpf_place *place, const uint32_t *data, uint32_t known, uint32_t *ret_value)
{
	struct machine m = { .at = *place };
	bool constant = run(program, &m, data, known, ret_value);

	*place = m.at;
	return constant;
}
