#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "filters.h"
#include "hash.h"
#include "query.h"
#include "sha256.h"

#define MOST_NAMES 100
#define LONGEST_KEY 4096 /* No key of a consumer is longer. */
#define LATELY 256       /* A power of two. */

#define TEXT(literal) ((bytes){literal, sizeof(literal) - 1})

typedef struct {
    bool in_header, in_query;
    size_t count;
    bytes names[]; /* As written; headers do not care for the case. */
} key_places;

enum found { NONE, ONE, SEVERAL };

void keys_free(void *which) {
    key_places *places = which;
    for (size_t i = 0; i < places->count; i++) free((void *)places->names[i].ptr);
    free(places);
}

void *keys_new(items *from) {
    bool in_header = next_number(from, 1) == 1, in_query = next_number(from, 1) == 1;
    size_t count = (size_t)next_number(from, MOST_NAMES);
    key_places *places = from->bad ? NULL : calloc(1, sizeof *places + count * sizeof(bytes));
    if (places == NULL) return NULL;
    places->in_header = in_header, places->in_query = in_query;
    for (; places->count < count && !from->bad; places->count++)
        places->names[places->count] = copied(from, next_item(from));
    if (!from->bad) return places;
    keys_free(places);
    return NULL;
}

static enum found in_header(void *stream, bytes name, bytes *key) {
    size_t count = 0;
    if (!envoy_dynamic_module_callback_http_get_header(stream, REQUEST_HEADER, name, key, 0, &count)) return NONE;
    return count > 1 ? SEVERAL : ONE;
}

/* In a query's order: the first with a value counts, and another of the name, even without, is one too many. */
static enum found in_query(bytes query, bytes name, char *room, bytes *key) {
    size_t count = 0;
    bool valued = false;
    parameter next;
    while (next_parameter(&query, &next)) {
        if (!written_as(next.name, name)) continue;
        if (++count > 1) return SEVERAL;
        valued = next.has_value;
        /* What is too long for the room stays too long to be anybody's. */
        *key = unescaped(next.value, room, LONGEST_KEY + 1);
    }
    return valued ? ONE : NONE;
}

static enum found find(const key_places *places, void *stream, char *room, bytes *key) {
    bytes query = {"", 0};
    if (places->in_query) {
        bytes path;
        if (envoy_dynamic_module_callback_http_get_header(stream, REQUEST_HEADER, TEXT(":path"), &path, 0, NULL))
            query = query_of(path);
    }
    for (size_t i = 0; i < places->count; i++) {
        enum found found = places->in_header ? in_header(stream, places->names[i], key) : NONE;
        if (found == NONE && query.length > 0) found = in_query(query, places->names[i], room, key);
        if (found != NONE) return found;
    }
    return NONE;
}

/* Whose keys a worker has seen lately, so that it need not take the digest each time. It knows a key by its hash
 * under this process' own secret, and good keys only. */
typedef struct {
    hash128 key;
    uint64_t table;
    const void *bearer;
} seen;

static _Thread_local seen lately[LATELY];

static const void *bearer_of(const void *consumers, bytes key) {
    char digest[SHA256_HEX];
    hash128 hash = hash_of(process_key(), key);
    uint64_t table = consumers_id(consumers);
    seen *place = &lately[hash.low & (LATELY - 1)];
    if (place->key.low == hash.low && place->key.high == hash.high && place->table == table) return place->bearer;
    sha256_hex(key, digest);
    const void *bearer = consumers_find(consumers, (bytes){digest, sizeof digest});
    if (bearer != NULL) *place = (seen){hash, table, bearer};
    return bearer;
}

static bool turn_away(void *stream, bytes reason, bytes message) {
    refuse(stream, 401, NULL, 0, reason, message);
    return false;
}

bool keys_on_request(const void *consumers, const void *which, void *stream) {
    char room[LONGEST_KEY + 1];
    bytes key = {"", 0};
    enum found found = which != NULL ? find(which, stream, room, &key) : NONE;
    if (found == SEVERAL) return turn_away(stream, TEXT("matched_policy[duplicate-api-key]"), TEXT("Duplicate API key found"));
    if (found == NONE || key.length == 0) return turn_away(stream, TEXT("missing_api_key"), TEXT("No API key found in request"));
    if (key.length > LONGEST_KEY) return turn_away(stream, TEXT("unknown_api_key"), TEXT("Unauthorized"));
    const void *bearer = bearer_of(consumers, key);
    if (bearer == NULL) return turn_away(stream, TEXT("unknown_api_key"), TEXT("Unauthorized"));
    consumers_give(bearer, stream);
    return true;
}
