/*
 * A machine that misbehaves. Stands between the program and the C library: adds to the wall clock, and lets every change below
 * one directory fail, as long as it is told to.
 *
 * Loaded with LD_PRELOAD. MACHINE names a file of four 64-bit numbers, MACHINE_ROOT the directory. Two numbers are the test's:
 * the seconds that are added to the wall clock, and the number of the error that changes fail with, or 0. Two are counted
 * here: how often the wall clock was read, and how many changes failed. The file is memory that both sides share, so that to look at it
 * is no system call: some processes that load this have given up to make any but a few.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { ADDED, ERROR, READ, FAILED, NUMBERS };

static int64_t *machine;
static const char *root;
static size_t root_length;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("MACHINE");
    root = getenv("MACHINE_ROOT");
    if (!file || !root) return;
    root_length = strlen(root);
    int fd = REAL(open)(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    void *at = mmap(NULL, NUMBERS * sizeof *machine, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) abort();
    REAL(close)(fd);
    machine = at;
}

static int64_t told(int number) { return machine ? __atomic_load_n(&machine[number], __ATOMIC_SEQ_CST) : 0; }

static void count(int number) {
    if (machine) __atomic_add_fetch(&machine[number], 1, __ATOMIC_SEQ_CST);
}

static int64_t added(void) {
    count(READ);
    return told(ADDED);
}

int clock_gettime(clockid_t clock, struct timespec *into) {
    static int (*before)(clockid_t, struct timespec *);
    if (!before) before = REAL(clock_gettime);
    int done = before(clock, into);
    if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) into->tv_sec += added();
    return done;
}

int gettimeofday(struct timeval *restrict into, void *restrict zone) {
    int done = REAL(gettimeofday)(into, zone);
    if (!done) into->tv_sec += added();
    return done;
}

time_t time(time_t *into) {
    time_t now = REAL(time)(NULL) + added();
    if (into) *into = now;
    return now;
}

static int is_below(const char *path) {
    return path && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* Says whether a change of this path is to fail. */
static int refuses(const char *path) {
    int64_t error = told(ERROR);
    if (!error || !is_below(path)) return 0;
    count(FAILED);
    errno = (int)error;
    return 1;
}

/* The same of a file that is open. */
static int refuses_file(int fd) {
    if (!told(ERROR)) return 0;
    int before = errno;
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return refuses(path);
}

#define OPENER(name)                                                                                                   \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;                                      \
        va_end(rest);                                                                                                  \
        int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));                                 \
        return writes && refuses(path) ? -1 : REAL(name)(path, flags, mode);                                           \
    }
OPENER(open)
OPENER(open64)

#define BY_FILE(answer, name, signature, call)                                                                         \
    answer name signature { return refuses_file(fd) ? -1 : REAL(name) call; }
BY_FILE(ssize_t, write, (int fd, const void *bytes, size_t length), (fd, bytes, length))
BY_FILE(ssize_t, writev, (int fd, const struct iovec *parts, int parts_count), (fd, parts, parts_count))
BY_FILE(ssize_t, pwrite, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at))
BY_FILE(ssize_t, pwrite64, (int fd, const void *bytes, size_t length, off64_t at), (fd, bytes, length, at))
BY_FILE(int, ftruncate, (int fd, off_t length), (fd, length))
BY_FILE(int, ftruncate64, (int fd, off64_t length), (fd, length))
BY_FILE(int, fsync, (int fd), (fd))
BY_FILE(int, fdatasync, (int fd), (fd))

#define BY_PATH(name, signature, call)                                                                                 \
    int name signature { return refuses(path) ? -1 : REAL(name) call; }
BY_PATH(rename, (const char *path, const char *to), (path, to))
BY_PATH(unlink, (const char *path), (path))
BY_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
