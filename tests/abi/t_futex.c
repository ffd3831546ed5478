/* SPDX-License-Identifier: MIT */
/* Futexes: waiting, waking, requeueing, time-outs, shared words, robust mutexes, bad arguments. */
#include "cases.h"
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static long futex(uint32_t *addr, int op, uint32_t value, const void *timeout, uint32_t *addr2, uint32_t value3)
{
	return syscall(SYS_futex, addr, op, value, timeout, addr2, value3);
}

static uint32_t word, word2;

static void another_value_is_again(void)
{
	word = 5;
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 4, NULL, NULL, 0), EAGAIN);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
	EXPECT(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0);
}

static int64_t elapsed_ms(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - from->tv_sec) * 1000 + (now.tv_nsec - from->tv_nsec) / 1000000;
}

static void waiting_times_out(void)
{
	struct timespec start, in = { 0, 30000000 }, at;

	word = 0;
	clock_gettime(CLOCK_MONOTONIC, &start);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, &in, NULL, 0), ETIMEDOUT);
	EXPECT(elapsed_ms(&start) >= 30);
	clock_gettime(CLOCK_MONOTONIC, &at);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &at, NULL, 1), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += 10000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &at, NULL, 1), ETIMEDOUT);
	in.tv_nsec = 1000000000;
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, &in, NULL, 0), EINVAL);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0), EINVAL);
}

static void *wait_on_word(void *arg)
{
	return (void *)futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uint32_t)(uintptr_t)arg);
}

/* Wakes until it has woken n; the waiters may still be on their way. */
static void wake(uint32_t *addr, uint32_t bits, int n)
{
	for (int tries = 0; n > 0 && tries < 2000; tries++) {
		n -= (int)futex(addr, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, bits);
		usleep(1000);
	}
	EXPECT(n == 0);
}

static void bits_choose_the_waiter(void)
{
	pthread_t a, b;
	void *result;

	word = 0;
	EXPECT(pthread_create(&a, NULL, wait_on_word, (void *)1) == 0);
	EXPECT(pthread_create(&b, NULL, wait_on_word, (void *)2) == 0);
	wake(&word, 2, 1);
	EXPECT(pthread_join(b, &result) == 0 && result == NULL);
	wake(&word, 1, 1);
	EXPECT(pthread_join(a, &result) == 0 && result == NULL);
}

static void waiters_are_requeued(void)
{
	pthread_t t[3];
	long moved = 0;

	word = word2 = 0;
	for (int i = 0; i < 3; i++)
		EXPECT(pthread_create(&t[i], NULL, wait_on_word, (void *)~0ul) == 0);
	for (int tries = 0; tries < 2000 && moved < 2; tries++, usleep(1000))
		moved += futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)1, &word2, 0);
	EXPECT(moved == 2);
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)1, &word2, 1), EAGAIN);
	EXPECT(futex(&word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 2);
	wake(&word, ~0u, 1);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void wake_op_changes_and_wakes(void)
{
	word = 0;
	word2 = 7;
	EXPECT(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 7)) == 0);
	EXPECT(word2 == 12);
	EXPECT(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_ANDN, 4, FUTEX_OP_CMP_GT, 7)) == 0);
	EXPECT(word2 == 8);
	EXPECT(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word2,
		     FUTEX_OP((FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT), 4, FUTEX_OP_CMP_NE, 7)) == 0);
	EXPECT(word2 == 24);
}

static void shared_words_wake_other_processes(void)
{
	uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, woken = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0) != 0);
	for (int tries = 0; tries < 2000 && !woken; tries++, usleep(1000))
		woken = (int)futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0);
	EXPECT(woken == 1);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	munmap(shared, 4096);
}

static pthread_mutex_t robust;

static void *die_with_it(void *arg)
{
	pthread_mutex_lock(&robust);
	return arg;
}

static void robust_mutexes_survive_their_owner(void)
{
	pthread_mutexattr_t attr;
	pthread_t t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	EXPECT(pthread_mutex_init(&robust, &attr) == 0);
	EXPECT(pthread_create(&t, NULL, die_with_it, NULL) == 0 && pthread_join(t, NULL) == 0);
	EXPECT(pthread_mutex_lock(&robust) == EOWNERDEAD);
	EXPECT(pthread_mutex_consistent(&robust) == 0 && pthread_mutex_unlock(&robust) == 0);
	EXPECT(pthread_mutex_lock(&robust) == 0 && pthread_mutex_unlock(&robust) == 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *count_up(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void mutexes_exclude(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		EXPECT(pthread_create(&t[i], NULL, count_up, NULL) == 0);
	for (int i = 0; i < 4; i++)
		EXPECT(pthread_join(t[i], NULL) == 0);
	EXPECT(counter == 80000);
}

static void bad_arguments_are_refused(void)
{
	uint32_t *unaligned = (uint32_t *)((char *)&word + 1);

	EXPECT_ERRNO(futex(unaligned, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EINVAL);
	EXPECT_ERRNO(futex(unaligned, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), EINVAL);
	EXPECT_ERRNO(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, (void *)16, NULL, 0), EFAULT);
	for (unsigned i = 0; i < ABI_BAD_ADDRESSES; i++)
		EXPECT_ERRNO(futex(abi_bad_addresses[i], FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	EXPECT_ERRNO(syscall(SYS_set_robust_list, NULL, 8), EINVAL);
}

static void wild_robust_list(void)
{
	struct robust_list_head *head = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	head->list.next = (struct robust_list *)&head[1]; /* a ring that does not come back to its head */
	((struct robust_list *)&head[1])->next = (struct robust_list *)&head[1];
	head->futex_offset = -3;
	head->list_op_pending = (struct robust_list *)0xffff800000000000ul;
	syscall(SYS_set_robust_list, head, sizeof(*head));
	_exit(3);
}

static void wild_robust_lists_do_no_harm(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		wild_robust_list();
	EXPECT(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
}

int main(void)
{
	CASE(another_value_is_again);
	CASE(waiting_times_out);
	CASE(bits_choose_the_waiter);
	CASE(waiters_are_requeued);
	CASE(wake_op_changes_and_wakes);
	CASE(shared_words_wake_other_processes);
	CASE(robust_mutexes_survive_their_owner);
	CASE(mutexes_exclude);
	CASE(bad_arguments_are_refused);
	CASE(wild_robust_lists_do_no_harm);
	return abi_result();
}
