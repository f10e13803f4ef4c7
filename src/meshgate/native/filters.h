/* The two filters of this module; `module.c` joins them to Envoy. */
#ifndef MESHGATE_FILTERS_H
#define MESHGATE_FILTERS_H

#include "items.h"

/* Consumers: which headers a request gets for the value of one of its headers.
 *
 * Configuration: the header's name; how many values follow; for each the value, how many headers
 * follow, and for each its name and its value. An empty value removes the header.
 * NULL where the configuration cannot be read.
 */
void *consumers_new(items *from);
void consumers_free(void *consumers);
void consumers_on_request(const void *consumers, void *stream);

/* Limits: so many requests in each window of the calendar, counted per rule and per somebody.
 *
 * Configuration of a route: how many rules follow; for each its name, who is counted ("consumer",
 * "credential", "header", "ip", "path", "service"), the header or the path that this needs, the
 * status of refusals, "1" where clients must not see the limits, the six windows (second first,
 * -1: no limit), how many exceptions follow, and for each who it is for and the six windows.
 * NULL where the configuration cannot be read.
 */
void *limits_new(items *from);
void limits_free(void *limits);

/* What a stream must remember until its answer; freed by `free`. NULL where there is no memory. */
void *limits_stream_new(void);

/* Whether the request may go on; where not it has been answered, and `limits_on_response` is not
 * called. `refused`: the counter of that. */
bool limits_on_request(const void *limits, void *stream, void *remembered, size_t refused);
void limits_on_response(void *stream, const void *remembered);

#endif
