/* session.c - makes and removes the directory. Its launcher holds a lock on it, which goes with the
 * process however that ends; so what a killed launcher left is known by its lock being free. */
#include "session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file.h"

#define PREFIX "onward-prte."

enum { LEAST_AGE_S = 60 }; /* a younger one may not be locked yet */

static int lock_fd = -1; /* of the one session that this process has */

static int try_lock(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void drop_lock(void)
{
    if (lock_fd >= 0)
        close(lock_fd);
    lock_fd = -1;
}

static void remove_stale(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0 || status.st_uid != geteuid() ||
        status.st_mtime + LEAST_AGE_S > time(NULL))
        return;
    int fd = try_lock(path);
    if (fd < 0)
        return;
    file_remove_tree(path);
    close(fd);
}

static void remove_all_stale(const char *base)
{
    char path[SESSION_PATH_BYTES];
    const struct dirent *entry;
    DIR *entries = opendir(base);
    while (entries && (entry = readdir(entries)) != NULL)
        if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX)) &&
            file_join(path, sizeof path, base, entry->d_name, NULL) == ONWARD_OK)
            remove_stale(path);
    if (entries)
        closedir(entries);
}

void session_remove(char path[SESSION_PATH_BYTES])
{
    if (path[0] != '\0') {
        file_remove_tree(path); /* what cannot be removed stays; nobody else uses its name */
        drop_lock();
    }
    path[0] = '\0';
}

int session_renew(char path[SESSION_PATH_BYTES], struct error *error)
{
    const char *base = getenv("TMPDIR");
    session_remove(path);
    if (!base || !*base)
        base = "/tmp";
    remove_all_stale(base);
    int length = snprintf(path, SESSION_PATH_BYTES, "%s/" PREFIX "XXXXXX", base);
    if (length < SESSION_PATH_BYTES && mkdtemp(path)) {
        lock_fd = try_lock(path); /* without locks there nobody removes it either */
        return ONWARD_OK;
    }
    int problem = length < SESSION_PATH_BYTES ? errno : ENAMETOOLONG;
    path[0] = '\0';
    return error_set_errno(error, ONWARD_ERR_IO, problem, "no directory for mpirun below %s", base);
}
