#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "filters.h"
#include "hash.h"

#define MOST_VALUES 10000000 /* What is longer is a mistake. */
#define LONGEST_VALUE 4096   /* Of all values of the header together; no credential's name is longer. */

typedef struct {
    hash128 hash; /* Of `value`. */
    bytes value;  /* ptr NULL: this place is empty. */
    field *fields;
    size_t field_count;
} entry;

typedef struct {
    uint64_t id;
    bytes header;
    entry *entries; /* Open addressing; at most half full. */
    size_t mask;
} consumers;

static void read_entry(items *from, entry *to) {
    to->value = copied(from, next_item(from));
    size_t count = (size_t)next_number(from, MOST_FIELDS);
    to->hash = hash_of(process_key(), to->value);
    if (from->bad || (to->fields = calloc(count + 1, sizeof(field))) == NULL) {
        from->bad = true;
        return;
    }
    for (to->field_count = 0; to->field_count < count && !from->bad; to->field_count++) {
        to->fields[to->field_count].name = copied(from, next_item(from));
        to->fields[to->field_count].value = copied(from, next_item(from));
    }
}

static bool is(const entry *one, hash128 hash, bytes value) {
    return one->hash.low == hash.low && one->hash.high == hash.high && one->value.length == value.length &&
           memcmp(one->value.ptr, value.ptr, value.length) == 0;
}

static entry *place_of(const consumers *known, hash128 hash, bytes value) {
    for (size_t i = hash.low & known->mask;; i = (i + 1) & known->mask)
        if (known->entries[i].value.ptr == NULL || is(&known->entries[i], hash, value))
            return &known->entries[i];
}

static void free_entry(entry *one) {
    for (size_t i = 0; one->fields != NULL && i < one->field_count; i++) {
        free((void *)one->fields[i].name.ptr);
        free((void *)one->fields[i].value.ptr);
    }
    free(one->fields);
    free((void *)one->value.ptr);
}

void consumers_free(void *which) {
    consumers *known = which;
    for (size_t i = 0; known->entries != NULL && i <= known->mask; i++) free_entry(&known->entries[i]);
    free(known->entries);
    free((void *)known->header.ptr);
    free(known);
}

void *consumers_new(items *from) {
    consumers *known = calloc(1, sizeof *known);
    static atomic_uint_fast64_t made;
    if (known == NULL) return NULL;
    known->id = ++made;
    known->header = copied(from, next_item(from));
    size_t count = (size_t)next_number(from, MOST_VALUES);
    for (known->mask = 1; known->mask < 2 * count; known->mask = known->mask * 2 + 1) continue;
    known->entries = calloc(known->mask + 1, sizeof(entry));
    if (known->entries == NULL) from->bad = true;
    for (size_t i = 0; i < count && !from->bad; i++) {
        entry one = {0};
        read_entry(from, &one);
        entry *place = from->bad ? NULL : place_of(known, one.hash, one.value);
        if (place != NULL && place->value.ptr == NULL) {
            *place = one;
        } else {
            from->bad = true; /* Named twice, or cut off. */
            free_entry(&one);
        }
    }
    if (from->at != from->end) from->bad = true;
    if (!from->bad) return known;
    consumers_free(known);
    return NULL;
}

/* All values of the header, joined by commas: a token that came twice names its credential twice. */
static bool joined(const consumers *known, void *stream, bytes first, size_t count, char *into, bytes *whole) {
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        bytes next = first;
        if (i > 0 && !envoy_dynamic_module_callback_http_get_header(stream, REQUEST_HEADER, known->header, &next,
                                                                    i, NULL))
            return false;
        if (length + next.length + 1 > LONGEST_VALUE) return false;
        if (i > 0) into[length++] = ',';
        memcpy(into + length, next.ptr, next.length);
        length += next.length;
    }
    *whole = (bytes){into, length};
    return true;
}

uint64_t consumers_id(const void *which) { return ((const consumers *)which)->id; }

const void *consumers_find(const void *which, bytes value) {
    const entry *found = place_of(which, hash_of(process_key(), value), value);
    return found->value.ptr != NULL ? found : NULL;
}

void consumers_give(const void *which, headers *request) {
    const entry *found = which;
    set_fields(request, found->fields, found->field_count);
}

void consumers_on_request(const void *which, void *stream) {
    const consumers *known = which;
    char room[LONGEST_VALUE];
    bytes value = {NULL, 0};
    size_t count = 0;
    if (!envoy_dynamic_module_callback_http_get_header(stream, REQUEST_HEADER, known->header, &value, 0, &count))
        return;
    if (count > 1 && !joined(known, stream, value, count, room, &value)) return;
    const void *found = consumers_find(known, value);
    if (found == NULL) return;
    headers request;
    headers_of(&request, stream, REQUEST_HEADER);
    consumers_give(found, &request);
}
