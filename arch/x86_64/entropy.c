/* SPDX-License-Identifier: MIT */
/*
 * Random numbers from the CPU: RDSEED where there is one, else RDRAND (Intel DRNG Software Implementation
 * Guide, 5.2).
 */
#include <x86/features.h>
#include <hal/hal.h>

#define TRIES 10u /* an instruction that fails so often will not work soon */

static bool random_word(uint64_t *ret)
{
	for (unsigned i = 0; i < TRIES; i++) {
		bool ok = false;

		if (x86_features.rdseed)
			__asm__ volatile("rdseed %0" : "=r"(*ret), "=@ccc"(ok));
		else if (x86_features.rdrand)
			__asm__ volatile("rdrand %0" : "=r"(*ret), "=@ccc"(ok));
		if (ok)
			return true;
		hal_cpu_relax();
	}
	return false;
}

size_t hal_entropy(void *buf, size_t len)
{
	size_t done = 0;
	uint64_t word;

	if (!x86_features.rdseed && !x86_features.rdrand)
		return 0;
	while (done < len && random_word(&word)) {
		size_t n = len - done < sizeof(word) ? len - done : sizeof(word);

		__builtin_memcpy((char *)buf + done, &word, n);
		done += n;
	}
	return done;
}
