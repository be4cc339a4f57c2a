// modules
struct attribute { const char *name; void *owner; unsigned int mode; };
struct module_attribute { struct attribute attr; void *show; void *store; };
ATTRIBUTES
struct kernel_symbol { unsigned long value; const char *name; };
PARTS
struct module {
    unsigned int state;
    struct list_head list;
    char name[MODULE_NAME_LEN];
    BUILD_ID
    const char *version;
    const char *srcversion;
    const struct kernel_symbol *syms;
    unsigned int num_syms;
    const struct kernel_symbol *gpl_syms;
    unsigned int num_gpl_syms;
    REGIONS
    void *percpu;
    SYMBOLS
    struct module_sect_attrs *sect_attrs;
};
