/* SPDX-License-Identifier: MIT */
/*
 * The memory image of the x87, SSE and AVX registers: 512 bytes as FXSAVE writes them and, on a CPU with
 * XSAVE, a header and the further states at the places that CPUID gives (Intel SDM volume 1, 13.4: the
 * standard format).
 */
#include "abi_internal.h"

#define CPUID_OSXSAVE (1u << 27)

static uint64_t features;
static size_t size; /* 0: not asked yet; both are the same whoever asks first */

static void ask(void)
{
	uint32_t low = 0, high = 0;

	if (x86_cpuid(1, 0).ecx & CPUID_OSXSAVE) {
		__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
		features = (uint64_t)high << 32 | low;
		__atomic_store_n(&size, x86_cpuid(0xd, 0).ebx, __ATOMIC_RELEASE);
	} else {
		__atomic_store_n(&size, FXSAVE_SIZE, __ATOMIC_RELEASE);
	}
}

size_t x86_fpu_size(void)
{
	if (__atomic_load_n(&size, __ATOMIC_ACQUIRE) == 0)
		ask();
	return size;
}

uint64_t x86_fpu_features(void)
{
	x86_fpu_size();
	return features;
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
