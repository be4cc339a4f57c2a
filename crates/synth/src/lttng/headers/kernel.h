// What the tracer's structures need of the kernel, and what leads to the daemon's open files.

typedef struct { u8 b[16]; } uuid_le;
struct cpumask { unsigned long bits[1]; };
typedef struct cpumask CPUMASK;
struct vfs_path { void *mnt; struct dentry *dentry; };
struct file { unsigned long f_u; struct vfs_path f_path; const struct file_operations *f_op; long long f_pos; void *private_data; };
struct fdtable { unsigned int max_fds; struct file **fd; };
struct files_struct { atomic_t count; struct fdtable *fdt; struct fdtable fdtab; };
struct task_struct { unsigned long state; struct list_head tasks; int pid; char comm[16]; struct files_struct *files; };
struct lttng_transport { const char *name; void *owner; struct list_head node; };

// Another driver's structure of a common name.
unit drivers/net/ppp/ppp_generic.c;
struct channel { struct list_head list; void *ppp; unsigned int mtu; unsigned long commit_count; };
unit;
