#include "fields.h"

#include <string.h>

#define MOST_LISTED 128
#define TEXT(literal) ((bytes){literal, sizeof(literal) - 1})

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
