/* The part of Envoy's interface for dynamic modules that these filters use.
 *
 * Follows ABI v0.2.0, which Envoy 1.40 speaks. Envoy looks the `on_` functions up by name when it
 * loads the module, and gives the `callback_` functions to it. All pointers that Envoy hands over
 * are good until the function returns, and no longer.
 */
#ifndef MESHGATE_ABI_H
#define MESHGATE_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ABI_VERSION "v0.2.0"

typedef struct {
    const char *ptr;
    size_t length;
} bytes;

typedef struct {
    const char *name;
    size_t name_length;
    const char *value;
    size_t value_length;
} listed_header;

enum header_kind { REQUEST_HEADER = 0, RESPONSE_HEADER = 2 };
enum attribute { SOURCE_ADDRESS = 24 };
enum verdict { CONTINUE = 0, STOP = 1 };
enum metrics_result { METRICS_SUCCESS = 0 };

bool envoy_dynamic_module_callback_http_get_header(void *stream, int kind, bytes name, bytes *value,
                                                   size_t index, size_t *count);
size_t envoy_dynamic_module_callback_http_get_headers_size(void *stream, int kind);
bool envoy_dynamic_module_callback_http_get_headers(void *stream, int kind, listed_header *into);
bool envoy_dynamic_module_callback_http_set_header(void *stream, int kind, bytes name, bytes value);
bool envoy_dynamic_module_callback_http_add_header(void *stream, int kind, bytes name, bytes value);
bool envoy_dynamic_module_callback_http_filter_get_attribute_string(void *stream, int attribute,
                                                                    bytes *value);
void envoy_dynamic_module_callback_http_send_response(void *stream, uint32_t status, void *headers,
                                                      size_t header_count, bytes body, bytes details);
void envoy_dynamic_module_callback_http_send_response_headers(void *stream, void *headers,
                                                              size_t header_count, bool ended);
const void *envoy_dynamic_module_callback_get_most_specific_route_config(void *stream);
int envoy_dynamic_module_callback_http_filter_config_define_counter(void *config, bytes name,
                                                                    bytes *labels, size_t label_count,
                                                                    size_t *id);
int envoy_dynamic_module_callback_http_filter_increment_counter(void *stream, size_t id, bytes *values,
                                                                size_t value_count, uint64_t by);
void envoy_dynamic_module_callback_log(int level, bytes message);

#endif
