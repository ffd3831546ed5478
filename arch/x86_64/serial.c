/* SPDX-License-Identifier: MIT */
/*
 * COM1, a 16550 (National Semiconductor PC16550D datasheet). Output is polled, a FIFO's worth at a time.
 * Input comes by interrupt; when the kernel takes less than it is offered, the receiver's interrupt stays off
 * and the rest stays in the FIFO, or in `held`, until hal_console_input_resume().
 */
#include <x86/console.h>
#include <x86/cpu.h>
#include <x86/irq.h>
#include <hal/hal.h>

#define COM1	 0x3f8
#define COM1_IRQ 4u

#define DATA	(COM1 + 0)
#define IER	(COM1 + 1)
#define FCR	(COM1 + 2) /* written */
#define LCR	(COM1 + 3)
#define MCR	(COM1 + 4)
#define LSR	(COM1 + 5)
#define SCRATCH (COM1 + 7)

#define IER_RECEIVED 0x01
#define LSR_RECEIVED 0x01
#define LSR_EMPTY    0x20

#define FIFO		16u
#define READY_NS_MAX	(UINT64_C(10) * 1000000000) /* then characters are lost: nothing drains the port */
#define READY_SPINS_MAX 100000000u		    /* the same while there is no clock yet */
#define RECEIVE_MAX	256u	/* characters an interrupt */

static bool present, receiving;
static char held; /* a character that the kernel did not take */
static bool has_held;
static uint32_t requests; /* for service() */

bool x86_serial_init(void)
{
	outb(SCRATCH, 0x5a);
	if (inb(SCRATCH) != 0x5a)
		return false;
	outb(IER, 0);
	outb(LCR, 0x80); /* divisor: 115200 baud */
	outb(DATA, 1);
	outb(IER, 0);
	outb(LCR, 0x03); /* 8 bits, no parity, one stop bit */
	outb(FCR, 0x07); /* FIFOs on and empty, interrupt at one character */
	outb(MCR, 0x0b); /* DTR, RTS, and OUT2, which lets interrupts through */
	present = true;
	return true;
}

/* Waits for room in the FIFO: as long as a busy reader may take. A port that was given up is only looked at, until it takes again. */
static bool wait_for_room(void)
{
	static bool given_up;
	uint64_t from = hal_clock_ns();
	unsigned spins = 0;

	while (!(inb(LSR) & LSR_EMPTY)) {
		if (given_up || ++spins == READY_SPINS_MAX || hal_clock_ns() - from > READY_NS_MAX) {
			given_up = true;
			return false;
		}
		hal_cpu_relax();
	}
	given_up = false;
	return true;
}

void x86_serial_write(const char *buf, size_t len)
{
	for (size_t at = 0; present && at < len;) {
		if (!wait_for_room())
			return;
		for (unsigned room = FIFO; room > 0 && at < len; room--)
			outb(DATA, (uint8_t)buf[at++]);
	}
}

static bool offer(char c)
{
	return hal_upcalls.console_input != NULL && hal_upcalls.console_input(&c, 1) == 1;
}

/* False when the kernel took less than there was. */
static bool receive(void)
{
	for (unsigned n = 0; n < RECEIVE_MAX; n++) {
		if (!has_held) {
			if (!(inb(LSR) & LSR_RECEIVED))
				return true;
			held = (char)inb(DATA);
			has_held = true;
		}
		if (!offer(held))
			return false;
		has_held = false;
	}
	return true;
}

/*
 * Run by the interrupt and by hal_console_input_resume(), perhaps on two CPUs at once: the second only leaves
 * a mark, for the first to go round again. The upcall is made without a lock. Interrupts off.
 */
static void service(void)
{
	uint32_t seen;

	if (__atomic_fetch_add(&requests, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	do {
		seen = __atomic_load_n(&requests, __ATOMIC_ACQUIRE);
		outb(IER, 0);
		if (receive())
			outb(IER, IER_RECEIVED); /* anew, so that what is left makes an edge */
	} while (
	    !__atomic_compare_exchange_n(&requests, &seen, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

static void interrupt(void *ctx)
{
	(void)ctx;
	service();
}

int x86_serial_input_start(void)
{
	int err;

	if (!present)
		return 0;
	err = hal_irq_attach(x86_isa_line(COM1_IRQ), interrupt, NULL);
	if (err != 0)
		return err;
	receiving = true;
	x86_serial_input_resume();
	return 0;
}

void x86_serial_input_resume(void)
{
	unsigned long irq;

	if (!receiving)
		return;
	irq = hal_irq_save();
	service();
	hal_irq_restore(irq);
}
