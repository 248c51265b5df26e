/* Stands between fewbits and the system's files (LD_PRELOAD), for the tests in this folder. Of the calls that concern
 * files below SHIM_ROOT it can:
 *
 *   SHIM_CALLS=write,fsync  SHIM_AT=N  SHIM_DO=kill     kill the process at the Nth of these calls, before it is done
 *                                      SHIM_DO=torn     kill it with half of the write done
 *                                      SHIM_DO=28       let the call fail with this errno, and (SHIM_ON=1) all after it
 *   SHIM_LOG=FILE     write every call that changes something down, with its data, in the order in which it was done;
 *                     and what goes to standard output, so that it is known what had been reported when.
 *
 * A call is counted and done under one lock. The log: kind (1 byte), two paths and data, each as length (8 bytes) and
 * bytes, then offset (8 bytes); numbers little-endian.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char *paths[FDS];
static const char *root, *calls, *deed;
static long at, seen;
static int log_fd = -1, on, ready;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_pread)(int, void *, size_t, off64_t);
static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_close)(int);
static int (*real_ftruncate)(int, off64_t);
static int (*real_rename)(const char *, const char *), (*real_unlink)(const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_mkdir)(const char *, mode_t), (*real_rmdir)(const char *);

static void begin(void) {
    if (ready) return;
    real_open = dlsym(RTLD_NEXT, "open64"), real_openat = dlsym(RTLD_NEXT, "openat64");
    real_write = dlsym(RTLD_NEXT, "write"), real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64"), real_close = dlsym(RTLD_NEXT, "close");
    real_read = dlsym(RTLD_NEXT, "read"), real_pread = dlsym(RTLD_NEXT, "pread64");
    real_fsync = dlsym(RTLD_NEXT, "fsync"), real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64"), real_rename = dlsym(RTLD_NEXT, "rename");
    real_unlink = dlsym(RTLD_NEXT, "unlink"), real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    real_mkdir = dlsym(RTLD_NEXT, "mkdir"), real_rmdir = dlsym(RTLD_NEXT, "rmdir");
    root = getenv("SHIM_ROOT"), calls = getenv("SHIM_CALLS"), deed = getenv("SHIM_DO");
    at = getenv("SHIM_AT") ? atol(getenv("SHIM_AT")) : 0, on = getenv("SHIM_ON") != NULL;
    if (getenv("SHIM_LOG")) log_fd = real_open(getenv("SHIM_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    ready = 1;
}

static int concerns(const char *path) { return root && path && strncmp(path, root, strlen(root)) == 0; }
static const char *path_of(int fd) { return fd >= 0 && fd < FDS ? paths[fd] : NULL; }

static int listed(const char *call) {
    size_t length = strlen(call);
    for (const char *word = calls; word && *word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL)
        if (strncmp(word, call, length) == 0 && (word[length] == ',' || word[length] == 0)) return 1;
    return 0;
}

/* Counts a call; returns the errno it is to fail with, 0 if it is to be done, or -1 if half of it is. */
static int strike(const char *call, const char *path) {
    if (at == 0 || !concerns(path) || !listed(call)) return 0;
    seen++;
    if (seen != at && !(on && seen > at)) return 0;
    if (strcmp(deed, "kill") == 0) kill(getpid(), SIGKILL), pause();
    return strcmp(deed, "torn") == 0 ? -1 : atoi(deed);
}

static void put(const void *bytes, size_t length) {
    uint64_t size = length;
    real_write(log_fd, &size, 8), real_write(log_fd, bytes, length);
}

static void note(char kind, const char *one, const char *two, const void *data, size_t length, uint64_t offset) {
    if (log_fd < 0 || !(kind == 'S' || concerns(one))) return;
    real_write(log_fd, &kind, 1);
    put(one, strlen(one)), put(two, strlen(two)), put(data, length);
    real_write(log_fd, &offset, 8);
}

#define ENTER begin(); pthread_mutex_lock(&lock); int saved, struck
#define LEAVE(result) do { saved = errno; pthread_mutex_unlock(&lock); errno = saved; return result; } while (0)
#define FAIL(call, path) do { struck = strike(call, path); if (struck > 0) { errno = struck; LEAVE(-1); } } while (0)

static int opened(int fd, const char *path, int flags, int existed) {
    if (fd < 0 || fd >= FDS) return fd;
    free(paths[fd]), paths[fd] = strdup(path);
    if ((flags & O_CREAT) && !existed) note('c', path, "", "", 0, 0);
    if ((flags & O_TRUNC) && existed) note('t', path, "", "", 0, 0);
    return fd;
}

int open64(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; va_end(rest);
    ENTER; FAIL("open", path);
    int existed = access(path, F_OK) == 0, fd = real_open(path, flags, mode);
    LEAVE(opened(fd, path, flags, existed));
}
int open(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; va_end(rest);
    return open64(path, flags, mode);
}

/* Only folders that are removed with all in them are walked through so. */
int openat64(int dir, const char *name, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; va_end(rest);
    ENTER; (void)struck;
    char path[4096];
    snprintf(path, sizeof path, "%s%s%s", dir == AT_FDCWD ? "" : path_of(dir) ? path_of(dir) : "?", dir == AT_FDCWD ? "" : "/", name);
    LEAVE(opened(real_openat(dir, name, flags, mode), path, 0, 1));
}
int openat(int dir, const char *name, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; va_end(rest);
    return openat64(dir, name, flags, mode);
}

int close(int fd) {
    ENTER; (void)struck;
    if (fd >= 0 && fd < FDS) free(paths[fd]), paths[fd] = NULL;
    LEAVE(real_close(fd));
}

static uint64_t place(int fd) {
    struct stat64 stat;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat64(fd, &stat) == 0) return stat.st_size;
    return lseek64(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    ENTER; const char *path = path_of(fd);
    FAIL("write", path);
    if (struck < 0) real_write(fd, bytes, length / 2), kill(getpid(), SIGKILL), pause();
    uint64_t offset = concerns(path) ? place(fd) : 0;
    ssize_t done = real_write(fd, bytes, length);
    if (done > 0 && fd == 1) note('S', "", "", bytes, done, 0);
    else if (done > 0 && path) note('w', path, "", bytes, done, offset);
    LEAVE(done);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = write(fd, parts[i].iov_base, parts[i].iov_len);
        if (done < 0) return all ? all : -1;
        all += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return all;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    ENTER; const char *path = path_of(fd);
    FAIL("write", path);
    if (struck < 0) real_pwrite(fd, bytes, length / 2, offset), kill(getpid(), SIGKILL), pause();
    ssize_t done = real_pwrite(fd, bytes, length, offset);
    if (done > 0 && path) note('w', path, "", bytes, done, offset);
    LEAVE(done);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

ssize_t read(int fd, void *bytes, size_t length) { ENTER; FAIL("read", path_of(fd)); LEAVE(real_read(fd, bytes, length)); }
ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset) {
    ENTER; FAIL("read", path_of(fd)); LEAVE(real_pread(fd, bytes, length, offset));
}
ssize_t pread(int fd, void *bytes, size_t length, off_t offset) { return pread64(fd, bytes, length, offset); }

#define SYNC(name) int name(int fd) { \
    ENTER; const char *path = path_of(fd); FAIL("fsync", path); \
    int done = real_##name(fd); if (done == 0 && path) note('s', path, "", "", 0, 0); LEAVE(done); }
SYNC(fsync)
SYNC(fdatasync)

int ftruncate64(int fd, off64_t length) {
    ENTER; const char *path = path_of(fd); FAIL("truncate", path);
    int done = real_ftruncate(fd, length);
    if (done == 0 && path) note('t', path, "", "", 0, length);
    LEAVE(done);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int rename(const char *from, const char *to) {
    ENTER; FAIL("rename", to);
    int done = real_rename(from, to);
    if (done == 0) note('r', from, to, "", 0, 0);
    LEAVE(done);
}
int unlink(const char *path) {
    ENTER; FAIL("unlink", path);
    int done = real_unlink(path);
    if (done == 0) note('u', path, "", "", 0, 0);
    LEAVE(done);
}
int unlinkat(int dir, const char *name, int flags) {
    ENTER;
    char path[4096];
    snprintf(path, sizeof path, "%s%s%s", dir == AT_FDCWD ? "" : path_of(dir) ? path_of(dir) : "?", dir == AT_FDCWD ? "" : "/", name);
    FAIL("unlink", path);
    int done = real_unlinkat(dir, name, flags);
    if (done == 0) note(flags & AT_REMOVEDIR ? 'd' : 'u', path, "", "", 0, 0);
    LEAVE(done);
}
int mkdir(const char *path, mode_t mode) {
    ENTER; FAIL("mkdir", path);
    int done = real_mkdir(path, mode);
    if (done == 0) note('m', path, "", "", 0, 0);
    LEAVE(done);
}
int rmdir(const char *path) {
    ENTER; FAIL("rmdir", path);
    int done = real_rmdir(path);
    if (done == 0) note('d', path, "", "", 0, 0);
    LEAVE(done);
}
