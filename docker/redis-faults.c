/* What chaos does to Redis from within: preloaded, it lets the clock be set, and the power fail. Never for a service.
 *
 * The clock: what the file CLOCK_AHEAD says is added to the time of day. Monotonic clocks stay as they are, as they do
 * where a real one is set. libfaketime does the same for most programs, but allocates when it is first asked the time,
 * and jemalloc, which Redis has, asks while it cannot allocate yet (wolfcw/libfaketime#130).
 *
 * The power: SIGKILL takes nothing that was written, since the kernel has it, so it does not tell whether Redis waited
 * for the disk. Each file therefore carries the length that it had when it was last synced, and where the file
 * POWER_LOST is there at the start, all else is cut off: the worst that a power failure may leave of files that only
 * grow. Names of files are not taken back. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* Bytes, an off_t. An attribute of the file follows it when it is renamed, as a rewritten one is, and goes with it. It
 * needs no sync itself: only the power of this Redis fails. */
#define SYNCED "user.synced"
/* Where Redis has them by default, in its working directory. */
#define FILES "appendonlydir"

static int clock_file = -1;
/* Redis syncs from its main thread and from another. */
static pthread_mutex_t noting = PTHREAD_MUTEX_INITIALIZER;

static void lock(void) { pthread_mutex_lock(&noting); }

static void unlock(void) { pthread_mutex_unlock(&noting); }

static off_t noted(int file) {
    off_t synced;
    return fgetxattr(file, SYNCED, &synced, sizeof synced) == sizeof synced ? synced : 0;
}

/* What is written while the kernel syncs may not be covered, so the length from before counts. */
static void note(int file, off_t synced) {
    struct stat now;
    lock();
    off_t before = noted(file);
    /* The other thread may have noted more. More than there is was noted of a file that has been cut since. */
    int has_been_cut = !fstat(file, &now) && before > now.st_size;
    if ((synced > before || has_been_cut) && fsetxattr(file, SYNCED, &synced, sizeof synced, 0))
        perror("redis-faults: cannot note what is synced");
    unlock();
}

static int sync_and_note(long call, int file) {
    struct stat before;
    int is_file = !fstat(file, &before) && S_ISREG(before.st_mode);
    int failed = (int)syscall(call, file);
    if (!failed && is_file) note(file, before.st_size);
    return failed;
}

int fsync(int file) { return sync_and_note(SYS_fsync, file); }

int fdatasync(int file) { return sync_and_note(SYS_fdatasync, file); }

/* Whether it has no more than what was synced now. */
static int cut(int directory, const char *name) {
    struct stat now;
    int file = openat(directory, name, O_WRONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &now)) return 0;
    off_t synced = noted(file);
    int done = synced >= now.st_size || !ftruncate(file, synced);
    if (synced < now.st_size)
        dprintf(STDERR_FILENO, "redis-faults: %s had %jd bytes, %jd of them synced\n", name, (intmax_t)now.st_size,
                (intmax_t)synced);
    close(file);
    return done;
}

static int cut_all(void) {
    DIR *directory = opendir(FILES);
    if (!directory) return 0;
    int done = 1;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.') done &= cut(dirfd(directory), entry->d_name);
    closedir(directory);
    return done;
}

__attribute__((constructor)) static void begin(void) {
    const char *ahead = getenv("CLOCK_AHEAD"), *power_lost = getenv("POWER_LOST");
    /* Redis forks to rewrite its file, and the child syncs: a lock that the other thread held would be held for ever. */
    pthread_atfork(lock, unlock, unlock);
    if (ahead) clock_file = open(ahead, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    /* Once. It stays if something could not be cut, so that whoever made it sees that nothing is proven. */
    if (power_lost && !access(power_lost, F_OK) && cut_all()) unlink(power_lost);
}

/* Seconds, in decimal; none in an empty file. */
static time_t ahead(void) {
    char text[8];
    time_t seconds = 0;
    ssize_t length = clock_file < 0 ? 0 : pread(clock_file, text, sizeof text, 0);
    for (ssize_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++) seconds = 10 * seconds + text[i] - '0';
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone; /* Nobody has asked for it since 4.3BSD. */
    int failed = clock_gettime(CLOCK_REALTIME, &precise);
    *now = (struct timeval){.tv_sec = precise.tv_sec, .tv_usec = precise.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
