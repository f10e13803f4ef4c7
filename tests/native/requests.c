/* Plays Envoy to the whole module: requests and answers as lines of items on standard input, and what became of
 * them on standard output. All that the module is given lies in pieces of memory of exactly that length, which are
 * freed as soon as Envoy would free them, so AddressSanitizer sees each read too far or too late.
 *
 * A letter, four bytes of length, and that many bytes of items:
 *   F filter's name, settings              a new filter; the one before goes, but not for requests that are under way
 *   R filter's name, settings              a route by which requests are asked from now on
 *   Q id, address, name, value, ...        a request of that id; it stays under way until it is answered
 *   A id, name, value, ...                 the service's answer to it
 *   D id                                   it ends without an answer
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "items.h"

#define MOST_STREAMS 64
#define MOST_HEADERS 400

typedef struct {
    bytes name, value;
} line;

typedef struct {
    size_t count;
    line lines[MOST_HEADERS];
} lines;

typedef struct {
    const void *config;
    size_t users;
} kept_config;

typedef struct {
    bool here, answered;
    kept_config *filter, *route;
    const void *inner;
    bytes address;
    lines request, answer;
} stream;

const char *envoy_dynamic_module_on_program_init(void);
const void *envoy_dynamic_module_on_http_filter_config_new(void *envoy, bytes name, bytes text);
void envoy_dynamic_module_on_http_filter_config_destroy(const void *which);
const void *envoy_dynamic_module_on_http_filter_per_route_config_new(bytes name, bytes text);
void envoy_dynamic_module_on_http_filter_per_route_config_destroy(const void *which);
const void *envoy_dynamic_module_on_http_filter_new(const void *which, void *stream);
void envoy_dynamic_module_on_http_filter_destroy(const void *which);
int envoy_dynamic_module_on_http_filter_request_headers(void *stream, const void *which, bool ended);
int envoy_dynamic_module_on_http_filter_response_headers(void *stream, const void *which, bool ended);

static bytes kept(bytes from) {
    char *copy = malloc(from.length);
    memcpy(copy, from.ptr, from.length);
    return (bytes){copy, from.length};
}

static bool is(bytes one, bytes other) {
    return one.length == other.length && memcmp(one.ptr, other.ptr, one.length) == 0;
}

static lines *of(void *which, int kind) {
    stream *one = which;
    return kind == REQUEST_HEADER ? &one->request : &one->answer;
}

static void drop(lines *all, bytes name) {
    size_t left = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (!is(all->lines[i].name, name)) {
            all->lines[left++] = all->lines[i];
        } else {
            free((void *)all->lines[i].name.ptr);
            free((void *)all->lines[i].value.ptr);
        }
    }
    all->count = left;
}

static void clear(lines *all) {
    for (size_t i = 0; i < all->count; i++) {
        free((void *)all->lines[i].name.ptr);
        free((void *)all->lines[i].value.ptr);
    }
    all->count = 0;
}

static void add(lines *all, bytes name, bytes value) {
    if (all->count == MOST_HEADERS) abort();
    all->lines[all->count++] = (line){kept(name), kept(value)};
}

bool envoy_dynamic_module_callback_http_get_header(void *s, int kind, bytes name, bytes *value, size_t index,
                                                   size_t *count) {
    lines *all = of(s, kind);
    size_t seen = 0;
    bool found = false;
    for (size_t i = 0; i < all->count; i++)
        if (is(all->lines[i].name, name) && seen++ == index) *value = all->lines[i].value, found = true;
    if (count != NULL) *count = seen;
    if (!found) *value = (bytes){NULL, 0};
    return found;
}

size_t envoy_dynamic_module_callback_http_get_headers_size(void *s, int kind) { return of(s, kind)->count; }

bool envoy_dynamic_module_callback_http_get_headers(void *s, int kind, listed_header *into) {
    lines *all = of(s, kind);
    for (size_t i = 0; i < all->count; i++)
        into[i] = (listed_header){all->lines[i].name.ptr, all->lines[i].name.length, all->lines[i].value.ptr,
                                  all->lines[i].value.length};
    return true;
}

bool envoy_dynamic_module_callback_http_set_header(void *s, int kind, bytes name, bytes value) {
    drop(of(s, kind), name);
    if (value.ptr != NULL) add(of(s, kind), name, value);
    return true;
}

bool envoy_dynamic_module_callback_http_add_header(void *s, int kind, bytes name, bytes value) {
    add(of(s, kind), name, value);
    return true;
}

bool envoy_dynamic_module_callback_http_filter_get_attribute_string(void *s, int attribute, bytes *value) {
    if (attribute != SOURCE_ADDRESS) abort();
    *value = ((stream *)s)->address;
    return value->length > 0;
}

static void refused(stream *one, unsigned status, const field *fields, size_t count, bytes details) {
    if (one->answered) abort();
    one->answered = true;
    printf("%u", status);
    if (details.length > 0) printf(" %.*s", (int)details.length, details.ptr);
    for (size_t i = 0; i < count; i++)
        printf(" %.*s=%.*s", (int)fields[i].name.length, fields[i].name.ptr, (int)fields[i].value.length,
               fields[i].value.ptr);
    puts("");
}

void envoy_dynamic_module_callback_http_send_response(void *s, uint32_t status, void *fields, size_t count, bytes body,
                                                      bytes details) {
    (void)body;
    refused(s, status, fields, count, details);
}

void envoy_dynamic_module_callback_http_send_response_headers(void *s, void *fields, size_t count, bool ended) {
    if (!ended) abort();
    refused(s, 0, fields, count, (bytes){"", 0});
}

const void *envoy_dynamic_module_callback_get_most_specific_route_config(void *s) {
    stream *one = s;
    return one->route != NULL ? one->route->config : NULL;
}

int envoy_dynamic_module_callback_http_filter_config_define_counter(void *c, bytes n, bytes *l, size_t count,
                                                                    size_t *id) {
    (void)c, (void)n, (void)l, (void)count;
    *id = 7;
    return METRICS_SUCCESS;
}

int envoy_dynamic_module_callback_http_filter_increment_counter(void *s, size_t id, bytes *v, size_t n, uint64_t by) {
    (void)s, (void)v, (void)n;
    if (id != 7 || by != 1) abort();
    return METRICS_SUCCESS;
}

static stream streams[MOST_STREAMS];
static kept_config *filter, *route;

static void leave(kept_config *config, void (*destroy)(const void *)) {
    if (config == NULL || --config->users > 0) return;
    destroy(config->config);
    free(config);
}

static void leave_filter(kept_config *config) { leave(config, envoy_dynamic_module_on_http_filter_config_destroy); }

static void leave_route(kept_config *config) {
    leave(config, envoy_dynamic_module_on_http_filter_per_route_config_destroy);
}

static kept_config *configured(const void *config) {
    kept_config *made = config != NULL ? calloc(1, sizeof *made) : NULL;
    if (made != NULL) made->config = config, made->users = 1;
    puts(made != NULL ? "read" : "not read");
    return made;
}

static void end(stream *one) {
    if (!one->here) return;
    envoy_dynamic_module_on_http_filter_destroy(one->inner);
    leave_filter(one->filter);
    leave_route(one->route);
    clear(&one->request);
    clear(&one->answer);
    free((void *)one->address.ptr);
    one->here = one->answered = false;
}

static void show(const char *what, const lines *all) {
    printf("%s", what);
    for (size_t i = 0; i < all->count; i++)
        printf(" %.*s=%.*s", (int)all->lines[i].name.length, all->lines[i].name.ptr, (int)all->lines[i].value.length,
               all->lines[i].value.ptr);
    puts("");
}

static void read_lines(items *from, lines *to) {
    while (from->at < from->end && !from->bad) {
        bytes name = next_item(from);
        add(to, name, next_item(from));
    }
}

static void request(stream *one, items *from) {
    end(one);
    bytes address = next_item(from);
    one->here = true, one->address = kept(address), one->filter = filter, one->route = route;
    filter->users++;
    if (route != NULL) route->users++;
    read_lines(from, &one->request);
    one->inner = envoy_dynamic_module_on_http_filter_new(filter->config, one);
    int verdict = envoy_dynamic_module_on_http_filter_request_headers(one, one->inner, true);
    if ((verdict == CONTINUE) == one->answered) abort();
    if (verdict == CONTINUE) show("on", &one->request);
    else end(one);
}

static void answer(stream *one, items *from) {
    if (!one->here) return;
    read_lines(from, &one->answer);
    if (envoy_dynamic_module_on_http_filter_response_headers(one, one->inner, true) != CONTINUE) abort();
    show("answer", &one->answer);
    end(one);
}

int main(void) {
    int kind;
    while ((kind = getchar()) != EOF) {
        uint32_t length = 0;
        if (fread(&length, sizeof length, 1, stdin) != 1) return 2;
        char *text = malloc(length);
        if (fread(text, 1, length, stdin) != length) return 2;
        items from = items_of((bytes){text, length});
        if (kind == 'F' || kind == 'R') {
            bytes name = kept(next_item(&from)), settings = kept(next_item(&from));
            kept_config *made =
                configured(kind == 'F' ? envoy_dynamic_module_on_http_filter_config_new(NULL, name, settings)
                                       : envoy_dynamic_module_on_http_filter_per_route_config_new(name, settings));
            /* As in Envoy, what was there stays where the new one cannot be read. */
            if (made != NULL && kind == 'F') leave_filter(filter), filter = made;
            if (made != NULL && kind == 'R') leave_route(route), route = made;
            free((void *)name.ptr);
            free((void *)settings.ptr);
        } else {
            stream *one = &streams[next_number(&from, MOST_STREAMS - 1)];
            if (kind == 'Q') request(one, &from);
            else if (kind == 'A') answer(one, &from);
            else end(one);
        }
        free(text);
        fflush(stdout);
    }
    for (size_t i = 0; i < MOST_STREAMS; i++) end(&streams[i]);
    leave_filter(filter);
    leave_route(route);
    return 0;
}
