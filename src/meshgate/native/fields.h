/* Headers that a filter gives to a request or an answer. */
#ifndef MESHGATE_FIELDS_H
#define MESHGATE_FIELDS_H

#include "abi.h"

/* Laid out as Envoy takes the headers of an answer. */
typedef struct {
    bytes name;  /* Lower case. */
    bytes value; /* Empty: the header is removed. */
} field;

/* Sets them, whatever was there by these names. */
void set_fields(void *stream, enum header_kind kind, const field *fields, size_t count);

#define MOST_FIELDS 16

/* Answers a request that must not go on, with these headers (at most MOST_FIELDS) besides. `details` is the reason
 * by which the gateway finds the words; gRPC's clients get `message`, for Envoy tells them nothing of a status that a
 * module gives. */
void refuse(void *stream, uint32_t status, const field *fields, size_t count, bytes details, bytes message);

#endif
