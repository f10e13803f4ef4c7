/* Joins the filters to Envoy: the functions that it looks up by name. */
#include <stdlib.h>
#include <string.h>

#include "filters.h"

#define SHOWN __attribute__((visibility("default")))
#define TEXT(literal) ((bytes){literal, sizeof(literal) - 1})

enum kind { CONSUMERS, LIMITS };

typedef struct {
    enum kind kind;
    void *consumers;
    size_t refused;
} filter_config;

SHOWN const char *envoy_dynamic_module_on_program_init(void) { return ABI_VERSION; }

static bool named(bytes name, bytes wanted) {
    return name.length == wanted.length && memcmp(name.ptr, wanted.ptr, name.length) == 0;
}

SHOWN const void *envoy_dynamic_module_on_http_filter_config_new(void *envoy, bytes name, bytes text) {
    filter_config *config = calloc(1, sizeof *config);
    items from = items_of(text);
    bool good = false;
    if (config == NULL) return NULL;
    if (named(name, TEXT("consumers"))) {
        config->kind = CONSUMERS;
        good = (config->consumers = consumers_new(&from)) != NULL;
    } else if (named(name, TEXT("limits"))) {
        config->kind = LIMITS;
        good = envoy_dynamic_module_callback_http_filter_config_define_counter(
                   envoy, TEXT("limits.refused"), NULL, 0, &config->refused) == METRICS_SUCCESS;
    }
    if (good) return config;
    free(config);
    return NULL;
}

SHOWN void envoy_dynamic_module_on_http_filter_config_destroy(const void *which) {
    filter_config *config = (filter_config *)which;
    if (config->kind == CONSUMERS) consumers_free(config->consumers);
    free(config);
}

SHOWN const void *envoy_dynamic_module_on_http_filter_per_route_config_new(bytes name, bytes text) {
    items from = items_of(text);
    return named(name, TEXT("limits")) ? limits_new(&from) : NULL;
}

SHOWN void envoy_dynamic_module_on_http_filter_per_route_config_destroy(const void *which) {
    limits_free((void *)which);
}

/* A stream of `consumers` remembers nothing: the configuration stands for it. */
typedef struct {
    const filter_config *config;
    void *remembered;
} stream_state;

SHOWN const void *envoy_dynamic_module_on_http_filter_new(const void *which, void *stream) {
    (void)stream;
    stream_state *state = malloc(sizeof *state);
    if (state == NULL) return NULL;
    state->config = which;
    state->remembered = NULL;
    return state;
}

SHOWN int envoy_dynamic_module_on_http_filter_request_headers(void *stream, const void *which, bool ended) {
    (void)ended;
    stream_state *state = (stream_state *)which;
    if (state->config->kind == CONSUMERS) {
        consumers_on_request(state->config->consumers, stream);
        return CONTINUE;
    }
    const void *limits = envoy_dynamic_module_callback_get_most_specific_route_config(stream);
    if (limits == NULL) return CONTINUE;
    state->remembered = limits_stream_new();
    if (state->remembered == NULL) abort();
    return limits_on_request(limits, stream, state->remembered, state->config->refused) ? CONTINUE : STOP;
}

SHOWN int envoy_dynamic_module_on_http_filter_response_headers(void *stream, const void *which, bool ended) {
    (void)ended;
    const stream_state *state = which;
    if (state->remembered != NULL) limits_on_response(stream, state->remembered);
    return CONTINUE;
}

SHOWN void envoy_dynamic_module_on_http_filter_destroy(const void *which) {
    stream_state *state = (stream_state *)which;
    free(state->remembered);
    free(state);
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
