/* SPDX-License-Identifier: MIT */
/*
 * The clock: ns = (TSC - TSC at the kernel's entry) * multiplier / 2^32. The counter is taken to run at one
 * constant rate and in step on all CPUs, which holds for every 64-bit CPU and hypervisor of the last decade.
 *
 * Its rate is told by CPUID, or measured against a timer of known rate: HPET, ACPI's PM timer, or the 8254.
 * Both ends of the measurement are pairs (TSC, timer) of which the closest of several is kept, so that a
 * virtual CPU that loses its host for a moment spoils nothing.
 */
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/timer.h>
#include <x86/vdso_data.h>
#include <hal/hal.h>
#include <arch/note.h>

#define HYPERVISOR_BIT	    (1u << 31)
#define FIXED32(a, b)	    (((uint64_t)(a) << 32) / (b))
#define SAMPLE_TRIES	    5u
#define PRECISION	    4000u /* one part in so many is good enough; else it is measured for a millisecond */
#define REFERENCE_SPINS_MAX 10000000u

/* HPET registers, IA-PC HPET Specification 1.0a, 2.3; an eight-byte register is two words. */
#define HPET_PERIOD  1u /* word: femtoseconds a tick */
#define HPET_CONFIG  4u
#define HPET_COUNTER 60u

#define PIT_HZ	    1193182u
#define PM_TIMER_HZ 3579545u

struct reference {
	uint32_t (*read)(void);
	uint32_t mask;	    /* of the counter's width */
	uint32_t period_ps; /* a tick; with its rest in femtoseconds: */
	uint32_t period_fs;
	uint32_t ticks; /* in a millisecond: measured no longer than that */
};

struct sample {
	uint64_t tsc, gap; /* gap: ticks that reading took, so that `tsc` is sure to within so much */
	uint32_t reference, apic;
};

static uint64_t tsc_base, tsc_multiplier = FIXED32(1, 1), tsc_inverse = FIXED32(1, 1), apic_ticks_per_ns32;
static uint64_t wall_offset_ns;
static struct reference reference;
static struct sample first;
static volatile uint32_t *hpet;
static uint16_t pm_timer_port;

/* ---- clocks ---- */

static uint64_t multiply32(uint64_t a, uint64_t b)
{
	return (uint64_t)((unsigned __int128)a * b >> 32);
}

uint64_t hal_clock_ns(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return multiply32(((uint64_t)high << 32 | low) - tsc_base, tsc_multiplier);
}

uint64_t hal_boot_clock_ns(void)
{
	return 0; /* the clock's zero is the kernel's entry */
}

uint64_t hal_wall_ns(void)
{
	return hal_clock_ns() + __atomic_load_n(&wall_offset_ns, __ATOMIC_RELAXED);
}

void hal_wall_set(uint64_t wall_ns)
{
	uint64_t offset = wall_ns - hal_clock_ns();

	__atomic_store_n(&wall_offset_ns, offset, __ATOMIC_RELAXED);
	x86_vdso_set_wall(offset);
}

uint64_t x86_tsc_of_ns(uint64_t ns)
{
	return tsc_base + multiply32(ns, tsc_inverse);
}

uint64_t x86_apic_ticks_per_ns32(void)
{
	return apic_ticks_per_ns32;
}

uint64_t x86_tsc_khz(void)
{
	return multiply32(1000000, tsc_inverse);
}

/* ---- rates that are told ---- */

static bool hypervisor_tells_rate(void)
{
	struct cpuid h = cpuid(0x40000000, 0);

	if (h.eax < 0x40000010)
		return false;
	return (h.ebx == 0x4b4d564b && h.ecx == 0x564b4d56) || /* "KVMKVMKVM" */
	       (h.ebx == 0x61774d56 && h.ecx == 0x4d566572);   /* "VMwareVMware" */
}

/* In kHz; 0 when nobody tells. */
static uint64_t told_rate(void)
{
	struct cpuid c;

	if (cpuid(0, 0).eax >= 0x15) {
		c = cpuid(0x15, 0);
		if (c.eax != 0 && c.ebx != 0 && c.ecx != 0)
			return (uint64_t)c.ecx * c.ebx / c.eax / 1000;
	}
	if ((cpuid(1, 0).ecx & HYPERVISOR_BIT) && hypervisor_tells_rate())
		return cpuid(0x40000010, 0).eax;
	return 0;
}

/* ---- rates that are measured ---- */

static uint32_t hpet_read(void)
{
	return hpet[HPET_COUNTER];
}

static uint32_t pm_timer_read(void)
{
	return inl(pm_timer_port);
}

/* Channel 2, which counts down from 0xffff once; read latched. */
static uint32_t pit_read(void)
{
	uint32_t low;

	outb(0x43, 0x80);
	low = inb(0x42);
	return 0xffff - (low | (uint32_t)inb(0x42) << 8);
}

static bool hpet_start(uint64_t address)
{
	hpet = address == 0 ? NULL : hal_mmio_map(address, 0x400);
	if (hpet == NULL || hpet[HPET_PERIOD] == 0 || hpet[HPET_PERIOD] > 100000000)
		return false;
	hpet[HPET_CONFIG] |= 1;
	reference = (struct reference){
	    .read = hpet_read,
	    .mask = UINT32_MAX,
	    .period_ps = hpet[HPET_PERIOD] / 1000,
	    .period_fs = hpet[HPET_PERIOD] % 1000,
	    .ticks = UINT32_C(1000000000) / (hpet[HPET_PERIOD] / 1000 + 1) + 1,
	};
	return true;
}

static void pm_timer_start(uint16_t port)
{
	pm_timer_port = port;
	reference = (struct reference){pm_timer_read, 0xffffff, 279365, 115, PM_TIMER_HZ / 1000};
}

static void pit_start(void)
{
	outb(0x61, (inb(0x61) & ~2u) | 1); /* gate on, speaker off */
	outb(0x43, 0xb0);
	outb(0x42, 0xff);
	outb(0x42, 0xff);
	reference = (struct reference){pit_read, 0xffff, 838095, 344, PIT_HZ / 1000};
}

static struct sample take_sample(void)
{
	struct sample best = {.gap = UINT64_MAX};

	for (unsigned i = 0; i < SAMPLE_TRIES; i++) {
		uint64_t before = rdtsc();
		uint32_t ref = reference.read();
		uint64_t gap = rdtsc() - before;
		uint32_t apic = x86_apic_read(APIC_TIMER_NOW);

		if (gap < best.gap)
			best = (struct sample){before + gap / 2, gap, ref, apic};
	}
	return best;
}

/* Enough time since the first sample for the precision wanted, taking the second to be as sharp; or for any.
 */
static bool measured_enough(void)
{
	uint32_t ticks = (reference.read() - first.reference) & reference.mask;
	uint64_t tsc = rdtsc() - first.tsc;

	return ticks >= reference.ticks || (ticks >= 2 * PRECISION && tsc >= 2 * PRECISION * first.gap);
}

void x86_time_begin(const struct acpi_info *acpi, uint64_t boot_tsc)
{
	tsc_base = boot_tsc;
	if (!hpet_start(acpi->hpet_address)) {
		if (acpi->pm_timer_port != 0)
			pm_timer_start((uint16_t)acpi->pm_timer_port);
		else
			pit_start();
	}
	x86_apic_write(APIC_TIMER_DIVIDE, 0xb); /* by one */
	x86_apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	x86_apic_write(APIC_TIMER_COUNT, UINT32_MAX);
	first = take_sample();
	wall_offset_ns = x86_rtc_read_ns(acpi->century);
}

static void set_tsc_multiplier(uint64_t multiplier)
{
	tsc_multiplier = multiplier == 0 ? 1 : multiplier;
	tsc_inverse = UINT64_MAX / tsc_multiplier;
}

/*
 * Sets the clock's rate from `ticks` of the counter in `ps` picoseconds; both are halved until nothing can
 * overflow.
 */
static void set_measured(uint64_t ticks, uint64_t ps)
{
	while (ps >> 31 != 0) {
		ps >>= 1;
		ticks >>= 1;
	}
	set_tsc_multiplier(FIXED32(ps, ticks == 0 ? 1 : ticks) / 1000);
}

void x86_time_finish(void)
{
	struct sample last;
	uint64_t ref, ns, khz = told_rate();

	for (unsigned n = 0; n < REFERENCE_SPINS_MAX && !measured_enough(); n++)
		hal_cpu_relax();
	last = take_sample();
	ref = (last.reference - first.reference) & reference.mask;
	if (khz != 0)
		set_tsc_multiplier(FIXED32(1000000, khz));
	else
		set_measured(last.tsc - first.tsc,
			     ref * reference.period_ps + ref * reference.period_fs / 1000);
	ns = multiply32(last.tsc - first.tsc, tsc_multiplier);
	apic_ticks_per_ns32 = FIXED32(first.apic - last.apic, ns == 0 ? 1 : ns);
	if (ref == 0)
		arch_note("time", "the reference timer stands still: the clock's rate is a guess");
	if (wall_offset_ns != 0)
		wall_offset_ns -= multiply32(first.tsc - tsc_base, tsc_multiplier);
	x86_vdso_set_clock(tsc_base, tsc_multiplier);
	x86_vdso_set_wall(wall_offset_ns);
}
