/* An edit, merged without a model where its anchors say for certain where it belongs. */
#ifndef APPLY_MERGE_H
#define APPLY_MERGE_H

#include "lines.h"

typedef enum {
    MERGED,    /* `result` is it */
    UNCERTAIN, /* where it belongs is not certain: `why` */
    MALFORMED  /* the edit is no edit: `why` */
} verdict;

typedef struct {
    verdict verdict;
    lines result;
    const char *why;
} merged;

/* Search/replace blocks, or code with markers. */
merged merge(const lines *original, const char *edit);

/* Search/replace blocks: <<<<<<< SEARCH, =======, >>>>>>> REPLACE. */
bool has_blocks(const lines *edit);
merged merge_blocks(const lines *original, const lines *edit);
/* One block. */
merged replace_once(const lines *original, const lines *search, const lines *replacement);

/* Code with markers such as `// ... existing code ...`. */
bool is_marker(const line *one);
merged merge_sketch(const lines *original, const lines *edit);

#endif
