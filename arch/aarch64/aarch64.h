/* SPDX-License-Identifier: MIT */
/* What the files of arch/aarch64 share among themselves. Order: by file. */
#ifndef AARCH64_H
#define AARCH64_H

#include <hal/hal.h>
#include <arch/memmap.h>
#include "dt.h"

#define AARCH64_STRING_(text) #text
#define AARCH64_STRING(text)  AARCH64_STRING_(text) /* a macro's value, not its name */
#define read_sysreg(name)                                                                                    \
	({                                                                                                   \
		uint64_t sysreg_value;                                                                       \
		__asm__ volatile("mrs %0, " AARCH64_STRING(name) : "=r"(sysreg_value)::"memory");            \
		sysreg_value;                                                                                \
	})
#define write_sysreg(name, value)                                                                            \
	__asm__ volatile("msr " AARCH64_STRING(name) ", %0" ::"r"((uint64_t)(value)) : "memory")
#define isb()	    __asm__ volatile("isb" ::: "memory")
#define dsb(domain) __asm__ volatile("dsb " #domain ::: "memory")

static inline struct hal_cpu *this_hal_cpu(void)
{
	struct hal_cpu *cpu;

	__asm__ volatile("mov %0, x18" : "=r"(cpu));
	return cpu;
}

/* Bits [shift, shift+4) of an ID register. */
static inline unsigned id_field(uint64_t id, unsigned shift)
{
	return (unsigned)(id >> shift) & 15;
}

/* linker.ld, head.S, exception.S */
extern char _text[], _rodata[], _data[], _end[], _boot_stack_guard[], _boot_stack[], _boot_stack_top[];
extern char vectors[];
void secondary_entry(void);
_Noreturn void boot_main(paddr_t fdt, uint64_t counter);
_Noreturn void secondary_main(void (*entry)(void *), void *arg);

/* early.c: physical addresses, and what is left of the tables' pool */
extern paddr_t kernel_image_pa, kernel_root_pointer, idmap_root_pointer, early_tables_next;
paddr_t early_prepare(paddr_t fdt);
extern char _early_tables_end[];
#define FDT_WINDOW	UINT64_C(0xffff80003fc00000) /* the blocks that hold the device tree during boot */
#define FDT_WINDOW_SIZE UINT64_C(0x400000)
extern uint64_t empty_table[512];

/* efi.c: what the firmware told; valid if booted */
struct efi_boot {
	bool booted, initrd_loaded, cmdline_cut;
	struct memmap memory;
	paddr_t initrd;
	uint64_t initrd_len;
	paddr_t rsdp;
	uint64_t wall_seconds; /* 0: unknown */
	char cmdline[HAL_CMDLINE_MAX];
};
extern struct efi_boot efi_boot;
struct efi_system_table;
uint64_t efi_main(void *handle, struct efi_system_table *system, paddr_t *ret_fdt);

/* boot.c */
extern struct dt_machine machine;
extern struct hal_cpu boot_cpu;
_Noreturn void boot_fail(const char *why);

/* mmu.c */
void mmu_map_memory(
    struct memmap *m); /* the direct map of what *m lists; what cannot be mapped is removed from it */
void mmu_forget_fdt_window(void);

/* Physical address of something in the kernel's image. */
static inline paddr_t mmu_image_phys(const void *in_image)
{
	return (uintptr_t)in_image - (uintptr_t)_text + kernel_image_pa;
}

/* aspace.c */
void aspace_init(void);
bool aspace_mark_accessed(uaddr_t addr); /* true if an entry was there and has its access flag now */

/* cpu.c */
void cpu_init(void);
bool cpu_like_boot_cpu(void); /* this CPU has what the kernel was prepared for at boot */
uint64_t cpu_id_register(unsigned crm, unsigned op2); /* as user code may see it */

/* pl011.c, rtc.c */
int pl011_init(const struct dt_range *regs, uint32_t line);
uint64_t rtc_read_seconds(const struct dt_range *regs);
uint64_t rtc_seconds(unsigned year, unsigned month, unsigned day); /* from 1970 to the day's beginning */

/* gic.c and its two models */
enum {
	IPI_KERNEL = 0, /* hal_ipi_send() */
	IPI_STOP = 1,	/* hal_cpu_stop_others() */
};
#define GIC_LINES    1020
#define GIC_SPURIOUS 1020 /* and above: nothing to do */
struct gic_ops {
	int (*init)(const struct dt_machine *m);
	int (*init_cpu)(struct hal_cpu *cpu);
	void (*prepare)(uint32_t line, bool edge); /* a device's: kind, priority, boot CPU as target */
	uint32_t (*acknowledge)(void);		   /* the whole word that `end` wants back */
	void (*end)(uint32_t word);
	void (*set_enabled)(uint32_t line, bool on); /* lines below 32: this CPU's */
	void (*send)(const struct hal_cpu *to, unsigned ipi);
	void (*send_others)(unsigned ipi);
};
extern const struct gic_ops gicv2_ops, gicv3_ops;
int gic_init(const struct dt_machine *m);
int gic_init_cpu(struct hal_cpu *cpu);
void gic_handle(const uintptr_t *interrupted); /* the frame record of the kernel code that it came upon; null: user code */
int gic_attach_edge(uint32_t line, hal_irq_handler fn, void *ctx); /* hal_irq_attach(), edge triggered */

/* timer.c */
void timer_init(uint64_t counter_at_boot);
void timer_init_cpu(void);
void timer_interrupt(void);

/* psci.c */
void psci_init(enum dt_psci how, uint32_t cpu_on);
int psci_cpu_on(uint64_t mpidr, paddr_t entry, uint64_t context);

/* smp.c */
void smp_init(const struct dt_machine *m);
const struct hal_cpu *smp_cpu(unsigned id);
_Noreturn void smp_park(void);

/* exception.S and exception.c */
struct trap_frame {
	uint64_t x[31], sp, pc, pstate;
};
void exception_kernel(struct trap_frame *f, uint64_t esr, uint64_t far);
_Noreturn void exception_bad_vector(struct trap_frame *f, uint64_t esr, uint64_t far);
_Noreturn void exception_stack_overflow(struct trap_frame *f, uint64_t esr, uint64_t far);
enum hal_exit_kind exception_user(struct hal_user *u, struct hal_exit *ret, uint64_t esr, uint64_t far);

/* user.S, user.c */
void fpu_save(struct aarch64_fpu *to);
void fpu_load(const struct aarch64_fpu *from);
void user_fpu_arrive(
    struct hal_user *u); /* called by hal_user_run() when the registers hold another's state */
void user_fpu_abandon(struct hal_user *u); /* *u->fpu in memory is what counts; the thread pointer is saved */
void user_fpu_reset(struct aarch64_fpu *fpu);

/* idreg.c */
bool idreg_emulate(struct hal_user *u, uint32_t instruction);

/* pci_assign.c */
struct ecam;
void pci_assign(const struct ecam *ecam, const struct dt_window *windows, unsigned count);

/* vdso.c */
void vdso_set_clock(uint64_t base_ticks, uint64_t mult, uint64_t wall_ns);
void vdso_set_wall(uint64_t wall_ns);

#endif
