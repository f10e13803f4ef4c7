/* Gives what comes on standard input to the readers of the filters' settings, one after the other:
 * a letter ('c' consumers, 'k' keys, 'l' limits), four bytes of length, and so many bytes. Says what was read.
 * Built with AddressSanitizer, so that a read or write outside, or a leak, ends it with an error. */
#include <stdio.h>
#include <stdlib.h>

#include "filters.h"

/* Never called here: the filters want them to be there. */
bool envoy_dynamic_module_callback_http_get_header(void *s, int k, bytes n, bytes *v, size_t i, size_t *c) {
    (void)s, (void)k, (void)n, (void)v, (void)i, (void)c;
    abort();
}
size_t envoy_dynamic_module_callback_http_get_headers_size(void *s, int k) { (void)s, (void)k; abort(); }
bool envoy_dynamic_module_callback_http_get_headers(void *s, int k, listed_header *into) {
    (void)s, (void)k, (void)into;
    abort();
}
bool envoy_dynamic_module_callback_http_set_header(void *s, int k, bytes n, bytes v) {
    (void)s, (void)k, (void)n, (void)v;
    abort();
}
bool envoy_dynamic_module_callback_http_add_header(void *s, int k, bytes n, bytes v) {
    (void)s, (void)k, (void)n, (void)v;
    abort();
}
bool envoy_dynamic_module_callback_http_filter_get_attribute_string(void *s, int a, bytes *v) {
    (void)s, (void)a, (void)v;
    abort();
}
void envoy_dynamic_module_callback_http_send_response(void *s, uint32_t c, void *h, size_t n, bytes b, bytes d) {
    (void)s, (void)c, (void)h, (void)n, (void)b, (void)d;
    abort();
}
void envoy_dynamic_module_callback_http_send_response_headers(void *s, void *h, size_t n, bool e) {
    (void)s, (void)h, (void)n, (void)e;
    abort();
}
int envoy_dynamic_module_callback_http_filter_increment_counter(void *s, size_t i, bytes *v, size_t n, uint64_t b) {
    (void)s, (void)i, (void)v, (void)n, (void)b;
    abort();
}

int main(void) {
    int kind;
    while ((kind = getchar()) != EOF) {
        uint32_t length = 0;
        if (fread(&length, sizeof length, 1, stdin) != 1) return 2;
        /* Not one byte more than was said, so that reading on is seen. */
        char *text = malloc(length);
        if (fread(text, 1, length, stdin) != length) return 2;
        items from = items_of((bytes){text, length});
        void *keys = kind == 'k' ? keys_new(&from) : NULL;
        void *made = kind == 'c' ? consumers_new(&from) : kind == 'k' && keys == NULL ? NULL : limits_new(&from);
        if (keys != NULL) keys_free(keys);
        free(text);
        puts(made != NULL ? "read" : "refused");
        if (made != NULL) kind == 'c' ? consumers_free(made) : limits_free(made);
    }
    return 0;
}
