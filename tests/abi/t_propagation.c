/* SPDX-License-Identifier: MIT */
/* Mounts that hear of each other: shared, slave, private, unbindable; mountinfo's fields; moving and unmounting; expiry; mount-max. Run as root. */
#include "cases.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "inside.h"

static char base[] = "/tmp/t_propagation.XXXXXX";
static const char *const places[] = { "a", "b", "c", "d" };

/* In a chroot that is no mount of its own, Linux does not make mounts private. */
static bool root_is_a_mount(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char line[1024], place[1024];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= sscanf(line, "%*d %*d %*s %*s %1023s", place) == 1 && strcmp(place, "/") == 0;
	if (f)
		fclose(f);
	return found;
}

/* A tree of our own: a tmpfs on the base, private, with folders a, b, c, d in it; the working directory. */
static void own_tree(void)
{
	NEED(unshare(CLONE_NEWNS) == 0);
	NEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	NEED(mount("base", base, "tmpfs", 0, NULL) == 0 && chdir(base) == 0);
	for (int i = 0; i < 4; i++)
		NEED(mkdir(places[i], 0755) == 0);
}

static int put(const char *place)
{
	return mount("x", place, "tmpfs", 0, NULL);
}

static int bind(const char *from, const char *to)
{
	return mount(from, to, NULL, MS_BIND, NULL);
}

static int change(const char *place, unsigned long type)
{
	return mount("none", place, NULL, type, NULL);
}

struct line {
	unsigned id, parent, shared, master, from;
	bool unbindable;
	int count; /* lines of the place; the last one is told of */
};

static unsigned field(const char *line, const char *end, const char *name)
{
	const char *at = strstr(line, name);

	return at && at < end ? (unsigned)atoi(at + strlen(name)) : 0;
}

/* What mountinfo says of a place in the base. */
static struct line line_of(const char *place)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char line[1024], at[512], wanted[512];
	struct line l = { .count = 0 };

	snprintf(wanted, sizeof(wanted), "%s/%s", base, place);
	while (f && fgets(line, sizeof(line), f)) {
		const char *end = strstr(line, " - ");
		unsigned id, parent;

		if (!end || sscanf(line, "%u %u %*s %*s %511s", &id, &parent, at) != 3 || strcmp(at, wanted) != 0)
			continue;
		l.id = id;
		l.parent = parent;
		l.shared = field(line, end, " shared:");
		l.master = field(line, end, " master:");
		l.from = field(line, end, " propagate_from:");
		l.unbindable = strstr(line, " unbindable") != NULL;
		l.count++;
	}
	if (f)
		fclose(f);
	return l;
}

static int count_at(const char *place)
{
	return line_of(place).count;
}

/* ---- the four kinds ---- */

static void kinds_child(void)
{
	struct line a, b;

	own_tree();
	NEED(change("a", MS_SHARED) == -1 && errno == EINVAL); /* no mount's root */
	NEED(put("a") == 0 && line_of("a").shared == 0 && line_of("a").master == 0);
	NEED(change("a", MS_SHARED | MS_PRIVATE) == -1 && errno == EINVAL);
	NEED(change("a", MS_SHARED | MS_NOSUID) == -1 && errno == EINVAL);
	NEED(change("a", MS_SLAVE) == 0 && line_of("a").master == 0);
	NEED(change("a", MS_SHARED) == 0 && line_of("a").shared != 0);
	NEED(bind("a", "b") == 0);
	a = line_of("a");
	b = line_of("b");
	NEED(a.shared == b.shared && b.master == 0);
	NEED(change("b", MS_SLAVE) == 0);
	b = line_of("b");
	NEED(b.shared == 0 && b.master == a.shared && b.from == 0);
	NEED(change("b", MS_SHARED) == 0);
	b = line_of("b");
	NEED(b.shared != 0 && b.shared != a.shared && b.master == a.shared);
	NEED(change("a", MS_PRIVATE) == 0 && line_of("a").shared == 0);
	b = line_of("b");
	NEED(b.shared != 0 && b.master == 0); /* the last of its masters is gone */
	NEED(change("b", MS_UNBINDABLE) == 0);
	b = line_of("b");
	NEED(b.unbindable && !b.shared && !b.master);
	NEED(bind("b", "c") == -1 && errno == EINVAL);
	NEED(change("b", MS_SLAVE) == 0 && change("b", MS_SHARED) == 0 && !line_of("b").unbindable);
	NEED(bind("b", "c") == 0);
}

static void kinds(void)
{
	EXPECT(ends(kinds_child) == 0);
}

/* ---- passing on ---- */

static void peers_child(void)
{
	struct line a, b;

	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/in", 0755) == 0 && bind("a", "b") == 0);
	NEED(put("a/in") == 0);
	a = line_of("a/in");
	b = line_of("b/in");
	NEED(a.count == 1 && b.count == 1 && a.shared != 0 && a.shared == b.shared && a.id != b.id);
	NEED(mkdir("b/in/deep", 0755) == 0 && access("a/in/deep", F_OK) == 0);
	NEED(put("b/in/deep") == 0 && count_at("a/in/deep") == 1);
	NEED(umount("a/in/deep") == 0 && count_at("b/in/deep") == 0);
	NEED(umount("b/in") == 0 && count_at("a/in") == 0);
	NEED(change("b", MS_PRIVATE) == 0 && put("a/in") == 0 && count_at("b/in") == 0);
}

static void slaves_child(void)
{
	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/in", 0755) == 0);
	NEED(bind("a", "b") == 0 && change("b", MS_SLAVE) == 0); /* hears of a */
	NEED(change("b", MS_SHARED) == 0 && bind("b", "c") == 0); /* a peer of b */
	NEED(bind("c", "d") == 0 && change("d", MS_SLAVE) == 0); /* hears of b and c */
	NEED(put("b/in") == 0 && count_at("a/in") == 0 && count_at("c/in") == 1 && count_at("d/in") == 1);
	NEED(line_of("c/in").shared == line_of("b/in").shared && line_of("d/in").master == line_of("b/in").shared);
	NEED(line_of("b/in").master == 0);
	NEED(umount("c/in") == 0 && count_at("b/in") == 0 && count_at("d/in") == 0);
	NEED(put("a/in") == 0 && count_at("b/in") == 1 && count_at("c/in") == 1 && count_at("d/in") == 1);
	NEED(line_of("b/in").master == line_of("a/in").shared && line_of("c/in").shared == line_of("b/in").shared);
	NEED(line_of("d/in").master == line_of("c/in").shared && line_of("d/in").shared == 0);
	NEED(umount("a/in") == 0 && count_at("d/in") == 0 && count_at("c/in") == 0);
}

static void partial_child(void)
{
	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/x", 0755) == 0 && mkdir("a/y", 0755) == 0 && mkdir("a/x/in", 0755) == 0);
	NEED(bind("a/x", "b") == 0 && line_of("b").shared == line_of("a").shared);
	NEED(put("a/y") == 0 && count_at("b/y") == 0);
	NEED(put("a/x/in") == 0 && count_at("b/in") == 1);
	NEED(umount("b/in") == 0 && count_at("a/x/in") == 0);
	NEED(put("a/x") == 0 && count_at("b") == 2); /* where the peer's root is */
	NEED(umount("a/x") == 0 && count_at("b") == 1);
}

/* A bind of a tree is passed on as a tree; a private one becomes shared there. */
static void trees_child(void)
{
	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/in", 0755) == 0 && bind("a", "b") == 0);
	NEED(put("c") == 0 && mkdir("c/one", 0755) == 0 && mkdir("c/two", 0755) == 0 && put("c/one") == 0 && put("c/two") == 0);
	NEED(change("c/two", MS_UNBINDABLE) == 0);
	NEED(mount("c", "a/in", NULL, MS_BIND | MS_REC, NULL) == 0);
	NEED(count_at("b/in/one") == 1 && count_at("b/in/two") == 0 && count_at("a/in/two") == 0);
	NEED(line_of("b/in/one").shared && line_of("b/in/one").shared == line_of("a/in/one").shared);
	NEED(line_of("c").shared == 0 && line_of("c/one").shared == 0);
	NEED(umount("a/in") == -1 && errno == EBUSY);
	NEED(umount2("a/in", MNT_DETACH) == 0 && count_at("b/in") == 0 && count_at("b/in/one") == 0);
	NEED(mount("a", "a/in", NULL, MS_BIND | MS_REC, NULL) == 0); /* onto itself */
	NEED(count_at("a/in") == 1 && count_at("b/in") == 1 && count_at("a/in/in") == 0 && line_of("b/in").shared == line_of("a").shared);
}

/* What a receiver has on the place already comes to stand on the copy, and down again when that goes. */
static void tucked_child(void)
{
	struct line under;

	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/in", 0755) == 0);
	NEED(bind("a", "b") == 0 && change("b", MS_SLAVE) == 0);
	NEED(put("b/in") == 0 && mkdir("b/in/own", 0755) == 0);
	under = line_of("b/in");
	NEED(put("a/in") == 0 && count_at("b/in") == 2 && access("b/in/own", F_OK) == 0);
	NEED(umount("a/in") == 0 && count_at("b/in") == 1 && access("b/in/own", F_OK) == 0);
	NEED(line_of("b/in").id == under.id && line_of("b/in").parent == under.parent);
}

static void passes_on(void)
{
	EXPECT(ends(peers_child) == 0);
	EXPECT(ends(slaves_child) == 0);
	EXPECT(ends(partial_child) == 0);
	EXPECT(ends(trees_child) == 0);
	EXPECT(ends(tucked_child) == 0);
}

/* ---- unmounting ---- */

static void busy_child(void)
{
	int fd;

	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/in", 0755) == 0 && bind("a", "b") == 0 && put("a/in") == 0);
	fd = open("b/in", O_RDONLY | O_DIRECTORY);
	NEED(umount("a/in") == -1 && errno == EBUSY);
	close(fd);
	NEED(mkdir("b/in/more", 0755) == 0 && change("b/in", MS_PRIVATE) == 0 && put("b/in/more") == 0);
	NEED(umount("a/in") == 0 && count_at("b/in") == 1 && count_at("b/in/more") == 1); /* what is on it keeps it */
	NEED(umount("b/in/more") == 0 && umount("b/in") == 0);
}

static void expiry_child(void)
{
	int fd;

	own_tree();
	NEED(put("a") == 0);
	NEED(umount2("a", MNT_EXPIRE | MNT_DETACH) == -1 && errno == EINVAL);
	fd = open("a", O_RDONLY | O_DIRECTORY);
	NEED(umount2("a", MNT_EXPIRE) == -1 && errno == EBUSY);
	close(fd);
	NEED(umount2("a", MNT_EXPIRE) == -1 && errno == EAGAIN);
	close(open("a", O_RDONLY | O_DIRECTORY));
	NEED(umount2("a", MNT_EXPIRE) == -1 && errno == EAGAIN);
	NEED(umount2("a", MNT_EXPIRE) == 0 && count_at("a") == 0);
}

static void unmounts(void)
{
	EXPECT(ends(busy_child) == 0);
	EXPECT(ends(expiry_child) == 0);
}

/* ---- moving ---- */

static void move_child(void)
{
	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/in", 0755) == 0 && mkdir("a/out", 0755) == 0 && bind("a", "b") == 0);
	NEED(put("c") == 0 && mount("c", "a/in", NULL, MS_MOVE, NULL) == 0);
	NEED(count_at("c") == 0 && count_at("a/in") == 1 && count_at("b/in") == 1 && line_of("a/in").shared == line_of("b/in").shared);
	NEED(mount("a/in", "c", NULL, MS_MOVE, NULL) == -1 && errno == EINVAL); /* it stands on a shared mount */
	NEED(put("c") == 0 && change("c", MS_UNBINDABLE) == 0);
	NEED(mount("c", "a/out", NULL, MS_MOVE, NULL) == -1 && errno == EINVAL);
	NEED(mount("c", "d", NULL, MS_MOVE, NULL) == 0);
	NEED(mkdir("d/x", 0755) == 0 && mount("d", "d/x", NULL, MS_MOVE, NULL) == -1 && errno == ELOOP);
}

/* A slave is moved to what it hears of: it becomes shared by that, and hears of its own coming. */
static void own_master_child(void)
{
	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/in", 0755) == 0 && bind("a", "b") == 0 && change("b", MS_SLAVE) == 0);
	NEED(mount("b", "a/in", NULL, MS_MOVE, NULL) == 0 && count_at("b") == 0);
	NEED(line_of("a/in").shared != 0 && line_of("a/in").master == line_of("a").shared);
	NEED(count_at("a/in/in") == 1 && line_of("a/in/in").master == line_of("a/in").shared && line_of("a/in/in").shared == 0);
}

static void moves(void)
{
	EXPECT(ends(own_master_child) == 0);
	EXPECT(ends(move_child) == 0);
}

/* ---- namespaces ---- */

static int in_child_of(pid_t *ret, void (*fn)(int said, int go), int pipes[4])
{
	char c;

	NEED(pipe(pipes) == 0 && pipe(pipes + 2) == 0);
	*ret = fork();
	if (*ret == 0) {
		fn(pipes[1], pipes[2]);
		_exit(0);
	}
	return read(pipes[0], &c, 1) == 1 ? 0 : -1;
}

static void meet(int said, int go)
{
	char c;

	NEED(write(said, "x", 1) == 1 && read(go, &c, 1) == 1);
}

static void peer_namespace(int said, int go)
{
	NEED(unshare(CLONE_NEWNS) == 0);
	NEED(line_of("a").shared != 0);
	meet(said, go);
	NEED(count_at("a/in") == 1);
	NEED(umount("a/in") == 0);
}

/* Who has a user namespace of his own hears, but is not heard. */
static void slave_namespace(int said, int go)
{
	unsigned shared = line_of("a").shared;

	NEED(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	NEED(line_of("a").shared == 0 && line_of("a").master == shared);
	meet(said, go);
	NEED(count_at("a/in") == 1 && line_of("a/in").master != 0);
	NEED(count_at("a/in/deep") == 1);
	NEED(umount2("a/in/deep", MNT_DETACH) == -1 && errno == EINVAL); /* came with a/in */
	NEED(change("a", MS_SHARED) == 0 && line_of("a").shared != 0 && line_of("a").master == shared);
}

static void namespaces_child(void)
{
	int pipes[4], status;
	pid_t pid;

	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/in", 0755) == 0);
	NEED(in_child_of(&pid, peer_namespace, pipes) == 0);
	NEED(put("a/in") == 0);
	NEED(write(pipes[3], "x", 1) == 1 && waitpid(pid, &status, 0) == pid && status == 0);
	NEED(count_at("a/in") == 0); /* the child took it away */
	NEED(put("c") == 0 && mkdir("c/deep", 0755) == 0 && put("c/deep") == 0);
	NEED(in_child_of(&pid, slave_namespace, pipes) == 0);
	NEED(mount("c", "a/in", NULL, MS_BIND | MS_REC, NULL) == 0);
	NEED(write(pipes[3], "x", 1) == 1 && waitpid(pid, &status, 0) == pid && status == 0);
	NEED(line_of("a").shared != 0);
}

/* The folder goes on which another user namespace has a mount with locked ones on it, while that receives more on the same places. */
#define KEPT 24

static void locked_namespace(int said, int go)
{
	NEED(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	meet(said, go);
	NEED(access("a", F_OK) == -1 && errno == ENOENT);
}

static void mount_for_ever(const char *on)
{
	char place[32];

	for (int i = KEPT;; i = i ? i - 1 : KEPT - 1) {
		snprintf(place, sizeof(place), "%s/%d", on, i % KEPT);
		if (put(place) == 0)
			umount(place);
	}
}

static void kept_child(void)
{
	int pipes[4], status;
	char place[32];
	pid_t pid, busy;

	own_tree();
	NEED(put("a") == 0);
	for (int i = 0; i < KEPT; i++) {
		snprintf(place, sizeof(place), "a/%d", i);
		NEED(mkdir(place, 0755) == 0 && put(place) == 0);
	}
	NEED(change("a", MS_SHARED) == 0 && bind("a", "b") == 0);
	NEED(in_child_of(&pid, locked_namespace, pipes) == 0);
	NEED(umount2("a", MNT_DETACH) == 0); /* not there: what it stands on is private */
	busy = fork();
	if (busy == 0)
		mount_for_ever("b");
	usleep(2000);
	NEED(rmdir("a") == 0);
	kill(busy, SIGKILL);
	NEED(waitpid(busy, &status, 0) == busy);
	NEED(write(pipes[3], "x", 1) == 1 && waitpid(pid, &status, 0) == pid && status == 0);
}

/* In a chroot, what cannot be seen is not named as where it comes from. */
static void from_child(void)
{
	FILE *f;
	char line[1024], root[256];
	unsigned top;
	bool found = false;

	own_tree();
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && put("c") == 0 && mkdir("c/x", 0755) == 0 && mkdir("c/y", 0755) == 0 && mkdir("c/proc", 0755) == 0);
	NEED(bind("a", "c/x") == 0 && bind("a", "b") == 0 && change("b", MS_SLAVE) == 0 && change("b", MS_SHARED) == 0);
	NEED(bind("b", "c/y") == 0 && change("c/y", MS_SLAVE) == 0);
	top = line_of("a").shared;
	NEED(line_of("c/y").master == line_of("b").shared && line_of("c/y").from == 0);
	NEED(mount("/proc", "c/proc", NULL, MS_BIND | MS_REC, NULL) == 0);
	snprintf(root, sizeof(root), "%s/c", base);
	NEED(chroot(root) == 0 && chdir("/") == 0);
	f = fopen("/proc/self/mountinfo", "r");
	NEED(f);
	while (fgets(line, sizeof(line), f)) {
		const char *end = strstr(line, " - ");

		if (strstr(line, " /y "))
			found = field(line, end, " propagate_from:") == top && field(line, end, " master:") != 0;
	}
	NEED(found);
}

static void pivot_child(void)
{
	own_tree();
	NEED(put("a") == 0 && mkdir("a/old", 0755) == 0 && change("a", MS_SHARED) == 0);
	NEED(syscall(SYS_pivot_root, "a", "a/old") == -1 && errno == EINVAL); /* the old root would be passed on */
	NEED(change("a", MS_PRIVATE) == 0 && syscall(SYS_pivot_root, "a", "a/old") == 0);
}

/* A namespace has a bound, and nothing is passed on in part. */
static void bound_child(void)
{
	char before[32] = "", small[32], line[1024];
	int fd = open("/proc/sys/fs/mount-max", O_RDONLY), made = 0, count = 0;
	FILE *f;

	own_tree();
	NEED(fd >= 0 && read(fd, before, sizeof(before) - 1) > 0);
	NEED(put("a") == 0 && change("a", MS_SHARED) == 0 && mkdir("a/in", 0755) == 0 && bind("a", "b") == 0);
	f = fopen("/proc/self/mountinfo", "r");
	while (f && fgets(line, sizeof(line), f))
		count++;
	snprintf(small, sizeof(small), "%d\n", count + 9); /* four times two, and one too few for more */
	NEED(write_file("/proc/sys/fs/mount-max", small) == 0);
	while (made < 20 && put("a/in") == 0)
		made++;
	NEED(write_file("/proc/sys/fs/mount-max", "0") == -1 && write_file("/proc/sys/fs/mount-max", before) == 0);
	NEED(made == 4 && count_at("a/in") == 4 && count_at("b/in") == 4);
	NEED(put("a/in") == 0 && count_at("b/in") == 5);
	while (count_at("b/in"))
		NEED(umount("b/in") == 0);
	NEED(put("c") == 0);
	snprintf(small, sizeof(small), "%d\n", count + 1);
	NEED(write_file("/proc/sys/fs/mount-max", small) == 0);
	made = mount("c", "d", NULL, MS_MOVE, NULL); /* is in it already */
	NEED(put("c") == -1 && errno == ENOSPC && write_file("/proc/sys/fs/mount-max", before) == 0);
	NEED(made == 0 && count_at("d") == 1);
}

static void bound(void)
{
	EXPECT(ends(bound_child) == 0);
}

static void across_namespaces(void)
{
	EXPECT(ends(namespaces_child) == 0);
	for (int i = 0; i < 10; i++)
		EXPECT(ends(kept_child) == 0);
	EXPECT(ends(from_child) == 0);
	EXPECT(ends(pivot_child) == 0);
}

int main(void)
{
	if (!mkdtemp(base))
		return 1;
	if (root_is_a_mount()) {
		CASE(kinds);
		CASE(passes_on);
		CASE(unmounts);
		CASE(moves);
		CASE(across_namespaces);
		CASE(bound);
	}
	rmdir(base);
	return abi_result();
}
