/* SPDX-License-Identifier: MIT */
/*
 * Each allocation fails once. An operation is a small scenario of the kernel and a number n: the n-th allocation in it fails. The scenario
 * then says -ENOMEM, or gets by without; it leaves nothing behind (the frame looks); and without the failure it works.
 */
#include "model.h"

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/epoll.h>
#include <cloudos/errno.h>
#include <cloudos/eventfd.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/mm.h>
#include <cloudos/pipe.h>
#include <cloudos/poll.h>
#include <cloudos/socket.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include <sim/scenario.h>
#include <sim/trace.h>

#define AT_CWD	   (-100)
#define FAILS_MAX  24 /* n: from 1 to this */
#define BYTES	   5000
#define POLLED	   24 /* files of one poll, more than need no memory */
#define LONG_NAME  "/a-name-that-is-much-too-long-to-be-kept-inline-in-a-dentry"
#define LONG_NAME2 "/another-name-that-is-much-too-long-to-be-kept-inline-in-it"

static char buffer[BYTES];

static int put(struct file *f, size_t len)
{
	struct io_iter from;
	int64_t pos = 0;
	ssize_t n;

	io_iter_kernel(&from, buffer, len);
	n = file_write(f, &from, &pos);
	return n < 0 ? (int)n : 0; /* a part of it is no error */
}

static int get(struct file *f, size_t len)
{
	struct io_iter to;
	int64_t pos = 0;
	ssize_t n;

	io_iter_kernel(&to, buffer, len);
	n = file_read(f, &to, &pos);
	return n < 0 ? (int)n : 0;
}

/* ---- files ---- */

static int file(void)
{
	struct lock_request whole = {.type = F_WRLCK, .pid = 1, .end = 100, .owner = buffer};
	struct file *f;
	int error = vfs_open(AT_CWD, LONG_NAME, O_RDWR | O_CREAT, 0644, &f);

	if (error) {
		int gone = vfs_unlink(AT_CWD, LONG_NAME);

		return gone == -ENOMEM ? vfs_unlink(AT_CWD, LONG_NAME) ? gone : error : error;
	}
	error = put(f, BYTES);
	if (!error)
		error = get(f, BYTES);
	if (!error)
		error = lock_range_set(f->inode, &whole, false);
	if (!error) {
		whole.type = F_UNLCK;
		whole.start = 50;
		error = lock_range_set(f->inode, &whole, false);
		whole.start = 0;
		while (lock_range_set(f->inode, &whole, false) == -ENOLCK)
			;
	}
	if (!error)
		error = lock_whole(f, F_WRLCK, false);
	file_put(f);
	while (vfs_unlink(AT_CWD, LONG_NAME) == -ENOMEM)
		;
	return error == -ENOLCK ? -ENOMEM : error;
}

static int names(void)
{
	char text[16];
	int error = vfs_mkdir(AT_CWD, LONG_NAME, 0755), later;

	if (error)
		return error;
	error = vfs_symlink("target", AT_CWD, LONG_NAME "/link");
	if (!error)
		error = vfs_link(AT_CWD, LONG_NAME "/link", AT_CWD, LONG_NAME LONG_NAME2, 0);
	if (!error && vfs_readlink(AT_CWD, LONG_NAME LONG_NAME2, text, sizeof(text)) < 0)
		error = -ENOMEM;
	if (!error)
		error = vfs_rename(AT_CWD, LONG_NAME LONG_NAME2, AT_CWD, LONG_NAME LONG_NAME, 0);
	if (!error)
		error = vfs_rename(AT_CWD, LONG_NAME "/link", AT_CWD, LONG_NAME LONG_NAME2, 0);
	while (vfs_unlink(AT_CWD, LONG_NAME "/link") == -ENOMEM || vfs_unlink(AT_CWD, LONG_NAME LONG_NAME) == -ENOMEM ||
	       vfs_unlink(AT_CWD, LONG_NAME LONG_NAME2) == -ENOMEM)
		;
	while ((later = vfs_rmdir(AT_CWD, LONG_NAME)) == -ENOMEM)
		;
	return error ? error : later;
}

static int mounted(void)
{
	struct path on, top;
	int error = vfs_mkdir(AT_CWD, "/mounted", 0755), later;

	if (error)
		return error;
	error = path_lookup(AT_CWD, "/mounted", 0, &on);
	if (!error) {
		error = vfs_mount(&on, "tmpfs", "model", "size=64k", 0);
		path_put(&on);
	}
	if (!error) {
		while ((later = path_lookup(AT_CWD, "/mounted", 0, &top)) == -ENOMEM)
			;
		if (!later) {
			later = vfs_unmount(&top, true);
			path_put(&top);
		}
		error = later;
	}
	while ((later = vfs_rmdir(AT_CWD, "/mounted")) == -ENOMEM)
		;
	return error ? error : later;
}

/* ---- pipes, polls ---- */

static int poll_many(struct file *f)
{
	struct poll_item items[POLLED];
	int64_t n;

	for (size_t i = 0; i < POLLED; i++)
		items[i] = (struct poll_item){.file = f, .events = POLLIN};
	n = poll_items(items, POLLED, hal_clock_ns() + NSEC_PER_USEC);
	return n < 0 ? (int)n : 0;
}

static int pipe_pair(void)
{
	struct file *reads, *writes;
	int error = pipe_create(O_NONBLOCK, &reads, &writes);

	if (error)
		return error;
	error = poll_many(reads);
	if (!error)
		error = put(writes, BYTES);
	if (!error && pipe_set_capacity(reads, 4 * PAGE_SIZE) < 0)
		error = -ENOMEM;
	if (!error)
		error = put(writes, 4000);
	if (!error)
		error = get(reads, BYTES);
	file_put(reads);
	file_put(writes);
	return error;
}

static int epoll(void)
{
	struct epoll_event event = {.events = POLLIN};
	struct file *watches, *reads, *writes;
	int error = epoll_file_create(&watches);

	if (error)
		return error;
	error = pipe_create(0, &reads, &writes);
	if (!error) {
		error = epoll_control(watches, EPOLL_CTL_ADD, reads, 3, &event);
		if (!error)
			error = epoll_control(watches, EPOLL_CTL_ADD, writes, 4, &event);
		if (!error)
			error = put(writes, 10);
		if (!error)
			error = epoll_control(watches, EPOLL_CTL_DEL, writes, 4, NULL);
		file_put(reads);
		file_put(writes);
	}
	file_put(watches);
	return error;
}

/* ---- terminals ---- */

static int terminal(void)
{
	struct file *master, *slave;
	char name[24];
	int error = vfs_open(AT_CWD, "/dev/ptmx", O_RDWR | O_NOCTTY, 0, &master);

	if (error)
		return error;
	fmt_string(name, sizeof(name), "/dev/pts/0");
	error = vfs_open(AT_CWD, name, O_RDWR | O_NOCTTY | O_NONBLOCK, 0, &slave);
	if (error == -EIO) /* locked: nobody has called TIOCSPTLCK */
		error = 0;
	else if (!error)
		file_put(slave);
	if (!error)
		error = put(master, 10);
	file_put(master);
	return error;
}

/* ---- sockets ---- */

static int stream_pair(void)
{
	struct file *ends[2];
	int error = socket_create_pair(AF_UNIX, SOCK_STREAM, 0, O_NONBLOCK, ends);

	if (error)
		return error;
	error = put(ends[0], BYTES);
	if (!error)
		error = get(ends[1], BYTES);
	file_put(ends[0]);
	file_put(ends[1]);
	return error;
}

static void abstract_name(struct socket_address *a)
{
	*a = (struct socket_address){.len = 8, .family = AF_UNIX};
	memcpy(&a->bytes[3], "model", 5);
}

static int send_message(struct file *f, const struct socket_address *to)
{
	struct socket_address where = *to;
	struct io_iter data;
	struct socket_message m = {.data = &data, .address = &where};
	ssize_t n;

	io_iter_kernel(&data, buffer, 100);
	n = socket_send(socket_of_file(f), &m);
	return n < 0 ? (int)n : 0;
}

static int datagrams(void)
{
	struct socket_address a;
	struct file *f;
	int error = socket_create(AF_UNIX, SOCK_DGRAM, 0, O_NONBLOCK, &f);

	if (error)
		return error;
	abstract_name(&a);
	error = socket_of_file(f)->ops->bind(socket_of_file(f), &a);
	if (!error)
		error = send_message(f, &a);
	if (!error)
		error = get(f, BYTES);
	file_put(f);
	return error;
}

static int connect_to(const struct socket_address *a, struct file *listener)
{
	struct file *client, *server;
	int error = socket_create(AF_UNIX, SOCK_SEQPACKET, 0, O_NONBLOCK, &client);

	if (error)
		return error;
	error = socket_of_file(client)->ops->connect(socket_of_file(client), a, true);
	if (!error)
		error = put(client, 100);
	if (!error)
		error = socket_accept(socket_of_file(listener), true, O_NONBLOCK, &server);
	if (!error) {
		error = get(server, 100);
		file_put(server);
	}
	file_put(client);
	return error;
}

static int connection(void)
{
	struct socket_address a;
	struct file *listener;
	int error = socket_create(AF_UNIX, SOCK_SEQPACKET, 0, O_NONBLOCK, &listener);

	if (error)
		return error;
	abstract_name(&a);
	error = socket_of_file(listener)->ops->bind(socket_of_file(listener), &a);
	if (!error)
		error = socket_of_file(listener)->ops->listen(socket_of_file(listener), 1);
	if (!error)
		error = connect_to(&a, listener);
	file_put(listener);
	return error;
}

/* ---- threads, memory ---- */

static uint32_t spawned_ran;
static struct wait_queue spawned_done = WAIT_QUEUE_INIT(spawned_done);

static void spawned(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&spawned_ran, 1, __ATOMIC_RELEASE);
	wake_all(&spawned_done);
}

static int threads(void)
{
	static struct thread never;
	uint32_t before = spawned_ran;
	int error = thread_spawn("spawned", spawned, NULL);

	if (error)
		return error;
	wait_event(&spawned_done, __atomic_load_n(&spawned_ran, __ATOMIC_ACQUIRE) != before);
	error = thread_init(&never, "never", spawned, NULL);
	if (!error)
		thread_fini(&never);
	return error;
}

static int memory(void)
{
	struct slab_cache *c = slab_cache_create("model-once", 700, 0);
	void *object = c ? slab_alloc(c) : NULL, *small = kzalloc(33), *large = kmalloc(9000), *area = kva_alloc(3 * PAGE_SIZE);
	int error = c && object && small && large && area ? 0 : -ENOMEM;

	kva_free(area);
	kfree(large);
	kfree(small);
	if (c) {
		slab_free(c, object);
		slab_cache_destroy(c);
	}
	return error;
}

static int tables(void)
{
	struct fd_table *fds = fd_table_copy(thread_current()->files);
	struct fs_context *fs = fs_context_copy(thread_current()->fs);
	int error = fds && fs ? 0 : -ENOMEM, fd = fd_reserve(200, false);

	if (fd >= 0)
		fd_release(fd);
	if (fds)
		fd_table_put(fds);
	if (fs)
		fs_context_put(fs);
	return error ? error : fd < 0 ? fd : 0;
}

/* ---- all of it ---- */

static const struct {
	const char *name;
	int (*run)(void);
} scenarios[] = {
    {"file", file},	      {"names", names},		{"mounted", mounted},	    {"pipe", pipe_pair}, {"epoll", epoll},
    {"terminal", terminal},   {"stream", stream_pair},	{"datagrams", datagrams},   {"connection", connection},
    {"threads", threads},     {"memory", memory},	{"tables", tables},
};

static void operation(struct model_op *op)
{
	size_t which = model_below(op, ARRAY_SIZE(scenarios));
	int error;

	sim_scenario.fail_allocation = 1 + model_below(op, FAILS_MAX);
	sim_note("%s, allocation %u fails", scenarios[which].name, (unsigned)sim_scenario.fail_allocation);
	sim_faults_arm(true);
	error = scenarios[which].run();
	sim_faults_arm(false);
	if (error && error != -ENOMEM)
		model_failed(__FILE__, __LINE__, "%s, allocation %u: error %d", scenarios[which].name,
			     (unsigned)sim_scenario.fail_allocation, -error);
	error = scenarios[which].run();
	if (error)
		model_failed(__FILE__, __LINE__, "%s fails with error %d after one allocation (%u) that failed",
			     scenarios[which].name, -error, (unsigned)sim_scenario.fail_allocation);
	model_state(which << 16 ^ sim_scenario.fail_allocation << 8 ^ (uint64_t)(unsigned)error);
}

static void prepare(void)
{
	struct path dev;
	int made;

	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	made = vfs_mkdir(AT_CWD, "/dev", 0755);
	MODEL_CHECK(made == 0 || made == -EEXIST);
	MODEL_EQUAL(path_lookup(AT_CWD, "/dev", 0, &dev), 0);
	MODEL_EQUAL(vfs_mount(&dev, "devtmpfs", "dev", "", 0), 0);
	path_put(&dev);
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		for (unsigned twice = 0; twice < 2; twice++) {
			int error = scenarios[i].run();

			if (error)
				model_failed(__FILE__, __LINE__, "%s: error %d", scenarios[i].name, -error);
		}
}

static void run(void)
{
	struct model_op op = MODEL_OPS(0);

	sim_fault_set(SIM_FAULT_MEMORY_ALLOC, 0); /* one failure at a time */
	sim_faults_arm(false);
	while (model_next(&op))
		operation(&op);
	sim_scenario.fail_allocation = 0;
}

MODEL_DEFINE(allocfail, .what = "each allocation fails once", .prepare = prepare, .run = run, .cpus = 2, .operations = 40);
