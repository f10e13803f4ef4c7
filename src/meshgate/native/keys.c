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
    bytes written, lower; /* Queries care for the case, headers do not. */
} key_name;

typedef struct {
    bool in_header, in_query;
    size_t count;
    key_name names[];
} key_places;

enum found { NONE, ONE, SEVERAL };

void keys_free(void *which) {
    key_places *places = which;
    for (size_t i = 0; i < places->count; i++) {
        free((void *)places->names[i].written.ptr);
        free((void *)places->names[i].lower.ptr);
    }
    free(places);
}

static bytes lowered(items *from, bytes name) {
    bytes copy = copied(from, name);
    char *letters = (char *)copy.ptr;
    for (size_t i = 0; i < copy.length; i++)
        if (letters[i] >= 'A' && letters[i] <= 'Z') letters[i] = (char)(letters[i] | 32);
    return copy;
}

void *keys_new(items *from) {
    bool in_header = next_number(from, 1) == 1, in_query = next_number(from, 1) == 1;
    size_t count = (size_t)next_number(from, MOST_NAMES);
    key_places *places = from->bad ? NULL : calloc(1, sizeof *places + count * sizeof(key_name));
    if (places == NULL) return NULL;
    places->in_header = in_header, places->in_query = in_query;
    for (; places->count < count && !from->bad; places->count++) {
        bytes name = next_item(from);
        places->names[places->count] = (key_name){copied(from, name), lowered(from, name)};
    }
    if (!from->bad) return places;
    keys_free(places);
    return NULL;
}

static enum found in_header(const headers *request, bytes name, bytes *key) {
    size_t count = header_values(request, name, key);
    return count == 0 ? NONE : count == 1 ? ONE : SEVERAL;
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

static enum found find(const key_places *places, const headers *request, char *room, bytes *key) {
    bytes path = {"", 0};
    for (size_t i = 0; i < places->count; i++) {
        const key_name *name = &places->names[i];
        enum found found = places->in_header ? in_header(request, name->lower, key) : NONE;
        if (found == NONE && places->in_query && header_values(request, TEXT(":path"), &path) > 0)
            found = in_query(query_of(path), name->written, room, key);
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

static bool turn_away(const headers *request, bytes reason, bytes message) {
    refuse(request->stream, 401, NULL, 0, reason, message);
    return false;
}

bool keys_on_request(const void *consumers, const void *which, headers *request) {
    char room[LONGEST_KEY + 1];
    bytes key = {"", 0};
    list_headers(request);
    enum found found = which != NULL ? find(which, request, room, &key) : NONE;
    if (found == SEVERAL) return turn_away(request, TEXT("matched_policy[duplicate-api-key]"), TEXT("Duplicate API key found"));
    if (found == NONE || key.length == 0) return turn_away(request, TEXT("missing_api_key"), TEXT("No API key found in request"));
    const void *bearer = key.length <= LONGEST_KEY ? bearer_of(consumers, key) : NULL;
    if (bearer == NULL) return turn_away(request, TEXT("unknown_api_key"), TEXT("Unauthorized"));
    consumers_give(bearer, request);
    return true;
}
