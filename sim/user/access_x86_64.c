/* SPDX-License-Identifier: MIT */
/*
 * What kind of access faulted, from the instruction: hardware tells an operating system that in the error
 * code, but the host does not pass that on. Only the answer "write" must be certain (a page that may not be
 * written would kill the program); "read" is always safe, since a write then faults once more on a page that
 * is there. So: instructions known to write their memory operand, by opcode (Intel SDM volume 2, appendix A);
 * all others read.
 */
#include <sim/user.h>
#include <sim/walk.h>

#define INSN_MAX 15
#define NEAR	 64 /* bytes: what may belong to the address in a register */

struct insn {
	uint8_t bytes[INSN_MAX + 1]; /* zero filled at the end */
	unsigned length;	     /* bytes that could be read */
	unsigned map;		     /* 0: one-byte opcodes, 1: 0f, 2: 0f38, 3: 0f3a */
	uint8_t opcode, prefix;	     /* the last of 66, f2, f3, or 0                  */
	uint8_t modrm;
};

static bool near(uaddr_t addr, uint64_t base)
{
	return addr - base < NEAR;
}

static unsigned insn_fetch(const struct hal_aspace *as, uaddr_t pc, uint8_t *bytes)
{
	unsigned n;

	for (n = 0; n < INSN_MAX; n++) {
		const uint8_t *p = sim_walk_pointer(as, pc + n, HAL_ACCESS_EXEC);

		if (!p)
			break;
		bytes[n] = *p;
	}
	return n;
}

static unsigned skip_prefixes(struct insn *in)
{
	static const uint8_t ignored[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67, 0xf0};
	unsigned i;

	for (i = 0; i < INSN_MAX; i++) {
		uint8_t b = in->bytes[i];
		bool known = b == 0x66 || b == 0xf2 || b == 0xf3;

		if (known)
			in->prefix = b;
		for (unsigned k = 0; k < sizeof(ignored) && !known; k++)
			known = b == ignored[k];
		if (!known)
			break;
	}
	return (in->bytes[i] & 0xf0) == 0x40 ? i + 1 : i; /* REX */
}

/* Finds opcode map, opcode and ModRM; VEX and EVEX forms fold into the legacy ones. */
static bool insn_parse(struct insn *in)
{
	static const uint8_t vex_prefix[] = {0, 0x66, 0xf3, 0xf2};
	unsigned i = skip_prefixes(in);
	uint8_t b = in->bytes[i++];

	if (b == 0xc5) {
		in->map = 1;
		in->prefix = vex_prefix[in->bytes[i++] & 3];
		b = in->bytes[i++];
	} else if (b == 0xc4 || b == 0x62) {
		in->map = in->bytes[i] & (b == 0xc4 ? 31 : 7);
		in->prefix = vex_prefix[in->bytes[i + 1] & 3];
		i += b == 0xc4 ? 2 : 3;
		b = in->bytes[i++];
	} else if (b == 0x0f) {
		in->map = 1;
		b = in->bytes[i++];
		if (b == 0x38 || b == 0x3a) {
			in->map = b == 0x38 ? 2 : 3;
			b = in->bytes[i++];
		}
	}
	in->opcode = b;
	in->modrm = in->bytes[i < INSN_MAX ? i : INSN_MAX];
	return i < in->length || (i == in->length && in->map == 0);
}

static bool float_writes(uint8_t opcode, unsigned reg)
{
	switch (opcode) {
	case 0xd9:
		return reg == 2 || reg == 3 || reg >= 6;
	case 0xdb:
		return (reg >= 1 && reg <= 3) || reg == 7;
	case 0xdd:
	case 0xdf:
		return (reg >= 1 && reg <= 3) || reg >= 6;
	}
	return false;
}

/* Instructions whose memory operand is implied by rsp or rdi. */
static bool implied_write(const struct insn *in, const struct hal_regs *r, uaddr_t addr)
{
	unsigned reg = in->modrm >> 3 & 7;

	switch (in->opcode) {
	case 0x50 ... 0x57: /* push */
	case 0x68:
	case 0x6a:
	case 0x9c:
	case 0xe8: /* call */
	case 0xc8: /* enter */
		return true;
	case 0xff: /* call, push of memory */
		return (reg == 2 || reg == 3 || reg == 6) && near(addr, r->rsp - NEAR);
	case 0x8f: /* pop to memory */
		return reg == 0 && !near(addr, r->rsp);
	case 0xa4: /* movs */
	case 0xa5:
		return near(addr, r->rdi) && !near(addr, r->rsi);
	case 0xaa: /* stos */
	case 0xab:
	case 0xa2: /* mov to an absolute address */
	case 0xa3:
		return true;
	}
	return false;
}

/* One-byte opcodes with a ModRM memory operand that is written. */
static bool writes_map0(const struct insn *in)
{
	unsigned reg = in->modrm >> 3 & 7;

	switch (in->opcode) {
	case 0x00 ... 0x37:
		return (in->opcode & 7) < 2;
	case 0x80 ... 0x83:
		return reg != 7;
	case 0x86 ... 0x89:
	case 0x8c:
	case 0xc0:
	case 0xc1:
	case 0xc6:
	case 0xc7:
	case 0xd0 ... 0xd3:
		return true;
	case 0xd8 ... 0xdf:
		return float_writes(in->opcode, reg);
	case 0xf6:
	case 0xf7:
		return reg == 2 || reg == 3;
	case 0xfe:
	case 0xff:
		return reg < 2;
	}
	return false;
}

static bool writes_map1(const struct insn *in)
{
	unsigned reg = in->modrm >> 3 & 7;

	switch (in->opcode) {
	case 0x11:
	case 0x13:
	case 0x17:
	case 0x29:
	case 0x2b:
	case 0x7f:
	case 0x90 ... 0x9f: /* setcc; also kmov's store */
	case 0xa4:
	case 0xa5:
	case 0xab:
	case 0xac:
	case 0xad:
	case 0xb0:
	case 0xb1:
	case 0xb3:
	case 0xbb:
	case 0xc0:
	case 0xc1:
	case 0xc3:
	case 0xd6:
	case 0xe7:
		return !(in->opcode == 0x90 && in->length && (in->bytes[0] == 0xc5 || in->bytes[0] == 0xc4));
	case 0x7e:
		return in->prefix != 0xf3;
	case 0xae: /* fxsave, stmxcsr, xsave, xsaveopt */
		return reg == 0 || reg == 3 || reg == 4 || (reg == 6 && !in->prefix);
	case 0xba:
		return reg >= 5;
	case 0xc7: /* cmpxchg16b, xsavec */
		return reg == 1 || reg == 4;
	}
	return false;
}

static bool insn_writes(const struct insn *in, const struct hal_regs *r, uaddr_t addr)
{
	if (in->map == 0 && implied_write(in, r, addr))
		return true;
	if (in->modrm >> 6 == 3)
		return false;
	switch (in->map) {
	case 0:
		return writes_map0(in);
	case 1:
		return writes_map1(in);
	case 2:
		return in->opcode == 0xf1 && in->prefix != 0xf2; /* movbe */
	case 3:
		return (in->opcode >= 0x14 && in->opcode <= 0x17) || in->opcode == 0x19 || in->opcode == 0x39;
	}
	return false;
}

bool sim_insn_writes(const uint8_t *bytes, unsigned length, const struct hal_regs *regs, uaddr_t addr)
{
	struct insn in = {.length = length};

	for (unsigned i = 0; i < length && i < INSN_MAX; i++)
		in.bytes[i] = bytes[i];
	return insn_parse(&in) && insn_writes(&in, regs, addr);
}

enum hal_access sim_access_guess(const struct hal_aspace *as, const struct hal_regs *regs, uaddr_t addr)
{
	uint8_t bytes[INSN_MAX];
	unsigned length = insn_fetch(as, regs->rip, bytes);

	if (length < INSN_MAX && addr == regs->rip + length)
		return HAL_ACCESS_READ; /* perhaps the fetch of the rest: comes back when the page is there */
	return sim_insn_writes(bytes, length, regs, addr) ? HAL_ACCESS_WRITE : HAL_ACCESS_READ;
}
