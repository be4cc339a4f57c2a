// What the walkers meet outside the tracer, shaped like kernels 2.6.24 to 2.6.38. Members that nobody reads stand for the
// ones left out.

typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;
typedef struct { atomic_long_t a; } local_t;
typedef unsigned long size_t;

struct list_head { struct list_head *next, *prev; };
struct hlist_node { struct hlist_node *next, **pprev; };
struct hlist_head { struct hlist_node *first; };
struct kref { atomic_t refcount; };
struct raw_spinlock { unsigned int slock; };
typedef struct { struct raw_spinlock raw_lock; } spinlock_t;
struct __wait_queue_head { spinlock_t lock; struct list_head task_list; };
typedef struct __wait_queue_head wait_queue_head_t;
struct timer_list { struct list_head entry; unsigned long expires; void *function; unsigned long data; void *base; };
struct work_struct { atomic_long_t data; struct list_head entry; void *func; };
struct rcu_head { struct rcu_head *next; void *func; };
struct timeval { long tv_sec; long tv_usec; };

struct new_utsname { char sysname[65]; char nodename[65]; char release[65]; char version[65]; char machine[65]; char domainname[65]; };
struct uts_namespace { struct kref kref; struct new_utsname name; };

struct page {
    unsigned long flags;
    atomic_t _count;
    union { atomic_t _mapcount; unsigned int inuse; };
    union { struct { unsigned long private; void *mapping; }; spinlock_t ptl; void *slab; };
    union { unsigned long index; void *freelist; };
    struct list_head lru;
};

struct percpu_data { void *ptrs[1]; };
struct x8664_pda { void *pcurrent; unsigned long data_offset; unsigned long kernelstack; int cpunumber; };

// debugfs
struct qstr { unsigned int hash; unsigned int len; const unsigned char *name; };
struct file_operations { void *owner; void *llseek; void *read; void *write; void *poll; void *open; void *release; };
struct inode {
    struct hlist_node i_hash;
    struct list_head i_list;
    unsigned long i_ino;
    atomic_t i_count;
    unsigned int i_nlink;
    long long i_size;
    unsigned short i_mode;
    void *i_op;
    const struct file_operations *i_fop;
    struct super_block *i_sb;
    unsigned long i_state;
    void *i_private;
};
struct dentry {
    atomic_t d_count;
    unsigned int d_flags;
    spinlock_t d_lock;
    struct inode *d_inode;
    struct hlist_node d_hash;
    struct dentry *d_parent;
    struct qstr d_name;
    struct list_head d_lru;
    union { struct list_head d_child; struct rcu_head d_rcu; } d_u;
    struct list_head d_subdirs;
    struct list_head d_alias;
    unsigned long d_time;
    void *d_op;
    struct super_block *d_sb;
    void *d_fsdata;
    unsigned char d_iname[36];
};
struct super_block {
    struct list_head s_list;
    unsigned long s_blocksize;
    struct file_system_type *s_type;
    struct dentry *s_root;
    struct list_head s_instances;
    char s_id[32];
};
struct vfsmount { struct list_head mnt_hash; struct vfsmount *mnt_parent; struct dentry *mnt_mountpoint; struct dentry *mnt_root; struct super_block *mnt_sb; };
struct file_system_type { const char *name; int fs_flags; void *owner; struct file_system_type *next; struct list_head fs_supers; };

// memory models
struct mem_section { unsigned long section_mem_map; unsigned long *pageblock_flags; };
struct pglist_data { int nr_zones; struct page *node_mem_map; unsigned long node_start_pfn; unsigned long node_present_pages; unsigned long node_spanned_pages; int node_id; };
