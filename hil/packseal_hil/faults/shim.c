/* Lets system calls on chosen files fail on command. For LD_PRELOAD; packseal_hil/faults/shim.py builds and steers it.
 *
 * PACKSEAL_FAULTS names the file through which it is steered, a `struct order` that both sides map. Calls on other files,
 * and all calls while nothing is ordered, go through.
 *
 * With PACKSEAL_FAULTS_DEVICE, a directory, it also keeps there what a device would hold of each database and write-ahead
 * log: what was written counts from the next sync that succeeds, and what a failed sync was to bring to the disk is
 * lost, although the program still reads it. That is what Linux does: it marks pages as clean whose write-back failed,
 * and the next fsync(2) succeeds (https://lwn.net/Articles/752063/).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, TRUNCATE = 8, READ = 16, MAP = 32, RENAME = 64, UNLINK = 128 };

struct order {
    _Atomic uint32_t calls; /* 0: nothing is ordered */
    int32_t error;          /* errno; 0: every other write is cut in half, those between fail with ENOSPC */
    uint32_t skip;          /* so many matching calls go through first */
    uint32_t times;         /* then so many fail */
    _Atomic uint32_t seen;
    _Atomic uint32_t hits;
    uint32_t unused[2];
    char path[224]; /* how the file's path ends; a path that ends in '/': that folder and all below it */
};

static struct order *order;
static const char *device;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("PACKSEAL_FAULTS");
    device = getenv("PACKSEAL_FAULTS_DEVICE");
    int fd = path ? REAL(open64)(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = REAL(mmap64)(NULL, sizeof(struct order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) order = map;
}

static void path_of(int fd, char path[4096]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 4095);
    path[length < 0 ? 0 : length] = 0;
    char *gone = strstr(path, " (deleted)");
    if (gone) *gone = 0;
}

static int matches(const char *path) {
    size_t wanted = strlen(order->path), length = strlen(path);
    if (!wanted) return 0;
    if (order->path[wanted - 1] == '/' && length == wanted - 1) return strncmp(path, order->path, length) == 0;
    if (order->path[wanted - 1] == '/') return strncmp(path, order->path, wanted) == 0;
    return length >= wanted && strcmp(path + length - wanted, order->path) == 0;
}

/* Returns 0 to let the call through, else which failing call this is, from 1 on. */
static uint32_t fails_at(const char *path, uint32_t call) {
    if (!order || !(order->calls & call) || !matches(path)) return 0;
    uint32_t number = atomic_fetch_add(&order->seen, 1);
    if (number < order->skip || number - order->skip >= order->times) return 0;
    return atomic_fetch_add(&order->hits, 1) + 1;
}

static uint32_t fails(int fd, uint32_t call) {
    char path[4096];
    if (!order || !(order->calls & call)) return 0;
    path_of(fd, path);
    return fails_at(path, call);
}

static int refuse(void) {
    errno = order->error ? order->error : ENOSPC;
    return -1;
}

/* --- what the device holds --- */

struct change {
    struct change *next;
    off_t at;
    ssize_t length; /* -1: the file is cut at `at` */
    char data[];
};

struct kept {
    struct kept *next;
    struct change *first, **last;
    char name[256];
};

static struct kept *kept;

static struct kept *kept_of(int fd) {
    char path[4096];
    if (!device) return NULL;
    path_of(fd, path);
    const char *name = strrchr(path, '/');
    size_t length = strlen(path);
    int watched = length > 4 && (!strcmp(path + length - 3, ".db") || !strcmp(path + length - 4, "-wal"));
    if (!name || !watched) return NULL;
    struct kept *one = kept;
    while (one && strcmp(one->name, name + 1)) one = one->next;
    if (!one) {
        one = calloc(1, sizeof *one);
        snprintf(one->name, sizeof one->name, "%s", name + 1);
        one->last = &one->first;
        one->next = kept;
        kept = one;
    }
    return one;
}

static void note(int fd, const void *data, ssize_t length, off_t at) {
    int before = errno;
    pthread_mutex_lock(&turn);
    struct kept *file = kept_of(fd);
    if (file) {
        struct change *change = malloc(sizeof *change + (length > 0 ? (size_t)length : 0));
        change->next = NULL;
        change->at = at;
        change->length = length;
        if (length > 0) memcpy(change->data, data, (size_t)length);
        *file->last = change;
        file->last = &change->next;
    }
    pthread_mutex_unlock(&turn);
    errno = before;
}

static void settle(int fd, int reached) {
    int before = errno;
    pthread_mutex_lock(&turn);
    struct kept *file = kept_of(fd);
    if (file) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", device, file->name);
        int copy = reached ? REAL(open64)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
        while (file->first) {
            struct change *change = file->first;
            file->first = change->next;
            if (copy >= 0 && change->length < 0 && REAL(ftruncate64)(copy, change->at)) abort();
            if (copy >= 0 && change->length > 0 &&
                REAL(pwrite64)(copy, change->data, (size_t)change->length, change->at) != change->length)
                abort();
            free(change);
        }
        file->last = &file->first;
        if (copy >= 0) close(copy);
    }
    pthread_mutex_unlock(&turn);
    errno = before;
}

/* --- the calls --- */

static mode_t mode_of(int flags, va_list more) {
    return (flags & (O_CREAT | __O_TMPFILE)) ? (mode_t)va_arg(more, int) : 0;
}

#define OPENER(name)                                          \
    int name(const char *path, int flags, ...) {              \
        va_list more;                                         \
        va_start(more, flags);                                \
        mode_t mode = mode_of(flags, more);                   \
        va_end(more);                                         \
        if (fails_at(path, OPEN)) return refuse();            \
        return REAL(name)(path, flags, mode);                 \
    }
OPENER(open)
OPENER(open64)

#define OPENER_AT(name)                                       \
    int name(int at, const char *path, int flags, ...) {      \
        va_list more;                                         \
        va_start(more, flags);                                \
        mode_t mode = mode_of(flags, more);                   \
        va_end(more);                                         \
        if (fails_at(path, OPEN)) return refuse();            \
        return REAL(name)(at, path, flags, mode);             \
    }
OPENER_AT(openat)
OPENER_AT(openat64)

/* Cuts the length of a write in half where that is ordered; returns 0 where it fails. */
static int may_write(int fd, size_t *length) {
    uint32_t hit = fails(fd, WRITE);
    if (!hit) return 1;
    if (order->error || hit % 2 == 0 || *length < 2) {
        refuse();
        return 0;
    }
    *length /= 2;
    return 1;
}

#define WRITER(name, offset)                                                        \
    ssize_t name(int fd, const void *data, size_t length, offset at) {              \
        if (!may_write(fd, &length)) return -1;                                     \
        ssize_t written = REAL(name)(fd, data, length, at);                         \
        if (written > 0) note(fd, data, written, at);                               \
        return written;                                                             \
    }
WRITER(pwrite, off_t)
WRITER(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t length) {
    return may_write(fd, &length) ? REAL(write)(fd, data, length) : -1;
}

#define READER(name, offset)                                             \
    ssize_t name(int fd, void *data, size_t length, offset at) {         \
        if (fails(fd, READ)) return refuse();                            \
        return REAL(name)(fd, data, length, at);                         \
    }
READER(pread, off_t)
READER(pread64, off64_t)

ssize_t read(int fd, void *data, size_t length) {
    if (fails(fd, READ)) return refuse();
    return REAL(read)(fd, data, length);
}

#define SYNCER(name)                           \
    int name(int fd) {                         \
        if (fails(fd, SYNC)) {                 \
            settle(fd, 0);                     \
            return refuse();                   \
        }                                      \
        int result = REAL(name)(fd);           \
        if (result == 0) settle(fd, 1);        \
        return result;                         \
    }
SYNCER(fsync)
SYNCER(fdatasync)

#define CUTTER(name, offset)                                \
    int name(int fd, offset length) {                       \
        if (fails(fd, TRUNCATE)) return refuse();           \
        int result = REAL(name)(fd, length);                \
        if (result == 0) note(fd, NULL, -1, length);        \
        return result;                                      \
    }
CUTTER(ftruncate, off_t)
CUTTER(ftruncate64, off64_t)

#define MAPPER(name, offset)                                                                  \
    void *name(void *where, size_t length, int protection, int flags, int fd, offset at) {    \
        if (fd >= 0 && fails(fd, MAP)) {                                                      \
            refuse();                                                                         \
            return MAP_FAILED;                                                                \
        }                                                                                     \
        return REAL(name)(where, length, protection, flags, fd, at);                          \
    }
MAPPER(mmap, off_t)
MAPPER(mmap64, off64_t)

int rename(const char *from, const char *to) {
    return fails_at(to, RENAME) ? refuse() : REAL(rename)(from, to);
}

int unlink(const char *path) {
    return fails_at(path, UNLINK) ? refuse() : REAL(unlink)(path);
}
