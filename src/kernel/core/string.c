/* SPDX-License-Identifier: MIT */
/* String helpers of our own. */
#include <cloudos/errno.h>
#include <cloudos/string.h>

bool str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strnlen(src, size);

	if (size == 0)
		return false;
	if (n == size)
		n--;
	memcpy(dst, src, n);
	dst[n] = '\0';
	return src[n] == '\0';
}

static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A') + 10;
	return 255;
}

int str_to_u64(const char *s, unsigned base, uint64_t *ret)
{
	uint64_t value = 0;

	if (base == 0) {
		base = 10;
		if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
			base = 16;
			s += 2;
		} else if (s[0] == '0') {
			base = 8;
		}
	}
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned d = digit_value(*s);

		if (d >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) || __builtin_add_overflow(value, (uint64_t)d, &value))
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

int str_to_size(const char *text, size_t len, uint64_t *ret)
{
	static const char units[] = "KMGT";
	char digits[24] = "";
	unsigned shift = 0;
	uint64_t value;

	while (len > 0 && text[len - 1] == '\n')
		len--;
	for (unsigned i = 0; len > 0 && i < sizeof(units) - 1; i++)
		if ((text[len - 1] & ~0x20) == units[i])
			shift = 10 * (i + 1);
	len -= shift != 0;
	if (len == 0 || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len);
	if (str_to_u64(digits, 10, &value) || value > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = value << shift;
	return 0;
}
