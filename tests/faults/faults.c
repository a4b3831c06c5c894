/* Preloaded into a process, fails or kills it at its n-th call that writes below a folder; see fault_injection.py.
 *
 * FAULTS_BELOW: the folder. FAULTS_AT: which call, from 1. FAULTS_ERRNO: with what it fails; 0 kills the process.
 * FAULTS_LOG: a file that gets a line a call.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int calls;

static int fails(const char *name, const char *path) {
    const char *below = getenv("FAULTS_BELOW"), *at = getenv("FAULTS_AT"), *log = getenv("FAULTS_LOG");
    char line[4400];
    if (!below || !path || strncmp(path, below, strlen(below))) return 0;
    int call = ++calls;
    if (log) {
        int file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT, 0644);
        syscall(SYS_write, file, line, snprintf(line, sizeof line, "%s %s\n", name, path + strlen(below)));
        syscall(SYS_close, file);
    }
    if (!at || call != atoi(at)) return 0;
    errno = atoi(getenv("FAULTS_ERRNO"));
    if (!errno) kill(getpid(), SIGKILL);
    return 1;
}

static int fails_at(const char *name, int file) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return fails(name, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define AT_FILE(kind, name, given, ...) \
    kind name given { return fails_at(#name, file) ? -1 : REAL(name)(__VA_ARGS__); }
#define AT_PATH(name, given, ...) \
    int name given { return fails(#name, path) ? -1 : REAL(name)(__VA_ARGS__); }
#define OPEN(name, given, ...) \
    int name given { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = va_arg(more, mode_t); \
        va_end(more); \
        return flags & (O_WRONLY | O_RDWR) && fails(#name, path) ? -1 : REAL(name)(__VA_ARGS__, mode); \
    }

OPEN(open, (const char *path, int flags, ...), path, flags)
OPEN(open64, (const char *path, int flags, ...), path, flags)
OPEN(openat, (int folder, const char *path, int flags, ...), folder, path, flags)
OPEN(openat64, (int folder, const char *path, int flags, ...), folder, path, flags)
AT_FILE(ssize_t, write, (int file, const void *data, size_t n), file, data, n)
AT_FILE(ssize_t, writev, (int file, const struct iovec *parts, int n), file, parts, n)
AT_FILE(ssize_t, pwrite, (int file, const void *data, size_t n, off_t at), file, data, n, at)
AT_FILE(ssize_t, pwrite64, (int file, const void *data, size_t n, off64_t at), file, data, n, at)
AT_FILE(int, fsync, (int file), file)
AT_FILE(int, fdatasync, (int file), file)
AT_FILE(int, ftruncate, (int file, off_t n), file, n)
AT_FILE(int, ftruncate64, (int file, off64_t n), file, n)
AT_PATH(mkdir, (const char *path, mode_t mode), path, mode)
AT_PATH(unlink, (const char *path), path)
AT_PATH(rename, (const char *path, const char *new), path, new)
AT_PATH(link, (const char *path, const char *new), path, new)
AT_PATH(renameat, (int folder, const char *path, int other, const char *new), folder, path, other, new)
AT_PATH(linkat, (int folder, const char *path, int other, const char *new, int flags), folder, path, other, new, flags)
