/* SHA-256 (FIPS 180-4). */
#ifndef MESHGATE_SHA256_H
#define MESHGATE_SHA256_H

#include "abi.h"

#define SHA256_HEX 64

/* Writes the digest of `text` as lower-case hex digits, without a zero byte. */
void sha256_hex(bytes text, char into[SHA256_HEX]);

#endif
