/* SPDX-License-Identifier: MIT */
/*
 * The console: a PL011 serial port (Arm DDI 0183). Output is polled, so that it works in any context; input
 * comes by interrupt. What is written before the port is known waits in a small buffer.
 *
 * Back-pressure: when the kernel takes less than it is offered, the rest stays in `pending` and the receive
 * interrupt is masked; hal_console_input_resume() goes on from there. Who sets `receiving` owns the fields
 * marked R; nobody waits for it, so that the kernel may call resume under a lock that its console_input()
 * takes.
 */
#include "aarch64.h"
#include <linux/errno.h>

/* registers */
enum {
	UART_DR = 0x00,
	UART_FR = 0x18,
	UART_LCR_H = 0x2c,
	UART_CR = 0x30,
	UART_IMSC = 0x38,
	UART_ICR = 0x44,
};
#define FR_RXFE	   (1u << 4)
#define FR_TXFF	   (1u << 5)
#define LCR_FIFO8  0x70u /* 8 bits, FIFOs on */
#define CR_ENABLE  0x301u
#define IRQ_RX	   (1u << 4)
#define IRQ_RXTIME (1u << 6)
#define DR_ERROR   0xf00u

static volatile uint8_t *uart;
static uint32_t uart_line;
static char early[512];
static size_t early_len;

static bool receiving, wanted;
static char pending[64];   /* R */
static size_t pending_len; /* R */

static uint32_t get(unsigned reg)
{
	return *(volatile uint32_t *)(uart + reg);
}

static void set(unsigned reg, uint32_t value)
{
	*(volatile uint32_t *)(uart + reg) = value;
}

int pl011_init(const struct dt_range *regs, uint32_t line)
{
	if (regs->size < 0x48)
		return -ENODEV;
	uart = hal_mmio_map(regs->base, regs->size);
	if (uart == NULL)
		return -ENOMEM;
	uart_line = line;
	set(UART_IMSC, 0);
	set(UART_LCR_H, LCR_FIFO8);
	set(UART_CR, CR_ENABLE);
	hal_console_write(early, early_len);
	return 0;
}

void hal_console_write(const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (uart == NULL) {
			if (early_len < sizeof(early))
				early[early_len++] = buf[i];
			continue;
		}
		while ((get(UART_FR) & FR_TXFF) != 0)
			hal_cpu_relax();
		set(UART_DR, (uint8_t)buf[i]);
	}
}

/* Offers what is pending; true if all of it was taken. */
static bool deliver(void)
{
	size_t taken =
	    hal_upcalls.console_input != NULL ? hal_upcalls.console_input(pending, pending_len) : pending_len;

	if (taken > pending_len)
		taken = pending_len;
	for (size_t i = taken; i < pending_len; i++)
		pending[i - taken] = pending[i];
	pending_len -= taken;
	return pending_len == 0;
}

static void drain(void)
{
	bool all = pending_len == 0 || deliver();

	while (all && (get(UART_FR) & FR_RXFE) == 0) {
		while (pending_len < sizeof(pending) && (get(UART_FR) & FR_RXFE) == 0) {
			uint32_t data = get(UART_DR);

			if ((data & DR_ERROR) == 0)
				pending[pending_len++] = (char)data;
		}
		all = deliver();
	}
	set(UART_IMSC, all ? IRQ_RX | IRQ_RXTIME : 0);
}

static void receive(void *ctx)
{
	(void)ctx;
	__atomic_store_n(&wanted, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&wanted, __ATOMIC_SEQ_CST)) {
		if (__atomic_exchange_n(&receiving, true, __ATOMIC_SEQ_CST))
			return; /* whoever receives sees `wanted` when done */
		__atomic_store_n(&wanted, false, __ATOMIC_SEQ_CST);
		drain();
		__atomic_store_n(&receiving, false, __ATOMIC_SEQ_CST);
	}
}

int hal_console_input_start(void)
{
	int error = uart_line != 0 ? hal_irq_attach(uart_line, receive, NULL) : -ENODEV;

	if (error == 0)
		hal_console_input_resume();
	return error;
}

void hal_console_input_resume(void)
{
	unsigned long irq = hal_irq_save();

	receive(NULL);
	hal_irq_restore(irq);
}
