/* SPDX-License-Identifier: MIT */
/* io_setup and its family. */
#include <linux/aio_abi.h>
#include <cloudos/aio.h>
#include <cloudos/uaccess.h>
#include "call_wait.h"
#include "syscalls_gen.h"

int64_t sys_io_setup(unsigned requests, uaddr_t id_at)
{
	aio_context_t old;
	uaddr_t id;
	int err;

	if (get_user(old, id_at))
		return -EFAULT;
	if (old)
		return -EINVAL;
	err = aio_create(requests, &id);
	if (!err && put_user((aio_context_t)id, id_at)) {
		(void)aio_destroy(id);
		err = -EFAULT;
	}
	return err;
}

int64_t sys_io_destroy(uaddr_t id)
{
	return aio_destroy(id);
}

int64_t sys_io_submit(uaddr_t id, int64_t n, uaddr_t iocbs)
{
	return aio_submit(id, n, iocbs);
}

int64_t sys_io_cancel(uaddr_t id, uaddr_t iocb, uaddr_t result)
{
	(void)result; /* the event says it */
	return aio_cancel_one(id, iocb);
}

int64_t sys_io_getevents(uaddr_t id, int64_t least, int64_t most, uaddr_t events, uaddr_t timeout)
{
	uint64_t deadline_ns;
	int err = deadline_from_timespec(timeout, &deadline_ns);

	return err ? err : aio_get_events(id, least, most, events, deadline_ns);
}

int64_t sys_io_pgetevents(uaddr_t id, int64_t least, int64_t most, uaddr_t events, uaddr_t timeout, uaddr_t mask)
{
	struct {
		uint64_t mask, size;
	} given = { 0, 0 };
	uint64_t deadline_ns;
	int64_t result;

	if (mask && get_user(given, mask))
		return -EFAULT;
	result = deadline_from_timespec(timeout, &deadline_ns);
	if (!result)
		result = call_mask_begin(given.mask, given.size);
	if (result)
		return result;
	result = aio_get_events(id, least, most, events, deadline_ns);
	call_mask_end(given.mask, result);
	return result;
}
