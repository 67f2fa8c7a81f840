/* library_use.c - looks for the library's name in the file; and asks the file's own dynamic linker
 * for its libraries, which runs nothing of the program. */
#include "library_use.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quick.h"

static const char library[] = "libonward";
static const double list_limit_s = 10;

/* The path of the dynamic linker that the file asks for, within its bytes; NULL: none. */
static const char *linker_of(const unsigned char *bytes, size_t size)
{
    Elf64_Ehdr head;
    Elf64_Phdr part;
    if (size < sizeof head || memcmp(bytes, ELFMAG, SELFMAG) != 0 || bytes[EI_CLASS] != ELFCLASS64)
        return NULL;
    memcpy(&head, bytes, sizeof head);
    for (unsigned i = 0; i < head.e_phnum; i++) {
        uint64_t at = head.e_phoff + (uint64_t)i * sizeof part;
        if (at > size || size - at < sizeof part)
            return NULL;
        memcpy(&part, bytes + at, sizeof part);
        bool fits = part.p_offset <= size && part.p_filesz <= size - part.p_offset;
        if (part.p_type == PT_INTERP && fits && part.p_filesz > 0 &&
            bytes[part.p_offset + part.p_filesz - 1] == '\0')
            return (const char *)bytes + part.p_offset;
    }
    return NULL;
}

static bool is_among_libraries(const char *linker, const char *path)
{
    static struct quick_result result;
    char *const command[] = {(char *)linker, (char *)"--list", (char *)path, NULL};
    return quick_run(command, list_limit_s, &result, NULL) == ONWARD_OK &&
           strstr(result.output, library) != NULL;
}

bool library_is_used(const char *path)
{
    struct stat status;
    bool is_used = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &status) == 0 && status.st_size > 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return false;
    size_t size = (size_t)status.st_size;
    const char *linker = linker_of(bytes, size);
    is_used = memmem(bytes, size, library, sizeof library - 1) ||
              (linker && is_among_libraries(linker, path));
    munmap(bytes, size);
    return is_used;
}
