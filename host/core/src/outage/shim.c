/*
 * Stands between a test's child process and the C library. For files below one directory it writes down every change, in
 * order, and lets the nth one fail. Nothing is ever synced: what a sync would have kept is worked out from the record.
 *
 * Loaded with LD_PRELOAD. OUTAGE_ROOT names the directory, OUTAGE_RECORD the file for the record. What is written to a file
 * named `control` there is a note for the record, or a request: see `control`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, CLOSE, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, NOTE, FAILED };
enum { STRANGE, OURS, CONTROL };
enum { FILES = 65536 };

struct head {
    uint32_t op;
    int32_t fd;
    int64_t at;
    uint64_t length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static size_t root_length;
static int record = -1;
static unsigned char files[FILES];

/* Changes so far, and which of them fail: those from `first` on, until `times` have. */
static long changes, first, times, failed;
static int fails_with;
/* A write that fails has first written half of what it should. */
static int writes_half;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *to = getenv("OUTAGE_RECORD");
    root = getenv("OUTAGE_ROOT");
    if (!root || !to) return;
    root_length = strlen(root);
    record = REAL(open)(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (record < 0) abort();
}

static void put(const void *bytes, size_t length) {
    while (length) {
        ssize_t done = REAL(write)(record, bytes, length);
        if (done < 0) abort();
        bytes = (const char *)bytes + done;
        length -= (size_t)done;
    }
}

static void log_it(uint32_t op, int fd, int64_t at, const void *bytes, size_t length) {
    int before = errno;
    struct head head = {op, fd, at, length};
    put(&head, sizeof head);
    put(bytes, length);
    errno = before;
}

static int is_ours(const char *path) {
    if (record < 0 || !path || strncmp(path, root, root_length) || path[root_length] != '/') return 0;
    /* The index of SQLite's log is memory that readers share, and made anew where nobody has it. */
    size_t length = strlen(path);
    return !(length > 4 && !strcmp(path + length - 4, "-shm"));
}

static int kind(int fd) { return record >= 0 && fd >= 0 && fd < FILES ? files[fd] : STRANGE; }

/* Counts a change, and says whether it is to fail. */
static int refuse(void) {
    changes++;
    if (!first || changes < first || failed >= times) return 0;
    failed++;
    log_it(FAILED, -1, 0, "", 0);
    errno = fails_with;
    return 1;
}

/* `fail FIRST TIMES ERRNO HALF`, counted from now; `fired` writes nothing where none has failed; all else is a note. */
static ssize_t control(const char *text, size_t length) {
    char line[256] = {0};
    memcpy(line, text, length < sizeof line - 1 ? length : sizeof line - 1);
    if (!strncmp(line, "fired", 5)) return failed ? (ssize_t)length : 0;
    if (sscanf(line, "fail %ld %ld %d %d", &first, &times, &fails_with, &writes_half) == 4) {
        changes = failed = 0;
    } else {
        log_it(NOTE, -1, 0, text, length);
    }
    return (ssize_t)length;
}

static int open_ours(const char *path, int flags, mode_t mode) {
    int (*opened)(const char *, int, ...) = REAL(open);
    if (!is_ours(path)) return opened(path, flags, mode);
    const char *name = strrchr(path, '/') + 1;
    pthread_mutex_lock(&lock);
    struct stat stat;
    int is_control = !strcmp(name, "control");
    int makes = (flags & O_CREAT) && lstat(path, &stat) != 0;
    int fd = -1;
    if (!makes || is_control || !refuse()) fd = opened(path, flags, mode);
    if (fd >= FILES) abort();
    if (fd >= 0) {
        files[fd] = is_control ? CONTROL : OURS;
        int64_t how = makes | (flags & O_TRUNC && !makes ? 2 : 0);
        if (!is_control) log_it(OPEN, fd, how, path, strlen(path));
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPENER(name)                                                                                                   \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;                                      \
        va_end(rest);                                                                                                  \
        return open_ours(path, flags, mode);                                                                           \
    }
OPENER(open)
OPENER(open64)

int close(int fd) {
    if (kind(fd) == STRANGE) return REAL(close)(fd);
    pthread_mutex_lock(&lock);
    if (files[fd] == OURS) log_it(CLOSE, fd, 0, "", 0);
    files[fd] = STRANGE;
    int done = REAL(close)(fd);
    pthread_mutex_unlock(&lock);
    return done;
}

static ssize_t write_ours(int fd, const void *bytes, size_t length, off_t at, int moves) {
    ssize_t (*put_at)(int, const void *, size_t, off_t) = REAL(pwrite);
    pthread_mutex_lock(&lock);
    ssize_t done;
    if (files[fd] == CONTROL) {
        done = control(bytes, length);
    } else {
        if (moves) at = lseek(fd, 0, SEEK_CUR);
        if (!refuse()) {
            done = put_at(fd, bytes, length, at);
        } else if (writes_half && length > 1) {
            /* As a disk does that fills up: some is written, and the next try says why not more. */
            done = put_at(fd, bytes, length / 2, at);
            times++;
        } else {
            done = -1;
        }
        if (done > 0) {
            log_it(WRITE, fd, at, bytes, (size_t)done);
            if (moves) lseek(fd, at + done, SEEK_SET);
        }
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return kind(fd) == STRANGE ? REAL(write)(fd, bytes, length) : write_ours(fd, bytes, length, 0, 1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (kind(fd) == STRANGE) return REAL(writev)(fd, parts, count);
    return count > 0 ? write_ours(fd, parts[0].iov_base, parts[0].iov_len, 0, 1) : 0;
}

#define WRITER(name)                                                                                                   \
    ssize_t name(int fd, const void *bytes, size_t length, off_t at) {                                                 \
        return kind(fd) == STRANGE ? REAL(name)(fd, bytes, length, at) : write_ours(fd, bytes, length, at, 0);         \
    }
WRITER(pwrite)
WRITER(pwrite64)

#define CUTTER(name)                                                                                                   \
    int name(int fd, off_t length) {                                                                                   \
        if (kind(fd) == STRANGE) return REAL(name)(fd, length);                                                        \
        pthread_mutex_lock(&lock);                                                                                     \
        int done = refuse() ? -1 : REAL(name)(fd, length);                                                             \
        if (!done) log_it(TRUNCATE, fd, length, "", 0);                                                                \
        pthread_mutex_unlock(&lock);                                                                                   \
        return done;                                                                                                   \
    }
CUTTER(ftruncate)
CUTTER(ftruncate64)

#define SYNCER(name)                                                                                                   \
    int name(int fd) {                                                                                                 \
        if (kind(fd) == STRANGE) return REAL(name)(fd);                                                                \
        pthread_mutex_lock(&lock);                                                                                     \
        int done = refuse() ? -1 : 0;                                                                                  \
        if (!done) log_it(SYNC, fd, 0, "", 0);                                                                         \
        pthread_mutex_unlock(&lock);                                                                                   \
        return done;                                                                                                   \
    }
SYNCER(fsync)
SYNCER(fdatasync)

int rename(const char *from, const char *to) {
    if (!is_ours(from)) return REAL(rename)(from, to);
    pthread_mutex_lock(&lock);
    int done = refuse() ? -1 : REAL(rename)(from, to);
    if (!done) {
        char both[8192];
        int length = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
        if (length < 0 || (size_t)length >= sizeof both) abort();
        log_it(RENAME, -1, 0, both, (size_t)length);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

#define BY_PATH(name, op, signature, call)                                                                             \
    int name signature {                                                                                               \
        if (!is_ours(path)) return REAL(name) call;                                                                    \
        pthread_mutex_lock(&lock);                                                                                     \
        int done = refuse() ? -1 : REAL(name) call;                                                                    \
        if (!done) log_it(op, -1, 0, path, strlen(path));                                                              \
        pthread_mutex_unlock(&lock);                                                                                   \
        return done;                                                                                                   \
    }
BY_PATH(unlink, UNLINK, (const char *path), (path))
BY_PATH(mkdir, MKDIR, (const char *path, mode_t mode), (path, mode))
