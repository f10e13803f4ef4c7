/* SipHash-2-4 with 128 bits: nobody who does not know the key can make two texts meet. */
#ifndef MESHGATE_HASH_H
#define MESHGATE_HASH_H

#include "abi.h"

typedef struct {
    uint64_t low, high;
} hash128;

/* The hash of `text` under `key`. */
hash128 hash_of(hash128 key, bytes text);

/* A key that this process has drawn at its start. */
hash128 process_key(void);

#endif
