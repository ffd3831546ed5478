/* SPDX-License-Identifier: MIT */
/* Looking words up on the kernel command line. It is short and read rarely: each look-up scans it. */
#include <cloudos/cmdline.h>
#include <cloudos/string.h>
#include <hal/hal.h>

/* The next word at or behind s; null at the end. *ret_end is behind it. */
static const char *next_word(const char *s, const char **ret_end)
{
	while (*s == ' ' || *s == '\t' || *s == '\n')
		s++;
	if (!*s)
		return NULL;
	*ret_end = s;
	while (**ret_end && **ret_end != ' ' && **ret_end != '\t' && **ret_end != '\n')
		(*ret_end)++;
	return s;
}

bool cmdline_get(const char *name, char *ret, size_t size)
{
	size_t len = strlen(name);
	const char *word, *end = hal_cmdline();
	bool found = false;

	while ((word = next_word(end, &end))) {
		size_t n;

		if ((size_t)(end - word) < len || memcmp(word, name, len) != 0)
			continue;
		word += len;
		if (word != end && *word++ != '=')
			continue;
		n = min((size_t)(end - word), size - 1);
		memcpy(ret, word, n);
		ret[n] = '\0';
		found = true;
	}
	return found;
}

bool cmdline_has(const char *name)
{
	char value[4];

	return cmdline_get(name, value, sizeof(value));
}

bool cmdline_flag(const char *name, bool absent)
{
	char value[8];

	if (!cmdline_get(name, value, sizeof(value)))
		return absent;
	return !str_equal(value, "0") && !str_equal(value, "off");
}

uint64_t cmdline_u64(const char *name, uint64_t absent)
{
	char value[24];
	uint64_t n;

	if (!cmdline_get(name, value, sizeof(value)) || str_to_u64(value, 0, &n))
		return absent;
	return n;
}
