/* The headers of a request or an answer: what is there, and what a filter gives. */
#ifndef MESHGATE_FIELDS_H
#define MESHGATE_FIELDS_H

#include "abi.h"

/* Laid out as Envoy takes the headers of an answer. */
typedef struct {
    bytes name;  /* Lower case. */
    bytes value; /* Empty: the header is removed. */
} field;

#define MOST_FIELDS 16 /* That are given at once. */
#define MOST_LISTED 128

/* Envoy is asked for all headers once, or for each one by its name: one question of the first kind costs as
 * much as two of the second. What `list` holds is good until the function that Envoy has called returns. */
typedef struct {
    void *stream;
    enum header_kind kind;
    bool listed;        /* Not where there are too many: then each is asked for. */
    size_t count;       /* Of `there`. */
    const field *given; /* Set since they were listed. */
    size_t given_count;
    listed_header there[MOST_LISTED];
} headers;

/* Nothing is asked yet. */
void headers_of(headers *new, void *stream, enum header_kind kind);

/* Asks for all of them. */
void list_headers(headers *all);

/* How often a header (by its name in lower case) is there, and the first of its values. */
size_t header_values(const headers *all, bytes name, bytes *first);

/* Sets them, whatever was there by these names: at most MOST_FIELDS, and once for each request or answer. */
void set_fields(headers *all, const field *fields, size_t count);

/* Answers a request that must not go on, with these headers (at most MOST_FIELDS) besides. `details` is the reason
 * by which the gateway finds the words; gRPC's clients get `message`, for Envoy tells them nothing of a status that a
 * module gives. */
void refuse(void *stream, uint32_t status, const field *fields, size_t count, bytes details, bytes message);

#endif
