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

struct vm_object {
	struct refcount refs;
	const struct vm_object_ops *ops;
	void *owner;	       /* the owner's */
	struct mutex lock;     /* guards size, pages and mappings */
	uint64_t size;	       /* bytes that are valid; a fault beyond is SIGBUS; UINT64_MAX: no end */
	struct vm_page_map {   /* radix tree: page index → struct page */
		void *root;
		uint8_t levels;
		uint64_t count;
	} pages;
	struct list areas; /* vm_area.object_link: who maps it */
};

struct vm_object *vm_object_create(const struct vm_object_ops *ops, void *owner, uint64_t size);
/* For an object embedded in its owner's storage (an inode). */
void vm_object_init(struct vm_object *o, const struct vm_object_ops *ops, void *owner, uint64_t size);
void vm_object_fini(struct vm_object *o); /* frees all pages */
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
/* The page with a reference; with `create` a hole is filled in. -ENOENT for a hole without. */
int vm_object_page(struct vm_object *o, uint64_t index, bool create, struct page **ret);

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
};

/* Fields: S = by the space's lock; X = also by the object's lock. */
struct vm_area {
	struct rb_node node;	 /* S: by start */
	struct vm_space *space;
	uaddr_t start, end;	 /* S: page aligned */
	uint32_t prot, flags;	 /* S: PROT_*, VM_* */
	uint32_t may_prot;	 /* S: what mprotect may give */
	struct vm_object *object; /* with a reference; null: anonymous private */
	uint64_t object_page;	 /* S: page of the object at start */
	struct list object_link; /* X */
	void *file;		 /* the mapping file with a reference (vm_file_ops), or null */
	const char *name;	 /* static text for /proc/self/maps: "[stack]", "[vdso]" */
};

/* How vm keeps and names mapping files without knowing them; filled by vfs. */
struct vm_file_ops {
	void (*get)(void *file);
	void (*put)(void *file);
	int (*path)(void *file, char *buf, size_t size); /* for /proc/pid/maps; length or an errno */
	void (*identity)(void *file, uint64_t *ret_dev, uint64_t *ret_ino);
};
extern const struct vm_file_ops *vm_file_ops;

#define VM_AREAS_MAX 65530 /* Linux's default vm.max_map_count: ENOMEM beyond */

struct vm_space {
	struct sched_space sched;
	struct refcount users; /* processes (and others) that use it */
	struct rwlock lock;    /* areas, brk */
	struct rb_tree areas;
	uint32_t area_count;
	struct spinlock table_lock; /* page-table entries */
	void *table_root;
	struct vm_area *recent; /* last found */
	uaddr_t map_top;	/* mmap places below this, downwards */
	uaddr_t brk_start, brk_end;
	uaddr_t stack_start, arg_start, arg_end, env_start, env_end, code_start, code_end, data_start, data_end;
	uaddr_t vdso;
	uint64_t resident_pages, anon_pages, total_pages, table_pages, locked_pages, peak_resident; /* figures, atomic */
	uint64_t limit_as, limit_data, limit_stack; /* bytes: copies of RLIMIT_*, set by proc */
	uint64_t faults_minor, faults_major;
	uint64_t auxv[48];
	uint32_t auxv_words;
	void *exe; /* /proc/self/exe: file with a reference, or null; by lock */
};

/* An empty space with one user, or null. */
struct vm_space *vm_space_create(void);
void vm_space_get(struct vm_space *s);
void vm_space_put(struct vm_space *s); /* may sleep */

/* fork: a copy of `from` (the running thread's), private pages copy-on-write. 0 or -ENOMEM. */
int vm_space_fork(struct vm_space *from, struct vm_space **ret);

/* The running thread goes over to `s` (takes over the caller's reference; null: none) and drops its old one. */
void vm_space_switch(struct vm_space *s);

/* What to map. addr 0: the kernel chooses. Flags: MAP_* of linux/mman.h were decoded by the caller into fixed/noreplace and VM_*. */
struct vm_map_request {
	uaddr_t addr;
	uint64_t len;	     /* bytes, rounded up */
	uint32_t prot, flags; /* PROT_*, VM_* */
	uint32_t may_prot;
	bool fixed, noreplace, populate;
	struct vm_object *object; /* borrowed */
	uint64_t object_page;
	void *file; /* borrowed */
	const char *name;
};
/* 0 and the address; -ENOMEM, -EINVAL, -EEXIST, -EPERM. */
int vm_map(struct vm_space *s, const struct vm_map_request *r, uaddr_t *ret);
int vm_unmap(struct vm_space *s, uaddr_t start, uint64_t len);
int vm_protect(struct vm_space *s, uaddr_t start, uint64_t len, uint32_t prot);
int vm_remap(struct vm_space *s, uaddr_t old, uint64_t old_len, uint64_t new_len, uint32_t flags, uaddr_t new_addr, uaddr_t *ret);
uaddr_t vm_brk(struct vm_space *s, uaddr_t wanted); /* the (new or old) break */
int vm_advise(struct vm_space *s, uaddr_t start, uint64_t len, int advice);
int vm_mincore(struct vm_space *s, uaddr_t start, uint64_t len, uaddr_t vec);
int vm_sync(struct vm_space *s, uaddr_t start, uint64_t len, int flags);

/* A page fault of the running thread: 0, or the signal and si_code to send. */
struct vm_fault_error {
	int signo, code;
};
int vm_fault(uaddr_t addr, enum hal_access access, struct vm_fault_error *ret_error);

/* Reads or writes another (or a not yet active) space, like a debugger: `force` passes over protection. Bytes done, or -EFAULT if none. */
ssize_t vm_access(struct vm_space *s, uaddr_t addr, void *buf, size_t len, bool write, bool force);

/* Looks up the physical page behind a user address of the running thread, faulting it in (for futexes on shared memory): a key that names it. */
struct vm_futex_key {
	uint64_t object, offset; /* (space, address) if private; (vm_object, byte offset) if shared */
};
int vm_futex_key(uaddr_t addr, bool private_hint, struct vm_futex_key *ret);

/* Calls fn for each area in order (read lock held); stops when it returns non-zero and returns that. */
int vm_for_each_area(struct vm_space *s, int (*fn)(struct vm_area *a, void *arg), void *arg);

#endif
