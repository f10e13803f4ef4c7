/* Kong's fixed windows: so many in each second, minute ... year of the calendar (UTC).
 *
 * One table for the whole process, so that all workers count together. It has a fixed size: where
 * no room is left for a newcomer, whoever in his row has the fewest requests is forgotten.
 */
#ifndef MESHGATE_WINDOWS_H
#define MESHGATE_WINDOWS_H

#include "hash.h"

enum window { SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, WINDOWS };

typedef struct {
    uint64_t most[WINDOWS]; /* What may pass; only of those in `set`. */
    uint8_t set;            /* Bit 1 << window. */
} limits;

typedef struct {
    uint64_t left[WINDOWS]; /* After this request; of those that are set. */
    enum window tightest;   /* With the least left; of equal ones the longer. */
    uint32_t reset;         /* Seconds until the tightest ends, at least 1. */
    bool passes;
} outcome;

/* Counts one request of `who` in all windows, or in none if one is full. Any thread may call it.
 * `who` is a hash of who is counted by which rule. */
outcome windows_take(hash128 who, const limits *allowed);

/* The same at a moment given in seconds since 1970, for tests. */
outcome windows_take_at(hash128 who, const limits *allowed, uint64_t now);

/* When the window that `now` lies in began, and when it ends; in seconds since 1970. */
void window_span(enum window window, uint64_t now, uint64_t *began, uint64_t *ends);

#endif
