/* SPDX-License-Identifier: MIT */
/* The options of level SOL_SOCKET that all families share (socket(7)). Others, and other levels, are the family's. */
#include <linux/capability.h>
#include <cloudos/errno.h>
#include <cloudos/socket.h>
#include <cloudos/string.h>

#define BUFFER_MIN 4608	  /* as Linux's SOCK_MIN_SNDBUF; what was asked for counts twice */
#define BUFFER_MAX 425984 /* twice Linux's net.core.wmem_max */

static const struct {
	int name;
	uint32_t bit;
} flags[] = {
	{ SO_REUSEADDR, SOCKET_REUSEADDR }, { SO_KEEPALIVE, SOCKET_KEEPALIVE }, { SO_BROADCAST, SOCKET_BROADCAST },
	{ SO_PASSCRED, SOCKET_PASSCRED },   { SO_OOBINLINE, SOCKET_OOBINLINE }, { SO_REUSEPORT, SOCKET_REUSEPORT },
	{ SO_DONTROUTE, SOCKET_DONTROUTE },
};

static uint32_t flag_of(int name)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].name == name)
			return flags[i].bit;
	return 0;
}

static uint32_t buffer_size(int32_t wanted)
{
	if (wanted < 0 || wanted > BUFFER_MAX / 2)
		wanted = BUFFER_MAX / 2;
	return (uint32_t)max(wanted * 2, (int32_t)BUFFER_MIN);
}

static int set_timeout(uint64_t *timeout_ns, const void *value, uint32_t len)
{
	const uint64_t seconds_max = INT64_MAX / NSEC_PER_SEC - 1;
	struct socket_timeval tv;

	if (len < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, value, sizeof(tv));
	if (tv.microseconds < 0 || tv.microseconds >= 1000000)
		return -EDOM;
	if (tv.seconds < 0)
		*timeout_ns = 1; /* Linux: over before it begins */
	else
		*timeout_ns = min((uint64_t)tv.seconds, seconds_max) * NSEC_PER_SEC + (uint64_t)tv.microseconds * NSEC_PER_USEC;
	return 0;
}

static int set_linger(struct socket *s, const void *value, uint32_t len)
{
	if (len < sizeof(s->linger))
		return -EINVAL;
	memcpy(&s->linger, value, sizeof(s->linger));
	return 0;
}

static int set_number(struct socket *s, int name, int32_t value)
{
	uint32_t flag = flag_of(name);

	if (flag) {
		if (value)
			__atomic_fetch_or(&s->options, flag, __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&s->options, ~flag, __ATOMIC_RELAXED);
		return 0;
	}
	switch (name) {
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
		s->send_buffer = buffer_size(value);
		return 0;
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		s->receive_buffer = buffer_size(value);
		return 0;
	case SO_RCVLOWAT:
		s->low_water = value > 0 ? (uint32_t)value : 1;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int socket_set_option(struct socket *s, int level, int name, const void *value, uint32_t len)
{
	int32_t number;

	if (level != SOL_SOCKET)
		return s->ops->set_option ? s->ops->set_option(s, level, name, value, len) : -EOPNOTSUPP;
	if (name == SO_RCVTIMEO)
		return set_timeout(&s->receive_timeout_ns, value, len);
	if (name == SO_SNDTIMEO)
		return set_timeout(&s->send_timeout_ns, value, len);
	if (name == SO_LINGER)
		return set_linger(s, value, len);
	if (len < sizeof(number))
		return -EINVAL;
	memcpy(&number, value, sizeof(number));
	if ((name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE) && !cred_capable(thread_current()->cred, CAP_NET_ADMIN))
		return -EPERM;
	return set_number(s, name, number);
}

/* ---- reading ---- */

static int give(void *value, uint32_t *len, const void *from, uint32_t size)
{
	*len = min(*len, size);
	memcpy(value, from, *len);
	return 0;
}

static int get_timeout(uint64_t timeout_ns, void *value, uint32_t *len)
{
	struct socket_timeval tv = { .seconds = (int64_t)(timeout_ns / NSEC_PER_SEC),
				     .microseconds = (int64_t)(timeout_ns % NSEC_PER_SEC / NSEC_PER_USEC) };

	return give(value, len, &tv, sizeof(tv));
}

static int get_number(struct socket *s, int name, int32_t *ret)
{
	uint32_t flag = flag_of(name);

	if (flag) {
		*ret = (s->options & flag) != 0;
		return 0;
	}
	switch (name) {
	case SO_TYPE:
		*ret = s->type;
		return 0;
	case SO_DOMAIN:
		*ret = s->family;
		return 0;
	case SO_PROTOCOL:
		*ret = s->protocol;
		return 0;
	case SO_ERROR:
		*ret = -socket_take_error(s);
		return 0;
	case SO_SNDBUF:
		*ret = (int32_t)s->send_buffer;
		return 0;
	case SO_RCVBUF:
		*ret = (int32_t)s->receive_buffer;
		return 0;
	case SO_RCVLOWAT:
		*ret = (int32_t)s->low_water;
		return 0;
	case SO_SNDLOWAT:
		*ret = 1;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int socket_get_option(struct socket *s, int level, int name, void *value, uint32_t *len)
{
	int32_t number;
	int error;

	if (level != SOL_SOCKET)
		return s->ops->get_option ? s->ops->get_option(s, level, name, value, len) : -EOPNOTSUPP;
	if (name == SO_RCVTIMEO)
		return get_timeout(s->receive_timeout_ns, value, len);
	if (name == SO_SNDTIMEO)
		return get_timeout(s->send_timeout_ns, value, len);
	if (name == SO_LINGER)
		return give(value, len, &s->linger, sizeof(s->linger));
	error = get_number(s, name, &number);
	if (!error)
		return give(value, len, &number, sizeof(number));
	return s->ops->get_option ? s->ops->get_option(s, level, name, value, len) : error;
}
