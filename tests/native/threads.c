/* Many threads count the same few, and draw the process' key at once; built with ThreadSanitizer. Says how many passed. */
#include <pthread.h>
#include <stdio.h>

#include "windows.h"

#define THREADS 8
#define TURNS 2000

static const limits FEW = {.most = {[DAY] = 1000}, .set = 1 << DAY};

static void *count(void *passed) {
    hash128 key = process_key();
    for (int i = 0; i < TURNS; i++) {
        hash128 who = hash_of(key, (bytes){(const char *)&(char){(char)('a' + i % 4)}, 1});
        *(int *)passed += windows_take_at(who, &FEW, 1800000000).passes;
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    int passed[THREADS] = {0}, all = 0;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, count, &passed[i]) != 0) return 2;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL), all += passed[i];
    printf("%d\n", all);
    return 0;
}
