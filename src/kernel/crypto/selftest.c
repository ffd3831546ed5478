/* SPDX-License-Identifier: MIT */
/*
 * Self-test of the libraries that the kernel carries, with `cloudos.selftest` on the command line: an LZ4 and a
 * Zstandard frame made by their own command-line programs, and the two-block SHA-256 example of FIPS 180-4. A kernel whose
 * decompressor or hash is wrong must not go on: each failure is a panic that names what failed.
 */

#define LOG_SUBSYSTEM "selftest"

#include <cloudos/cmdline.h>
#include <cloudos/compress.h>
#include <cloudos/crypto.h>
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/panic.h>
#include <cloudos/service.h>
#include <cloudos/string.h>

/* The same line six times, then a newline. */
static const char sentence[] = "CloudOS tests what it carries. ";
#define SENTENCES 6

static const uint8_t lz4_frame[] = {
	0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0x2a, 0x00, 0x00, 0x00, 0xff, 0x10, 0x43, 0x6c, 0x6f,
	0x75, 0x64, 0x4f, 0x53, 0x20, 0x74, 0x65, 0x73, 0x74, 0x73, 0x20, 0x77, 0x68, 0x61, 0x74, 0x20,
	0x69, 0x74, 0x20, 0x63, 0x61, 0x72, 0x72, 0x69, 0x65, 0x73, 0x2e, 0x20, 0x1f, 0x00, 0x84, 0x50,
	0x65, 0x73, 0x2e, 0x20, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x3f, 0x32, 0xa3, 0x31,
};

static const uint8_t zstd_frame[] = {
	0x28, 0xb5, 0x2f, 0xfd, 0x24, 0xbb, 0x45, 0x01, 0x00, 0x04, 0x02, 0x43, 0x6c, 0x6f, 0x75, 0x64,
	0x4f, 0x53, 0x20, 0x74, 0x65, 0x73, 0x74, 0x73, 0x20, 0x77, 0x68, 0x61, 0x74, 0x20, 0x69, 0x74,
	0x20, 0x63, 0x61, 0x72, 0x72, 0x69, 0x65, 0x73, 0x2e, 0x20, 0x0a, 0x01, 0x00, 0x63, 0x04, 0xa5,
	0x9c, 0xa2, 0x2c, 0x90, 0x9f,
};

/* FIPS 180-4, example B.2. */
static const char sha256_message[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
static const uint8_t sha256_expected[] = {
	0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8, 0xe5, 0xc0, 0x26, 0x93, 0x0c, 0x3e, 0x60, 0x39,
	0xa3, 0x3c, 0xe4, 0x59, 0x64, 0xff, 0x21, 0x67, 0xf6, 0xec, 0xed, 0xd4, 0x19, 0xdb, 0x06, 0xc1,
};

/* A sink that compares with the text instead of keeping it. */
struct check_sink {
	struct decompress_sink sink;
	size_t at;
};

static int check_write(struct decompress_sink *sink, const void *data, size_t len)
{
	struct check_sink *check = container_of(sink, struct check_sink, sink);
	const char *text = data;
	size_t period = sizeof(sentence) - 1;

	for (size_t i = 0; i < len; i++, check->at++) {
		char expected = check->at == period * SENTENCES ? '\n' : sentence[check->at % period];

		if (check->at > period * SENTENCES || text[i] != expected)
			return -EILSEQ;
	}
	return 0;
}

static int check_frame(const uint8_t *frame, size_t len)
{
	struct check_sink check = {.sink = {check_write}};
	size_t work_len, used;
	int err = decompress_work_size(frame, len, &work_len);

	if (err)
		return err;
	void *work = kva_alloc(work_len);
	if (!work)
		return -ENOMEM;
	err = decompress(frame, len, work, work_len, &check.sink, &used);
	kva_free(work);
	if (err)
		return err;
	return check.at == (sizeof(sentence) - 1) * SENTENCES + 1 && used == len ? 0 : -EILSEQ;
}

static int check_sha256(void)
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256(sha256_message, sizeof(sha256_message) - 1, digest);
	return memcmp(digest, sha256_expected, sizeof(digest)) == 0 ? 0 : -EILSEQ;
}

static void expect(const char *what, int err)
{
	if (err)
		panic("selftest: %s failed (%d)", what, err);
}

static int selftest_start(void)
{
	if (!cmdline_has("cloudos.selftest"))
		return 0;
	expect("LZ4", check_frame(lz4_frame, sizeof(lz4_frame)));
	expect("Zstandard", check_frame(zstd_frame, sizeof(zstd_frame)));
	expect("SHA-256", check_sha256());
	log_notice("ok");
	return 0;
}

SERVICE_DEFINE(selftest, .start = selftest_start);
