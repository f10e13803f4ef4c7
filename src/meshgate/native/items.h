/* Reads what the control plane has written: items, each as "<length>:<that many bytes>". */
#ifndef MESHGATE_ITEMS_H
#define MESHGATE_ITEMS_H

#include "abi.h"

typedef struct {
    const char *at;
    const char *end;
    bool bad; /* Once something did not fit; all that is read after it is empty. */
} items;

/* Starts at the beginning of `text`. */
items items_of(bytes text);

/* The next item, inside the text that is read; empty and `bad` where there is none. */
bytes next_item(items *from);

/* The next item as a decimal number up to `most`; 0 and `bad` where it is none. */
uint64_t next_number(items *from, uint64_t most);

/* A copy that ends with a zero byte besides; NULL (and `bad`) where there is no memory. */
bytes copied(items *from, bytes item);

#endif
