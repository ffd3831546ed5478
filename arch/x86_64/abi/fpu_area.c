/* SPDX-License-Identifier: MIT */
/*
 * The memory image of the x87, SSE and AVX registers: 512 bytes as FXSAVE writes them and, on a CPU with
 * XSAVE, a header and the further states at the places that CPUID gives (Intel SDM volume 1, 13.4: the
 * standard format).
 */
#include "abi_internal.h"

#include <asm/errno.h>

#define CPUID_OSXSAVE (1u << 27)

uint64_t x86_fpu_known_features;
size_t x86_fpu_known_size;

/* The answer is the same whoever asks first; the size comes last, since it says that there is one. */
void x86_fpu_ask(void)
{
	uint32_t low = 0, high = 0;
	size_t size = FXSAVE_SIZE;

	if (x86_cpuid(1, 0).ecx & CPUID_OSXSAVE) {
		__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
		size = x86_cpuid(0xd, 0).ebx;
	}
	x86_fpu_known_features = (uint64_t)high << 32 | low;
	__atomic_store_n(&x86_fpu_known_size, size, __ATOMIC_RELEASE);
}

void x86_fpu_init_area(void *area)
{
	uint8_t *p = area;
	uint16_t control = X87_INITIAL_CONTROL;
	uint32_t mxcsr = MXCSR_INITIAL;

	__builtin_memset(p, 0, x86_fpu_size());
	__builtin_memcpy(p + FXSAVE_CWD, &control, sizeof(control));
	__builtin_memcpy(p + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
}

/*
 * FXSAVE itself tells, in the word behind MXCSR; 0 stands for the first CPUs' mask (Intel SDM volume
 * 1, 11.6.6).
 */
uint32_t x86_mxcsr_mask(void)
{
	static uint32_t mask;
	uint8_t area[FXSAVE_SIZE] __attribute__((aligned(16)));

	if (mask == 0) {
		uint32_t told;

		__asm__ volatile("fxsave64 %0" : "=m"(area));
		__builtin_memcpy(&told, area + FXSAVE_MXCSR + 4, sizeof(told));
		mask = told != 0 ? told : 0xffbf;
	}
	return mask;
}

/* ---- to and from user memory ---- */

static int copied(size_t left)
{
	return left == 0 ? 0 : -EFAULT;
}

int x86_fpu_area_to_user(struct hal_user *u, uaddr_t dst)
{
	const uint8_t *area = u->x86.fpu;
	size_t size = x86_fpu_size();

	hal_user_sync(u);
	if (hal_copy_to_user(dst, area, FXSAVE_SW) != 0)
		return -EFAULT;
	if (size == FXSAVE_SIZE)
		return 0;
	return copied(hal_copy_to_user(dst + XSAVE_HEADER, area + XSAVE_HEADER, size - XSAVE_HEADER));
}

/* Takes out of a foreign area what would fault when it is loaded (Intel SDM volume 1, 13.8.1). */
static void make_harmless(uint8_t *area, size_t len)
{
	uint32_t mxcsr;
	uint64_t present = STATE_LEGACY;

	__builtin_memcpy(&mxcsr, area + FXSAVE_MXCSR, sizeof(mxcsr));
	mxcsr &= x86_mxcsr_mask();
	__builtin_memcpy(area + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
	if (x86_fpu_size() == FXSAVE_SIZE)
		return;
	if (len > FXSAVE_SIZE)
		__builtin_memcpy(&present, area + XSAVE_HEADER, sizeof(present));
	present &= x86_fpu_features();
	__builtin_memset(area + XSAVE_HEADER, 0, XSAVE_MINIMUM - XSAVE_HEADER);
	__builtin_memcpy(area + XSAVE_HEADER, &present, sizeof(present));
}

/* The copy may sleep: fpu_memory_newer keeps the scheduler's hands off the area meanwhile. */
int x86_fpu_area_from_user(struct hal_user *u, uaddr_t src, size_t len)
{
	int err;

	hal_user_sync(u);
	u->x86.fpu_memory_newer = true;
	err = copied(hal_copy_from_user(u->x86.fpu, src, len));
	if (err == 0)
		make_harmless(u->x86.fpu, len);
	else
		x86_fpu_init_area(u->x86.fpu);
	u->x86.fpu_memory_newer = false;
	x86_user_reload(u);
	return err;
}

void x86_fpu_area_reset(struct hal_user *u)
{
	hal_user_sync(u); /* the segment bases, which are loaded again too */
	x86_fpu_init_area(u->x86.fpu);
	x86_user_reload(u);
}
