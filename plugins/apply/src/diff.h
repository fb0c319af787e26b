/* What differs between two lists of lines. */
#ifndef APPLY_DIFF_H
#define APPLY_DIFF_H

#include "lines.h"

typedef bool (*comparison)(const line *one, const line *other);

/* One step on the way from the old lines to the new ones. */
typedef struct {
    char what; /* ' ' stays, '-' goes, '+' comes */
    size_t old, fresh;
} step;

typedef struct {
    step *items;
    size_t count;
    size_t removed, added;
} steps;

/* The shortest way (Myers). Where it has more than `most` changes, `found` is false, or with NULL for it a way that takes everything
 * out between the first and the last difference. */
steps compare(const lines *old, const lines *fresh, comparison equal, size_t most, bool *found);

/* The same as a unified diff with three lines of context; "" where nothing differs. */
char *unified(const lines *old, const lines *fresh, const char *path, size_t *removed, size_t *added);

#endif
