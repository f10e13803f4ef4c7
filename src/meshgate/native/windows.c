#include "windows.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define ROWS 16384 /* A power of two. */
#define SEATS 8    /* 131,072 in all: 14 MiB, of which only what is used takes memory. */
#define SPINS 100

typedef struct {
    hash128 who;
    uint64_t ends[WINDOWS]; /* When a window's count is worth nothing any more; 0: never used. */
    uint64_t used[WINDOWS];
} seat;

typedef struct {
    atomic_flag busy;
    seat seats[SEATS];
} row;

static row table[ROWS];

static const uint64_t LONGEST[WINDOWS] = {1, 60, 3600, 86400, 31 * 86400, 366 * 86400};

static void lock(row *at) {
    for (int tries = 0; atomic_flag_test_and_set_explicit(&at->busy, memory_order_acquire); tries++)
        if (tries >= SPINS) sched_yield();
}

static void unlock(row *at) { atomic_flag_clear_explicit(&at->busy, memory_order_release); }

/* Days from 1970-01-01 to the first of that month; `month` counts from 0 and may be 12. */
static uint64_t days_until(uint64_t year, unsigned month) {
    static const unsigned before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    uint64_t past = year - 1;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return past * 365 + past / 4 - past / 100 + past / 400 + before[month] + (leap && month > 1) - 719162;
}

void window_span(enum window window, uint64_t now, uint64_t *began, uint64_t *ends) {
    if (window <= DAY) {
        *began = now - now % LONGEST[window];
        *ends = *began + LONGEST[window];
        return;
    }
    uint64_t days = now / 86400;
    uint64_t year = 1970 + days / 366; /* Not later than the true one. */
    while (days_until(year + 1, 0) <= days) year++;
    unsigned first = 0, after = 12;
    if (window == MONTH) {
        while (days_until(year, first + 1) <= days) first++;
        after = first + 1;
    }
    *began = days_until(year, first) * 86400;
    *ends = days_until(year, after) * 86400;
}

static uint64_t worth(const seat *taken, uint64_t now) {
    uint64_t most = 0;
    for (int w = 0; w < WINDOWS; w++)
        if (taken->ends[w] > now && taken->used[w] > most) most = taken->used[w];
    return most;
}

/* The seat of `who` in his row, if need be a free one or that of whoever has used least. */
static seat *seat_of(row *at, hash128 who, uint64_t now) {
    seat *least = NULL;
    uint64_t least_worth = UINT64_MAX;
    for (int i = 0; i < SEATS; i++)
        if (at->seats[i].who.low == who.low && at->seats[i].who.high == who.high) return &at->seats[i];
    for (int i = 0; i < SEATS; i++) {
        uint64_t its = worth(&at->seats[i], now);
        if (its < least_worth) least = &at->seats[i], least_worth = its;
    }
    memset(least, 0, sizeof *least);
    least->who = who;
    return least;
}

static outcome count(seat *his, const limits *allowed, uint64_t now) {
    outcome found = {.passes = true};
    uint64_t least = UINT64_MAX;
    for (int w = 0; w < WINDOWS; w++) {
        if (!(allowed->set & 1 << w)) continue;
        /* Too far ahead: the clock was set back since. */
        if (his->ends[w] <= now || his->ends[w] > now + LONGEST[w]) {
            uint64_t began;
            window_span((enum window)w, now, &began, &his->ends[w]);
            his->used[w] = 0;
        }
        if (his->used[w] >= allowed->most[w]) found.passes = false;
    }
    for (int w = 0; w < WINDOWS; w++) {
        if (!(allowed->set & 1 << w)) continue;
        if (found.passes) his->used[w]++;
        found.left[w] = allowed->most[w] > his->used[w] ? allowed->most[w] - his->used[w] : 0;
        if (found.left[w] <= least) {
            least = found.left[w];
            found.tightest = (enum window)w;
            found.reset = (uint32_t)(his->ends[w] - now);
        }
    }
    return found;
}

static uint64_t seconds_now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_REALTIME, &moment);
    return (uint64_t)moment.tv_sec;
}

static outcome take(hash128 who, const limits *allowed, const uint64_t *moment) {
    row *at = &table[who.low & (ROWS - 1)];
    lock(at);
    /* The clock is read inside the lock: of two threads at a window's end the later one reads later. */
    uint64_t now = moment ? *moment : seconds_now();
    outcome found = count(seat_of(at, who, now), allowed, now);
    unlock(at);
    return found;
}

outcome windows_take(hash128 who, const limits *allowed) { return take(who, allowed, NULL); }

outcome windows_take_at(hash128 who, const limits *allowed, uint64_t now) {
    return take(who, allowed, &now);
}
