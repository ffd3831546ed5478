/* SPDX-License-Identifier: MIT */
/*
 * The wall clock: adjtimex(2), timers that are cancelled or moved when it is set. Linux's own clock is not moved by these tests, but to where it is:
 * those that step it run on CloudOS alone, and say "ok" elsewhere.
 */
#include "cases.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>

static int is_ours(void)
{
	return access("/proc/cloudos", F_OK) == 0;
}

static int64_t ns_of(int clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000l + t.tv_nsec;
}

static struct timespec spec(int64_t ns)
{
	return (struct timespec){ ns / 1000000000, ns % 1000000000 };
}

static void nap(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

/* Sets the clock, by so much. */
static void step(int64_t ns)
{
	struct timespec t = spec(ns_of(CLOCK_REALTIME) + ns);

	EXPECT(clock_settime(CLOCK_REALTIME, &t) == 0);
}

/* ---- asking ---- */

static void asking(void)
{
	struct timex t;
	int state;

	memset(&t, 0x55, sizeof(t));
	t.modes = 0;
	state = adjtimex(&t);
	EXPECT(state >= TIME_OK && state <= TIME_ERROR);
	EXPECT(t.precision == 1 && t.tolerance == 32768000 && t.tick == 10000);
	EXPECT(t.maxerror >= 0 && t.maxerror <= 16000000 && t.esterror >= 0 && t.tai >= 0);
	EXPECT(t.ppsfreq == 0 && t.jitter == 0 && t.shift == 0);
	EXPECT(t.time.tv_sec >= ns_of(CLOCK_REALTIME) / 1000000000 - 1 && t.time.tv_usec >= 0);
	EXPECT(clock_adjtime(CLOCK_REALTIME, &t) == state);
	t.modes = ADJ_OFFSET_SS_READ;
	EXPECT(adjtimex(&t) == state && t.offset == 0);
}

static void refused(void)
{
	struct timex t = { .modes = 0 };

	EXPECT_ERRNO(syscall(SYS_adjtimex, (void *)16), EFAULT);
	EXPECT_ERRNO(syscall(SYS_clock_adjtime, CLOCK_REALTIME, (void *)16), EFAULT);
	EXPECT_ERRNO(syscall(SYS_clock_adjtime, CLOCK_MONOTONIC, &t), EOPNOTSUPP);
	EXPECT_ERRNO(syscall(SYS_clock_adjtime, CLOCK_TAI, &t), EOPNOTSUPP);
	EXPECT_ERRNO(syscall(SYS_clock_adjtime, CLOCK_PROCESS_CPUTIME_ID, &t), EOPNOTSUPP);
	EXPECT_ERRNO(syscall(SYS_clock_adjtime, 77, &t), EINVAL);
	t = (struct timex){ .modes = ADJ_TICK, .tick = 8999 };
	EXPECT_ERRNO(adjtimex(&t), EINVAL);
	t.tick = 11001;
	EXPECT_ERRNO(adjtimex(&t), EINVAL);
	t = (struct timex){ .modes = ADJ_FREQUENCY, .freq = INT64_MAX };
	EXPECT_ERRNO(adjtimex(&t), EINVAL);
	t = (struct timex){ .modes = ADJ_SETOFFSET, .time.tv_usec = -1 };
	EXPECT_ERRNO(adjtimex(&t), EINVAL);
	t = (struct timex){ .modes = ADJ_SETOFFSET, .time.tv_usec = 1000000 };
	EXPECT_ERRNO(adjtimex(&t), EINVAL);
	t = (struct timex){ .modes = ADJ_SETOFFSET | ADJ_NANO, .time.tv_usec = 1000000000 };
	EXPECT_ERRNO(adjtimex(&t), EINVAL);
}

static void for_root_only(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct timex t = { .modes = ADJ_FREQUENCY };
		int bad = setuid(65534);

		bad |= !(adjtimex(&t) == -1 && errno == EPERM);
		t.modes = ADJ_OFFSET_SINGLESHOT;
		bad |= !(adjtimex(&t) == -1 && errno == EPERM);
		t.modes = ADJ_OFFSET_SS_READ;
		bad |= adjtimex(&t) < 0;
		t.modes = 0;
		bad |= adjtimex(&t) < 0;
		bad |= !(timerfd_create(CLOCK_REALTIME_ALARM, 0) == -1 && errno == EPERM);
		_exit(bad);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

static void alarm_clocks(void)
{
	struct itimerspec set = { .it_value.tv_nsec = 20000000 };
	uint64_t n = 0;

	for (int clock = CLOCK_REALTIME_ALARM; clock <= CLOCK_BOOTTIME_ALARM; clock++) {
		int fd = timerfd_create(clock, 0);

		EXPECT(fd >= 0 && timerfd_settime(fd, 0, &set, NULL) == 0 && read(fd, &n, sizeof(n)) == sizeof(n) && n == 1);
		close(fd);
	}
}

/* ---- setting it: on Linux to where it is ---- */

static void set_cancels(void)
{
	int64_t in = ns_of(CLOCK_REALTIME) + 3600000000000;
	struct itimerspec set = { .it_value = spec(in) };
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK), other = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	EXPECT_ERRNO(timerfd_settime(fd, 4, &set, NULL), EINVAL);
	EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &set, NULL) == 0);
	EXPECT(timerfd_settime(other, TFD_TIMER_ABSTIME, &set, NULL) == 0);
	EXPECT_ERRNO(read(fd, &n, sizeof(n)), EAGAIN);
	step(0);
	EXPECT(poll(&p, 1, 1000) == 1 && p.revents == POLLIN);
	EXPECT_ERRNO(read(fd, &n, sizeof(n)), ECANCELED);
	EXPECT_ERRNO(read(fd, &n, sizeof(n)), EAGAIN); /* told once */
	EXPECT_ERRNO(read(other, &n, sizeof(n)), EAGAIN);
	step(0);
	EXPECT_ERRNO(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &set, NULL), ECANCELED);
	EXPECT_ERRNO(read(fd, &n, sizeof(n)), EAGAIN);
	step(0);
	EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, NULL) == 0); /* it is not to be cancelled any more */
	EXPECT_ERRNO(read(fd, &n, sizeof(n)), EAGAIN);
	close(fd);
	close(other);
}

static void *step_soon(void *ns)
{
	nap(40);
	step((int64_t)(intptr_t)ns);
	return NULL;
}

static void set_ends_a_read(void)
{
	struct itimerspec set = { .it_value = spec(ns_of(CLOCK_REALTIME) + 3600000000000) };
	int fd = timerfd_create(CLOCK_REALTIME, 0);
	pthread_t thread;
	uint64_t n;

	EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &set, NULL) == 0);
	pthread_create(&thread, NULL, step_soon, NULL);
	EXPECT_ERRNO(read(fd, &n, sizeof(n)), ECANCELED);
	pthread_join(thread, NULL);
	close(fd);
}

/* ---- moving it ---- */

#define HOUR INT64_C(3600000000000)

static volatile sig_atomic_t count;

static void on_signal(int signo)
{
	(void)signo;
	count++;
}

static void deadlines_move(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigaction act = { .sa_handler = on_signal };
	struct itimerspec set, left;
	pthread_t thread;
	timer_t timer;
	uint64_t n;
	int fd;

	if (!is_ours())
		return;
	sigaction(SIGUSR1, &act, NULL);
	fd = timerfd_create(CLOCK_REALTIME, 0);
	set = (struct itimerspec){ .it_value = spec(ns_of(CLOCK_REALTIME) + HOUR) };
	EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, NULL) == 0);
	pthread_create(&thread, NULL, step_soon, (void *)(intptr_t)HOUR);
	EXPECT(read(fd, &n, sizeof(n)) == sizeof(n) && n == 1);
	pthread_join(thread, NULL);
	set.it_value = spec(ns_of(CLOCK_REALTIME) + 50000000);
	EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, NULL) == 0);
	step(-HOUR); /* it is an hour later now */
	nap(80);
	EXPECT(timerfd_gettime(fd, &left) == 0 && left.it_value.tv_sec >= 3590);
	close(fd);

	EXPECT(timer_create(CLOCK_REALTIME, &event, &timer) == 0);
	set.it_value = spec(ns_of(CLOCK_REALTIME) + HOUR);
	EXPECT(timer_settime(timer, TIMER_ABSTIME, &set, NULL) == 0);
	set.it_value = spec(ns_of(CLOCK_REALTIME) + HOUR);
	pthread_create(&thread, NULL, step_soon, (void *)(intptr_t)HOUR);
	EXPECT(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &set.it_value, NULL) == 0 || count > 0);
	pthread_join(thread, NULL);
	nap(20);
	EXPECT(count == 1);
	set.it_value = spec(HOUR); /* relative: no matter of the wall clock */
	EXPECT(timer_settime(timer, 0, &set, NULL) == 0);
	step(HOUR);
	EXPECT(timer_gettime(timer, &left) == 0 && left.it_value.tv_sec >= 3590 && count == 1);
	EXPECT(timer_delete(timer) == 0);
	step(-2 * HOUR);
}

static void offsets(void)
{
	struct timex t = { .modes = ADJ_SETOFFSET | ADJ_NANO, .time = { .tv_sec = -10, .tv_usec = 500000000 } };
	int64_t before = ns_of(CLOCK_REALTIME), tai;

	if (!is_ours())
		return;
	EXPECT(adjtimex(&t) >= 0);
	EXPECT(ns_of(CLOCK_REALTIME) - before > -9600000000 && ns_of(CLOCK_REALTIME) - before < -9000000000);
	t = (struct timex){ .modes = ADJ_SETOFFSET, .time = { .tv_sec = INT64_MIN } };
	EXPECT_ERRNO(adjtimex(&t), EINVAL);
	t = (struct timex){ .modes = ADJ_TAI, .constant = 37 };
	EXPECT(adjtimex(&t) >= 0 && t.tai == 37);
	tai = ns_of(CLOCK_TAI) - ns_of(CLOCK_REALTIME);
	EXPECT(tai > 36900000000 && tai < 37100000000);
	t = (struct timex){ .modes = ADJ_TAI, .constant = 0 };
	EXPECT(adjtimex(&t) >= 0 && t.tai == 0);
	step(9500000000);
}

/* How far the wall clock is ahead of the monotonic one, in ns: by the two that were read in the shortest time. */
static int64_t ahead(void)
{
	int64_t best = INT64_MAX, found = 0;

	for (int i = 0; i < 100; i++) {
		int64_t before = ns_of(CLOCK_MONOTONIC), wall = ns_of(CLOCK_REALTIME), took = ns_of(CLOCK_MONOTONIC) - before;

		if (took < best) {
			best = took;
			found = wall - before - took / 2;
		}
	}
	return found;
}

/* By how much more in `ms`. */
static int64_t drift(long ms)
{
	int64_t before = ahead();

	nap(ms);
	return ahead() - before;
}

static void slewing(void)
{
	struct timex t = { .modes = ADJ_TICK | ADJ_STATUS | ADJ_MICRO | ADJ_MAXERROR | ADJ_ESTERROR, .tick = 10100 };
	int64_t gone;

	if (!is_ours())
		return;
	EXPECT(adjtimex(&t) == TIME_OK && t.tick == 10100 && t.status == 0); /* a hundredth faster */
	gone = drift(400);
	EXPECT(gone > 3000000 && gone < 8000000);
	t = (struct timex){ .modes = ADJ_TICK | ADJ_FREQUENCY, .tick = 10000, .freq = -32768000 };
	EXPECT(adjtimex(&t) == TIME_OK && t.freq == -32768000);
	nap(900);
	nap(200);
	gone = drift(500);
	EXPECT(gone < -150000 && gone > -600000);
	t = (struct timex){ .modes = ADJ_FREQUENCY };
	EXPECT(adjtimex(&t) == TIME_OK && t.freq == 0);
	t = (struct timex){ .modes = ADJ_OFFSET_SINGLESHOT, .offset = 200 };
	EXPECT(adjtimex(&t) == TIME_OK && t.offset == 0);
	nap(999);
	nap(999);
	nap(400);
	t = (struct timex){ .modes = ADJ_OFFSET_SS_READ };
	EXPECT(adjtimex(&t) == TIME_OK && t.offset == 0); /* all made up for */
	EXPECT(drift(300) < 10000);
	t = (struct timex){ .modes = ADJ_STATUS, .status = STA_PLL };
	EXPECT(adjtimex(&t) == TIME_OK && t.status == STA_PLL);
	t = (struct timex){ .modes = ADJ_OFFSET | ADJ_NANO, .offset = 400000000 };
	EXPECT(adjtimex(&t) == TIME_OK && t.offset > 200000000 && t.status == (STA_PLL | STA_NANO));
	t = (struct timex){ .modes = ADJ_OFFSET, .offset = 0 };
	EXPECT(adjtimex(&t) == TIME_OK && t.offset == 0);
	t = (struct timex){ .modes = ADJ_STATUS | ADJ_MICRO | ADJ_FREQUENCY, .status = STA_UNSYNC };
	EXPECT(adjtimex(&t) == TIME_ERROR && (t.status & STA_UNSYNC));
}

int main(void)
{
	CASE(asking);
	CASE(refused);
	CASE(for_root_only);
	CASE(alarm_clocks);
	CASE(set_cancels);
	CASE(set_ends_a_read);
	CASE(deadlines_move);
	CASE(offsets);
	CASE(slewing);
	return abi_result();
}
