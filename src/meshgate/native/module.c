/* Joins the filters to Envoy: the functions that it looks up by name. */
#include <stdlib.h>
#include <string.h>

#include "filters.h"

#define SHOWN __attribute__((visibility("default")))
#define TEXT(literal) ((bytes){literal, sizeof(literal) - 1})

enum kind { CONSUMERS, KEYS, LIMITS };

typedef struct {
    enum kind kind;
    void *consumers;
    size_t refused;
} filter_config;

SHOWN const char *envoy_dynamic_module_on_program_init(void) { return ABI_VERSION; }

static bool named(bytes name, bytes wanted) {
    return name.length == wanted.length && memcmp(name.ptr, wanted.ptr, name.length) == 0;
}

SHOWN void envoy_dynamic_module_on_http_filter_config_destroy(const void *which) {
    filter_config *config = (filter_config *)which;
    if (config->consumers != NULL) consumers_free(config->consumers);
    free(config);
}

SHOWN const void *envoy_dynamic_module_on_http_filter_config_new(void *envoy, bytes name, bytes text) {
    filter_config *config = calloc(1, sizeof *config);
    items from = items_of(text);
    if (config == NULL) return NULL;
    bool good = named(name, TEXT("limits"));
    config->kind = named(name, TEXT("consumers")) ? CONSUMERS : named(name, TEXT("keys")) ? KEYS : LIMITS;
    if (config->kind != LIMITS) good = (config->consumers = consumers_new(&from)) != NULL;
    if (good && config->kind != CONSUMERS)
        good = envoy_dynamic_module_callback_http_filter_config_define_counter(
                   envoy, TEXT("limits.refused"), NULL, 0, &config->refused) == METRICS_SUCCESS;
    if (good) return config;
    envoy_dynamic_module_on_http_filter_config_destroy(config);
    return NULL;
}

/* What a route says to `keys` (both) or `limits` (no keys). */
typedef struct {
    void *keys;
    void *limits;
} route_config;

SHOWN void envoy_dynamic_module_on_http_filter_per_route_config_destroy(const void *which) {
    route_config *config = (route_config *)which;
    if (config->keys != NULL) keys_free(config->keys);
    if (config->limits != NULL) limits_free(config->limits);
    free(config);
}

SHOWN const void *envoy_dynamic_module_on_http_filter_per_route_config_new(bytes name, bytes text) {
    route_config *config = calloc(1, sizeof *config);
    items from = items_of(text);
    if (config == NULL) return NULL;
    bool good = named(name, TEXT("limits"));
    if (named(name, TEXT("keys"))) good = (config->keys = keys_new(&from)) != NULL;
    if (good) config->limits = limits_new(&from);
    if (config->limits != NULL) return config;
    envoy_dynamic_module_on_http_filter_per_route_config_destroy(config);
    return NULL;
}

/* `consumers` remembers nothing of a stream: the configuration stands for it. Both begin with the kind. */
typedef struct {
    enum kind kind;
    const filter_config *config;
    limits_stream counted;
} stream_state;

static enum kind kind_of(const void *which) { return *(const enum kind *)which; }

SHOWN const void *envoy_dynamic_module_on_http_filter_new(const void *which, void *stream) {
    (void)stream;
    if (kind_of(which) == CONSUMERS) return which;
    stream_state *state = malloc(sizeof *state);
    if (state == NULL) return NULL;
    state->kind = kind_of(which), state->config = which, state->counted.counted = false;
    return state;
}

SHOWN void envoy_dynamic_module_on_http_filter_destroy(const void *which) {
    if (kind_of(which) != CONSUMERS) free((void *)which);
}

static bool may_go_on(void *stream, stream_state *state) {
    const route_config *said = envoy_dynamic_module_callback_get_most_specific_route_config(stream);
    const filter_config *config = state->config;
    headers request;
    headers_of(&request, stream, REQUEST_HEADER);
    if (state->kind == KEYS && !keys_on_request(config->consumers, said ? said->keys : NULL, &request)) return false;
    return said == NULL || limits_on_request(said->limits, &request, &state->counted, config->refused);
}

SHOWN int envoy_dynamic_module_on_http_filter_request_headers(void *stream, const void *which, bool ended) {
    (void)ended;
    if (kind_of(which) != CONSUMERS) return may_go_on(stream, (stream_state *)which) ? CONTINUE : STOP;
    consumers_on_request(((const filter_config *)which)->consumers, stream);
    return CONTINUE;
}

SHOWN int envoy_dynamic_module_on_http_filter_response_headers(void *stream, const void *which, bool ended) {
    (void)ended;
    if (kind_of(which) != CONSUMERS) limits_on_response(stream, &((const stream_state *)which)->counted);
    return CONTINUE;
}

SHOWN int envoy_dynamic_module_on_http_filter_request_body(void *stream, const void *which, bool ended) {
    (void)stream, (void)which, (void)ended;
    return CONTINUE;
}

SHOWN int envoy_dynamic_module_on_http_filter_request_trailers(void *stream, const void *which) {
    (void)stream, (void)which;
    return CONTINUE;
}

SHOWN int envoy_dynamic_module_on_http_filter_response_body(void *stream, const void *which, bool ended) {
    (void)stream, (void)which, (void)ended;
    return CONTINUE;
}

SHOWN int envoy_dynamic_module_on_http_filter_response_trailers(void *stream, const void *which) {
    (void)stream, (void)which;
    return CONTINUE;
}

SHOWN void envoy_dynamic_module_on_http_filter_stream_complete(void *stream, const void *which) {
    (void)stream, (void)which;
}

/* Envoy wants these to be there; nothing here makes calls or waits, so none is ever called. */
SHOWN void envoy_dynamic_module_on_http_filter_http_callout_done(void) {}
SHOWN void envoy_dynamic_module_on_http_filter_scheduled(void) {}
SHOWN void envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(void) {}
SHOWN void envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(void) {}
SHOWN void envoy_dynamic_module_on_http_filter_http_stream_headers(void) {}
SHOWN void envoy_dynamic_module_on_http_filter_http_stream_data(void) {}
SHOWN void envoy_dynamic_module_on_http_filter_http_stream_trailers(void) {}
SHOWN void envoy_dynamic_module_on_http_filter_http_stream_complete(void) {}
SHOWN void envoy_dynamic_module_on_http_filter_http_stream_reset(void) {}
