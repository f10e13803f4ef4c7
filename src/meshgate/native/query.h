/* The query of a path, parameter by parameter. */
#ifndef MESHGATE_QUERY_H
#define MESHGATE_QUERY_H

#include "abi.h"

typedef struct {
    bytes name, value; /* As written. */
    bool has_value;    /* Whether there is a `=`. */
} parameter;

/* What is behind the first `?`; empty where there is none. */
bytes query_of(bytes path);

/* Takes the next parameter from the front of `query`; false at its end. */
bool next_parameter(bytes *query, parameter *next);

/* The text with `%XX` and `+` read, as much of it as has room. */
bytes unescaped(bytes written, char *room, size_t size);

/* Whether it stands for this name. */
bool written_as(bytes written, bytes name);

#endif
