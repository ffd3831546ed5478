/* SPDX-License-Identifier: MIT */
/* The battery clock (MC146818 and its descendants): read once, at boot. It is taken to run in UTC. */
#include <x86/cpu.h>
#include <x86/timer.h>

#define RTC_SECONDS 0u
#define RTC_MINUTES 2u
#define RTC_HOURS   4u
#define RTC_DAY	    7u
#define RTC_MONTH   8u
#define RTC_YEAR    9u
#define RTC_A	    10u
#define RTC_B	    11u

#define A_UPDATING 0x80u
#define B_BINARY   0x04u
#define B_24_HOURS 0x02u
#define HOURS_PM   0x80u

#define UPDATE_SPINS_MAX 100000u /* an update takes 2 ms at most */

static uint8_t cmos(unsigned reg)
{
	outb(0x70, (uint8_t)reg);
	return inb(0x71);
}

static unsigned number(uint8_t raw, uint8_t b)
{
	return b & B_BINARY ? raw : (raw >> 4) * 10u + (raw & 15u);
}

static unsigned hours(uint8_t raw, uint8_t b)
{
	unsigned h = number(raw & (uint8_t)~HOURS_PM, b);

	if (b & B_24_HOURS)
		return number(raw, b);
	return h % 12 + (raw & HOURS_PM ? 12 : 0);
}

/*
 * Days since 1970-01-01 of a date of the Gregorian calendar; years begin in March, so that the leap day is
 * the last.
 */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
	uint64_t y = month > 2 ? year : year - 1;
	uint64_t m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

uint64_t x86_rtc_read_ns(unsigned century)
{
	unsigned second, minute, hour, day, month, year;
	uint8_t b;

	for (unsigned n = 0; n < UPDATE_SPINS_MAX && (cmos(RTC_A) & A_UPDATING); n++)
		;
	/* No update begins within the next 244 microseconds. */
	b = cmos(RTC_B);
	second = number(cmos(RTC_SECONDS), b);
	minute = number(cmos(RTC_MINUTES), b);
	hour = hours(cmos(RTC_HOURS), b);
	day = number(cmos(RTC_DAY), b);
	month = number(cmos(RTC_MONTH), b);
	year = number(cmos(RTC_YEAR), b);
	year += century == 0 || century > 127 ? 2000 : number(cmos(century), b) * 100;
	if (second > 60 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 || month > 12 ||
	    year < 1970)
		return 0;
	return (days_since_1970(year, month, day) * 86400 + hour * 3600u + minute * 60u + second) *
	       1000000000;
}
