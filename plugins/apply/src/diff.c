#include "diff.h"

#include <stdlib.h>
#include <string.h>

#define CONTEXT 3
/* Of a diff for people: more changes than these are shown as one. */
#define MOST_CHANGES 2000

static void add(steps *all, char what, size_t old, size_t fresh) {
    all->items[all->count++] = (step) { what, old, fresh };
    all->removed += what == '-';
    all->added += what == '+';
}

/* The farthest points of each number of changes, one array after another; `way[d]` has 2 d + 1 places. */
static size_t search(const lines *old, const lines *fresh, comparison equal, size_t most, long **way) {
    long n = (long)old->count, m = (long)fresh->count;
    for (size_t d = 0; d <= most; d++) {
        long *now = way[d] = malloc((2 * d + 1) * sizeof *now);
        if (!now) RF_PANIC("out of memory");
        const long *before = d ? way[d - 1] : NULL;
        for (long k = -(long)d; k <= (long)d; k += 2) {
            long x = 0;
            if (d) {
                /* One less change: the arrays are centred at their own d. */
                long centre = (long)d - 1;
                bool down = k == -(long)d || (k != (long)d && before[k - 1 + centre] < before[k + 1 + centre]);
                x = down ? before[k + 1 + centre] : before[k - 1 + centre] + 1;
            }
            long y = x - k;
            while (x < n && y < m && x >= 0 && y >= 0 && equal(old->items + x, fresh->items + y)) x++, y++;
            now[k + (long)d] = x;
            if (x >= n && y >= m) return d;
        }
    }
    return SIZE_MAX;
}

/* From the end back to the beginning; `out` is filled from its end. */
static size_t trace(long **way, size_t changes, long n, long m, step *out, size_t room) {
    long x = n, y = m;
    for (size_t d = changes; d > 0; d--) {
        const long *before = way[d - 1];
        long k = x - y, centre = (long)d - 1;
        bool down = k == -(long)d || (k != (long)d && before[k - 1 + centre] < before[k + 1 + centre]);
        long from_k = down ? k + 1 : k - 1, from_x = before[from_k + centre];
        while (x > (down ? from_x : from_x + 1)) x--, y--, out[--room] = (step) { ' ', (size_t)x, (size_t)y };
        if (down) y--, out[--room] = (step) { '+', (size_t)x, (size_t)y };
        else x--, out[--room] = (step) { '-', (size_t)x, (size_t)y };
    }
    while (x > 0) x--, y--, out[--room] = (step) { ' ', (size_t)x, (size_t)y };
    return room;
}

steps compare(const lines *old, const lines *fresh, comparison equal, size_t most, bool *found) {
    size_t head = 0, tail = 0;
    while (head < old->count && head < fresh->count && equal(old->items + head, fresh->items + head)) head++;
    while (tail < old->count - head && tail < fresh->count - head &&
           equal(old->items + old->count - 1 - tail, fresh->items + fresh->count - 1 - tail))
        tail++;
    lines a = part(old, head, old->count - tail), b = part(fresh, head, fresh->count - tail);
    size_t changes = SIZE_MAX, bound = a.count + b.count < most ? a.count + b.count : most;
    long **way = calloc(bound + 1, sizeof *way);
    if (!way) RF_PANIC("out of memory");
    changes = search(&a, &b, equal, bound, way);
    if (found) *found = changes != SIZE_MAX;
    steps all = { rf_alloc_array(old->count + fresh->count + 1, sizeof(step)), 0, 0, 0 };
    for (size_t i = 0; i < head; i++) add(&all, ' ', i, i);
    if (changes == SIZE_MAX) {
        for (size_t i = 0; i < a.count; i++) add(&all, '-', head + i, head);
        for (size_t i = 0; i < b.count; i++) add(&all, '+', head + a.count, head + i);
    } else {
        size_t room = a.count + b.count;
        step *middle = rf_alloc_array(room + 1, sizeof *middle);
        for (size_t i = trace(way, changes, (long)a.count, (long)b.count, middle, room); i < room; i++)
            add(&all, middle[i].what, head + middle[i].old, head + middle[i].fresh);
    }
    for (size_t i = 0; i < tail; i++) add(&all, ' ', old->count - tail + i, fresh->count - tail + i);
    for (size_t d = 0; d <= bound; d++) free(way[d]);
    free(way);
    return all;
}

static bool identical(const line *one, const line *other) {
    return same(one, other) && !strcmp(one->end, other->end);
}

static void show(rf_buffer *out, char what, const line *one) {
    rf_append_n(out, &what, 1);
    rf_append_n(out, one->text, one->length);
    if (*one->end) rf_append(out, one->end);
    else rf_append(out, "\n\\ No newline at end of file\n");
}

/* "12,3", as `diff` writes it: the line before where there are none. */
static void range(rf_buffer *out, size_t first, size_t count) {
    if (count == 1) rf_appendf(out, "%zu", first + 1);
    else rf_appendf(out, "%zu,%zu", count ? first + 1 : first, count);
}

char *unified(const lines *old, const lines *fresh, const char *path, size_t *removed, size_t *added) {
    steps all = compare(old, fresh, identical, MOST_CHANGES, NULL);
    *removed = all.removed;
    *added = all.added;
    rf_buffer out = { 0 };
    if (all.removed + all.added) rf_appendf(&out, "--- a/%s\n+++ b/%s\n", path, path);
    size_t at = 0;
    while (at < all.count) {
        while (at < all.count && all.items[at].what == ' ') at++;
        if (at == all.count) break;
        size_t first = at > CONTEXT ? at - CONTEXT : 0, end = at;
        /* On, as long as the next change is near enough to share its context. */
        for (size_t calm = 0; end < all.count && calm <= 2 * CONTEXT; end++) calm = all.items[end].what == ' ' ? calm + 1 : 0;
        while (end > at && all.items[end - 1].what == ' ') end--;
        size_t last = end + CONTEXT < all.count ? end + CONTEXT : all.count;
        size_t olds = 0, news = 0;
        for (size_t i = first; i < last; i++) olds += all.items[i].what != '+', news += all.items[i].what != '-';
        rf_append(&out, "@@ -");
        range(&out, all.items[first].old, olds);
        rf_append(&out, " +");
        range(&out, all.items[first].fresh, news);
        rf_append(&out, " @@\n");
        for (size_t i = first; i < last; i++) {
            const step *one = all.items + i;
            show(&out, one->what, one->what == '+' ? fresh->items + one->fresh : old->items + one->old);
        }
        at = last;
    }
    return rf_buffer_text(&out);
}
