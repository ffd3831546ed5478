/* SPDX-License-Identifier: MIT */
/*
 * What an x86_64 machine says of itself in ACPI's static tables: see <arch/acpi.h>. Offsets are those of the
 * specification's tables, cited at each reader.
 */
#include <arch/acpi.h>
#include <linux/errno.h>

/* ---- MADT, 5.2.12 ---- */

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_ADDRESS = 5,
	MADT_X2APIC = 9,
};

static void add_cpu(struct acpi_info *info, uint32_t apic_id, uint32_t flags)
{
	if (!(flags & 1))
		return; /* an empty socket */
	if (info->cpu_count == ACPI_CPUS_MAX) {
		info->ignored++;
		return;
	}
	info->cpu_apic_id[info->cpu_count++] = apic_id;
}

static void add_ioapic(struct acpi_info *info, const uint8_t *e)
{
	if (info->ioapic_count == ACPI_IOAPICS_MAX) {
		info->ignored++;
		return;
	}
	info->ioapic[info->ioapic_count++] = (struct acpi_ioapic){physwin_get32(e + 4), physwin_get32(e + 8)};
}

/* 5.2.12.5; "conforms to the bus" means active high, edge on ISA. */
static void add_override(struct acpi_info *info, const uint8_t *e)
{
	uint16_t flags = physwin_get16(e + 8);

	if (info->override_count == ACPI_OVERRIDES_MAX) {
		info->ignored++;
		return;
	}
	info->override[info->override_count++] = (struct acpi_override){
	    .isa_irq = e[3],
	    .line = physwin_get32(e + 4),
	    .active_low = (flags & 3) == 3,
	    .level = (flags >> 2 & 3) == 3,
	};
}

static void madt_entry(struct acpi_info *info, const uint8_t *e, uint8_t len)
{
	static const uint8_t need[] = {
	    [MADT_LAPIC] = 8,	       [MADT_IOAPIC] = 12, [MADT_OVERRIDE] = 10,
	    [MADT_LAPIC_ADDRESS] = 12, [MADT_X2APIC] = 16,
	};

	if (e[0] >= sizeof(need) || need[e[0]] == 0)
		return;
	if (len < need[e[0]]) {
		info->ignored++;
		return;
	}
	switch (e[0]) {
	case MADT_LAPIC:
		add_cpu(info, e[3], physwin_get32(e + 4));
		break;
	case MADT_IOAPIC:
		add_ioapic(info, e);
		break;
	case MADT_OVERRIDE:
		add_override(info, e);
		break;
	case MADT_LAPIC_ADDRESS:
		info->lapic_address = physwin_get64(e + 4);
		break;
	case MADT_X2APIC:
		add_cpu(info, physwin_get32(e + 4), physwin_get32(e + 8));
		break;
	}
}

static void read_madt(struct acpi_info *info, const struct acpi_table *t)
{
	uint32_t at = 44;

	if (t->len < at) {
		info->ignored++;
		return;
	}
	info->lapic_address = physwin_get32(t->data + 36);
	info->has_pics = (physwin_get32(t->data + 40) & 1) != 0;
	while (t->len - at >= 2) {
		uint8_t len = t->data[at + 1];

		if (len < 2 || len > t->len - at) {
			info->ignored++;
			return;
		}
		madt_entry(info, t->data + at, len);
		at += len;
	}
}

/* ---- MCFG, PCI Firmware Specification 3.0, 4.1.2 ---- */

static void read_mcfg(struct acpi_info *info, const struct acpi_table *t)
{
	for (uint32_t at = 44; at <= t->len && t->len - at >= 16; at += 16) {
		const uint8_t *e = t->data + at;
		struct acpi_ecam ecam = {physwin_get64(e), physwin_get16(e + 8), e[10], e[11]};

		if (ecam.base == 0 || ecam.last_bus < ecam.first_bus || info->ecam_count == ACPI_ECAMS_MAX) {
			info->ignored++;
			continue;
		}
		info->ecam[info->ecam_count++] = ecam;
	}
}

/* ---- FADT, 5.2.9 ---- */

static struct acpi_register get_register(const struct acpi_table *t, uint32_t at)
{
	struct acpi_register r = {0};

	if (t->len < at + 12 || t->data[at] > ACPI_SPACE_PORT)
		return r;
	r.space = t->data[at];
	r.bits = t->data[at + 1];
	r.address = physwin_get64(t->data + at + 4);
	return r;
}

/* The extended register where the table has it, else the old port number. */
static struct acpi_register get_either(const struct acpi_table *t, uint32_t extended, uint32_t port)
{
	struct acpi_register r = get_register(t, extended);

	if (r.address == 0)
		r = (struct acpi_register){ACPI_SPACE_PORT, 16, physwin_get32(t->data + port)};
	return r;
}

/* \_S5 is looked for in the bytecode of the definition block, without running it. */
static void read_s5(const struct physwin *w, struct acpi_info *info, const struct acpi_table *fadt)
{
	paddr_t pa = fadt->len >= 148 ? physwin_get64(fadt->data + 140) : 0;
	struct acpi_table dsdt;

	if (pa == 0)
		pa = physwin_get32(fadt->data + 40);
	if (!acpi_table_map(w, pa, &dsdt)) {
		info->ignored++;
		return;
	}
	info->has_s5 = acpi_find_s5(dsdt.data + ACPI_HEADER_SIZE, dsdt.len - ACPI_HEADER_SIZE,
				    &info->s5_type_a, &info->s5_type_b);
}

static void read_fadt(const struct physwin *w, struct acpi_info *info, const struct acpi_table *t)
{
	uint32_t flags;
	struct acpi_register timer;

	if (t->len < 116) { /* ACPI 1.0's length */
		info->ignored++;
		return;
	}
	info->has_fadt = true;
	info->smi_command = physwin_get32(t->data + 48);
	info->acpi_enable = t->data[52];
	info->century = t->data[108];
	info->has_keyboard = t->data[8] < 2 || (physwin_get16(t->data + 109) & 2) != 0;
	flags = physwin_get32(t->data + 112);
	info->pm1a_control = get_either(t, 172, 64);
	info->pm1b_control = get_either(t, 184, 68);
	timer = get_either(t, 208, 76);
	if (timer.space == ACPI_SPACE_PORT && timer.address <= UINT16_MAX)
		info->pm_timer_port = (uint32_t)timer.address;
	if ((flags & (1u << 10)) && t->len >= 129) {
		info->reset = get_register(t, 116);
		info->reset_value = t->data[128];
		info->has_reset = info->reset.address != 0;
	}
	read_s5(w, info, t);
}

/* ---- HPET, IA-PC HPET Specification 1.0a, 3.2.4 ---- */

static void read_hpet(struct acpi_info *info, const struct acpi_table *t)
{
	struct acpi_register r = get_register(t, 40);

	if (r.space == ACPI_SPACE_MEMORY)
		info->hpet_address = r.address;
}

/* ---- \_S5 ---- */

/* A byte constant of AML (20.2.3): ZeroOp, OneOp, or BytePrefix and the byte. */
static bool aml_byte(const uint8_t *aml, size_t len, size_t *at, uint8_t *ret)
{
	if (*at >= len)
		return false;
	if (aml[*at] <= 1) {
		*ret = aml[(*at)++];
		return true;
	}
	if (aml[*at] != 0x0a || len - *at < 2)
		return false;
	*ret = aml[*at + 1];
	*at += 2;
	return true;
}

/* Behind the name: PackageOp, its length in one to four bytes (20.2.4), the number of elements, the elements.
 */
static bool aml_s5_package(const uint8_t *aml, size_t len, uint8_t *ret_a, uint8_t *ret_b)
{
	size_t at = 1;
	uint8_t a, b;

	if (len < 3 || aml[0] != 0x12)
		return false;
	at += 1 + (aml[1] >> 6);
	if (at >= len || aml[at++] < 2)
		return false;
	if (!aml_byte(aml, len, &at, &a) || !aml_byte(aml, len, &at, &b))
		return false;
	*ret_a = a & 7;
	*ret_b = b & 7;
	return true;
}

/* How far the name may move on when the last byte under it is `c` (Boyer and Moore's rule). */
static size_t s5_skip(uint8_t c)
{
	switch (c) {
	case '_':
		return 3;
	case 'S':
		return 2;
	case '5':
		return 1;
	default:
		return 4;
	}
}

bool acpi_find_s5(const uint8_t *aml, size_t len, uint8_t *ret_a, uint8_t *ret_b)
{
	for (size_t at = 0; at + 4 <= len; at += s5_skip(aml[at + 3])) {
		if (physwin_get32(aml + at) != ACPI_SIGNATURE('_', 'S', '5', '_'))
			continue;
		if (aml_s5_package(aml + at + 4, len - at - 4, ret_a, ret_b))
			return true;
	}
	return false;
}

/* ---- all of them ---- */

static void read_table(void *ctx, const struct physwin *w, uint32_t signature, paddr_t pa)
{
	struct acpi_info *info = ctx;
	struct acpi_table t;

	switch (signature) {
	case ACPI_SIGNATURE('A', 'P', 'I', 'C'):
	case ACPI_SIGNATURE('F', 'A', 'C', 'P'):
	case ACPI_SIGNATURE('M', 'C', 'F', 'G'):
	case ACPI_SIGNATURE('H', 'P', 'E', 'T'):
		break;
	default:
		return;
	}
	if (!acpi_table_read(w, pa, &t)) {
		info->ignored++;
		return;
	}
	if (signature == ACPI_SIGNATURE('A', 'P', 'I', 'C'))
		read_madt(info, &t);
	else if (signature == ACPI_SIGNATURE('F', 'A', 'C', 'P'))
		read_fadt(w, info, &t);
	else if (signature == ACPI_SIGNATURE('M', 'C', 'F', 'G'))
		read_mcfg(info, &t);
	else
		read_hpet(info, &t);
}

int acpi_parse(const struct physwin *w, const void *rsdp, size_t len, struct acpi_info *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	return acpi_walk(w, rsdp, len, read_table, ret);
}
