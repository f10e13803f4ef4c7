/* The filters of this module; `module.c` joins them to Envoy. */
#ifndef MESHGATE_FILTERS_H
#define MESHGATE_FILTERS_H

#include "fields.h"
#include "items.h"
#include "windows.h"

/* Consumers: which headers a request gets for the value of one of its headers.
 *
 * Configuration: the header's name; how many values follow; for each the value, how many headers
 * follow (at most MOST_FIELDS), and for each its name and its value. An empty value removes the header.
 * NULL where the configuration cannot be read.
 */
void *consumers_new(items *from);
void consumers_free(void *consumers);
void consumers_on_request(const void *consumers, void *stream);

/* The same in two steps: what a value stands for (NULL: nothing), as long as the table is there; and
 * giving that to a request. */
const void *consumers_find(const void *consumers, bytes value);
void consumers_give(const void *found, headers *request);

/* A number that no other table of this process has had. */
uint64_t consumers_id(const void *consumers);

/* Keys: lets in who shows a key of a consumer, as Kong's key-auth, and gives the consumer's headers.
 *
 * Configuration: that of `consumers`, of SHA-256 digests in hex; the keys themselves never come here.
 * Of a route: whether keys may be in headers, "1" or "0", and in the query; how many names follow;
 * the names; then what `limits` reads for the route. NULL where it cannot be read.
 */
void *keys_new(items *from);
void keys_free(void *keys);

/* Whether the request may go on; where not it has been answered with 401. Where a route says nothing of
 * keys (`keys` is NULL), nobody has one. */
bool keys_on_request(const void *consumers, const void *keys, headers *request);

/* Limits: so many requests in each window of the calendar, counted per rule and per somebody.
 *
 * Configuration of a route: how many rules follow; for each its name, who is counted ("consumer",
 * "credential", "header", "ip", "path", "service"), the header or the path that this needs, the
 * status of refusals, what gRPC's clients are told then, "1" where clients must not see the limits, the six windows (second first,
 * -1: no limit), how many exceptions follow, and for each who it is for and the six windows.
 * NULL where the configuration cannot be read.
 */
void *limits_new(items *from);
void limits_free(void *limits);

/* What a stream must remember until its answer. */
typedef struct {
    bool counted, hidden; /* Whether anything was counted; whether clients must not see it. */
    outcome its;
    limits allowed;
} limits_stream;

/* Whether the request may go on; where not it has been answered, and `limits_on_response` is not
 * called. `refused`: the counter of that. */
bool limits_on_request(const void *limits, const headers *request, limits_stream *told, size_t refused);
void limits_on_response(void *stream, const limits_stream *told);

#endif
