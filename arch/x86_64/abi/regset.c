/* SPDX-License-Identifier: MIT */
/*
 * A thread's registers as ptrace(2) and core files show them (elf.h's NT_*), single steps, and the holding still of a thread
 * whose registers others look at.
 *
 * Nothing that a debugger writes is trusted: selectors are the constant ones, flags are a program's, bases lie in the user's half, and an FPU
 * area that would fault when it is loaded is refused.
 *
 * The trap flag that a single step needs is ours (step_forced) unless the program had set it itself: then it is neither shown nor taken away.
 */
#include "abi_internal.h"

#include <asm/errno.h>
#include <asm/ptrace.h>
#include <asm/sigcontext.h>
#include <cloudos/string.h>
#include <linux/elf.h>
#include <linux/ptrace.h>

/* Linux's struct user, of which no header tells: user_regs_struct is its beginning; eight debug registers and two other words are its end. */
#define GENERAL_SIZE 216u
#define DEBUG_AT     848u
#define DEBUG_END    (DEBUG_AT + 8 * sizeof(uint64_t))
#define AREA_SIZE    928u

#define SELECTORS_AT sizeof(struct hal_regs) /* ds, es, fs, gs: always 0 here */
#define XCOMP_AT     (XSAVE_HEADER + 8)

_Static_assert(GENERAL_SIZE == sizeof(struct hal_regs) + 4 * sizeof(uint64_t), "user_regs_struct");
_Static_assert(AREA_SIZE == DEBUG_END + 2 * sizeof(uint64_t), "struct user");

void hal_user_lend(struct hal_user *u)
{
	x86_regs_complete(u);
	hal_user_sync(u);
	u->x86.fpu_memory_newer = true;
}

void hal_user_reclaim(struct hal_user *u)
{
	u->x86.fpu_memory_newer = false;
	x86_user_reload(u);
}

/* ---- single steps ---- */

void hal_abi_step(struct hal_user *u, bool on)
{
	x86_regs_complete(u);
	if (on && !(u->regs.rflags & X86_FLAG_TF)) {
		u->regs.rflags |= X86_FLAG_TF;
		u->x86.step_forced = true;
	} else if (!on && u->x86.step_forced) {
		u->regs.rflags &= ~X86_FLAG_TF;
		u->x86.step_forced = false;
	}
	u->x86.step = on;
}

bool hal_abi_stepping(const struct hal_user *u)
{
	return u->x86.step;
}

/* ---- general registers, a word at a time ---- */

static uint64_t shown_flags(const struct hal_user *u)
{
	return u->x86.step_forced ? u->regs.rflags & ~X86_FLAG_TF : u->regs.rflags;
}

static uint64_t get_word(const struct hal_user *u, size_t at)
{
	if (at >= SELECTORS_AT)
		return 0;
	if (at == offsetof(struct hal_regs, rflags))
		return shown_flags(u);
	return *(const uint64_t *)((const char *)&u->regs + at);
}

static void set_flags(struct hal_user *u, uint64_t value)
{
	if (value & X86_FLAG_TF)
		u->x86.step_forced = false;
	else if (u->x86.step_forced)
		value |= X86_FLAG_TF;
	u->regs.rflags = (u->regs.rflags & ~X86_FLAGS_USER) | (value & X86_FLAGS_USER);
}

static int check_word(size_t at, uint64_t value)
{
	switch (at) {
	case offsetof(struct hal_regs, cs):
		return (value & 0xffff) == X86_USER_CS ? 0 : -EIO;
	case offsetof(struct hal_regs, ss):
		return (value & 0xffff) == X86_USER_SS ? 0 : -EIO;
	case offsetof(struct hal_regs, fs_base):
	case offsetof(struct hal_regs, gs_base):
		return value < HAL_USER_TOP ? 0 : -EIO;
	default:
		return at < SELECTORS_AT || (value & 0xffff) == 0 ? 0 : -EIO;
	}
}

static void set_word(struct hal_user *u, size_t at, uint64_t value)
{
	if (at == offsetof(struct hal_regs, rflags))
		set_flags(u, value);
	else if (at < SELECTORS_AT && at != offsetof(struct hal_regs, cs) && at != offsetof(struct hal_regs, ss))
		*(uint64_t *)((char *)&u->regs + at) = value;
}

static void get_general(const struct hal_user *u, void *ret)
{
	for (size_t at = 0; at < GENERAL_SIZE; at += sizeof(uint64_t)) {
		uint64_t value = get_word(u, at);

		memcpy((char *)ret + at, &value, sizeof(value));
	}
}

static int set_general(struct hal_user *u, const void *data, size_t len)
{
	const char *from = data;
	uint64_t value;

	for (size_t at = 0; at + sizeof(value) <= len; at += sizeof(value)) {
		memcpy(&value, from + at, sizeof(value));
		if (check_word(at, value) < 0)
			return -EIO;
	}
	for (size_t at = 0; at + sizeof(value) <= len; at += sizeof(value)) {
		memcpy(&value, from + at, sizeof(value));
		set_word(u, at, value);
	}
	return 0;
}

/* ---- the user area (PTRACE_PEEKUSR) ---- */

static bool is_debug_register(uint64_t at)
{
	return at >= DEBUG_AT && at < DEBUG_END;
}

int hal_abi_user_peek(const struct hal_user *u, uint64_t at, uint64_t *ret)
{
	if (at % sizeof(uint64_t) || at >= AREA_SIZE)
		return -EIO;
	*ret = at < GENERAL_SIZE ? get_word(u, (size_t)at) : 0;
	return 0;
}

/* Debug registers cannot be used, as on a machine on which others hold them all; clearing them is no use of them. */
int hal_abi_user_poke(struct hal_user *u, uint64_t at, uint64_t value)
{
	if (at % sizeof(uint64_t) || at >= AREA_SIZE)
		return -EIO;
	if (is_debug_register(at))
		return value ? -ENOSPC : 0;
	if (at >= GENERAL_SIZE || check_word((size_t)at, value) < 0)
		return -EIO;
	set_word(u, (size_t)at, value);
	return 0;
}

/* ---- the FPU ---- */

static void get_states(const struct hal_user *u, void *ret)
{
	uint64_t features = x86_fpu_features();

	memcpy(ret, u->x86.fpu, x86_fpu_size());
	memset((char *)ret + FXSAVE_SW, 0, sizeof(struct _fpx_sw_bytes));
	memcpy((char *)ret + FXSAVE_SW, &features, sizeof(features)); /* where debuggers look for XCR0 */
}

static bool mxcsr_ok(const void *area)
{
	uint32_t mxcsr;

	memcpy(&mxcsr, (const char *)area + FXSAVE_MXCSR, sizeof(mxcsr));
	return !(mxcsr & ~x86_mxcsr_mask());
}

static int set_legacy(struct hal_user *u, const void *data, size_t len)
{
	uint64_t present;
	char *area = u->x86.fpu;

	if (len != FXSAVE_SIZE || !mxcsr_ok(data))
		return -EINVAL;
	memcpy(area, data, FXSAVE_SW);
	if (x86_fpu_features() == 0)
		return 0;
	memcpy(&present, area + XSAVE_HEADER, sizeof(present));
	present |= STATE_LEGACY;
	memcpy(area + XSAVE_HEADER, &present, sizeof(present));
	return 0;
}

static int set_states(struct hal_user *u, const void *data, size_t len)
{
	uint64_t header[(XSAVE_MINIMUM - XSAVE_HEADER) / sizeof(uint64_t)], rest = 0;

	if (len != x86_fpu_size())
		return -EFAULT;
	memcpy(header, (const char *)data + XSAVE_HEADER, sizeof(header));
	for (size_t i = XCOMP_AT / sizeof(uint64_t) - XSAVE_HEADER / sizeof(uint64_t); i < sizeof(header) / sizeof(header[0]); i++)
		rest |= header[i];
	if ((header[0] & ~x86_fpu_features()) || rest || !mxcsr_ok(data))
		return -EINVAL;
	memcpy(u->x86.fpu, data, len);
	return 0;
}

/* ---- sets ---- */

size_t hal_abi_regset_size(unsigned type)
{
	switch (type) {
	case NT_PRSTATUS:
		return GENERAL_SIZE;
	case NT_PRFPREG:
		return FXSAVE_SIZE;
	case NT_X86_XSTATE:
		return x86_fpu_features() ? x86_fpu_size() : 0;
	default:
		return 0;
	}
}

unsigned hal_abi_core_set(unsigned n)
{
	static const unsigned sets[] = { NT_PRFPREG, NT_X86_XSTATE };

	return n < ARRAY_SIZE(sets) ? sets[n] : 0;
}

void hal_abi_regset_get(const struct hal_user *u, unsigned type, void *ret)
{
	switch (type) {
	case NT_PRSTATUS:
		get_general(u, ret);
		break;
	case NT_PRFPREG:
		memcpy(ret, u->x86.fpu, FXSAVE_SIZE);
		memset((char *)ret + FXSAVE_SW, 0, sizeof(struct _fpx_sw_bytes));
		break;
	case NT_X86_XSTATE:
		get_states(u, ret);
		break;
	}
}

int hal_abi_regset_set(struct hal_user *u, unsigned type, const void *data, size_t len)
{
	switch (type) {
	case NT_PRSTATUS:
		return set_general(u, data, len);
	case NT_PRFPREG:
		return set_legacy(u, data, len);
	case NT_X86_XSTATE:
		return set_states(u, data, len);
	default:
		return -EINVAL;
	}
}

bool hal_abi_regset_request(unsigned long request, unsigned *ret_type, bool *ret_set)
{
	switch (request) {
	case PTRACE_GETREGS:
	case PTRACE_SETREGS:
		*ret_type = NT_PRSTATUS;
		*ret_set = request == PTRACE_SETREGS;
		return true;
	case PTRACE_GETFPREGS:
	case PTRACE_SETFPREGS:
		*ret_type = NT_PRFPREG;
		*ret_set = request == PTRACE_SETFPREGS;
		return true;
	default:
		return false;
	}
}

/* ---- stops of system calls ---- */

void hal_abi_call_stop(struct hal_regs *r)
{
	hal_abi_set_result(r, -ENOSYS);
}

uint64_t hal_abi_call_stopped(struct hal_regs *r)
{
	return r->orig_rax;
}
