/* SPDX-License-Identifier: MIT */
/*
 * Disks in memory, with a volatile cache, latencies, power cuts and faults.
 *
 * Two images: `current`, what reads see, and `durable`, what the medium holds. Between them stands the journal, a ring of sectors that were
 * written and not yet destaged, oldest first; sectors of one write share a group number. A flush destages all of it, a write with FUA
 * goes to both images at once and takes older versions of its sectors out of the journal, a full journal destages its oldest.
 *
 * D1 current = durable with the journal applied in order. D2 what a flush or FUA write promised is in `durable` before it is answered (but
 * for a flush that lies). D3 at a power cut each write in the journal or in flight is kept, dropped, or kept in part, sector by sector, by
 * a draw of its own: so a later write may survive an earlier one, up to the last flush. With DISK_TORN a kept sector may be new up
 * to some byte only. D4 a request in flight reads and writes guest memory when it is done, or at the cut, and never afterwards.
 *
 * Everything runs under the bus lock; events take it.
 */
#include <asm/errno.h>

#include <sim/device.h>
#include <sim/disk.h>
#include <sim/fault.h>
#include "deterministic.h"

#define SECTOR	      SIM_DISK_SECTOR
#define JOURNAL_MAX   8192 /* sectors in the cache */
#define BAD_MAX	      64   /* sectors that stay bad; more come good again */
#define READ_NS	      60000
#define WRITE_NS      30000
#define FLUSH_NS      500000
#define SPREAD	      4	  /* a request takes between its least time and so many times that */
#define NS_PER_SECTOR 1000
#define SLOW_NS	      UINT64_C(1000000000)
#define GONE	      UINT64_MAX /* sector of a journal entry that another has overtaken */

struct record {
	uint64_t sector, group;
	uint8_t data[SECTOR];
};

struct memory_disk {
	struct sim_disk disk; /* first, see of() */
	uint8_t *current, *durable;
	struct record *journal;
	uint64_t first, end; /* of the journal: running numbers */
	uint64_t groups;
	struct sim_disk_request *in_flight;
	uint64_t bad[BAD_MAX];
	unsigned bad_count;
	bool write_through, off, refuses_writes;
	uint64_t cut_in; /* writes until the power fails; 0: it does not */
	struct sim_disk_counts counts;
};

static struct memory_disk *of(struct sim_disk *d)
{
	return (struct memory_disk *)(void *)d;
}
_Static_assert(offsetof(struct memory_disk, disk) == 0, "see of()");

/* ---- sectors ---- */

static void copy(void *to, const void *from)
{
	__builtin_memcpy(to, from, SECTOR);
}

static struct record *entry(struct memory_disk *m, uint64_t number)
{
	return &m->journal[number % JOURNAL_MAX];
}

static void destage_oldest(struct memory_disk *m)
{
	struct record *r = entry(m, m->first++);

	if (r->sector != GONE)
		copy(m->durable + r->sector * SECTOR, r->data);
}

static void destage_all(struct memory_disk *m)
{
	while (m->first != m->end)
		destage_oldest(m);
}

static void journal_add(struct memory_disk *m, uint64_t sector, uint64_t group, const uint8_t *data)
{
	struct record *r;

	if (m->end - m->first == JOURNAL_MAX)
		destage_oldest(m);
	r = entry(m, m->end++);
	r->sector = sector;
	r->group = group;
	copy(r->data, data);
}

static void journal_forget(struct memory_disk *m, uint64_t sector)
{
	for (uint64_t i = m->first; i != m->end; i++)
		if (entry(m, i)->sector == sector)
			entry(m, i)->sector = GONE;
}

static void store(struct memory_disk *m, uint64_t sector, uint64_t group, const uint8_t *data, bool durably)
{
	copy(m->current + sector * SECTOR, data);
	if (!durably) {
		journal_add(m, sector, group, data);
		return;
	}
	journal_forget(m, sector);
	copy(m->durable + sector * SECTOR, data);
}

/* ---- a request's data, as a stream ---- */

struct cursor {
	const struct sim_disk_request *r;
	uint32_t segment;
	size_t at;
};

/* The next sector's bytes from or to guest memory. */
static void move_sector(struct cursor *c, uint8_t *buffer, bool to_guest)
{
	for (size_t done = 0; done < SECTOR;) {
		const struct sim_disk_segment *s = &c->r->segments[c->segment];
		size_t n = s->len - c->at < SECTOR - done ? s->len - c->at : SECTOR - done;
		char *guest = (char *)s->data + c->at;

		__builtin_memcpy(to_guest ? guest : (char *)buffer + done, to_guest ? (char *)buffer + done : guest, n);
		done += n;
		c->at += n;
		if (c->at == s->len) {
			c->segment++;
			c->at = 0;
		}
	}
}

static uint64_t sectors_of(const struct sim_disk_request *r)
{
	uint64_t len = 0;

	for (uint32_t i = 0; i < r->segment_count; i++)
		len += r->segments[i].len;
	return len / SECTOR;
}

/* ---- sectors that stay bad ---- */

static bool is_bad(const struct memory_disk *m, uint64_t sector, uint64_t count)
{
	for (unsigned i = 0; i < m->bad_count; i++)
		if (m->bad[i] - sector < count)
			return true;
	return false;
}

/* Writing a sector heals it. */
static void heal(struct memory_disk *m, uint64_t sector)
{
	for (unsigned i = 0; i < m->bad_count;)
		if (m->bad[i] == sector)
			m->bad[i] = m->bad[--m->bad_count];
		else
			i++;
}

/* ---- doing ---- */

static void rot(struct memory_disk *m, uint64_t sector, uint64_t count)
{
	uint64_t bit = sim_fault_draw(SIM_FAULT_DISK_ROT, count * SECTOR * 8), byte = sector * SECTOR + bit / 8;

	m->current[byte] ^= (uint8_t)(1 << bit % 8);
	m->durable[byte] ^= (uint8_t)(1 << bit % 8);
	journal_forget(m, byte / SECTOR);
	copy(m->durable + byte / SECTOR * SECTOR, m->current + byte / SECTOR * SECTOR);
	m->counts.rotten++;
}

static int do_read(struct memory_disk *m, struct sim_disk_request *r)
{
	uint64_t count = sectors_of(r);
	struct cursor c = {.r = r};

	if (sim_fault(SIM_FAULT_DISK_READ_ERROR)) {
		m->counts.read_errors++;
		if (sim_fault_draw(SIM_FAULT_DISK_READ_ERROR, 2) && m->bad_count < BAD_MAX)
			m->bad[m->bad_count++] = r->sector + sim_fault_draw(SIM_FAULT_DISK_READ_ERROR, count);
		return -EIO;
	}
	if (is_bad(m, r->sector, count)) {
		m->counts.read_errors++;
		return -EIO;
	}
	if (sim_fault(SIM_FAULT_DISK_ROT))
		rot(m, r->sector, count);
	for (uint64_t i = 0; i < count; i++)
		move_sector(&c, m->current + (r->sector + i) * SECTOR, true);
	return 0;
}

/* The first `count` sectors of the request go to `sector` and following. */
static void put(struct memory_disk *m, struct sim_disk_request *r, uint64_t sector, uint64_t count, bool durably)
{
	struct cursor c = {.r = r};
	uint8_t data[SECTOR];

	m->groups++;
	for (uint64_t i = 0; i < count; i++) {
		move_sector(&c, data, false);
		heal(m, sector + i);
		store(m, sector + i, m->groups, data, durably);
	}
}

static int fail_write(struct memory_disk *m, struct sim_disk_request *r, uint64_t count)
{
	if (m->disk.read_only || m->refuses_writes || sim_fault(SIM_FAULT_DISK_READ_ONLY)) {
		m->refuses_writes = true;
		return -EROFS;
	}
	if (sim_fault(SIM_FAULT_DISK_FULL))
		return -ENOSPC;
	if (!sim_fault(SIM_FAULT_DISK_WRITE_ERROR))
		return 0;
	put(m, r, r->sector, sim_fault_draw(SIM_FAULT_DISK_WRITE_ERROR, count), false);
	return -EIO;
}

static int do_write(struct memory_disk *m, struct sim_disk_request *r)
{
	uint64_t count = sectors_of(r), sector = r->sector;
	int error = fail_write(m, r, count);

	if (error) {
		m->counts.write_errors++;
		return error;
	}
	if (sim_fault(SIM_FAULT_DISK_LOST)) {
		m->counts.lost++;
		return 0;
	}
	if (sim_fault(SIM_FAULT_DISK_MISDIRECTED)) {
		m->counts.misdirected++;
		sector = sim_fault_draw(SIM_FAULT_DISK_MISDIRECTED, m->disk.sectors - count + 1);
	}
	put(m, r, sector, count, m->write_through || r->fua);
	return 0;
}

static int do_flush(struct memory_disk *m)
{
	if (sim_fault(SIM_FAULT_DISK_FLUSH_ERROR)) {
		m->counts.flush_errors++;
		return -EIO;
	}
	if (sim_fault(SIM_FAULT_DISK_FLUSH_LIES))
		m->counts.flushes_that_lied++;
	else
		destage_all(m);
	return 0;
}

static int perform(struct memory_disk *m, struct sim_disk_request *r)
{
	switch (r->op) {
	case SIM_DISK_READ:
		m->counts.reads++;
		return do_read(m, r);
	case SIM_DISK_WRITE:
		m->counts.writes++;
		return do_write(m, r);
	default:
		m->counts.flushes++;
		return do_flush(m);
	}
}

/* ---- requests in flight ---- */

static void take_out(struct memory_disk *m, struct sim_disk_request *r)
{
	struct sim_disk_request **at = &m->in_flight;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
}

static void finishes(struct sim_event *e)
{
	struct sim_disk_request *r = (struct sim_disk_request *)(void *)((char *)e - offsetof(struct sim_disk_request, event));
	struct memory_disk *m = of(r->disk);
	bool irq = sim_bus_lock();

	take_out(m, r);
	r->error = perform(m, r);
	sim_trace(SIM_TRACE_DEVICE, (uint64_t)r->op << 56 | r->sector, (uint64_t)(uint32_t)r->error << 32 | sectors_of(r));
	r->done(r, r->error);
	sim_bus_unlock(irq);
}

/* What a request takes: a least time by its kind and length, and up to SPREAD times that. */
static uint64_t duration_ns(struct memory_disk *m, const struct sim_disk_request *r)
{
	static const uint64_t least[] = {READ_NS, WRITE_NS, FLUSH_NS};
	uint64_t sectors = r->op == SIM_DISK_FLUSH ? m->end - m->first : sectors_of(r);
	uint64_t ns = least[r->op] + sectors * NS_PER_SECTOR;

	if (sim_fault(SIM_FAULT_DISK_SLOW))
		return sim_fault_draw(SIM_FAULT_DISK_SLOW, SLOW_NS);
	return sim_draw_between(SIM_STREAM_DISK, ns, SPREAD * ns);
}

static void submit(struct sim_disk *d, struct sim_disk_request *r)
{
	struct memory_disk *m = of(d);

	r->disk = d;
	r->event = (struct sim_event){.fn = finishes};
	r->next = m->in_flight;
	m->in_flight = r;
	if (m->off || d->gone)
		return;
	if (r->op == SIM_DISK_WRITE && m->cut_in && --m->cut_in == 0) {
		sim_disk_power_cut(d);
		return;
	}
	if (sim_fault(SIM_FAULT_DISK_HANGS))
		m->counts.hung++;
	else
		sim_event_arm(&r->event, det_now_ns + duration_ns(m, r));
}

static void forget(struct sim_disk *d)
{
	struct memory_disk *m = of(d);

	for (struct sim_disk_request *r = m->in_flight; r; r = r->next)
		sim_event_cancel(&r->event);
	m->in_flight = NULL;
}

static const struct sim_disk_ops memory_ops = {.submit = submit, .forget = forget};

/* ---- power ---- */

enum fate { FATE_KEPT, FATE_DROPPED, FATE_PARTS, FATES };

/* A sector that survives; torn, where the fault says so. */
static void survive(struct memory_disk *m, const struct record *r)
{
	uint8_t *to = m->durable + r->sector * SECTOR;
	size_t n = SECTOR;

	if (sim_fault(SIM_FAULT_DISK_TORN)) {
		n = (size_t)sim_fault_draw(SIM_FAULT_DISK_TORN, SECTOR);
		m->counts.torn++;
	}
	__builtin_memcpy(to, r->data, n);
	m->counts.kept++;
}

/* D3 */
static void settle(struct memory_disk *m)
{
	uint64_t group = 0;
	enum fate fate = FATE_KEPT;

	for (uint64_t i = m->first; i != m->end; i++) {
		struct record *r = entry(m, i);

		if (r->group != group)
			fate = (enum fate)sim_draw_below(SIM_STREAM_DISK, FATES);
		group = r->group;
		if (r->sector == GONE)
			continue;
		if (fate == FATE_KEPT || (fate == FATE_PARTS && sim_draw_below(SIM_STREAM_DISK, 2)))
			survive(m, r);
		else
			m->counts.dropped++;
	}
	for (; m->first != m->end; m->first++)
		if (entry(m, m->first)->sector != GONE)
			copy(m->current + entry(m, m->first)->sector * SECTOR, m->durable + entry(m, m->first)->sector * SECTOR);
}

void sim_disk_power_cut(struct sim_disk *d)
{
	struct memory_disk *m = of(d);

	if (m->off)
		return;
	for (struct sim_disk_request *r = m->in_flight; r; r = r->next)
		if (r->op == SIM_DISK_WRITE && !d->read_only && !m->refuses_writes)
			put(m, r, r->sector, sectors_of(r), false); /* not answered: nothing was promised */
	forget(d);
	settle(m);
	m->off = true;
	m->cut_in = 0;
	m->counts.cuts++;
	sim_note("disk: power cut");
}

void sim_disk_power_cut_at(struct sim_disk *d, uint64_t writes)
{
	of(d)->cut_in = writes;
}

bool sim_disk_has_power(const struct sim_disk *d)
{
	return !((const struct memory_disk *)(const void *)d)->off;
}

void sim_disk_power_on(struct sim_disk *d)
{
	struct memory_disk *m = of(d);

	forget(d);
	m->off = m->refuses_writes = false;
}

/* ---- the rest ---- */

void sim_disk_peek(struct sim_disk *d, uint64_t sector, void *to)
{
	copy(to, of(d)->current + sector * SECTOR);
}

void sim_disk_poke(struct sim_disk *d, uint64_t sector, const void *from)
{
	struct memory_disk *m = of(d);

	journal_forget(m, sector);
	copy(m->current + sector * SECTOR, from);
	copy(m->durable + sector * SECTOR, from);
}

void sim_disk_counts(const struct sim_disk *d, struct sim_disk_counts *ret)
{
	*ret = ((const struct memory_disk *)(const void *)d)->counts;
}

struct sim_disk *sim_memory_disk_create(const struct sim_disk_options *options)
{
	struct memory_disk *m = host_memory(sizeof(*m));

	if (!m)
		return NULL;
	m->disk = (struct sim_disk){.ops = &memory_ops, .sectors = options->sectors, .read_only = options->read_only};
	m->write_through = options->write_through;
	m->current = host_memory(options->sectors * SECTOR);
	m->durable = host_memory(options->sectors * SECTOR);
	m->journal = host_memory(JOURNAL_MAX * sizeof(*m->journal));
	return m->current && m->durable && m->journal ? &m->disk : NULL;
}

struct sim_disk *det_disk(unsigned number)
{
	struct sim_disk_options options = {
	    .sectors = sim_machine.disks[number].bytes / SECTOR,
	    .read_only = sim_machine.disks[number].read_only,
	};
	struct sim_disk *d = sim_memory_disk_create(&options);

	if (!d)
		host_fatal("no memory for disk %u", number);
	host_disk_read(sim_machine.disks[number].number, of(d)->current, options.sectors * SECTOR);
	host_disk_read(sim_machine.disks[number].number, of(d)->durable, options.sectors * SECTOR);
	return d;
}
