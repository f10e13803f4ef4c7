#include "query.h"

#include <string.h>

bytes query_of(bytes path) {
    const char *mark = path.length > 0 ? memchr(path.ptr, '?', path.length) : NULL;
    if (mark == NULL) return (bytes){"", 0};
    size_t before = (size_t)(mark - path.ptr) + 1;
    return (bytes){mark + 1, path.length - before};
}

bool next_parameter(bytes *query, parameter *next) {
    if (query->length == 0) return false;
    const char *end = memchr(query->ptr, '&', query->length);
    size_t length = end ? (size_t)(end - query->ptr) : query->length;
    const char *equals = length > 0 ? memchr(query->ptr, '=', length) : NULL;
    size_t named = equals ? (size_t)(equals - query->ptr) : length;
    next->name = (bytes){query->ptr, named};
    next->has_value = equals != NULL;
    next->value = equals ? (bytes){equals + 1, length - named - 1} : (bytes){"", 0};
    size_t past = end ? length + 1 : length;
    query->ptr += past;
    query->length -= past;
    return true;
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next character, and past it. An escape that is none stands for itself. */
static char character(bytes *from) {
    char c = *from->ptr;
    size_t past = 1;
    if (c == '+') c = ' ';
    if (c == '%' && from->length > 2 && digit(from->ptr[1]) >= 0 && digit(from->ptr[2]) >= 0) {
        c = (char)(digit(from->ptr[1]) * 16 + digit(from->ptr[2]));
        past = 3;
    }
    from->ptr += past;
    from->length -= past;
    return c;
}

bytes unescaped(bytes written, char *room, size_t size) {
    size_t length = 0;
    while (written.length > 0 && length < size) room[length++] = character(&written);
    return (bytes){room, length};
}

bool written_as(bytes written, bytes name) {
    size_t at = 0;
    while (written.length > 0 && at < name.length)
        if (character(&written) != name.ptr[at++]) return false;
    return written.length == 0 && at == name.length;
}
