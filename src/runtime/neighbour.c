/* neighbour.c - see neighbour.h. */
#include "neighbour.h"

#include <stdio.h>
#include <string.h>

enum { STAT_BYTES = 512 };

size_t neighbour_read(const char *path, char *bytes, size_t room)
{
    FILE *file = fopen(path, "rbe");
    size_t size = file ? fread(bytes, 1, room - 1, file) : 0;
    if (file)
        fclose(file);
    bytes[size] = '\0';
    return size;
}

bool neighbour_look(long pid, char *state, long *parent)
{
    char path[64], text[STAT_BYTES];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    neighbour_read(path, text, sizeof text);
    const char *name_end = strrchr(text, ')'); /* a name may have blanks and brackets */
    return name_end && sscanf(name_end + 1, " %c %ld", state, parent) == 2;
}
