/* SPDX-License-Identifier: MIT */
/*
 * Random numbers with fast key erasure: each request runs ChaCha20 (RFC 8439 section 2.3) on the key and a counter; the first 32
 * bytes of the output become the next key, so that what was handed out cannot be found again. New entropy is mixed into the
 * key by exclusive or, followed by a round.
 */
#include <cloudos/lock.h>
#include <cloudos/random.h>
#include <cloudos/string.h>
#include <hal/hal.h>

#define KEY_WORDS   8
#define BLOCK_BYTES 64
#define CHUNK_BYTES 256 /* per hold of the lock, so that interrupts are not off for long */

static struct spinlock random_lock = SPINLOCK_INIT(RANK_LEAF);
static uint32_t key[KEY_WORDS];
static uint64_t nonce;
static bool seeded;

static uint32_t rotl(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static void quarter(uint32_t *x, unsigned a, unsigned b, unsigned c, unsigned d)
{
	x[a] += x[b];
	x[d] = rotl(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotl(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotl(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotl(x[b] ^ x[c], 7);
}

static void chacha20_block(const uint32_t k[KEY_WORDS], uint64_t counter, uint64_t iv, uint32_t out[16])
{
	uint32_t in[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };

	memcpy(in + 4, k, KEY_WORDS * sizeof(uint32_t));
	memcpy(in + 12, &counter, sizeof(counter));
	memcpy(in + 14, &iv, sizeof(iv));
	memcpy(out, in, sizeof(in));
	for (int round = 0; round < 10; round++) {
		quarter(out, 0, 4, 8, 12);
		quarter(out, 1, 5, 9, 13);
		quarter(out, 2, 6, 10, 14);
		quarter(out, 3, 7, 11, 15);
		quarter(out, 0, 5, 10, 15);
		quarter(out, 1, 6, 11, 12);
		quarter(out, 2, 7, 8, 13);
		quarter(out, 3, 4, 9, 14);
	}
	for (int i = 0; i < 16; i++)
		out[i] += in[i];
}

static void mix_locked(const void *data, size_t len)
{
	uint8_t *k = (uint8_t *)key;
	const uint8_t *p = data;
	uint32_t block[16];

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

void random_bytes(void *buf, size_t len)
{
	uint8_t *p = buf;

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
