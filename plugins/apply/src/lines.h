/* Texts as lines that remember how they ended. */
#ifndef APPLY_LINES_H
#define APPLY_LINES_H

#include <ringfence.h>

typedef struct {
    const char *text; /* without its end; not followed by a NUL */
    size_t length;
    const char *end;  /* "\n", "\r\n", or "" where the text ends without one */
} line;

typedef struct {
    line *items;
    size_t count, capacity;
} lines;

lines split(const char *text);
char *join(const lines *all);
void push(lines *all, line one);
/* Some of them, not copied. */
lines part(const lines *all, size_t from, size_t to);

/* The end that most lines have. */
const char *usual_end(const lines *all);
/* Every line gets an end; the last has one where `like` has one at its last line, or is empty. */
void settle_ends(lines *all, const lines *like);

bool is_blank(const line *one);
/* Whether two lines say the same, whatever their ends. */
bool same(const line *one, const line *other);
/* The same, whatever white space stands behind the text: models and editors drop it. */
bool alike(const line *one, const line *other);
size_t indent_of(const line *one);

/* How lines have to be moved to stand as others do: white space is put before them, or taken from them. */
typedef struct {
    const char *text;
    size_t length;
    bool take;
} shift;

/* The shift from `one` to `other`, false where their texts differ or neither indentation begins with the other. */
bool shift_between(const line *one, const line *other, shift *by);
/* Moves all of them; false where a line has not what is to be taken from it. */
bool moved(const lines *all, shift by, lines *out);

#endif
