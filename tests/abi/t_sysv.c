/* SPDX-License-Identifier: MIT */
/* System V IPC: shared memory, semaphores, message queues. */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include "cases.h"

#define PAGE 4096l

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

/* A key that nobody else uses, as far as one can know. */
static key_t some_key(int n)
{
	return (key_t)(0x43000000 + ((getpid() & 0xffff) << 4) + n);
}

static int reap(pid_t pid)
{
	int status = -1;

	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void nap(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void become_nobody(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(99);
}

/* Runs fn as an unprivileged user: its exit status. */
static int as_nobody(int (*fn)(int), int arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (getuid() == 0)
			become_nobody();
		_exit(fn(arg));
	}
	int status = reap(pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static unsigned long attached(int id)
{
	struct shmid_ds d;

	return shmctl(id, IPC_STAT, &d) == 0 ? d.shm_nattch : ULONG_MAX;
}

/* ---- shared memory ---- */

static void shm_keys(void)
{
	key_t key = some_key(1);
	int id, again;

	EXPECT_ERRNO(shmget(key, PAGE, 0600), ENOENT);
	EXPECT_ERRNO(shmget(key, 0, IPC_CREAT | 0600), EINVAL);
	id = shmget(key, 2 * PAGE, IPC_CREAT | IPC_EXCL | 0600);
	EXPECT(id >= 0);
	EXPECT(shmget(key, PAGE, 0600) == id);
	EXPECT(shmget(key, 0, 0) == id);
	EXPECT_ERRNO(shmget(key, 2 * PAGE + 1, 0600), EINVAL);
	EXPECT_ERRNO(shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	EXPECT(shmctl(id, IPC_RMID, NULL) == 0);
	EXPECT_ERRNO(shmctl(id, IPC_RMID, NULL), EINVAL);
	EXPECT_ERRNO(shmget(key, PAGE, 0600), ENOENT);
	EXPECT_ERRNO(shmat(id, NULL, 0), EINVAL);
	again = shmget(key, PAGE, IPC_CREAT | 0600);
	EXPECT(again >= 0 && again != id);
	EXPECT(shmctl(again, IPC_RMID, NULL) == 0);
	EXPECT_ERRNO(shmat(-1, NULL, 0), EINVAL);
	EXPECT_ERRNO(shmget(IPC_PRIVATE, ULONG_MAX, 0600), EINVAL);
}

static void shm_contents(void)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE + 5, 0600);
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, 0), *c = shmat(id, NULL, SHM_RDONLY);
	pid_t pid;

	EXPECT(id >= 0 && a != (void *)-1 && b != (void *)-1 && c != (void *)-1 && a != b);
	EXPECT(attached(id) == 3);
	strcpy(a + PAGE - 2, "across pages");
	EXPECT(!strcmp(b + PAGE - 2, "across pages") && !strcmp(c + PAGE - 2, "across pages"));
	a[4 * PAGE - 1] = 1; /* the last page is whole */
	EXPECT_ERRNO(mprotect(c, PAGE, PROT_READ | PROT_WRITE), EACCES);
	pid = fork();
	if (pid == 0) {
		if (attached(id) != 6)
			_exit(1);
		b[0] = 'x';
		_exit(shmdt(a) || attached(id) != 5);
	}
	EXPECT(reap(pid) == 0);
	EXPECT(a[0] == 'x' && attached(id) == 3);
	EXPECT(shmdt(b) == 0 && attached(id) == 2);
	EXPECT_ERRNO(shmdt(b), EINVAL);
	EXPECT_ERRNO(shmdt(a + 1), EINVAL);
	EXPECT_ERRNO(shmdt(a + PAGE), EINVAL);
	EXPECT(shmctl(id, IPC_RMID, NULL) == 0);
	EXPECT(attached(id) == 2); /* it lives on, and even lets more in */
	b = shmat(id, NULL, 0);
	EXPECT(b != (void *)-1 && b[0] == 'x');
	EXPECT(shmdt(a) == 0 && shmdt(b) == 0 && shmdt(c) == 0);
	EXPECT_ERRNO(shmat(id, NULL, 0), EINVAL);
}

static void shm_pieces(void)
{
	int id = shmget(IPC_PRIVATE, 4 * PAGE, 0600);
	char *a = shmat(id, NULL, 0);

	EXPECT(mprotect(a + PAGE, PAGE, PROT_READ) == 0);
	EXPECT(attached(id) == 3); /* areas are what is counted */
	EXPECT(munmap(a + 2 * PAGE, PAGE) == 0);
	EXPECT(attached(id) == 3);
	EXPECT(munmap(a, PAGE) == 0);
	EXPECT(attached(id) == 2);
	EXPECT(shmdt(a) == 0); /* what is left of it, from where it began */
	EXPECT(attached(id) == 0);
	EXPECT_ERRNO(shmdt(a), EINVAL);
	EXPECT(shmctl(id, IPC_RMID, NULL) == 0);
}

static void shm_places(void)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE, 0600);
	char *room = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_ERRNO(shmat(id, room + PAGE, 0), EINVAL);
	EXPECT_ERRNO(shmat(id, room + PAGE + 3, SHM_REMAP), EINVAL);
	EXPECT_ERRNO(shmat(id, NULL, SHM_REMAP), EINVAL);
	strcpy(room + PAGE, "old");
	EXPECT(shmat(id, room + PAGE + 3, SHM_RND | SHM_REMAP) == room + PAGE);
	EXPECT(room[PAGE] == 0);
	EXPECT(shmdt(room + PAGE) == 0);
	EXPECT(shmat(id, room + PAGE, 0) == room + PAGE); /* now there is room */
	EXPECT(munmap(room, 8 * PAGE) == 0);
	EXPECT(attached(id) == 0);
	EXPECT_ERRNO(shmat(id, (void *)-PAGE, SHM_REMAP), ENOMEM);
	EXPECT_ERRNO(shmat(id, (void *)-PAGE, 0), EINVAL);
	room = shmat(id, NULL, SHM_EXEC);
	EXPECT(getuid() == 0 ? room != (void *)-1 && shmdt(room) == 0 : room == (void *)-1 && errno == EACCES); /* mode 0600 */
	EXPECT(shmctl(id, IPC_RMID, NULL) == 0);
}

static void shm_stat_fields(void)
{
	int id = shmget(some_key(2), 100, IPC_CREAT | 0640), at;
	struct shmid_ds d;
	struct shm_info info;
	struct shminfo limits;
	void *a;

	EXPECT(shmctl(id, IPC_STAT, &d) == 0);
	EXPECT(d.shm_segsz == 100 && d.shm_nattch == 0 && d.shm_cpid == getpid() && d.shm_lpid == 0);
	EXPECT(d.shm_atime == 0 && d.shm_dtime == 0 && d.shm_ctime > 1000);
	EXPECT(d.shm_perm.__key == some_key(2) && (d.shm_perm.mode & 0777) == 0640);
	EXPECT(d.shm_perm.uid == geteuid() && d.shm_perm.cuid == geteuid() && d.shm_perm.gid == getegid());
	a = shmat(id, NULL, 0);
	EXPECT(shmctl(id, IPC_STAT, &d) == 0 && d.shm_nattch == 1 && d.shm_lpid == getpid() && d.shm_atime > 1000 && d.shm_dtime == 0);
	EXPECT(shmdt(a) == 0);
	EXPECT(shmctl(id, IPC_STAT, &d) == 0 && d.shm_nattch == 0 && d.shm_dtime > 1000);
	d.shm_perm.mode = 0604;
	EXPECT(shmctl(id, IPC_SET, &d) == 0);
	EXPECT(shmctl(id, IPC_STAT, &d) == 0 && (d.shm_perm.mode & 0777) == 0604);
	d.shm_perm.uid = (uid_t)-1;
	EXPECT_ERRNO(shmctl(id, IPC_SET, &d), EINVAL);
	at = shmctl(0, SHM_INFO, (void *)&info);
	EXPECT(at >= 0 && info.used_ids >= 1 && info.shm_tot >= 1);
	EXPECT(shmctl(0, IPC_INFO, (void *)&limits) == at && limits.shmmin == 1 && limits.shmmni >= 4096);
	EXPECT(shmctl(id & 0x7fff, SHM_STAT, &d) == id && d.shm_segsz == 100);
	EXPECT(shmctl(id & 0x7fff, 15 /* SHM_STAT_ANY */, &d) == id);
	EXPECT_ERRNO(shmctl(id, 99, &d), EINVAL);
	EXPECT_ERRNO(syscall(SYS_shmctl, id, IPC_STAT, 8), EFAULT);
	EXPECT_ERRNO(syscall(SYS_shmctl, id, IPC_SET, 8), EFAULT);
	EXPECT(shmctl(id, SHM_LOCK, NULL) == 0);
	EXPECT(shmctl(id, IPC_STAT, &d) == 0 && (d.shm_perm.mode & 02000));
	EXPECT(shmctl(id, SHM_UNLOCK, NULL) == 0);
	EXPECT(shmctl(id, IPC_STAT, &d) == 0 && !(d.shm_perm.mode & 02000));
	EXPECT(shmctl(id, IPC_RMID, NULL) == 0);
}

static int shm_stranger(int id)
{
	struct shmid_ds d;
	void *a = shmat(id, NULL, SHM_RDONLY);

	if (a == (void *)-1 || shmdt(a))
		return 1;
	if (shmat(id, NULL, 0) != (void *)-1 || errno != EACCES)
		return 2;
	if (shmctl(id, IPC_RMID, NULL) != -1 || errno != EPERM)
		return 3;
	if (shmctl(id, IPC_STAT, &d) || shmctl(id, IPC_SET, &d) != -1 || errno != EPERM)
		return 4;
	if (shmget(some_key(0), 0, 0600) != -1)
		return 5;
	return 0;
}

static void shm_permissions(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0604);

	if (getuid() == 0)
		EXPECT(as_nobody(shm_stranger, id) == 0);
	EXPECT(shmctl(id, IPC_RMID, NULL) == 0);
}

static void shm_exec_and_exit(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600);
	pid_t pid = fork();

	if (pid == 0) {
		char *a = shmat(id, NULL, 0);

		shmctl(id, IPC_RMID, NULL);
		strcpy(a, "gone with me");
		_exit(attached(id) != 1);
	}
	EXPECT(reap(pid) == 0);
	EXPECT(attached(id) == ULONG_MAX); /* the last one to leave removed it */
}

static void shm_is_memory(void)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE, 0600);
	uint32_t *a = shmat(id, NULL, 0);
	unsigned char vec[2];
	pid_t pid = fork();

	if (pid == 0) {
		while (__atomic_load_n(&a[0], __ATOMIC_ACQUIRE) == 0)
			syscall(SYS_futex, &a[0], 0 /* FUTEX_WAIT */, 0, NULL, NULL, 0);
		_exit(a[0] == 7 ? 0 : 1);
	}
	nap(10);
	__atomic_store_n(&a[0], 7, __ATOMIC_RELEASE);
	syscall(SYS_futex, &a[0], 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
	EXPECT(reap(pid) == 0);
	EXPECT(mincore(a, 2 * PAGE, vec) == 0 && (vec[0] & 1));
	EXPECT(msync(a, PAGE, MS_SYNC) == 0);
	EXPECT(shmdt(a) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}

/* A line of /proc/sysvipc/WHAT: is the object of this id in it? */
static bool listed(const char *what, int id)
{
	char path[64], line[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sysvipc/%s", what);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		int key, seen;

		found |= sscanf(line, "%d %d", &key, &seen) == 2 && seen == id;
	}
	if (f)
		fclose(f);
	return found;
}

static void lists(void)
{
	int shm = shmget(IPC_PRIVATE, 1, 0600), sem = semget(IPC_PRIVATE, 1, 0600), msg = msgget(IPC_PRIVATE, 0600);

	EXPECT(listed("shm", shm) && listed("sem", sem) && listed("msg", msg));
	EXPECT(shmctl(shm, IPC_RMID, NULL) == 0 && semctl(sem, 0, IPC_RMID) == 0 && msgctl(msg, IPC_RMID, NULL) == 0);
	EXPECT(!listed("shm", shm) && !listed("sem", sem) && !listed("msg", msg));
}

/* ---- semaphores ---- */

static int sem_value(int id, int n)
{
	return semctl(id, n, GETVAL);
}

static void sem_keys(void)
{
	key_t key = some_key(3);
	int id;

	EXPECT_ERRNO(semget(key, 3, 0600), ENOENT);
	EXPECT_ERRNO(semget(key, 0, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERRNO(semget(key, -1, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERRNO(semget(key, 1 << 20, IPC_CREAT | 0600), EINVAL);
	id = semget(key, 3, IPC_CREAT | 0600);
	EXPECT(id >= 0 && semget(key, 0, 0) == id && semget(key, 3, 0600) == id);
	EXPECT_ERRNO(semget(key, 4, 0600), EINVAL);
	EXPECT_ERRNO(semget(key, 3, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	EXPECT(semctl(id, 0, IPC_RMID) == 0);
	EXPECT_ERRNO(semctl(id, 0, IPC_RMID), EINVAL);
	EXPECT_ERRNO(semop(id, &(struct sembuf){ 0, 1, 0 }, 1), EINVAL);
}

static void sem_operations(void)
{
	int id = semget(IPC_PRIVATE, 3, 0600);
	struct sembuf all[] = { { 0, -2, IPC_NOWAIT }, { 1, 1, IPC_NOWAIT }, { 2, -1, IPC_NOWAIT } }, many[600] = { 0 };

	EXPECT(semop(id, &(struct sembuf){ 0, 5, 0 }, 1) == 0 && sem_value(id, 0) == 5);
	EXPECT(semctl(id, 0, GETPID) == getpid() && semctl(id, 1, GETPID) == 0);
	EXPECT_ERRNO(semop(id, all, 3), EAGAIN);
	EXPECT(sem_value(id, 0) == 5 && sem_value(id, 1) == 0); /* all or nothing */
	EXPECT(semop(id, &(struct sembuf){ 2, 1, 0 }, 1) == 0);
	EXPECT(semop(id, all, 3) == 0);
	EXPECT(sem_value(id, 0) == 3 && sem_value(id, 1) == 1 && sem_value(id, 2) == 0);
	EXPECT(semop(id, (struct sembuf[]){ { 0, -3, 0 }, { 0, 0, 0 }, { 0, 4, 0 } }, 3) == 0 && sem_value(id, 0) == 4);
	EXPECT_ERRNO(semop(id, &(struct sembuf){ 0, 0, IPC_NOWAIT }, 1), EAGAIN);
	EXPECT(semop(id, &(struct sembuf){ 2, 0, IPC_NOWAIT }, 1) == 0);
	EXPECT_ERRNO(semop(id, &(struct sembuf){ 0, 32764, 0 }, 1), ERANGE);
	EXPECT_ERRNO(semop(id, &(struct sembuf){ 3, 1, 0 }, 1), EFBIG);
	EXPECT_ERRNO(semop(id, many, 0), EINVAL);
	EXPECT_ERRNO(semop(id, many, 501), E2BIG);
	EXPECT_ERRNO(syscall(SYS_semop, id, 8, 1), EFAULT);
	EXPECT_ERRNO(semop(-1, many, 1), EINVAL);
	EXPECT(semctl(id, 0, IPC_RMID) == 0);
}

static void sem_control(void)
{
	int id = semget(some_key(4), 4, IPC_CREAT | 0600);
	unsigned short values[4] = { 1, 2, 3, 4 }, seen[4] = { 0 };
	struct semid_ds d;
	struct seminfo info;

	EXPECT(semctl(id, 0, SETALL, (union semun){ .array = values }) == 0);
	EXPECT(semctl(id, 0, GETALL, (union semun){ .array = seen }) == 0 && !memcmp(values, seen, sizeof(seen)));
	EXPECT(semctl(id, 2, SETVAL, (union semun){ .val = 9 }) == 0 && sem_value(id, 2) == 9);
	EXPECT_ERRNO(semctl(id, 2, SETVAL, (union semun){ .val = -1 }), ERANGE);
	EXPECT_ERRNO(semctl(id, 2, SETVAL, (union semun){ .val = 32768 }), ERANGE);
	EXPECT_ERRNO(semctl(id, 4, SETVAL, (union semun){ .val = 1 }), EINVAL);
	EXPECT_ERRNO(semctl(id, 4, GETVAL), EINVAL);
	EXPECT_ERRNO(semctl(id, -1, GETVAL), EINVAL);
	values[3] = 40000;
	EXPECT_ERRNO(semctl(id, 0, SETALL, (union semun){ .array = values }), ERANGE);
	EXPECT(sem_value(id, 0) == 1);
	EXPECT(semctl(id, 0, IPC_STAT, (union semun){ .buf = &d }) == 0);
	EXPECT(d.sem_nsems == 4 && d.sem_otime == 0 && d.sem_ctime > 1000 && d.sem_perm.__key == some_key(4));
	EXPECT(semop(id, &(struct sembuf){ 0, 1, 0 }, 1) == 0);
	EXPECT(semctl(id, 0, IPC_STAT, (union semun){ .buf = &d }) == 0 && d.sem_otime > 1000);
	d.sem_perm.mode = 0200;
	EXPECT(semctl(id, 0, IPC_SET, (union semun){ .buf = &d }) == 0);
	EXPECT(semctl(id & 0x7fff, 0, 20 /* SEM_STAT_ANY */, (union semun){ .buf = &d }) == id && (d.sem_perm.mode & 0777) == 0200);
	EXPECT(semctl(0, 0, IPC_INFO, (void *)&info) >= 0 && info.semvmx == 32767 && info.semaem == 32767);
	EXPECT(semctl(0, 0, SEM_INFO, (void *)&info) >= 0 && info.semusz >= 1 && info.semaem >= 4);
	EXPECT_ERRNO(semctl(id, 0, 99), EINVAL);
	EXPECT(semctl(id, 0, IPC_RMID) == 0);
}

static int sem_stranger(int id)
{
	if (semop(id, &(struct sembuf){ 0, 0, IPC_NOWAIT }, 1))
		return 1;
	if (semop(id, &(struct sembuf){ 0, 1, IPC_NOWAIT }, 1) != -1 || errno != EACCES)
		return 2;
	if (sem_value(id, 0) != 0)
		return 3;
	if (semctl(id, 0, SETVAL, (union semun){ .val = 1 }) != -1 || errno != EACCES)
		return 4;
	return semctl(id, 0, IPC_RMID) == -1 && errno == EPERM ? 0 : 5;
}

static void sem_permissions(void)
{
	int id = semget(IPC_PRIVATE, 1, 0604);

	if (getuid() == 0)
		EXPECT(as_nobody(sem_stranger, id) == 0);
	EXPECT(semctl(id, 0, IPC_RMID) == 0);
}

static pid_t start_op(int id, struct sembuf op)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(semop(id, &op, 1) == 0 ? 0 : errno);
	return pid;
}

static void wait_count(int id, int n, int command, int wanted)
{
	for (int i = 0; i < 2000 && semctl(id, n, command) != wanted; i++)
		nap(2);
}

static void sem_blocking(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600);
	pid_t a, b, z;

	a = start_op(id, (struct sembuf){ 0, -2, 0 });
	wait_count(id, 0, GETNCNT, 1);
	EXPECT(semctl(id, 0, GETNCNT) == 1 && semctl(id, 0, GETZCNT) == 0);
	b = start_op(id, (struct sembuf){ 0, -1, 0 });
	wait_count(id, 0, GETNCNT, 2);
	EXPECT(semop(id, &(struct sembuf){ 0, 1, 0 }, 1) == 0); /* enough for the second */
	EXPECT(reap(b) == 0);
	EXPECT(semctl(id, 0, GETNCNT) == 1 && sem_value(id, 0) == 0);
	EXPECT(semop(id, &(struct sembuf){ 0, 2, 0 }, 1) == 0);
	EXPECT(reap(a) == 0 && sem_value(id, 0) == 0);
	EXPECT(semctl(id, 1, SETVAL, (union semun){ .val = 1 }) == 0);
	z = start_op(id, (struct sembuf){ 1, 0, 0 });
	wait_count(id, 1, GETZCNT, 1);
	EXPECT(semctl(id, 1, GETZCNT) == 1);
	EXPECT(semop(id, &(struct sembuf){ 1, -1, 0 }, 1) == 0);
	EXPECT(reap(z) == 0);
	a = start_op(id, (struct sembuf){ 0, -1, 0 });
	z = start_op(id, (struct sembuf){ 0, -1, 0 });
	wait_count(id, 0, GETNCNT, 2);
	EXPECT(semctl(id, 0, SETVAL, (union semun){ .val = 1 }) == 0); /* wakes one, too */
	wait_count(id, 0, GETNCNT, 1);
	EXPECT(semctl(id, 0, IPC_RMID) == 0);
	int one = reap(a), two = reap(z);
	EXPECT((WEXITSTATUS(one) == EIDRM && two == 0) || (WEXITSTATUS(two) == EIDRM && one == 0));
}

static void handler(int signo)
{
	(void)signo;
}

static void sem_interrupted(void)
{
	int id = semget(IPC_PRIVATE, 1, 0600);
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct sembuf down = { 0, -1, 0 };
	pid_t pid = fork();

	if (pid == 0) {
		sigaction(SIGUSR1, &act, NULL);
		_exit(semop(id, &down, 1) == -1 ? errno : 0); /* SA_RESTART does not count */
	}
	wait_count(id, 0, GETNCNT, 1);
	nap(5);
	kill(pid, SIGUSR1);
	EXPECT(WEXITSTATUS(reap(pid)) == EINTR);
	EXPECT_ERRNO(semtimedop(id, &down, 1, &(struct timespec){ 0, 5000000 }), EAGAIN);
	EXPECT_ERRNO(semtimedop(id, &down, 1, &(struct timespec){ 0, 0 }), EAGAIN);
	EXPECT_ERRNO(semtimedop(id, &down, 1, &(struct timespec){ 0, 1000000000 }), EINVAL);
	EXPECT_ERRNO(semtimedop(id, &down, 1, &(struct timespec){ -1, 0 }), EINVAL);
	EXPECT(semctl(id, 0, GETNCNT) == 0);
	EXPECT(semop(id, &(struct sembuf){ 0, 1, 0 }, 1) == 0);
	EXPECT(semtimedop(id, &down, 1, &(struct timespec){ 0, 0 }) == 0);
	EXPECT(semctl(id, 0, IPC_RMID) == 0);
}

static void *undo_in_thread(void *arg)
{
	int id = *(int *)arg;

	return (void *)(long)semop(id, &(struct sembuf){ 1, 3, SEM_UNDO }, 1);
}

static void sem_undo(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600);
	struct sembuf ops[] = { { 0, -1, SEM_UNDO }, { 1, 2, SEM_UNDO } };
	pid_t pid, waiter;

	EXPECT(semctl(id, 0, SETVAL, (union semun){ .val = 1 }) == 0);
	pid = fork();
	if (pid == 0) {
		pthread_t t;

		if (semop(id, ops, 2) || sem_value(id, 0) != 0 || sem_value(id, 1) != 2)
			_exit(1);
		pthread_create(&t, NULL, undo_in_thread, &id);
		pthread_join(t, NULL);
		_exit(sem_value(id, 1) == 5 ? 0 : 2); /* the thread's end takes nothing back */
	}
	EXPECT(reap(pid) == 0);
	EXPECT(sem_value(id, 0) == 1 && sem_value(id, 1) == 0);
	EXPECT(semctl(id, 0, GETPID) == pid);

	/* What is given back wakes who waits for it; what is not there any more is not taken. */
	pid = fork();
	if (pid == 0) {
		semop(id, ops, 2);
		semop(id, &(struct sembuf){ 1, -1, 0 }, 1);
		pause();
	}
	for (int i = 0; i < 2000 && sem_value(id, 1) != 1; i++)
		nap(2);
	waiter = start_op(id, (struct sembuf){ 0, -1, 0 });
	wait_count(id, 0, GETNCNT, 1);
	kill(pid, SIGKILL);
	EXPECT(reap(pid) == SIGKILL && reap(waiter) == 0);
	EXPECT(sem_value(id, 0) == 0 && sem_value(id, 1) == 0);

	/* SETVAL makes them forget. */
	pid = fork();
	if (pid == 0) {
		semop(id, &(struct sembuf){ 1, 4, SEM_UNDO }, 1);
		semctl(id, 1, SETVAL, (union semun){ .val = 7 });
		_exit(0);
	}
	EXPECT(reap(pid) == 0 && sem_value(id, 1) == 7);
	EXPECT_ERRNO(semop(id, (struct sembuf[]){ { 1, -7, 0 }, { 1, 32767, SEM_UNDO }, { 1, -32767, 0 }, { 1, 32767, SEM_UNDO } }, 4), ERANGE);
	EXPECT(sem_value(id, 1) == 7);
	EXPECT(semctl(id, 0, IPC_RMID) == 0);
}

/* ---- messages ---- */

struct text {
	long type;
	char bytes[64];
};

static int put(int id, long type, const char *bytes, int flags)
{
	struct text t = { .type = type };

	strncpy(t.bytes, bytes, sizeof(t.bytes) - 1);
	return msgsnd(id, &t, strlen(bytes), flags);
}

/* The message's first byte, or -errno. */
static int get(int id, long type, int flags)
{
	struct text t = { 0 };
	ssize_t n = msgrcv(id, &t, sizeof(t.bytes), type, flags | IPC_NOWAIT);

	return n < 0 ? -errno : n == 0 ? 0 : t.bytes[0];
}

static void msg_order(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct text t;

	EXPECT(id >= 0 && get(id, 0, 0) == -ENOMSG);
	EXPECT(!put(id, 5, "a", 0) && !put(id, 3, "b", 0) && !put(id, 5, "c", 0) && !put(id, 2, "d", 0) && !put(id, 3, "e", 0));
	EXPECT(get(id, 5, 0) == 'a');
	EXPECT(get(id, -4, 0) == 'd'); /* the lowest type */
	EXPECT(get(id, -4, 0) == 'b');
	EXPECT(get(id, 3, MSG_EXCEPT) == 'c');
	EXPECT(get(id, -2, 0) == -ENOMSG && get(id, 7, 0) == -ENOMSG && get(id, 3, MSG_EXCEPT) == -ENOMSG);
	EXPECT(get(id, LONG_MIN, 0) == 'e');
	EXPECT(!put(id, 1, "first", 0) && !put(id, 2, "second", 0));
	EXPECT(get(id, 1, MSG_COPY) == 's' && get(id, 0, MSG_COPY) == 'f' && get(id, 2, MSG_COPY) == -ENOMSG);
	EXPECT_ERRNO(msgrcv(id, &t, 64, 0, MSG_COPY), EINVAL);
	EXPECT_ERRNO(msgrcv(id, &t, 64, 0, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT), EINVAL);
	EXPECT_ERRNO(msgrcv(id, &t, 2, 0, 0), E2BIG);
	EXPECT_ERRNO(msgrcv(id, &t, 2, 0, MSG_COPY | IPC_NOWAIT), E2BIG);
	EXPECT(msgrcv(id, &t, 2, 0, MSG_NOERROR) == 2 && t.type == 1 && !memcmp(t.bytes, "fi", 2));
	EXPECT(get(id, 0, 0) == 's');
	EXPECT(msgctl(id, IPC_RMID, NULL) == 0);
}

static void msg_arguments(void)
{
	int id = msgget(some_key(5), IPC_CREAT | 0600);
	static struct { long type; char bytes[8193]; } big = { .type = 1 };
	struct text t = { .type = 0 };

	EXPECT(msgget(some_key(5), 0) == id);
	EXPECT_ERRNO(msgget(some_key(5), IPC_CREAT | IPC_EXCL), EEXIST);
	EXPECT_ERRNO(msgget(some_key(6), 0), ENOENT);
	EXPECT_ERRNO(msgsnd(id, &t, 1, 0), EINVAL);
	EXPECT_ERRNO(msgsnd(id, &big, 8193, 0), EINVAL);
	EXPECT_ERRNO(msgsnd(id, &big, (size_t)-1, 0), EINVAL);
	EXPECT(msgsnd(id, &big, 8192, 0) == 0 && msgsnd(id, &big, 8192, 0) == 0);
	EXPECT_ERRNO(msgsnd(id, &big, 1, IPC_NOWAIT), EAGAIN);
	EXPECT(msgsnd(id, &big, 0, IPC_NOWAIT) == 0);
	EXPECT_ERRNO(msgrcv(id, &big, (size_t)-1, 0, 0), EINVAL);
	EXPECT(msgrcv(id, &big, 8192, 0, 0) == 8192);
	EXPECT_ERRNO(syscall(SYS_msgsnd, id, 8, 1, 0), EFAULT);
	EXPECT_ERRNO(msgsnd(-1, &big, 1, 0), EINVAL);
	EXPECT(msgctl(id, IPC_RMID, NULL) == 0);
	EXPECT_ERRNO(msgsnd(id, &big, 1, 0), EINVAL);
	EXPECT_ERRNO(msgrcv(id, &big, 1, 0, 0), EINVAL);
	EXPECT_ERRNO(msgctl(id, IPC_RMID, NULL), EINVAL);
}

static void msg_control(void)
{
	int id = msgget(some_key(7), IPC_CREAT | 0622);
	struct msqid_ds d;
	struct msginfo info;

	EXPECT(msgctl(id, IPC_STAT, &d) == 0);
	EXPECT(d.msg_qnum == 0 && d.__msg_cbytes == 0 && d.msg_qbytes == 16384 && d.msg_lspid == 0 && d.msg_stime == 0);
	EXPECT(put(id, 1, "hello", 0) == 0);
	EXPECT(msgctl(id, IPC_STAT, &d) == 0);
	EXPECT(d.msg_qnum == 1 && d.__msg_cbytes == 5 && d.msg_lspid == getpid() && d.msg_stime > 1000 && d.msg_rtime == 0);
	EXPECT(get(id, 0, 0) == 'h');
	EXPECT(msgctl(id, IPC_STAT, &d) == 0 && d.msg_qnum == 0 && d.__msg_cbytes == 0 && d.msg_lrpid == getpid() && d.msg_rtime > 1000);
	d.msg_qbytes = 3;
	d.msg_perm.mode = 0600;
	EXPECT(msgctl(id, IPC_SET, &d) == 0);
	EXPECT_ERRNO(put(id, 1, "four", IPC_NOWAIT), EAGAIN);
	EXPECT(put(id, 1, "", IPC_NOWAIT) == 0 && put(id, 1, "x", IPC_NOWAIT) == 0 && put(id, 1, "", IPC_NOWAIT) == 0);
	EXPECT_ERRNO(put(id, 1, "", IPC_NOWAIT), EAGAIN); /* as many messages as bytes */
	EXPECT(msgctl(0, MSG_INFO, (void *)&info) >= 0 && info.msgpool >= 1 && info.msgmap >= 3);
	EXPECT(msgctl(0, IPC_INFO, (void *)&info) >= 0 && info.msgmax == 8192 && info.msgmnb == 16384);
	EXPECT(msgctl(id & 0x7fff, MSG_STAT, &d) == id && d.msg_qnum == 3);
	EXPECT(msgctl(id & 0x7fff, 13 /* MSG_STAT_ANY */, &d) == id);
	EXPECT_ERRNO(msgctl(id, 99, &d), EINVAL);
	EXPECT_ERRNO(syscall(SYS_msgctl, id, IPC_STAT, 8), EFAULT);
	EXPECT(msgctl(id, IPC_RMID, NULL) == 0);
}

static int msg_stranger(int id)
{
	struct msqid_ds d = { 0 };

	if (put(id, 1, "x", 0))
		return 1;
	if (get(id, 0, 0) != -EACCES)
		return 2;
	if (msgctl(id, IPC_STAT, &d) != -1 || errno != EACCES)
		return 3;
	if (msgctl(id, IPC_SET, &d) != -1 || errno != EPERM)
		return 4;
	return msgctl(id, IPC_RMID, NULL) == -1 && errno == EPERM ? 0 : 5;
}

static void msg_permissions(void)
{
	int id = msgget(IPC_PRIVATE, 0602);

	if (getuid() == 0)
		EXPECT(as_nobody(msg_stranger, id) == 0);
	EXPECT(msgctl(id, IPC_RMID, NULL) == 0);
}

static pid_t start_get(int id, long type, size_t room, int wanted)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct text t = { 0 };
		ssize_t n = msgrcv(id, &t, room, type, 0);

		_exit(n < 0 ? errno : t.bytes[0] == wanted ? 0 : 255);
	}
	nap(20);
	return pid;
}

static void msg_blocking(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct msqid_ds d;
	pid_t a, b, c;

	a = start_get(id, 7, 64, 's');
	b = start_get(id, 0, 64, 'o');
	EXPECT(put(id, 7, "seven", 0) == 0 && put(id, 9, "other", 0) == 0);
	EXPECT(reap(a) == 0 && reap(b) == 0);
	a = start_get(id, 0, 2, 'x');
	b = start_get(id, 0, 64, 'l');
	EXPECT(put(id, 1, "long", 0) == 0);
	EXPECT(WEXITSTATUS(reap(a)) == E2BIG && reap(b) == 0);

	/* A sender that waits for room. */
	EXPECT(msgctl(id, IPC_STAT, &d) == 0);
	d.msg_qbytes = 4;
	EXPECT(msgctl(id, IPC_SET, &d) == 0 && put(id, 1, "full", 0) == 0);
	a = fork();
	if (a == 0)
		_exit(put(id, 2, "next", 0) ? errno : 0);
	nap(20);
	EXPECT(get(id, 0, 0) == 'f');
	EXPECT(reap(a) == 0 && get(id, 0, 0) == 'n');

	/* Both kinds learn that the queue goes. */
	EXPECT(put(id, 1, "full", 0) == 0);
	a = fork();
	if (a == 0)
		_exit(put(id, 2, "next", 0) ? errno : 0);
	b = start_get(id, 5, 64, 0);
	c = start_get(id, 6, 64, 0);
	kill(c, SIGTERM);
	EXPECT(reap(c) == SIGTERM);
	EXPECT(msgctl(id, IPC_RMID, NULL) == 0);
	EXPECT(WEXITSTATUS(reap(a)) == EIDRM && WEXITSTATUS(reap(b)) == EIDRM);
}

static void msg_interrupted(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART };
	pid_t pid = fork();

	if (pid == 0) {
		struct text t;

		sigaction(SIGUSR1, &act, NULL);
		_exit(msgrcv(id, &t, 64, 0, 0) < 0 ? errno : 0);
	}
	nap(30);
	kill(pid, SIGUSR1);
	EXPECT(WEXITSTATUS(reap(pid)) == EINTR);
	EXPECT(put(id, 1, "kept", 0) == 0 && get(id, 0, 0) == 'k');
	EXPECT(msgctl(id, IPC_RMID, NULL) == 0);
}

int main(void)
{
	CASE(shm_keys);
	CASE(shm_contents);
	CASE(shm_pieces);
	CASE(shm_places);
	CASE(shm_stat_fields);
	CASE(shm_permissions);
	CASE(shm_exec_and_exit);
	CASE(shm_is_memory);
	CASE(lists);
	CASE(sem_keys);
	CASE(sem_operations);
	CASE(sem_control);
	CASE(sem_permissions);
	CASE(sem_blocking);
	CASE(sem_interrupted);
	CASE(sem_undo);
	CASE(msg_order);
	CASE(msg_arguments);
	CASE(msg_control);
	CASE(msg_permissions);
	CASE(msg_blocking);
	CASE(msg_interrupted);
	return abi_result();
}
