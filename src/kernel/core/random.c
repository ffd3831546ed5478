/* SPDX-License-Identifier: MIT */
/*
 * Random numbers with fast key erasure: ChaCha20 (RFC 8439 section 2.3) runs on the key and a counter; the first 32 bytes of the
 * output become the next key, so that what was handed out cannot be found again. New entropy is mixed into the key by
 * exclusive or, followed by a round.
 *
 * Small requests, which are most (address-space layouts, hash seeds), are served from the rest of a larger output, the pool, and
 * cleared there. What was in the pool before entropy came is thrown away.
 */
#include <cloudos/lock.h>
#include <cloudos/random.h>
#include <cloudos/string.h>
#include <hal/hal.h>

#define KEY_WORDS   8
#define BLOCK_BYTES 64
#define POOL_BYTES  (4 * BLOCK_BYTES - sizeof(key)) /* one run of four blocks, less the next key */
#define SMALL_BYTES 32u /* requests up to this come from the pool */
#define CHUNK_BYTES 256 /* per hold of the lock, so that interrupts are not off for long */

static struct spinlock random_lock = SPINLOCK_INIT(RANK_LEAF);
static uint32_t key[KEY_WORDS];
static uint64_t nonce;
static bool seeded;
static uint8_t pool[4 * BLOCK_BYTES]; /* the last pool_left bytes are unused yet */
static size_t pool_left;

static uint32_t rotl(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

/* On four words of a local array at constant places, which the compiler keeps in registers as far as they go. */
static inline __attribute__((always_inline)) void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b;
	*d = rotl(*d ^ *a, 16);
	*c += *d;
	*b = rotl(*b ^ *c, 12);
	*a += *b;
	*d = rotl(*d ^ *a, 8);
	*c += *d;
	*b = rotl(*b ^ *c, 7);
}

static void chacha20_block(const uint32_t k[KEY_WORDS], uint64_t counter, uint64_t iv, uint32_t out[16])
{
	const uint32_t in[16] = {
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7],
		(uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)iv, (uint32_t)(iv >> 32),
	};
	uint32_t x[16];

	memcpy(x, in, sizeof(x));
	for (int round = 0; round < 10; round++) {
		quarter(&x[0], &x[4], &x[8], &x[12]);
		quarter(&x[1], &x[5], &x[9], &x[13]);
		quarter(&x[2], &x[6], &x[10], &x[14]);
		quarter(&x[3], &x[7], &x[11], &x[15]);
		quarter(&x[0], &x[5], &x[10], &x[15]);
		quarter(&x[1], &x[6], &x[11], &x[12]);
		quarter(&x[2], &x[7], &x[8], &x[13]);
		quarter(&x[3], &x[4], &x[9], &x[14]);
	}
	for (int i = 0; i < 16; i++)
		out[i] = x[i] + in[i];
}

static void mix_locked(const void *data, size_t len)
{
	uint8_t *k = (uint8_t *)key;
	const uint8_t *p = data;
	uint32_t block[16];

	pool_left = 0;
	for (size_t i = 0; i < len; i++) {
		k[i % sizeof(key)] ^= p[i];
		if (i % sizeof(key) == sizeof(key) - 1 || i == len - 1) {
			chacha20_block(key, 0, nonce++, block);
			memcpy(key, block, sizeof(key));
		}
	}
}

static void seed_locked(void)
{
	uint8_t hardware[64];
	uint64_t clocks[2] = { hal_clock_ns(), hal_wall_ns() };

	mix_locked(clocks, sizeof(clocks));
	mix_locked(hardware, hal_entropy(hardware, sizeof(hardware)));
	seeded = true;
}

static void chunk(uint8_t *buf, size_t len)
{
	unsigned long flags = spin_lock_irq(&random_lock);
	uint32_t block[16];
	uint64_t iv = nonce++;

	if (!seeded)
		seed_locked();
	for (uint64_t counter = 1; len > 0; counter++) {
		size_t n = min(len, (size_t)BLOCK_BYTES);

		chacha20_block(key, counter, iv, block);
		memcpy(buf, block, n);
		buf += n;
		len -= n;
	}
	chacha20_block(key, 0, iv, block);
	memcpy(key, block, sizeof(key));
	memset(block, 0, sizeof(block));
	__asm__ volatile("" : : "r"(block) : "memory");
	spin_unlock_irq(&random_lock, flags);
}

static void refill_locked(void)
{
	uint64_t iv = nonce++;
	uint32_t block[16];

	if (!seeded)
		seed_locked();
	for (uint64_t counter = 0; counter < sizeof(pool) / BLOCK_BYTES; counter++) {
		chacha20_block(key, counter, iv, block);
		memcpy(pool + counter * BLOCK_BYTES, block, BLOCK_BYTES);
	}
	memcpy(key, pool, sizeof(key));
	memset(pool, 0, sizeof(key));
	pool_left = POOL_BYTES;
}

static void small(void *buf, size_t len)
{
	unsigned long flags = spin_lock_irq(&random_lock);
	uint8_t *from;

	if (pool_left < len)
		refill_locked();
	from = pool + sizeof(pool) - pool_left;
	memcpy(buf, from, len);
	memset(from, 0, len);
	pool_left -= len;
	spin_unlock_irq(&random_lock, flags);
}

void random_bytes(void *buf, size_t len)
{
	uint8_t *p = buf;

	if (likely(len <= SMALL_BYTES)) {
		small(buf, len);
		return;
	}
	while (len > 0) {
		size_t n = min(len, (size_t)CHUNK_BYTES);

		chunk(p, n);
		p += n;
		len -= n;
	}
}

uint64_t random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

void random_add(const void *buf, size_t len)
{
	unsigned long flags = spin_lock_irq(&random_lock);
	uint64_t now = hal_clock_ns();

	mix_locked(&now, sizeof(now));
	mix_locked(buf, len);
	spin_unlock_irq(&random_lock, flags);
}
