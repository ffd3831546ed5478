/* SPDX-License-Identifier: MIT */
/*
 * The discipline of the wall clock (adjtimex(2); Mills, "A Kernel Model for Precision Timekeeping", RFC 1589). A daemon says by how much the clock
 * is off and how fast it goes wrong; the kernel makes up for it little by little:
 *
 *   frequency   so many parts per million, for good
 *   offset      a part of what is left each second, in a phase-locked loop, which corrects the frequency, too
 *   adjust      adjtime(3): 500 microseconds each second until all is made up for
 *
 * What a second gets is fixed at its start and given in TICKS_A_SECOND pieces, by a timer that runs only while there is something to give. So the
 * clock is slewed in steps of some microseconds; it may seem to stand, or to go back by one such step. The monotonic clock is left alone, unlike
 * Linux's. Leap seconds are put in and left out at the end of a day (UTC) by a step of a second.
 *
 * Figures are Linux's: time in ns shifted by 32 (SCALE), frequencies that a second. maxerror grows when somebody looks. There is no PPS signal.
 *
 * Locking: ntp_lock (interrupts off) guards all of this, and each change of the machine's wall clock.
 */
#include <cloudos/errno.h>
#include <cloudos/lock.h>
#include <cloudos/timer.h>
#include <cloudos/wall.h>
#include <hal/hal.h>
#include <linux/timex.h>

#define NS		  INT64_C(1000000000)
#define SCALE_SHIFT	  32
#define TICKS_A_SECOND	  100
#define PPM_SCALE	  (INT64_C(1000) << (SCALE_SHIFT - 16)) /* timex.freq: parts per million, shifted by 16 */
#define MAXFREQ		  (INT64_C(500000) << SCALE_SHIFT)
#define MAXPHASE	  INT64_C(500000000) /* ns of offset */
#define PHASE_LIMIT	  INT64_C(16000000)  /* us of error: then nobody knows the time */
#define MAXFREQ_US	  500		     /* by which maxerror grows each second */
#define ADJUST_MAX	  500		     /* us a second, of adjtime() */
#define TICK_USUAL	  INT64_C(10000)     /* us, of 100 ticks a second */
#define SHIFT_PLL	  2
#define SHIFT_FLL	  2
#define MAX_CONSTANT	  10
#define MIN_INTERVAL	  256 /* s: less is for the phase-locked loop alone */
#define MAX_INTERVAL	  2048
#define MAX_TAI		  100000
#define SECONDS_A_DAY	  86400

/* By ntp_lock. */
static struct {
	int64_t frequency;  /* scaled */
	int64_t offset;	    /* scaled: ns that are left */
	int64_t adjust;	    /* us that are left */
	int64_t tick;	    /* us */
	int64_t max_error, estimated_error, constant;
	int64_t reference;  /* s, wall clock: the last update of the offset */
	int64_t rate;	    /* scaled: what this second gets */
	uint64_t ahead;	    /* ns: of the wall clock before hal_clock_ns(), as it should be; kept, so that what setting it takes does not add up */
	int64_t rest;	    /* scaled: less than a ns, which was not given yet */
	uint64_t error_ns;  /* clock: up to which max_error has grown */
	int32_t status, state, tai;
	unsigned ticks;	    /* of this second */
	bool running;
} ntp = {
	.tick = TICK_USUAL,
	.max_error = PHASE_LIMIT,
	.estimated_error = PHASE_LIMIT,
	.constant = 2,
	.status = STA_UNSYNC,
	.state = TIME_OK,
};

static void tick(struct timer *t);

static uint32_t jumps; /* ntp_lock for writing */
static struct spinlock ntp_lock = SPINLOCK_INIT(RANK_NTP);
static struct timer timer = { .fn = tick, .cpu = -1, .last = 0 };

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

/* Towards zero, for what has a sign. */
static int64_t shift_right(int64_t value, unsigned by)
{
	return value < 0 ? -(-value >> by) : value >> by;
}

static int64_t wall_seconds(void)
{
	return (int64_t)(hal_wall_ns() / NSEC_PER_SEC);
}

/* ---- seconds ---- */

static void grow_error_locked(void)
{
	uint64_t seconds = (hal_clock_ns() - ntp.error_ns) / NSEC_PER_SEC;

	ntp.error_ns += seconds * NSEC_PER_SEC;
	ntp.max_error = seconds > (uint64_t)PHASE_LIMIT ? PHASE_LIMIT + 1 : ntp.max_error + (int64_t)seconds * MAXFREQ_US;
	if (ntp.max_error > PHASE_LIMIT) {
		ntp.max_error = PHASE_LIMIT;
		ntp.status |= STA_UNSYNC;
	}
}

/* What the second that begins is to be given. */
static void begin_second_locked(void)
{
	int64_t part = shift_right(ntp.offset, (unsigned)(SHIFT_PLL + ntp.constant)), adjust = clamp(ntp.adjust, -ADJUST_MAX, ADJUST_MAX);

	if (ntp.offset < INT64_C(1) << SCALE_SHIFT && -ntp.offset < INT64_C(1) << SCALE_SHIFT)
		part = ntp.offset; /* less than a nanosecond is left */
	ntp.offset -= part;
	ntp.adjust -= adjust;
	ntp.rate = ntp.frequency + part + ((adjust * 1000 + (ntp.tick - TICK_USUAL) * 100 * 1000) * (INT64_C(1) << SCALE_SHIFT));
	ntp.ticks = 0;
}

/* Seconds by which the clock steps now: at the end of a day with a leap second. */
static int leap_locked(void)
{
	int64_t second = wall_seconds() % SECONDS_A_DAY;

	switch (ntp.state) {
	case TIME_OK:
		if (ntp.status & STA_INS)
			ntp.state = TIME_INS;
		else if (ntp.status & STA_DEL)
			ntp.state = TIME_DEL;
		break;
	case TIME_INS:
		if (!(ntp.status & STA_INS)) {
			ntp.state = TIME_OK;
		} else if (second == 0) {
			ntp.state = TIME_OOP;
			WRITE_ONCE(ntp.tai, ntp.tai + 1);
			return -1;
		}
		break;
	case TIME_DEL:
		if (!(ntp.status & STA_DEL)) {
			ntp.state = TIME_OK;
		} else if (second == SECONDS_A_DAY - 1) {
			ntp.state = TIME_WAIT;
			WRITE_ONCE(ntp.tai, ntp.tai - 1);
			return 1;
		}
		break;
	case TIME_OOP:
		if (second != SECONDS_A_DAY - 1)
			ntp.state = TIME_WAIT;
		break;
	case TIME_WAIT:
		if (!(ntp.status & (STA_INS | STA_DEL)))
			ntp.state = TIME_OK;
		break;
	}
	return 0;
}

static bool is_idle_locked(void)
{
	return !ntp.frequency && !ntp.offset && !ntp.adjust && ntp.tick == TICK_USUAL && !(ntp.status & (STA_INS | STA_DEL)) &&
	       ntp.state == TIME_OK;
}

static void tick(struct timer *t)
{
	unsigned long flags = spin_lock_irq(&ntp_lock);
	int64_t step, leap = leap_locked();
	bool second = ++ntp.ticks == TICKS_A_SECOND;

	ntp.rest += ntp.rate / TICKS_A_SECOND;
	step = shift_right(ntp.rest, SCALE_SHIFT);
	ntp.rest -= step * (INT64_C(1) << SCALE_SHIFT);
	ntp.ahead += (uint64_t)(step + leap * NS);
	if (step || leap)
		hal_wall_set(hal_clock_ns() + ntp.ahead);
	if (leap)
		STORE_RELEASE(jumps, jumps + 1);
	if (second)
		begin_second_locked();
	ntp.running = !(second && !ntp.rate && is_idle_locked());
	if (ntp.running)
		timer_arm(t, hal_clock_ns() + NSEC_PER_SEC / TICKS_A_SECOND);
	spin_unlock_irq(&ntp_lock, flags);
	if (second || leap)
		wall_tell();
}

static void start_locked(void)
{
	if (ntp.running || is_idle_locked())
		return;
	ntp.running = true;
	ntp.ahead = hal_wall_ns() - hal_clock_ns();
	begin_second_locked();
	timer_arm(&timer, hal_clock_ns() + NSEC_PER_SEC / TICKS_A_SECOND);
}

/* ---- what a program says ---- */

static void set_status_locked(int32_t status)
{
	if ((ntp.status & STA_PLL) && !(status & STA_PLL)) {
		ntp.state = TIME_OK;
		ntp.status = STA_UNSYNC;
	}
	if (!(ntp.status & STA_PLL) && (status & STA_PLL))
		ntp.reference = wall_seconds();
	ntp.status = (ntp.status & STA_RONLY) | (status & ~STA_RONLY);
}

/* The frequency-locked loop, for updates that come seldom. */
static int64_t frequency_locked_loop(int64_t offset, int64_t seconds)
{
	ntp.status &= ~STA_MODE;
	if (seconds < MIN_INTERVAL || (!(ntp.status & STA_FLL) && seconds <= MAX_INTERVAL))
		return 0;
	ntp.status |= STA_MODE;
	return offset * (INT64_C(1) << (SCALE_SHIFT - SHIFT_FLL)) / seconds;
}

static void set_offset_locked(int64_t offset)
{
	int64_t seconds, change, longest = INT64_C(1) << (SHIFT_PLL + 1 + ntp.constant);

	if (!(ntp.status & STA_PLL))
		return;
	if (!(ntp.status & STA_NANO))
		offset = clamp(offset, -1000000, 1000000) * 1000;
	offset = clamp(offset, -MAXPHASE, MAXPHASE);
	seconds = ntp.status & STA_FREQHOLD ? 0 : wall_seconds() - ntp.reference;
	seconds = clamp(seconds, 0, INT32_MAX);
	ntp.reference = wall_seconds();
	change = frequency_locked_loop(offset, seconds);
	change += offset * min(seconds, longest) * (INT64_C(1) << (SCALE_SHIFT - 2 * (SHIFT_PLL + 2 + ntp.constant)));
	ntp.frequency = clamp(ntp.frequency + change, -MAXFREQ, MAXFREQ);
	ntp.offset = offset * (INT64_C(1) << SCALE_SHIFT);
}

static void set_locked(const struct __kernel_timex *t)
{
	if (t->modes & ADJ_STATUS)
		set_status_locked(t->status);
	if (t->modes & ADJ_NANO)
		ntp.status |= STA_NANO;
	if (t->modes & ADJ_MICRO)
		ntp.status &= ~STA_NANO;
	if (t->modes & ADJ_FREQUENCY)
		ntp.frequency = clamp(t->freq * PPM_SCALE, -MAXFREQ, MAXFREQ);
	if (t->modes & ADJ_MAXERROR)
		ntp.max_error = clamp(t->maxerror, 0, PHASE_LIMIT);
	if (t->modes & ADJ_ESTERROR)
		ntp.estimated_error = clamp(t->esterror, 0, PHASE_LIMIT);
	if (t->modes & ADJ_TIMECONST)
		ntp.constant = clamp(clamp(t->constant, 0, MAX_CONSTANT) + (ntp.status & STA_NANO ? 0 : 4), 0, MAX_CONSTANT);
	if ((t->modes & ADJ_TAI) && t->constant >= 0 && t->constant <= MAX_TAI)
		WRITE_ONCE(ntp.tai, (int32_t)t->constant);
	if (t->modes & ADJ_OFFSET)
		set_offset_locked(t->offset);
	if (t->modes & ADJ_TICK)
		ntp.tick = t->tick;
}

static bool is_error_locked(void)
{
	return (ntp.status & (STA_UNSYNC | STA_CLOCKERR)) || ((ntp.status & (STA_PPSFREQ | STA_PPSTIME)) && !(ntp.status & STA_PPSSIGNAL));
}

static void tell_locked(struct __kernel_timex *t)
{
	uint64_t now = hal_wall_ns();
	bool nano = ntp.status & STA_NANO;

	t->freq = ntp.frequency / PPM_SCALE;
	t->maxerror = ntp.max_error;
	t->esterror = ntp.estimated_error;
	t->status = ntp.status;
	t->constant = ntp.constant;
	t->precision = 1;
	t->tolerance = MAXFREQ / PPM_SCALE;
	t->tick = ntp.tick;
	t->tai = ntp.tai;
	t->ppsfreq = t->jitter = t->stabil = t->jitcnt = t->calcnt = t->errcnt = t->stbcnt = 0;
	t->shift = 0;
	t->time.tv_sec = (int64_t)(now / NSEC_PER_SEC);
	t->time.tv_usec = (long long)(now % NSEC_PER_SEC / (nano ? 1 : NSEC_PER_USEC));
}

int ntp_adjust(struct __kernel_timex *t)
{
	int64_t step = 0;
	unsigned long flags;
	int result = 0;

	if (t->modes & ADJ_SETOFFSET) {
		if (__builtin_mul_overflow((int64_t)t->time.tv_sec, NS, &step) ||
		    __builtin_add_overflow(step, (int64_t)t->time.tv_usec * (t->modes & ADJ_NANO ? 1 : 1000), &step))
			return -EINVAL;
		result = wall_shift(step);
	}
	if (result < 0)
		return result;
	flags = spin_lock_irq(&ntp_lock);
	grow_error_locked();
	if (t->modes & NTP_ADJTIME) {
		int64_t before = ntp.adjust;

		if (!(t->modes & NTP_ASK_ONLY))
			ntp.adjust = t->offset;
		t->offset = before;
	} else {
		set_locked(t);
		t->offset = shift_right(ntp.offset, SCALE_SHIFT) / (ntp.status & STA_NANO ? 1 : 1000);
	}
	start_locked();
	result = is_error_locked() ? TIME_ERROR : ntp.state;
	tell_locked(t);
	spin_unlock_irq(&ntp_lock, flags);
	return result;
}

uint64_t ntp_tai_ns(void)
{
	return (uint64_t)READ_ONCE(ntp.tai) * NSEC_PER_SEC;
}

/* ---- setting the clock ---- */

uint32_t wall_jumps(void)
{
	return LOAD_ACQUIRE(jumps);
}

static void jump_locked(uint64_t wall_ns)
{
	hal_wall_set(wall_ns);
	ntp.ahead = wall_ns - hal_clock_ns();
	STORE_RELEASE(jumps, jumps + 1);
}

void wall_set(uint64_t wall_ns)
{
	unsigned long flags = spin_lock_irq(&ntp_lock);

	jump_locked(wall_ns);
	ntp.adjust = ntp.offset = ntp.rate = 0;
	ntp.status |= STA_UNSYNC;
	ntp.max_error = ntp.estimated_error = PHASE_LIMIT;
	spin_unlock_irq(&ntp_lock, flags);
	wall_tell();
}

int wall_shift(int64_t ns)
{
	unsigned long flags = spin_lock_irq(&ntp_lock);
	uint64_t now = hal_wall_ns();
	int64_t then;
	bool good = now <= INT64_MAX && !__builtin_add_overflow((int64_t)now, ns, &then) && then >= 0;

	if (good)
		jump_locked((uint64_t)then);
	spin_unlock_irq(&ntp_lock, flags);
	if (good)
		wall_tell();
	return good ? 0 : -EINVAL;
}
