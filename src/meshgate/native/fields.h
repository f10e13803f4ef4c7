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

#endif
