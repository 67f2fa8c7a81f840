/* find.c - where programs are. */
#include "find.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_executable(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* directory/name into path, if that can be executed. */
static bool found_in(const char *directory, size_t directory_bytes, const char *name, char *path,
                     size_t path_bytes)
{
    int size = directory_bytes
                   ? snprintf(path, path_bytes, "%.*s/%s", (int)directory_bytes, directory, name)
                   : snprintf(path, path_bytes, "%s", name);
    return size > 0 && (size_t)size < path_bytes && is_executable(path);
}

static bool found_in_path(const char *name, char *path, size_t path_bytes)
{
    const char *directories = getenv("PATH");
    while (directories) {
        size_t length = strcspn(directories, ":");
        if (found_in(directories, length, name, path, path_bytes))
            return true;
        directories = directories[length] ? directories + length + 1 : NULL;
    }
    return false;
}

int find_program(const char *name, char *path, size_t path_bytes, struct error *error)
{
    bool found = strchr(name, '/') ? found_in("", 0, name, path, path_bytes)
                                   : found_in_path(name, path, path_bytes);
    if (found)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_INPUT, "%s: expected a program that can be executed%s", name,
                     strchr(name, '/') ? "" : ", in a directory of PATH");
}

int find_agent(const char *agent, struct error *error)
{
    char program[PATH_MAX], path[PATH_MAX], text[ERROR_TEXT_BYTES];
    const char *begin = agent + strspn(agent, " ");
    snprintf(program, sizeof program, "%.*s", (int)strcspn(begin, " "), begin);
    int code = find_program(program, path, sizeof path, error);
    if (code == ONWARD_OK || !error)
        return code;
    snprintf(text, sizeof text, "%s", error->text);
    return error_set(error, code, "--agent: %s", text);
}

/* The directory of this executable; a build tree may have it in .libs below its wrapper. */
static bool own_directory(char *path, size_t path_bytes)
{
    ssize_t length = readlink("/proc/self/exe", path, path_bytes - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    *slash = '\0';
    slash = strrchr(path, '/');
    if (slash && !strcmp(slash, "/.libs"))
        *slash = '\0';
    return true;
}

int find_own(const char *name, const char *variable, char *path, size_t path_bytes,
             struct error *error)
{
    const char *given = getenv(variable);
    char directory[PATH_MAX];
    if (given && *given)
        return find_program(given, path, path_bytes, error);
    if (own_directory(directory, sizeof directory) &&
        found_in(directory, strlen(directory), name, path, path_bytes))
        return ONWARD_OK;
    if (found_in(ONWARD_LIBEXECDIR, strlen(ONWARD_LIBEXECDIR), name, path, path_bytes) ||
        found_in(ONWARD_BINDIR, strlen(ONWARD_BINDIR), name, path, path_bytes) ||
        found_in_path(name, path, path_bytes))
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_NOT_FOUND,
                     "%s: expected beside onward, in %s, in %s or in PATH; $%s can name it", name,
                     ONWARD_LIBEXECDIR, ONWARD_BINDIR, variable);
}

int find_mpirun(const char *given, char *path, size_t path_bytes, struct error *error)
{
    const char *variable = getenv("ONWARD_MPIRUN");
    if (!given && variable && *variable)
        given = variable;
    if (given)
        return find_program(given, path, path_bytes, error);
    if (found_in("", 0, ONWARD_MPIRUN, path, path_bytes))
        return ONWARD_OK;
    return find_program("mpirun", path, path_bytes, error);
}
