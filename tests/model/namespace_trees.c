/* SPDX-License-Identifier: MIT */
/*
 * Processes in trees of namespaces. Each makes children, in namespaces of pids, users, IPC and names of their own or in those of others that it
 * has entered, and kills, waits, and ends: the inits with whoever is left in their namespace.
 *
 *   T1  the first of a namespace is 1 and nobody's child, in the eyes of all in it; the others have their parent's number, that of their
 *       init once it has ended, or 0 where it is outside
 *   T2  wait reports a child by the number that it was made under, once, with the status that it ended with
 *   T3  nothing in a namespace of pids runs any more once its init was reaped
 *   T4  an init dies of no signal from inside
 *   T5  what is made in an IPC namespace is found in it, and in no other
 *   T6  who made a user namespace has names for its ids when he says so, and rights over what was made with it only
 *   T7  all of it goes (leak check)
 */
#include "program.h"

#include <asm/fcntl.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/string.h>
#include <linux/fcntl.h>
#include <linux/ipc.h>
#include <linux/sched.h>
#include <linux/wait.h>

#define NODES_MAX    64
#define SPACES_MAX   24
#define CHILDREN_MAX 6
#define STEPS_MAX    10
#define CODES	     32
#define KEY	     77
#define REST_NS	     20000
#define OVERFLOW     65534

/* A namespace of pids. */
struct space {
	int up;		/* -1: the first */
	bool ending;	/* its init may be going: those in it may be killed */
	bool ended;	/* its init was reaped */
};

/* An IPC namespace. */
struct store {
	bool making, made; /* a queue under KEY */
};

struct node {
	int space, store, parent;
	int number; /* as it sees itself; 0: it has not run yet */
	bool init, killed, users, fresh, names; /* users, names: it is in its own; fresh: made with it */
	bool foreign; /* its namespace of pids may belong to a user namespace below its own, in which it has no part */
	bool leaving; /* it may be gone at any moment */
	unsigned code;
	struct sim_generator draws;
};

static struct node nodes[NODES_MAX];
static struct space spaces[SPACES_MAX];
static struct store stores[SPACES_MAX];
static int node_count, space_count, store_count;

static bool starved(int64_t result)
{
	return programs_may_die() && (result == -ENOMEM || result == -EAGAIN || result == -ENOSPC || result == -ENFILE);
}

static bool space_in(int space, int top)
{
	for (; space >= 0; space = spaces[space].up)
		if (space == top)
			return true;
	return false;
}

static bool space_ending(int space)
{
	for (; space >= 0; space = spaces[space].up)
		if (spaces[space].ending)
			return true;
	return false;
}

/* T3, at each step of everybody. */
static void check_alive(const struct node *n)
{
	for (int space = n->space; space >= 0; space = spaces[space].up)
		if (spaces[space].ended)
			model_failed(__FILE__, __LINE__, "process %d runs in a namespace whose init was reaped", n->number);
}

static void rest(struct node *n)
{
	uaddr_t at = user_scratch();

	user_store(at, 0);
	user_store(at + 8, sim_generate_below(&n->draws, REST_NS));
	user_call(__NR_nanosleep, at, 0);
}

static uaddr_t text_at(const char *text)
{
	char page[128] = "";

	MODEL_CHECK(strlen(text) < sizeof(page));
	str_copy(page, sizeof(page), text);
	user_write(user_scratch(), page, sizeof(page));
	return user_scratch();
}

/* ---- what a process sees ---- */

static void check_numbers(struct node *n)
{
	const struct node *parent = n->parent >= 0 ? &nodes[n->parent] : NULL;
	bool orphan = !parent || parent->leaving || parent->killed || space_ending(parent->space) || programs_may_die();
	int own = (int)user_call(__NR_getpid), up = (int)user_call(__NR_getppid);

	MODEL_CHECK(!n->number || n->number == own);
	n->number = own;
	MODEL_EQUAL(own == 1, n->init); /* T1 */
	if (n->init || (parent && parent->space != n->space))
		MODEL_EQUAL(up, 0);
	else if (parent && up != parent->number)
		MODEL_CHECK(up == 1 && (orphan || parent->leaving || parent->killed || space_ending(parent->space)));
}

static void check_store(struct node *n)
{
	struct store *s = &stores[n->store];
	bool made = s->made, create = sim_generate_below(&n->draws, 2) && !s->making;
	int64_t id;

	if (n->store == 0)
		return; /* what is made in the first stays */
	s->making |= create;
	id = user_call(__NR_msgget, KEY, create ? IPC_CREAT | 0666 : 0);
	if (starved(id))
		return;
	if (id == -ENOENT)
		MODEL_CHECK(!made && !create); /* T5 */
	else
		MODEL_CHECK(id == 0 && s->making);
	s->made |= id >= 0;
}

static void check_rights(struct node *n)
{
	int64_t result = user_call(__NR_sethostname, text_at("node"), 4);

	if (n->users)
		MODEL_EQUAL(result, n->names ? 0 : -EPERM); /* T6 */
	else
		MODEL_CHECK(result == 0 || result == -EPERM);
}

/* T6. The instance of /proc at /p shows everybody. */
static void write_text(const char *path, const char *text, int64_t wanted)
{
	int64_t fd, n;

	fd = user_call(__NR_openat, (uint64_t)AT_FDCWD, text_at(path), O_WRONLY);
	if (starved(fd))
		return;
	MODEL_CHECK(fd >= 0);
	n = user_call(__NR_write, (uint64_t)fd, text_at(text), strlen(text));
	MODEL_CHECK(n == wanted || programs_may_die());
	user_call(__NR_close, (uint64_t)fd);
}

static void become_root(bool nested)
{
	MODEL_EQUAL(user_call(__NR_getuid), OVERFLOW);
	write_text("/p/self/uid_map", "0 0 1", 5);
	if (!nested) {
		write_text("/p/self/gid_map", "0 0 1", -EPERM); /* while groups can be left */
		write_text("/p/self/setgroups", "deny", 4);
	}
	write_text("/p/self/gid_map", "0 0 1", 5);
	if (!programs_may_die())
		MODEL_EQUAL(user_call(__NR_getuid), 0);
}

/* ---- children ---- */

/* What a process knows of its children; its own alone. */
struct family {
	struct node *node;
	int birth; /* the space that children are born in */
	struct {
		int node, number;
	} child[CHILDREN_MAX];
};

static void node_main(uint64_t number);

static uint64_t choose_flags(struct node *n, bool far)
{
	static const uint64_t kinds[] = { CLONE_NEWUSER, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNS };
	uint64_t flags = !far && sim_generate_below(&n->draws, 3) == 0 ? CLONE_NEWPID : 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (sim_generate_below(&n->draws, 5) == 0)
			flags |= kinds[i];
	return flags;
}

static int new_space(int up)
{
	spaces[space_count] = (struct space){ .up = up };
	return space_count++;
}

static void make_child(struct family *f)
{
	struct node *n = f->node, *c;
	uint64_t flags = choose_flags(n, f->birth != n->space);
	int slot = 0, number = node_count;
	int64_t pid;

	while (slot < CHILDREN_MAX && f->child[slot].number)
		slot++;
	if (slot == CHILDREN_MAX || node_count == NODES_MAX || space_count == SPACES_MAX || store_count == SPACES_MAX)
		return;
	node_count++;
	c = &nodes[number];
	*c = (struct node){ .parent = (int)(n - nodes), .space = f->birth, .store = n->store, .users = n->users, .names = n->names };
	c->foreign = n->foreign || f->birth != n->space;
	c->draws = sim_generator(sim_generate(&n->draws), 0);
	c->code = (unsigned)sim_generate_below(&n->draws, CODES);
	if (flags & CLONE_NEWPID) {
		c->space = new_space(f->birth);
		c->init = true;
	}
	if (flags & CLONE_NEWIPC)
		c->store = store_count++;
	if (flags & (CLONE_NEWUSER | CLONE_NEWUTS))
		c->names = (flags & CLONE_NEWUTS) != 0;
	if (flags & CLONE_NEWUSER)
		c->users = c->fresh = true;
	pid = user_clone(flags | SIGCHLD, 0, node_main, (uint64_t)number);
	if (pid < 0) {
		if (!(pid == -ENOMEM && space_ending(f->birth)) && !(pid == -EINVAL && n->foreign && c->init) && !programs_may_die())
			model_failed(__FILE__, __LINE__, "clone with flags %#lx gives %ld", (unsigned long)flags, (long)pid);
		return;
	}
	for (int i = 0; i < CHILDREN_MAX; i++)
		MODEL_CHECK(f->child[i].number != (int)pid);
	f->child[slot].node = number;
	f->child[slot].number = (int)pid;
	MODEL_CHECK(f->birth != n->space || c->init || !c->number || c->number == (int)pid); /* T2 */
}

static void check_status(const struct node *c, int status)
{
	if (programs_may_die())
		return;
	if ((status & 0x7f) == 0) {
		MODEL_EQUAL(status >> 8 & 0xff, c->code);
		return;
	}
	MODEL_EQUAL(status & 0x7f, SIGKILL);
	MODEL_CHECK(c->killed || space_ending(c->init ? spaces[c->space].up : c->space)); /* T4 */
}

/* Of an init whoever it adopts may be reported, too. 0: there are children, but none has ended; -ECHILD. */
static int64_t reap(struct family *f, int options)
{
	int64_t pid = user_call(__NR_wait4, UINT64_MAX, user_scratch(), (uint64_t)options, 0);
	int status;

	if (pid <= 0) {
		MODEL_CHECK(pid == 0 || pid == -ECHILD || starved(pid) || pid == -EFAULT);
		return pid;
	}
	status = (int)user_load32(user_scratch());
	for (int i = 0; i < CHILDREN_MAX; i++) {
		const struct node *c = &nodes[f->child[i].node];

		if (f->child[i].number != (int)pid)
			continue;
		f->child[i].number = 0;
		check_status(c, status);
		if (c->init)
			spaces[c->space].ended = spaces[c->space].ending = true;
		return pid;
	}
	MODEL_CHECK(f->node->init); /* T2 */
	return pid;
}

static int choose_child(struct family *f)
{
	int i = (int)sim_generate_below(&f->node->draws, CHILDREN_MAX);

	return f->child[i].number ? i : -1;
}

static void kill_child(struct family *f)
{
	int i = choose_child(f);
	struct node *c;
	int64_t result;

	if (i < 0)
		return;
	c = &nodes[f->child[i].node];
	c->killed = true;
	if (c->init)
		spaces[c->space].ending = true;
	result = user_call(__NR_kill, (uint64_t)f->child[i].number, SIGKILL);
	MODEL_CHECK(result == 0 || (result == -ESRCH && programs_may_die()));
}

/* Everybody whom it sees, but its init and itself. */
static void kill_all(struct family *f)
{
	struct node *n = f->node;
	int64_t result;

	if (n->space == 0)
		return;
	for (int i = 0; i < node_count; i++) {
		struct node *c = &nodes[i];

		if (c == n || !space_in(c->space, n->space) || (c->init && c->space == n->space))
			continue;
		c->killed = true;
		if (c->init)
			spaces[c->space].ending = true;
	}
	result = user_call(__NR_kill, UINT64_MAX, SIGKILL);
	MODEL_CHECK(result == 0 || result == -ESRCH || result == -EPERM);
}

/* T4: nothing happens. */
static void kill_init(struct family *f)
{
	static const int signals[] = { SIGKILL, SIGTERM, SIGSTOP };
	int64_t result;

	if (f->node->space == 0)
		return;
	result = user_call(__NR_kill, 1, (uint64_t)signals[sim_generate_below(&f->node->draws, ARRAY_SIZE(signals))]);
	MODEL_CHECK(result == 0 || result == -EPERM);
}

/* Children to come are born where a child is. */
static void enter(struct family *f)
{
	int i = choose_child(f);
	int64_t fd, result;
	struct node *c;

	if (i < 0 || f->birth != f->node->space)
		return;
	c = &nodes[f->child[i].node];
	fd = user_call(__NR_pidfd_open, (uint64_t)f->child[i].number, 0);
	if (fd < 0) {
		MODEL_CHECK(starved(fd));
		return;
	}
	result = user_call(__NR_setns, (uint64_t)fd, CLONE_NEWPID);
	MODEL_CHECK(result == 0 || result == -ESRCH || result == -EPERM || starved(result));
	if (result == 0)
		f->birth = c->space;
	user_call(__NR_close, (uint64_t)fd);
}

/* ---- a process ---- */

static void step(struct family *f)
{
	struct node *n = f->node;

	switch (sim_generate_below(&n->draws, 14)) {
	case 0 ... 4:
		make_child(f);
		break;
	case 5:
		(void)reap(f, WNOHANG);
		break;
	case 6:
		kill_child(f);
		break;
	case 7:
		kill_init(f);
		break;
	case 8:
		if (sim_generate_below(&n->draws, 4) == 0)
			kill_all(f);
		break;
	case 9:
		enter(f);
		break;
	case 10:
		check_rights(n);
		break;
	case 11:
		check_store(n);
		break;
	default:
		rest(n);
	}
	check_alive(n);
}

static void live(struct family *f)
{
	struct node *n = f->node;
	unsigned steps = 1 + (unsigned)sim_generate_below(&n->draws, STEPS_MAX);

	check_alive(n);
	check_numbers(n);
	for (unsigned i = 0; i < steps; i++) {
		step(f);
		check_numbers(n);
	}
}

static void node_main(uint64_t number)
{
	struct node *n = &nodes[number];
	struct family f = { .node = n, .birth = n->space };

	if (n->fresh)
		become_root(nodes[n->parent].users);
	live(&f);
	if (sim_generate_below(&n->draws, 2))
		while (reap(&f, 0) > 0)
			check_alive(n);
	n->leaving = true;
	if (n->init)
		spaces[n->space].ending = true;
	user_exit((int)n->code);
}

static void program(uint64_t seed)
{
	struct model_op op = MODEL_OPS(0);
	struct family f = { .node = &nodes[0] };

	(void)seed;
	user_prepare_stack();
	spaces[0] = (struct space){ .up = -1 };
	space_count = store_count = node_count = 1;
	nodes[0] = (struct node){ .parent = -1, .number = (int)user_call(__NR_getpid) };
	while (model_next(&op)) {
		nodes[0].draws = sim_generator(model_draw(&op), 0);
		model_state((uint64_t)node_count << 16 | (uint64_t)space_count << 8 | (uint64_t)store_count);
		step(&f);
	}
	model_recover();
	while (reap(&f, 0) > 0)
		;
	user_finished();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

static void prepare(void)
{
	struct path on;

	programs_prepare();
	MODEL_EQUAL(vfs_mkdir(AT_FDCWD, "/p", 0755), 0);
	MODEL_EQUAL(path_lookup(AT_FDCWD, "/p", 0, &on), 0);
	MODEL_EQUAL(vfs_mount(&on, "proc", "proc", "", 0), 0);
	path_put(&on);
}

MODEL_DEFINE(namespace_trees, .what = "processes in trees of namespaces", .prepare = prepare, .run = run, .cpus = 4, .operations = 30);
