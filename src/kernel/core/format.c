/* SPDX-License-Identifier: MIT */
/*
 * Formatted text (C17 7.21.6.1 without floating point). Output goes to a bounded buffer; what does not fit is counted and
 * dropped, so that the caller learns the whole length.
 */
#include <cloudos/format.h>
#include <cloudos/string.h>

struct out {
	char *buf;
	size_t size, len;
};

struct spec {
	bool left, zero, plus, space, alternate;
	int width, precision; /* precision -1: none */
	unsigned bytes;	      /* of an integer argument */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, int n)
{
	for (; n > 0; n--)
		put(o, c);
}

static void put_text(struct out *o, const char *s, size_t n, const struct spec *sp)
{
	int fill = sp->width - (int)n;

	if (!sp->left)
		pad(o, ' ', fill);
	for (size_t i = 0; i < n; i++)
		put(o, s[i]);
	if (sp->left)
		pad(o, ' ', fill);
}

/* Digits of v, least significant first; returns how many. */
static int digits_of(char buf[24], uint64_t v, unsigned base, bool upper)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	int n = 0;

	for (; v > 0; v /= base)
		buf[n++] = set[v % base];
	return n;
}

static void put_number(struct out *o, uint64_t v, unsigned base, bool upper, const char *prefix, const struct spec *sp)
{
	char digits[24];
	int n = digits_of(digits, v, base, upper);
	int zeros = sp->precision >= 0 ? sp->precision - n : n == 0;
	int prefix_len = (int)strlen(prefix), fill;

	if (base == 8 && sp->alternate && zeros <= 0)
		zeros = 1;
	zeros = zeros > 0 ? zeros : 0;
	fill = sp->width - n - zeros - prefix_len;
	if (sp->zero && !sp->left && sp->precision < 0 && fill > 0) {
		zeros += fill;
		fill = 0;
	}
	if (!sp->left)
		pad(o, ' ', fill);
	for (; *prefix; prefix++)
		put(o, *prefix);
	pad(o, '0', zeros);
	while (n > 0)
		put(o, digits[--n]);
	if (sp->left)
		pad(o, ' ', fill);
}

static void put_signed(struct out *o, int64_t v, const struct spec *sp)
{
	const char *sign = v < 0 ? "-" : sp->plus ? "+" : sp->space ? " " : "";

	put_number(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, false, sign, sp);
}

static void put_hex(struct out *o, uint64_t v, bool upper, const struct spec *sp)
{
	put_number(o, v, 16, upper, sp->alternate && v ? (upper ? "0X" : "0x") : "", sp);
}

static const char *parse_flags(const char *f, struct spec *sp)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			sp->left = true;
			break;
		case '0':
			sp->zero = true;
			break;
		case '+':
			sp->plus = true;
			break;
		case ' ':
			sp->space = true;
			break;
		case '#':
			sp->alternate = true;
			break;
		default:
			return f;
		}
	}
}

static const char *parse_decimal(const char *f, int *ret)
{
	int n = 0;

	for (; *f >= '0' && *f <= '9'; f++)
		if (n < 10000)
			n = n * 10 + (*f - '0');
	*ret = n;
	return f;
}

static const char *parse_length(const char *f, struct spec *sp)
{
	sp->bytes = sizeof(int);
	switch (*f) {
	case 'h':
		sp->bytes = f[1] == 'h' ? 1 : 2;
		return f + sp->bytes % 2 + 1;
	case 'l':
		sp->bytes = sizeof(long);
		return f[1] == 'l' ? f + 2 : f + 1;
	case 'z':
	case 't':
	case 'j':
		sp->bytes = sizeof(long);
		return f + 1;
	default:
		return f;
	}
}

static uint64_t unsigned_of(uint64_t v, unsigned bytes)
{
	return bytes == 8 ? v : v & ((UINT64_C(1) << (bytes * 8)) - 1);
}

static int64_t signed_of(uint64_t v, unsigned bytes)
{
	unsigned shift = 64 - bytes * 8;

	return (int64_t)(v << shift) >> shift;
}

static uint64_t next_integer(va_list *args, const struct spec *sp)
{
	return sp->bytes == 8 ? va_arg(*args, uint64_t) : va_arg(*args, unsigned);
}

static void put_string(struct out *o, const char *s, const struct spec *sp)
{
	if (!s)
		s = "(null)";
	put_text(o, s, sp->precision >= 0 ? strnlen(s, (size_t)sp->precision) : strlen(s), sp);
}

static void put_conversion(struct out *o, char conversion, struct spec *sp, va_list *args)
{
	char c;

	switch (conversion) {
	case 'd':
	case 'i':
		put_signed(o, signed_of(next_integer(args, sp), sp->bytes), sp);
		break;
	case 'u':
		put_number(o, unsigned_of(next_integer(args, sp), sp->bytes), 10, false, "", sp);
		break;
	case 'o':
		put_number(o, unsigned_of(next_integer(args, sp), sp->bytes), 8, false, "", sp);
		break;
	case 'x':
	case 'X':
		put_hex(o, unsigned_of(next_integer(args, sp), sp->bytes), conversion == 'X', sp);
		break;
	case 'p':
		sp->alternate = true;
		put_hex(o, (uintptr_t)va_arg(*args, void *), false, sp);
		break;
	case 'c':
		c = (char)va_arg(*args, int);
		put_text(o, &c, 1, sp);
		break;
	case 's':
		put_string(o, va_arg(*args, const char *), sp);
		break;
	default: /* '%', and what we do not know as it stands */
		put(o, conversion);
	}
}

/* One conversion, from behind its '%'; returns what follows it. */
static const char *conversion(struct out *o, const char *f, va_list *args)
{
	struct spec sp = { .precision = -1 };

	f = parse_flags(f, &sp);
	if (*f == '*') {
		sp.width = va_arg(*args, int);
		if (sp.width < 0) {
			sp.left = true;
			sp.width = -sp.width;
		}
		f++;
	} else {
		f = parse_decimal(f, &sp.width);
	}
	if (*f == '.') {
		if (f[1] == '*') {
			sp.precision = va_arg(*args, int);
			f += 2;
		} else {
			f = parse_decimal(f + 1, &sp.precision);
		}
	}
	f = parse_length(f, &sp);
	if (!*f)
		return f;
	put_conversion(o, *f, &sp, args);
	return f + 1;
}

int fmt_vstring(char *buf, size_t size, const char *format, va_list args)
{
	struct out o = { .buf = buf, .size = size };
	va_list copy;

	va_copy(copy, args);
	while (*format) {
		if (*format != '%')
			put(&o, *format++);
		else
			format = conversion(&o, format + 1, &copy);
	}
	va_end(copy);
	if (size > 0)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int fmt_string(char *buf, size_t size, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = fmt_vstring(buf, size, format, args);
	va_end(args);
	return n;
}
