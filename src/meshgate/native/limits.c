#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "filters.h"

#define MOST_RULES 100
#define MOST_EXCEPTIONS 1000000
#define LONGEST_NUMBER 21

#define TEXT(literal) ((bytes){literal, sizeof(literal) - 1})

typedef struct {
    hash128 who;
    limits allowed;
} exception;

typedef struct {
    hash128 key;  /* Of all that this rule counts. */
    char who;     /* The first letter of who is counted; 'd' for a credential. */
    bytes source; /* The header or the path. */
    uint32_t status;
    bytes message;
    bool hidden;
    limits allowed;
    exception *exceptions; /* In the order of `who.low`. */
    size_t exception_count;
} rule;

typedef struct {
    size_t count;
    rule rules[];
} route_limits;

static const bytes LIMIT[WINDOWS] = {TEXT("x-ratelimit-limit-second"), TEXT("x-ratelimit-limit-minute"),
                                     TEXT("x-ratelimit-limit-hour"),   TEXT("x-ratelimit-limit-day"),
                                     TEXT("x-ratelimit-limit-month"),  TEXT("x-ratelimit-limit-year")};
static const bytes REMAINING[WINDOWS] = {
    TEXT("x-ratelimit-remaining-second"), TEXT("x-ratelimit-remaining-minute"),
    TEXT("x-ratelimit-remaining-hour"),   TEXT("x-ratelimit-remaining-day"),
    TEXT("x-ratelimit-remaining-month"),  TEXT("x-ratelimit-remaining-year")};

static limits read_limits(items *from) {
    limits allowed = {0};
    for (int w = 0; w < WINDOWS; w++) {
        items before = *from;
        bytes text = next_item(from);
        if (text.length == 2 && memcmp(text.ptr, "-1", 2) == 0) continue;
        *from = before;
        allowed.most[w] = next_number(from, UINT64_MAX / 10);
        allowed.set |= (uint8_t)(1 << w);
    }
    return allowed;
}

static int by_hash(const void *one, const void *other) {
    uint64_t a = ((const exception *)one)->who.low, b = ((const exception *)other)->who.low;
    return (a > b) - (a < b);
}

static char letter_of(items *from, bytes text) {
    static const char *const known[] = {"consumer", "credential", "header", "ip", "path", "service"};
    static const char letters[] = "cdhips";
    for (int i = 0; i < 6; i++)
        if (text.length == strlen(known[i]) && memcmp(text.ptr, known[i], text.length) == 0) return letters[i];
    from->bad = true;
    return '\0';
}

static void read_rule(items *from, rule *to) {
    to->key = hash_of(process_key(), next_item(from));
    to->who = letter_of(from, next_item(from));
    to->source = copied(from, next_item(from));
    to->status = (uint32_t)next_number(from, 599);
    to->message = copied(from, next_item(from));
    to->hidden = next_number(from, 1) == 1;
    to->allowed = read_limits(from);
    size_t count = (size_t)next_number(from, MOST_EXCEPTIONS);
    to->exceptions = from->bad ? NULL : calloc(count + 1, sizeof(exception));
    if (to->exceptions == NULL) from->bad = true;
    for (; to->exception_count < count && !from->bad; to->exception_count++) {
        exception *one = &to->exceptions[to->exception_count];
        one->who = hash_of(to->key, next_item(from));
        one->allowed = read_limits(from);
    }
    if (!from->bad) qsort(to->exceptions, to->exception_count, sizeof(exception), by_hash);
}

void limits_free(void *which) {
    route_limits *all = which;
    for (size_t i = 0; i < all->count; i++) {
        free((void *)all->rules[i].source.ptr);
        free((void *)all->rules[i].message.ptr);
        free(all->rules[i].exceptions);
    }
    free(all);
}

void *limits_new(items *from) {
    size_t count = (size_t)next_number(from, MOST_RULES);
    route_limits *all = from->bad ? NULL : calloc(1, sizeof *all + count * sizeof(rule));
    if (all == NULL) return NULL;
    for (; all->count < count && !from->bad; all->count++) read_rule(from, &all->rules[all->count]);
    if (from->at != from->end) from->bad = true;
    if (!from->bad) return all;
    limits_free(all);
    return NULL;
}

static bool header(const headers *request, bytes name, bytes *value) {
    return header_values(request, name, value) > 0 && value->length > 0;
}

/* The client's address without its port: "10.0.0.1:80", "[2001:db8::1]:80", or a socket's path. */
static bytes address(void *stream) {
    bytes found = {"", 0};
    if (!envoy_dynamic_module_callback_http_filter_get_attribute_string(stream, SOURCE_ADDRESS, &found))
        return TEXT("");
    for (size_t i = found.length; i > 0; i--)
        if (found.ptr[i - 1] == ':') return (bytes){found.ptr, i - 1};
    return found;
}

static bool path_is(const headers *request, bytes path) {
    bytes asked;
    if (!header(request, TEXT(":path"), &asked)) return false;
    const char *query = memchr(asked.ptr, '?', asked.length);
    size_t length = query ? (size_t)(query - asked.ptr) : asked.length;
    return length == path.length && memcmp(asked.ptr, path.ptr, length) == 0;
}

/* Who is counted, as a hash that no other rule's and no other kind's meets. */
static hash128 counted(const rule *by, const headers *request) {
    bytes value = {"", 0};
    bool known = true;
    switch (by->who) {
    case 'c': known = header(request, TEXT("x-consumer-id"), &value); break;
    case 'd': known = header(request, TEXT("x-credential-identifier"), &value); break;
    case 'h': known = header(request, by->source, &value); break;
    case 'p': known = path_is(request, by->source); break;
    case 'i': known = false; break;
    }
    if (known) return hash_of(by->key, value);
    hash128 of_addresses = by->key;
    of_addresses.high ^= 1;
    return hash_of(of_addresses, address(request->stream));
}

static const limits *limits_for(const rule *by, hash128 who) {
    exception wanted = {.who = who};
    exception *found = by->exception_count == 0 ? NULL
                                                : bsearch(&wanted, by->exceptions, by->exception_count,
                                                          sizeof(exception), by_hash);
    return found != NULL && found->who.high == who.high ? &found->allowed : &by->allowed;
}

typedef struct {
    field fields[2 * WINDOWS + 4];
    char digits[2 * WINDOWS + 4][LONGEST_NUMBER];
    size_t count;
} lines;

static void say(lines *to, bytes name, bytes value) { to->fields[to->count++] = (field){name, value}; }

/* In the room of the next line. */
static bytes digits_of(lines *to, uint64_t number) {
    char *digits = to->digits[to->count];
    size_t at = LONGEST_NUMBER;
    do digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return (bytes){digits + at, LONGEST_NUMBER - at};
}

/* What clients are told; nothing where the rule hides it. */
static void tell(lines *to, const limits_stream *told) {
    to->count = 0;
    if (!told->counted || told->hidden) return;
    bytes most = TEXT("0"), left = TEXT("0");
    for (int w = 0; w < WINDOWS; w++) {
        if (!(told->allowed.set & 1 << w)) continue;
        bytes its_most = digits_of(to, told->allowed.most[w]);
        say(to, LIMIT[w], its_most);
        bytes its_left = digits_of(to, told->its.left[w]);
        say(to, REMAINING[w], its_left);
        if ((int)told->its.tightest == w) most = its_most, left = its_left;
    }
    say(to, TEXT("ratelimit-limit"), most);
    say(to, TEXT("ratelimit-remaining"), left);
    bytes reset = digits_of(to, told->its.reset);
    say(to, TEXT("ratelimit-reset"), reset);
    if (!told->its.passes) say(to, TEXT("retry-after"), reset);
}

bool limits_on_request(const void *which, const headers *request, limits_stream *told, size_t refused) {
    const route_limits *all = which;
    for (size_t i = 0; i < all->count; i++) {
        const rule *by = &all->rules[i];
        hash128 who = counted(by, request);
        const limits *allowed = limits_for(by, who);
        outcome its = windows_take(who, allowed);
        bool speaks = !told->counted || !its.passes ||
                      its.left[its.tightest] < told->its.left[told->its.tightest];
        if (speaks) *told = (limits_stream){true, by->hidden, its, *allowed};
        if (its.passes) continue;
        envoy_dynamic_module_callback_http_filter_increment_counter(request->stream, refused, NULL, 0, 1);
        lines said;
        tell(&said, told);
        refuse(request->stream, by->status, said.fields, said.count, TEXT("meshgate_rate_limited"), by->message);
        return false;
    }
    return true;
}

void limits_on_response(void *stream, const limits_stream *told) {
    lines said;
    tell(&said, told);
    if (said.count == 0) return;
    headers answer;
    headers_of(&answer, stream, RESPONSE_HEADER);
    set_fields(&answer, said.fields, said.count);
}
