#include "hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static inline uint64_t rotated(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

static inline void mix(uint64_t v[4]) {
    v[0] += v[1], v[1] = rotated(v[1], 13), v[1] ^= v[0], v[0] = rotated(v[0], 32);
    v[2] += v[3], v[3] = rotated(v[3], 16), v[3] ^= v[2];
    v[0] += v[3], v[3] = rotated(v[3], 21), v[3] ^= v[0];
    v[2] += v[1], v[1] = rotated(v[1], 17), v[1] ^= v[2], v[2] = rotated(v[2], 32);
}

static inline void absorb(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    mix(v), mix(v);
    v[0] ^= word;
}

/* Little endian machines only, as all that Envoy is built for. */
hash128 hash_of(hash128 key, bytes text) {
    uint64_t v[4] = {key.low ^ 0x736f6d6570736575u, key.high ^ 0x646f72616e646f6du ^ 0xee,
                     key.low ^ 0x6c7967656e657261u, key.high ^ 0x7465646279746573u};
    uint64_t word = 0;
    size_t whole = text.length & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, text.ptr + i, 8);
        absorb(v, word);
    }
    word = 0;
    if (text.length > whole) memcpy(&word, text.ptr + whole, text.length - whole);
    absorb(v, word | (uint64_t)text.length << 56);

    hash128 found;
    v[2] ^= 0xee;
    mix(v), mix(v), mix(v), mix(v);
    found.low = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    mix(v), mix(v), mix(v), mix(v);
    found.high = v[0] ^ v[1] ^ v[2] ^ v[3];
    return found;
}

static hash128 drawn;

static void draw(void) {
    /* Without chance nothing here is safe; and a system that has none left does not start Envoy. */
    if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn) abort();
}

hash128 process_key(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, draw);
    return drawn;
}
