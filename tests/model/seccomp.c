/* SPDX-License-Identifier: MIT */
/*
 * Filters of system calls: random programs in random chains, shared by workers, asked about random calls.
 *
 *   S1  a chain answers what a plain interpreter says that its programs answer: the least, of equals the newest's
 *   S2  a call that is said to be allowed whatever its arguments is allowed with any
 *   S3  a program is refused if and only if it is wrong: a jump out of it, scratch memory that some way reads unwritten, no end
 *   S4  a filter lives as long as somebody has it, or one that is built on it, and no longer (leak check)
 */
#include "model.h"

#include <cloudos/errno.h>
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/seccomp.h>
#include <cloudos/string.h>

#define WORKERS	    3
#define SLOTS	    6
#define LENGTH_MAX  24
#define DEPTH_MAX   5
#define NUMBERS	    8 /* of calls that programs look for; others are asked about as well */
#define ARCH	    UINT32_C(0xc000003e)
#define QUESTIONS   6 /* about a chain at a time */
#define BEYOND	    (SECCOMP_CALLS + 3)

struct chain {
	struct seccomp_filter *filter; /* null: free */
	unsigned depth;
	size_t length[DEPTH_MAX];
	struct sock_filter program[DEPTH_MAX][LENGTH_MAX]; /* the newest last */
};

static struct chain chains[SLOTS]; /* by chains_lock */
static struct spinlock chains_lock = SPINLOCK_INIT(RANK_SPIN);

/* ---- the reference ---- */

static uint32_t ref_operate(uint16_t op, uint32_t a, uint32_t b)
{
	return op == BPF_ADD   ? a + b
	       : op == BPF_SUB ? a - b
	       : op == BPF_MUL ? a * b
	       : op == BPF_DIV ? a / b
	       : op == BPF_AND ? (a & b)
	       : op == BPF_OR  ? (a | b)
	       : op == BPF_XOR ? a ^ b
	       : op == BPF_LSH ? a << (b % 32)
	       : op == BPF_RSH ? a >> (b % 32)
			       : 0 - a;
}

static uint32_t ref_run(const struct sock_filter *p, const uint32_t *data)
{
	uint32_t a = 0, x = 0, scratch[BPF_MEMWORDS] = { 0 };

	for (;;) {
		const struct sock_filter i = *p++;
		uint32_t other = i.code & BPF_X ? x : i.k;

		if (i.code == (BPF_RET | BPF_K))
			return i.k;
		if (i.code == (BPF_RET | BPF_A))
			return a;
		if (i.code == (BPF_LD | BPF_ABS))
			a = data[i.k / 4];
		else if (i.code == (BPF_LD | BPF_IMM))
			a = i.k;
		else if (i.code == (BPF_LDX | BPF_IMM))
			x = i.k;
		else if (i.code == (BPF_LD | BPF_LEN))
			a = 64;
		else if (i.code == (BPF_LD | BPF_MEM))
			a = scratch[i.k];
		else if (i.code == (BPF_LDX | BPF_MEM))
			x = scratch[i.k];
		else if (i.code == BPF_ST)
			scratch[i.k] = a;
		else if (i.code == BPF_STX)
			scratch[i.k] = x;
		else if (i.code == (BPF_MISC | BPF_TAX))
			x = a;
		else if (i.code == (BPF_MISC | BPF_TXA))
			a = x;
		else if (i.code == (BPF_JMP | BPF_JA))
			p += i.k;
		else if (BPF_CLASS(i.code) == BPF_JMP)
			p += (BPF_OP(i.code) == BPF_JEQ && a == other) || (BPF_OP(i.code) == BPF_JGT && a > other) ||
					     (BPF_OP(i.code) == BPF_JGE && a >= other) || (BPF_OP(i.code) == BPF_JSET && (a & other))
				     ? i.jt
				     : i.jf;
		else if (BPF_OP(i.code) == BPF_DIV && other == 0)
			return 0;
		else
			a = ref_operate(BPF_OP(i.code), a, other);
	}
}

static uint32_t ref_decide(const struct chain *c, const uint32_t *data)
{
	uint32_t least = SECCOMP_RET_ALLOW;

	for (unsigned i = c->depth; i-- > 0;) {
		uint32_t value = ref_run(c->program[i], data);

		if ((int32_t)(value & SECCOMP_RET_ACTION_FULL) < (int32_t)(least & SECCOMP_RET_ACTION_FULL))
			least = value;
	}
	return least;
}

/* Does some way through the program read scratch word `word` before it is written? Ways lead forward: from the end back. */
static bool ref_reads_unwritten(const struct sock_filter *p, size_t n, unsigned word)
{
	bool reads[LENGTH_MAX] = { false }; /* from here on, if it is not written yet */

	for (size_t at = n; at-- > 0;) {
		const struct sock_filter *i = &p[at];

		if (BPF_CLASS(i->code) == BPF_RET)
			reads[at] = false;
		else if (i->code == (BPF_JMP | BPF_JA))
			reads[at] = reads[at + 1 + i->k];
		else if (BPF_CLASS(i->code) == BPF_JMP)
			reads[at] = reads[at + 1 + i->jt] || reads[at + 1 + i->jf];
		else if ((i->code == BPF_ST || i->code == BPF_STX) && i->k == word)
			reads[at] = false;
		else if ((i->code == (BPF_LD | BPF_MEM) || i->code == (BPF_LDX | BPF_MEM)) && i->k == word)
			reads[at] = true;
		else
			reads[at] = reads[at + 1];
	}
	return reads[0];
}

/* Of what generate() makes; code that no way reaches counts for neither. */
static bool ref_is_right(const struct sock_filter *p, size_t n)
{
	for (size_t at = 0; at < n; at++) {
		size_t left = n - at - 1;

		if (p[at].code == (BPF_JMP | BPF_JA) ? p[at].k >= left
						     : BPF_CLASS(p[at].code) == BPF_JMP && (p[at].jt >= left || p[at].jf >= left))
			return false;
	}
	if (BPF_CLASS(p[n - 1].code) != BPF_RET)
		return false;
	for (unsigned word = 0; word < BPF_MEMWORDS; word++)
		if (ref_reads_unwritten(p, n, word))
			return false;
	return true;
}

/* ---- operations ---- */

static uint32_t any_value(struct model_op *op)
{
	static const uint32_t actions[] = {
		SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_ERRNO,
		SECCOMP_RET_TRAP, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_KILL_PROCESS,
	};

	return actions[model_below(op, sizeof(actions) / sizeof(actions[0]))] | (uint32_t)model_below(op, 16);
}

static struct sock_filter any_jump(struct model_op *op, size_t left)
{
	static const uint16_t kinds[] = { BPF_JEQ, BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JA };
	uint16_t kind = kinds[model_below(op, sizeof(kinds) / sizeof(kinds[0]))];
	bool wrong = model_chance(op, 1);
	uint64_t most = wrong || left == 0 ? left + 1 : left;

	if (kind == BPF_JA)
		return (struct sock_filter){ BPF_JMP | BPF_JA, 0, 0, (uint32_t)model_below(op, most) };
	return (struct sock_filter){ (uint16_t)(BPF_JMP | kind | (model_chance(op, 20) ? BPF_X : BPF_K)), (uint8_t)model_below(op, most),
				     (uint8_t)model_below(op, most), (uint32_t)model_below(op, NUMBERS) };
}

static struct sock_filter any_load(struct model_op *op)
{
	uint32_t word = (uint32_t)(model_chance(op, 50) ? 0 : model_below(op, BPF_DATA_WORDS));

	return (struct sock_filter){ BPF_LD | BPF_W | BPF_ABS, 0, 0, word * 4 };
}

static struct sock_filter any_calculation(struct model_op *op)
{
	static const uint16_t ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND, BPF_OR, BPF_XOR, BPF_LSH, BPF_RSH, BPF_NEG };
	uint16_t what = ops[model_below(op, sizeof(ops) / sizeof(ops[0]))];
	bool x = what != BPF_NEG && model_chance(op, 50);

	return (struct sock_filter){ (uint16_t)(BPF_ALU | what | (x ? BPF_X : BPF_K)), 0, 0, 1 + (uint32_t)model_below(op, 5) };
}

static struct sock_filter any_move(struct model_op *op)
{
	static const uint16_t moves[] = {
		BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA, BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM, BPF_LD | BPF_LEN,
		BPF_ST, BPF_STX, BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM,
	};

	return (struct sock_filter){ moves[model_below(op, sizeof(moves) / sizeof(moves[0]))], 0, 0, (uint32_t)model_below(op, 4) };
}

static size_t generate(struct model_op *op, struct sock_filter *p)
{
	size_t n = 1 + model_below(op, LENGTH_MAX), at = 0;

	if (n > 8 && model_chance(op, 50)) { /* so that some can be read, and are not all the same */
		p[0] = (struct sock_filter){ BPF_LD | BPF_IMM, 0, 0, any_value(op) };
		p[1] = (struct sock_filter){ BPF_LDX | BPF_IMM, 0, 0, any_value(op) };
		for (at = 2; at < 6; at++)
			p[at] = (struct sock_filter){ model_chance(op, 50) ? BPF_ST : BPF_STX, 0, 0, (uint32_t)at - 2 };
	}
	for (; at < n; at++) {
		uint64_t what = model_below(op, 20);

		if (at + 1 == n || what < 2)
			p[at] = model_chance(op, 25) ? (struct sock_filter){ BPF_RET | BPF_A, 0, 0, 0 }
						     : (struct sock_filter){ BPF_RET | BPF_K, 0, 0, any_value(op) };
		else if (what < 8)
			p[at] = any_load(op);
		else if (what < 14)
			p[at] = any_jump(op, n - at - 1);
		else if (what < 17)
			p[at] = any_calculation(op);
		else
			p[at] = any_move(op);
	}
	return n;
}

/* A copy, with a reference to the filter; or the empty chain. */
static void take(struct chain *c, unsigned slot)
{
	spin_lock(&chains_lock);
	*c = chains[slot];
	if (c->filter)
		seccomp_get(c->filter);
	spin_unlock(&chains_lock);
}

/* Puts the chain there, whose reference is then the table's. */
static void leave(const struct chain *c, unsigned slot)
{
	struct seccomp_filter *old;

	spin_lock(&chains_lock);
	old = chains[slot].filter;
	chains[slot] = *c;
	spin_unlock(&chains_lock);
	seccomp_put(old);
}

static void extend(struct model_op *op)
{
	unsigned from = (unsigned)model_below(op, SLOTS), to = (unsigned)model_below(op, SLOTS);
	struct sock_filter program[LENGTH_MAX];
	size_t n = generate(op, program);
	struct chain *c = kmalloc(sizeof(*c));
	struct seccomp_filter *f = NULL;
	int error;

	if (!c)
		return;
	take(c, from);
	if (c->depth == DEPTH_MAX) {
		seccomp_put(c->filter);
		*c = (struct chain){ 0 };
	}
	error = seccomp_create(program, n, ARCH, c->filter, false, &f);
	if (error == -ENOMEM && model_may_fail()) {
		seccomp_put(c->filter);
		kfree(c);
		return;
	}
	MODEL_EQUAL(error, ref_is_right(program, n) ? 0 : -EINVAL); /* S3 */
	if (error == 0) {
		seccomp_put(c->filter); /* the new one has it */
		c->filter = f;
		c->length[c->depth] = n;
		memcpy(c->program[c->depth++], program, n * sizeof(program[0]));
		leave(c, to);
	} else {
		seccomp_put(c->filter);
	}
	kfree(c);
}

static void ask(struct model_op *op)
{
	struct chain *c = kmalloc(sizeof(*c));

	if (!c)
		return;
	take(c, (unsigned)model_below(op, SLOTS));
	for (unsigned question = 0; c->filter && question < QUESTIONS; question++) {
		union {
			struct seccomp_data call;
			uint32_t words[BPF_DATA_WORDS];
		} u;
		const struct seccomp_filter *by;
		uint32_t wanted;

		for (unsigned i = 0; i < BPF_DATA_WORDS; i++)
			u.words[i] = model_chance(op, 50) ? (uint32_t)model_below(op, NUMBERS) : (uint32_t)model_draw(op);
		u.call.nr = (int)(model_chance(op, 80) ? model_below(op, NUMBERS) : model_below(op, BEYOND));
		u.call.arch = ARCH;
		wanted = ref_decide(c, u.words);
		MODEL_EQUAL(seccomp_decide(c->filter, &u.call, &by), wanted); /* S1 */
		if (seccomp_allows(c->filter, (uint64_t)u.call.nr))	 /* S2 */
			MODEL_EQUAL(wanted & SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ALLOW);
		model_state(wanted);
	}
	seccomp_put(c->filter);
	kfree(c);
}

static void check_ancestors(struct model_op *op)
{
	struct chain *c = kmalloc(sizeof(*c));

	if (!c)
		return;
	take(c, (unsigned)model_below(op, SLOTS));
	MODEL_CHECK(seccomp_is_ancestor(NULL, c->filter));
	if (c->filter) {
		MODEL_CHECK(seccomp_is_ancestor(c->filter, c->filter) && seccomp_is_ancestor(c->filter->prev, c->filter));
		MODEL_CHECK(!c->filter->prev || !seccomp_is_ancestor(c->filter, c->filter->prev));
		MODEL_EQUAL(c->filter->depth, c->depth);
	}
	seccomp_put(c->filter);
	kfree(c);
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		uint64_t what = model_below(&op, 20);

		if (what < 8)
			extend(&op);
		else if (what < 17)
			ask(&op);
		else if (what < 19)
			check_ancestors(&op);
		else
			leave(&(struct chain){ 0 }, (unsigned)model_below(&op, SLOTS));
	}
}

static void run(void)
{
	model_workers(WORKERS, work);
	model_recover();
	for (unsigned slot = 0; slot < SLOTS; slot++)
		leave(&(struct chain){ 0 }, slot);
}

MODEL_DEFINE(seccomp, .what = "filters of system calls against a plain interpreter", .run = run, .cpus = 3, .operations = 100);
