/* SPDX-License-Identifier: MIT */
/*
 * Virtual memory: user address spaces, areas, page faults, and cache objects (the pages of a file or of shared memory, indexed by
 * page number, shared by read, write and mmap). vm knows no file system: an object's owner fills struct vm_object_ops.
 */
#ifndef CLOUDOS_VM_H
#define CLOUDOS_VM_H

#include <cloudos/io.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/rbtree.h>
#include <cloudos/refcount.h>
#include <cloudos/thread.h>
#include <cloudos/types.h>

/* ---- cache objects ---- */

struct vm_object;

struct vm_object_ops {
	/* Fills a new page of the object (cleared already); null: it stays zero. 0 or -EIO, -ENOMEM... May sleep. */
	int (*read_page)(struct vm_object *o, uint64_t index, struct page *page);
	/* May a page be added for writing (quota of the file system)? null: yes. -ENOSPC, ... */
	int (*charge)(struct vm_object *o, uint64_t pages);
	void (*uncharge)(struct vm_object *o, uint64_t pages);
	/* The last reference is gone; pages are freed already. null: nothing. */
	void (*release)(struct vm_object *o);
};

/*
 * Fields: C = constant; L = by `lock`. The page cache lets in who holds the lock: a page that was found stays in the object until it
 * is released; whoever copies to or from user memory takes a reference on the page and lets go of the lock first.
 */
struct vm_object {
	struct refcount refs;
	const struct vm_object_ops *ops; /* C: never null */
	void *owner;			 /* C: the owner's */
	uint64_t id;			 /* C: never the same for two objects */
	bool allocated;			 /* C: by vm_object_create() */
	struct mutex lock;
	uint64_t size;	     /* L, read freely: bytes that are valid; a fault beyond is SIGBUS; UINT64_MAX: no end */
	struct vm_page_map { /* L: radix tree: page index → struct page */
		void *root;
		uint64_t count; /* pages in it; read freely */
		uint8_t levels;
	} pages;
	struct list areas; /* L: vm_area.object_link: who maps it */
	bool write_sealed; /* L: no shared mapping may write, ever */
};

/* With one reference, or null. ops may be null: memory without an owner. */
struct vm_object *vm_object_create(const struct vm_object_ops *ops, void *owner, uint64_t size);
/*
 * For an object embedded in its owner's storage (an inode). The owner's reference is the first one. Either the owner gives
 * it up with vm_object_put(), and ops->release() frees the storage when the last one is gone; or the owner knows that no mapping is left
 * (each holds a file, and that the inode) and calls vm_object_fini(), which frees all pages.
 */
void vm_object_init(struct vm_object *o, const struct vm_object_ops *ops, void *owner, uint64_t size);
void vm_object_fini(struct vm_object *o);
void vm_object_get(struct vm_object *o);
void vm_object_put(struct vm_object *o);

/* Bytes [pos, pos + count of the iterator) of the object, clipped to its size (read); holes read as zeros. Bytes done or an errno. May sleep. */
ssize_t vm_object_read(struct vm_object *o, uint64_t pos, struct io_iter *to);
/* Writes, grows size as needed (never beyond INT64_MAX). A short count when space or memory runs out after some; else the errno. */
ssize_t vm_object_write(struct vm_object *o, uint64_t pos, struct io_iter *from);
/* Sets the size; pages beyond are freed and unmapped everywhere, the tail of the last one is cleared. */
int vm_object_resize(struct vm_object *o, uint64_t size);
/* Frees whole pages in [start, end) and clears partial ones (FALLOC_FL_PUNCH_HOLE). */
int vm_object_punch(struct vm_object *o, uint64_t start, uint64_t end);
/* The page with a reference; with `create` a hole is filled in. -ENOENT for a hole without. May sleep. */
int vm_object_page(struct vm_object *o, uint64_t index, bool create, struct page **ret);
/* Gives the object a page that is filled already (initramfs): takes over the reference. -EEXIST, -ENOMEM, -ENOSPC; then it stays the caller's. */
int vm_object_adopt(struct vm_object *o, uint64_t index, struct page *page);
/* From now on vm_map() refuses (-EPERM) shared mappings that may write. -EBUSY: there is one already. */
int vm_object_seal_writes(struct vm_object *o);
/* The first byte at or after pos that lies in a page (data) or in a hole: the position, or -ENXIO. For SEEK_DATA and SEEK_HOLE. */
int64_t vm_object_seek(struct vm_object *o, uint64_t pos, bool data);

/* ---- address spaces ---- */

/* vm_area.flags, beside prot (PROT_*). */
enum vm_area_flags {
	VM_SHARED = 1,
	VM_GROWSDOWN = 2, /* the stack */
	VM_STACK = 4,
	VM_HEAP = 8,
	VM_LOCKED = 16,
	VM_DONTFORK = 32,
	VM_WIPEONFORK = 64,
	VM_SPECIAL = 128, /* vDSO and its data: never copied, never written */
	VM_NORESERVE = 256,
	VM_DONTDUMP = 512,
	/* and a memory policy, eight bits from VM_POLICY_SHIFT on */
};

/* Fields: S = by the space's lock; X = by the object's lock; SX = written under both, so read under either. */
struct vm_area {
	struct rb_node node;	  /* S: by start */
	struct list link;	  /* S: in space->area_list, by start */
	uint64_t gap, max_gap;	  /* S: free bytes below it; the largest of its subtree */
	struct vm_space *space;
	uaddr_t start, end;	  /* SX: page aligned */
	uint32_t prot, flags;	  /* S: PROT_*, VM_* */
	uint32_t may_prot;	  /* S: what mprotect may give */
	bool has_private;	  /* atomic: pages other than the object's may be mapped (always, without object) */
	struct vm_object *object; /* with a reference; null: anonymous private */
	uint64_t object_page;	  /* SX: page of the object at start */
	struct list object_link;  /* X */
	void *file;		  /* the mapping file with a reference (vm_file_ops), or null */
	const char *name;	  /* static text for /proc/self/maps: "[stack]", "[vdso]" */
};

/* How vm keeps and names mapping files without knowing them; filled by vfs. */
struct vm_file_ops {
	void (*get)(void *file);
	void (*put)(void *file);
	int (*path)(void *file, char *buf, size_t size); /* for /proc/pid/maps; length or an errno */
	void (*identity)(void *file, uint64_t *ret_dev, uint64_t *ret_ino);
};
extern const struct vm_file_ops *vm_file_ops;

#define VM_POLICY_SHIFT 16
#define VM_POLICY_MASK	0xffu
#define VM_POLICY_HOME	64u /* one of the eight: a home node was named */

#define VM_AREAS_MAX 65530 /* Linux's default vm.max_map_count: ENOMEM beyond */

/*
 * Fields: S = lock; T = table_lock (figures are read freely); G = group_lock; P = proc's: set by exec before the space runs, kept by fork.
 * Page-table pages are added under table_lock and taken away under both it and `lock` held for writing: who holds `lock` may
 * walk the tables, and keep a slot's address, without table_lock.
 */
struct vm_space {
	struct sched_space sched;
	struct list all_link;  /* see spaces.c */
	struct list dying_link;	  /* likewise, with the next two */
	uint64_t dying_since_ns; /* 0: it is not */
	bool emptied;
	struct memory_group *group; /* G: whom its pages are charged to, with a reference; null: nobody; whether there is one is read freely */
	bool regrouped;		    /* G, read freely: it may have pages of other groups, too */
	struct spinlock group_lock;
	struct refcount users; /* processes (and others) that use it */
	struct refcount holds; /* who may find that it is used no more: see vm_space_hold(); the users have one together */
	struct rwlock lock;
	struct rb_tree areas;	 /* S */
	struct list area_list;	 /* S: the same in order */
	struct list retired;	 /* S: removed, to be freed when the lock is released */
	struct vm_area *spare;	 /* S: memory for the next area, or null; only while the lock is held */
	uint32_t area_count;	 /* S */
	uint32_t future_flags;	 /* S: VM_LOCKED for what is mapped from now on (mlockall) */
	struct vm_area *recent;	 /* S, atomic: last found */
	struct spinlock table_lock;
	void *table_root;	/* C */
	uaddr_t map_top;	/* C: mmap places below this, downwards */
	uaddr_t brk_start, brk_end; /* S; brk_start is set by exec */
	uaddr_t stack_start, arg_start, arg_end, env_start, env_end, code_start, code_end, data_start, data_end; /* P */
	uaddr_t vdso;		/* P */
	uint64_t resident_pages, anon_pages, peak_resident, table_pages; /* T */
	uint64_t swapped_pages; /* T: entries that stand for pages in swap areas */
	uint64_t total_pages, data_pages, stack_pages, exec_pages, locked_pages; /* S: of areas; data: private and writable */
	uint64_t limit_as, limit_data, limit_stack; /* bytes: copies of RLIMIT_*, set by proc */
	uint64_t faults_minor, faults_major; /* counted without a lock: nearly right */
	uint64_t auxv[48];	/* P */
	uint32_t auxv_words;	/* P */
	bool released;		/* atomic: see vm_release() */
	uint32_t membarriers;	/* atomic: MEMBARRIER_CMD_REGISTER_* of the processes that use it */
	void *exe;		/* S: /proc/self/exe: file with a reference, or null */
	struct namespace *user_ns; /* P: the user namespace in which the program was executed, with a reference; null: the first */
};

/* An empty space with one user, or null. limit_* are RLIM_INFINITY but limit_stack (8 MiB); map_top is chosen for that. */
struct vm_space *vm_space_create(void);
void vm_space_get(struct vm_space *s);
void vm_space_put(struct vm_space *s); /* may sleep */

/* To know a space without keeping its memory: it stays the same one, and is never another's. */
void vm_space_hold(struct vm_space *s);	     /* a user's */
bool vm_space_use(struct vm_space *s);	     /* one that is held: true, with a reference; false: it has no memory any more */
void vm_space_let_go(struct vm_space *s);    /* of the hold */

/* Those who use a held space are killed for its memory. Is there such memory, of group g (null: any), for less than `wait_ns`? */
void vm_space_dies(struct vm_space *s);
bool vm_space_any_dies(struct memory_group *g, uint64_t wait_ns);

/*
 * Where exec puts things; random unless "cloudos.aslr=0". The end of the stack; the load address of a position-independent program whose
 * segments span `len` bytes; the start of the heap behind the program's end.
 */
uaddr_t vm_layout_stack_top(void);
uaddr_t vm_layout_program(uint64_t len);
uaddr_t vm_layout_heap(uaddr_t program_end);

/* fork: a copy of `from` (the running thread's), private pages copy-on-write. 0 or -ENOMEM. */
int vm_space_fork(struct vm_space *from, struct vm_space **ret);

/* Its figures in pages, all of one moment. May sleep. */
struct vm_sizes {
	uint64_t resident, anon, peak_resident, tables, swapped;
	uint64_t total, data, stack, locked; /* of areas */
};
void vm_space_sizes(struct vm_space *s, struct vm_sizes *ret);

/* The running thread goes over to `s` (takes over the caller's reference; null: none) and drops its old one. */
void vm_space_switch(struct vm_space *s);

/* What to map. addr 0: the kernel chooses. Flags: MAP_* of linux/mman.h were decoded by the caller into fixed/noreplace and VM_*. */
struct vm_map_request {
	uaddr_t addr;
	uint64_t len;	     /* bytes, rounded up */
	uint32_t prot, flags; /* PROT_*, VM_* */
	uint32_t may_prot;
	uaddr_t top; /* not above it, unless fixed; 0: anywhere */
	bool fixed, noreplace, populate;
	struct vm_object *object; /* borrowed */
	uint64_t object_page;
	void *file; /* borrowed */
	const char *name;
};
/* 0 and the address; -ENOMEM, -EINVAL, -EEXIST, -EPERM (a low address; an object sealed against writing). */
int vm_map(struct vm_space *s, const struct vm_map_request *r, uaddr_t *ret);
int vm_unmap(struct vm_space *s, uaddr_t start, uint64_t len);
/*
 * Unmaps what is left of the mapping of an object that began at `start` with the object's first page, where is(file) holds for the
 * mapping file (shmdt(2)). -EINVAL: there is none.
 */
int vm_unmap_object(struct vm_space *s, uaddr_t start, bool (*is)(const void *file));
/* What take() makes of the mapping file of an area that begins at `start`: a reference, or null. It may not sleep. Null: there is no such area. */
void *vm_file_at(struct vm_space *s, uaddr_t start, void *(*take)(void *file));
/*
 * remap_file_pages(2): what maps a range, which must be areas of one shared mapping without holes. Fills object, file (each with a reference), prot,
 * may_prot and flags (VM_SHARED, VM_LOCKED) of *ret, as a request that would map the same again. -EINVAL. May sleep.
 */
int vm_shared_at(struct vm_space *s, uaddr_t start, uint64_t len, struct vm_map_request *ret);
int vm_protect(struct vm_space *s, uaddr_t start, uint64_t len, uint32_t prot);
/* From where the stack begins that `start` is in (PROT_GROWSDOWN); -EINVAL: it is in none. */
int vm_protect_down(struct vm_space *s, uaddr_t start, uint64_t len, uint32_t prot);
int vm_remap(struct vm_space *s, uaddr_t old, uint64_t old_len, uint64_t new_len, uint32_t flags, uaddr_t new_addr, uaddr_t *ret);
uaddr_t vm_brk(struct vm_space *s, uaddr_t wanted); /* the (new or old) break */
/*
 * Memory policies of areas (policy.c). Setting: whole pages; -EFAULT: nothing is mapped there; -ENOMEM. The home node of those that have a policy:
 * -ENOENT: none has; -EOPNOTSUPP: it may have none. Asking: the policy, or -EFAULT. Is a page mapped at addr? 0, -ENOENT; -EFAULT: no area.
 */
int vm_policy_set(struct vm_space *s, uaddr_t start, uaddr_t end, uint32_t policy);
int vm_policy_set_home(struct vm_space *s, uaddr_t start, uaddr_t end, bool (*may_home)(uint32_t policy));
int vm_policy_get(struct vm_space *s, uaddr_t addr);
int vm_page_mapped(struct vm_space *s, uaddr_t addr);

/* madvise(2)'s advice, MADV_*. */
int vm_advise(struct vm_space *s, uaddr_t start, uint64_t len, int advice);
/* A byte a page, bit 0: it is in memory; written to the user address vec of the running thread. */
int vm_mincore(struct vm_space *s, uaddr_t start, uint64_t len, uaddr_t vec);
int vm_sync(struct vm_space *s, uaddr_t start, uint64_t len, int flags);
/* mlock, munlock: marks the areas, and unless `on_fault` brings their pages in. `limit`: RLIMIT_MEMLOCK in bytes. */
int vm_lock(struct vm_space *s, uaddr_t start, uint64_t len, bool lock, bool on_fault, uint64_t limit);
int vm_lock_all(struct vm_space *s, bool now, bool future, bool on_fault, uint64_t limit);
/* Takes the private pages of a space whose processes all end; none comes back. May sleep. */
void vm_release(struct vm_space *s);
/* Brings the pages of a range in, writable ones as if written to. 0, -ENOMEM (a hole in the range, or no memory), -EFAULT, -EINTR (the thread is to exit). */
int vm_populate(struct vm_space *s, uaddr_t start, uint64_t len);

/* Maps the machine's vDSO and its data page, near `hint`; sets s->vdso. 0 (also where the machine has none: vdso is 0 then) or -ENOMEM. */
int vm_map_vdso(struct vm_space *s, uaddr_t hint);

/* A page fault of the running thread: 0, or the signal and si_code to send. */
struct vm_fault_error {
	int signo, code;
};
int vm_fault(uaddr_t addr, enum hal_access access, struct vm_fault_error *ret_error);

/* Reads or writes another (or a not yet active) space, like a debugger: `force` passes over protection. Bytes done, or -EFAULT if none. */
ssize_t vm_access(struct vm_space *s, uaddr_t addr, void *buf, size_t len, bool write, bool force);

/* The first page in [start, end) that is mapped, and not to the page of zeros; `end`: there is none. May sleep. */
uaddr_t vm_next_present(struct vm_space *s, uaddr_t start, uaddr_t end);

/* Looks up the physical page behind a user address of the running thread, faulting it in (for futexes on shared memory): a key that names it. */
struct vm_futex_key {
	uint64_t object, offset; /* (space, address) if private; (vm_object, byte offset) if shared */
};
int vm_futex_key(uaddr_t addr, bool private_hint, struct vm_futex_key *ret);

/* Calls fn for each area in order (read lock held); stops when it returns non-zero and returns that. */
int vm_for_each_area(struct vm_space *s, int (*fn)(struct vm_area *a, void *arg), void *arg);

/* What fn returns of the area that addr lies in (read lock held); -ENOENT: there is none. */
int vm_with_area(struct vm_space *s, uaddr_t addr, int (*fn)(struct vm_area *a, void *arg), void *arg);

/* What areas' pages cost, in bytes; PSS in fractions of one. Adds an area's figures; inside vm_for_each_area(). */
#define VM_PSS_SHIFT 12
enum { VM_USAGE_PRIVATE, VM_USAGE_SHARED };
struct vm_usage {
	uint64_t size, resident, anonymous, referenced, swapped;
	uint64_t pages[2][2]; /* [VM_USAGE_*][is it dirty?] */
	uint64_t pss, pss_dirty, pss_locked, pss_swapped; /* 2^-VM_PSS_SHIFT bytes */
};
void vm_area_usage(struct vm_area *a, struct vm_usage *usage);

#endif
