/* SPDX-License-Identifier: MIT */
/* IPC namespaces: objects and limits of each are its own, and go with it. Run as root. */
#include "cases.h"
#include <fcntl.h>
#include <linux/mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "inside.h"

#define KEY 0x7e57

union semun {
	int val;
	struct semid_ds *buf;
};

static void apart_child(void)
{
	struct shmid_ds ds;
	int seg;

	NEED(shmget(KEY, 4096, 0) >= 0);
	NEED(unshare(CLONE_NEWIPC) == 0);
	NEED(shmget(KEY, 4096, 0) == -1 && errno == ENOENT);
	NEED(msgget(KEY, 0) == -1 && errno == ENOENT && semget(KEY, 0, 0) == -1 && errno == ENOENT);
	seg = shmget(KEY, 8192, IPC_CREAT | IPC_EXCL | 0600);
	NEED(seg == 0); /* ids count from the start */
	NEED(shmctl(seg, IPC_STAT, &ds) == 0 && ds.shm_segsz == 8192 && ds.shm_cpid == getpid());
	NEED(msgget(KEY, IPC_CREAT | 0600) == 0 && semget(KEY, 2, IPC_CREAT | 0600) == 0);
}

static void objects_are_apart(void)
{
	struct shmid_ds ds;
	int seg = shmget(KEY, 4096, IPC_CREAT | 0600);

	EXPECT(seg >= 0);
	EXPECT(ends(apart_child) == 0);
	EXPECT(shmctl(seg, IPC_STAT, &ds) == 0 && ds.shm_segsz == 4096);
	EXPECT_ERRNO(msgget(KEY, 0), ENOENT);
	EXPECT(shmctl(seg, IPC_RMID, NULL) == 0);
}

/* ---- message queues ---- */

static bool can_make(const char *path)
{
	int q = open(path, O_CREAT | O_RDWR, 0600);

	return q >= 0 && close(q) == 0 && unlink(path) == 0;
}

static bool has_default(const char *path, long count)
{
	int q = open(path, O_CREAT | O_RDWR, 0600);
	struct mq_attr attr;

	return q >= 0 && syscall(SYS_mq_getsetattr, q, NULL, &attr) == 0 && attr.mq_maxmsg == count && close(q) == 0 && unlink(path) == 0;
}

#define QUEUES "/tmp/abi-queues"

/* What a mounted instance allows is its own namespace's matter, and nothing once that has ended. */
static void mounted_queues_child(void)
{
	int own = open("/proc/self/ns/ipc", O_RDONLY), other, q;

	NEED(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	NEED(unshare(CLONE_NEWIPC) == 0);
	NEED(mount("mqueue", QUEUES, "mqueue", 0, NULL) == 0);
	other = open("/proc/self/ns/ipc", O_RDONLY);
	NEED(write_file("/proc/sys/fs/mqueue/msg_default", "3") == 0);
	NEED(has_default(QUEUES "/q", 3));
	NEED(setns(own, CLONE_NEWIPC) == 0 && file_is("/proc/sys/fs/mqueue/msg_default", "10\n"));
	NEED(has_default(QUEUES "/q", 3) && can_make(QUEUES "/q"));
	q = open(QUEUES "/kept", O_CREAT | O_RDWR | O_NONBLOCK, 0600);
	NEED(q >= 0 && close(other) == 0);
	usleep(100000); /* Linux ends namespaces behind one's back */
	NEED(open(QUEUES "/q", O_CREAT | O_RDWR, 0600) == -1 && errno == EACCES);
	NEED(syscall(SYS_mq_timedsend, q, "a", 1, 0, NULL) == 0 && close(q) == 0 && unlink(QUEUES "/kept") == 0);
	NEED(umount(QUEUES) == 0);
}

static void mounted_queues(void)
{
	if (mkdir(QUEUES, 0700))
		return;
	EXPECT(ends(mounted_queues_child) == 0);
	EXPECT(rmdir(QUEUES) == 0);
}

/* Memory that is attached stays so when its namespace is left, and when it is gone. */
static void attached_child(void)
{
	int seg, own = open("/proc/self/ns/ipc", O_RDONLY);
	char *p;

	NEED(unshare(CLONE_NEWIPC) == 0);
	seg = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600);
	p = shmat(seg, NULL, 0);
	NEED(p != (void *)-1);
	strcpy(p, "kept");
	NEED(setns(own, CLONE_NEWIPC) == 0);
	NEED(shmat(seg, NULL, 0) == (void *)-1 || seg != 0);
	NEED(strcmp(p, "kept") == 0);
	p[65535] = 1;
	if (fork() == 0)
		_exit(strcmp(p, "kept") == 0 ? 0 : 1);
	NEED(shmdt(p) == 0);
}

static void attached_memory_stays(void)
{
	EXPECT(ends(attached_child) == 0);
}

/* What SEM_UNDO is to take back is taken back in the namespace where it was done. */
static void undo_child(void)
{
	struct sembuf up = { .sem_op = 3, .sem_flg = SEM_UNDO };
	int own = open("/proc/self/ns/ipc", O_RDONLY), inner, set, there;

	NEED(unshare(CLONE_NEWIPC) == 0);
	inner = open("/proc/self/ns/ipc", O_RDONLY);
	set = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	NEED(set >= 0 && semop(set, &up, 1) == 0 && semctl(set, 0, GETVAL) == 3);
	NEED(setns(own, 0) == 0);
	there = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	NEED(there >= 0 && semop(there, &up, 1) == 0);
	NEED(setns(inner, 0) == 0 && semctl(set, 0, GETVAL) == 0); /* with the leaving */
	NEED(setns(own, 0) == 0 && semctl(there, 0, GETVAL) == 0);
	NEED(semctl(there, 0, IPC_RMID) == 0);
}

static void undo_is_done_at_home(void)
{
	EXPECT(ends(undo_child) == 0);
}

static void limits_child(void)
{
	char before[64] = "", text[64];
	int fd = open("/proc/sys/kernel/msgmax", O_RDONLY);

	NEED(fd >= 0 && read(fd, before, sizeof(before) - 1) > 0);
	close(fd);
	NEED(unshare(CLONE_NEWIPC) == 0);
	NEED(write_file("/proc/sys/kernel/msgmax", "4321") == 0);
	NEED(file_is("/proc/sys/kernel/msgmax", "4321\n"));
	if (fork() == 0) {
		NEED(unshare(CLONE_NEWIPC) == 0 && file_is("/proc/sys/kernel/msgmax", "8192\n"));
		_exit(0);
	}
	snprintf(text, sizeof(text), "/proc/%d/ns/ipc", getppid());
	NEED(setns(open(text, O_RDONLY), CLONE_NEWIPC) == 0);
	NEED(file_is("/proc/sys/kernel/msgmax", before));
}

static void limits_are_apart(void)
{
	EXPECT(ends(limits_child) == 0);
}

/* A pid of one namespace of pids is 0 to those who do not see it. */
static void pids_are_translated(void)
{
	struct shmid_ds ds;
	struct sembuf up = { .sem_op = 1 };
	int seg = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0666), set = semget(IPC_PRIVATE, 1, IPC_CREAT | 0666);
	pid_t pid;

	EXPECT(semop(set, &up, 1) == 0 && semctl(set, 0, GETPID) == getpid());
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0) {
		NEED(shmctl(seg, IPC_STAT, &ds) == 0 && ds.shm_cpid == 0);
		NEED(semctl(set, 0, GETPID) == 0);
		NEED(semop(set, &up, 1) == 0 && semctl(set, 0, GETPID) == 1);
		_exit(0);
	}
	EXPECT(ending_of(pid) == 0);
	EXPECT(shmctl(seg, IPC_RMID, NULL) == 0 && semctl(set, 0, IPC_RMID) == 0);
}

/* The creator's ids as the user namespace has them; its root has the right over what belongs to the IPC namespace below. */
static void owners_child(void)
{
	struct shmid_ds ds;
	int seg = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600), mine;

	NEED(seg >= 0);
	NEED(setresgid(1234, 1234, 1234) == 0 && setresuid(1234, 1234, 1234) == 0);
	NEED(unshare(CLONE_NEWUSER) == 0);
	NEED(shmctl(seg, IPC_STAT, &ds) == -1 && errno == EACCES); /* the namespace is the first user namespace's */
	NEED(shmctl(seg, IPC_RMID, NULL) == -1 && errno == EPERM);
	NEED(unshare(CLONE_NEWIPC) == 0);
	mine = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0000);
	NEED(mine >= 0 && shmctl(mine, IPC_STAT, &ds) == 0);
	NEED(ds.shm_perm.uid == 65534 && ds.shm_perm.cuid == 65534);
	ds.shm_perm.uid = 1;
	NEED(shmctl(mine, IPC_SET, &ds) == -1 && errno == EINVAL);
	NEED(syscall(SYS_clone, CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD, NULL, NULL, NULL, 0) == -1 && errno == EINVAL);
}

static void owners(void)
{
	EXPECT(ends(owners_child) == 0);
}

int main(void)
{
	abi_need_user_namespaces();
	CASE(objects_are_apart);
	CASE(attached_memory_stays);
	CASE(undo_is_done_at_home);
	CASE(limits_are_apart);
	CASE(mounted_queues);
	CASE(pids_are_translated);
	CASE(owners);
	return abi_result();
}
