#include "items.h"

#include <stdlib.h>
#include <string.h>

static const bytes NOTHING = {"", 0};

items items_of(bytes text) {
    items from = {text.ptr, text.ptr ? text.ptr + text.length : NULL, false};
    return from;
}

static bytes refuse(items *from) {
    from->bad = true;
    return NOTHING;
}

bytes next_item(items *from) {
    size_t length = 0;
    const char *at = from->at;
    if (from->bad) return NOTHING;
    while (at < from->end && *at >= '0' && *at <= '9') {
        if (length > (size_t)(from->end - from->at)) return refuse(from);
        length = length * 10 + (size_t)(*at++ - '0');
    }
    if (at == from->at || at >= from->end || *at != ':') return refuse(from);
    at++;
    if (length > (size_t)(from->end - at)) return refuse(from);
    from->at = at + length;
    return (bytes){at, length};
}

uint64_t next_number(items *from, uint64_t most) {
    bytes item = next_item(from);
    uint64_t number = 0;
    if (item.length == 0 || item.length > 19) from->bad = true;
    for (size_t i = 0; i < item.length && !from->bad; i++) {
        if (item.ptr[i] < '0' || item.ptr[i] > '9') from->bad = true;
        number = number * 10 + (uint64_t)(item.ptr[i] - '0');
    }
    if (number > most) from->bad = true;
    return from->bad ? 0 : number;
}

bytes copied(items *from, bytes item) {
    char *copy = from->bad ? NULL : malloc(item.length + 1);
    if (copy == NULL) {
        from->bad = true;
        return (bytes){NULL, 0};
    }
    memcpy(copy, item.ptr, item.length);
    copy[item.length] = '\0';
    return (bytes){copy, item.length};
}
