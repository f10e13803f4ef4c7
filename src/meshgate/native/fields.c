#include "fields.h"

#include <string.h>

#define MOST_LISTED 128

static bool listed(const listed_header *there, size_t count, bytes name) {
    for (size_t i = 0; i < count; i++)
        if (there[i].name_length == name.length && memcmp(there[i].name, name.ptr, name.length) == 0) return true;
    return false;
}

/* Envoy's `set` looks a header up before it adds it, and makes an index of all headers for that:
 * half of the whole cost. So headers that are not there, as is usual, are added without. */
void set_fields(void *stream, enum header_kind kind, const field *fields, size_t count) {
    listed_header there[MOST_LISTED];
    size_t size = envoy_dynamic_module_callback_http_get_headers_size(stream, kind);
    bool known = size <= MOST_LISTED && envoy_dynamic_module_callback_http_get_headers(stream, kind, there);
    for (size_t i = 0; i < count; i++) {
        bytes value = fields[i].value;
        bool absent = known && !listed(there, size, fields[i].name);
        if (value.length == 0) {
            value.ptr = NULL;
            if (!absent) envoy_dynamic_module_callback_http_set_header(stream, kind, fields[i].name, value);
        } else if (absent) {
            envoy_dynamic_module_callback_http_add_header(stream, kind, fields[i].name, value);
        } else {
            envoy_dynamic_module_callback_http_set_header(stream, kind, fields[i].name, value);
        }
    }
}
