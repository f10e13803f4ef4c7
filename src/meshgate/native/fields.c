#include "fields.h"

#include <string.h>

#define TEXT(literal) ((bytes){literal, sizeof(literal) - 1})

void headers_of(headers *new, void *stream, enum header_kind kind) {
    new->stream = stream, new->kind = kind, new->listed = false;
    new->count = new->given_count = 0;
}

void list_headers(headers *all) {
    all->count = envoy_dynamic_module_callback_http_get_headers_size(all->stream, all->kind);
    all->listed = all->count <= MOST_LISTED &&
                  envoy_dynamic_module_callback_http_get_headers(all->stream, all->kind, all->there);
}

static bool same(bytes one, const char *other, size_t length) {
    return one.length == length && memcmp(one.ptr, other, length) == 0;
}

size_t header_values(const headers *all, bytes name, bytes *first) {
    size_t count = 0;
    if (!all->listed)
        return envoy_dynamic_module_callback_http_get_header(all->stream, all->kind, name, first, 0, &count) ? count : 0;
    for (size_t i = 0; i < all->given_count; i++) {
        if (!same(name, all->given[i].name.ptr, all->given[i].name.length)) continue;
        *first = all->given[i].value;
        return first->length > 0 ? 1 : 0;
    }
    for (size_t i = 0; i < all->count; i++) {
        const listed_header *one = &all->there[i];
        if (same(name, one->name, one->name_length) && count++ == 0) *first = (bytes){one->value, one->value_length};
    }
    return count;
}

/* Which of the fields are there, bit by bit. Names of other lengths are passed over without a look. */
static uint32_t those_there(const headers *all, const field *fields, size_t count) {
    uint64_t lengths = 0;
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) lengths |= (uint64_t)1 << (fields[i].name.length & 63);
    for (size_t h = 0; h < all->count; h++) {
        const listed_header *one = &all->there[h];
        if (!(lengths >> (one->name_length & 63) & 1)) continue;
        for (size_t i = 0; i < count; i++)
            if (same(fields[i].name, one->name, one->name_length)) found |= (uint32_t)1 << i;
    }
    return found;
}

/* Envoy's `set` looks a header up before it adds it, and makes an index of all headers for that:
 * half of the whole cost. So headers that are not there, as is usual, are added without. */
void set_fields(headers *all, const field *fields, size_t count) {
    if (!all->listed) list_headers(all);
    uint32_t there = all->listed ? those_there(all, fields, count) : UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        bytes value = fields[i].value;
        if (there >> i & 1) {
            if (value.length == 0) value.ptr = NULL;
            envoy_dynamic_module_callback_http_set_header(all->stream, all->kind, fields[i].name, value);
        } else if (value.length > 0) {
            envoy_dynamic_module_callback_http_add_header(all->stream, all->kind, fields[i].name, value);
        }
    }
    all->given = fields, all->given_count = count;
}

static bool is_grpc(void *stream) {
    static const char type[] = "application/grpc";
    bytes said = {"", 0};
    if (!envoy_dynamic_module_callback_http_get_header(stream, REQUEST_HEADER, TEXT("content-type"), &said, 0, NULL))
        return false;
    size_t length = sizeof type - 1;
    return said.length >= length && memcmp(said.ptr, type, length) == 0 &&
           (said.length == length || said.ptr[length] == '+' || said.ptr[length] == ';');
}

/* As gRPC's "HTTP to gRPC Status Code Mapping". */
static bytes grpc_status(uint32_t status) {
    switch (status) {
    case 400: return TEXT("13");
    case 401: return TEXT("16");
    case 403: return TEXT("7");
    case 404: return TEXT("12");
    case 429: case 502: case 503: case 504: return TEXT("14");
    default: return TEXT("2");
    }
}

void refuse(void *stream, uint32_t status, const field *fields, size_t count, bytes details, bytes message) {
    field all[MOST_FIELDS + 4] = {{TEXT(":status"), TEXT("200")},
                                  {TEXT("content-type"), TEXT("application/grpc")},
                                  {TEXT("grpc-status"), grpc_status(status)},
                                  {TEXT("grpc-message"), message}};
    if (!is_grpc(stream)) {
        envoy_dynamic_module_callback_http_send_response(stream, status, (void *)fields, count, TEXT(""), details);
        return;
    }
    for (size_t i = 0; i < count && i < MOST_FIELDS; i++) all[4 + i] = fields[i];
    envoy_dynamic_module_callback_http_send_response_headers(stream, all, 4 + (count < MOST_FIELDS ? count : MOST_FIELDS),
                                                             true);
}
