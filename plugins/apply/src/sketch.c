/* Code with markers for what stays as it is.
 *
 * A piece between two markers begins and ends with a line that the file has: its anchors. The piece takes the place of what stands
 * between them. A piece at the file's beginning or end needs no marker there.
 */
#include "diff.h"
#include "merge.h"

#include <string.h>

/* How many places of an anchor are tried. */
#define MOST_PLACES 64

/* ---- markers */

static bool has_word(const char *text, size_t length, const char *word) {
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= length; i++) {
        size_t at = 0;
        while (at < size && (text[i + at] | (text[i + at] >= 'A' && text[i + at] <= 'Z' ? 32 : 0)) == word[at]) at++;
        if (at == size) return true;
    }
    return false;
}

/* Takes what opens or closes a comment from one end of the text; whether there was something. */
static bool strip(const char **text, size_t *length, const char *const *words, bool from_end) {
    for (; *words; words++) {
        size_t size = strlen(*words);
        if (*length < size || memcmp(*text + (from_end ? *length - size : 0), *words, size)) continue;
        if (!from_end) *text += size;
        *length -= size;
        return true;
    }
    return false;
}

bool is_marker(const line *one) {
    static const char *const OPENING[] = { " ", "\t", "{/*", "/*", "//", "<!--", "#", "--", ";", "%", "*", "'", "\"", "(*", NULL };
    static const char *const CLOSING[] = { " ", "\t", "\r", "*/}", "*/", "-->", "*)", NULL };
    static const char *const DOTS[] = { "...", "\xE2\x80\xA6", "[", "]", "(", ")", ".", NULL };
    static const char *const SAY_SO[] = { "existing", "unchanged", "rest of", "remaining", "as before", "omitted", "same as", "keep", "other code", NULL };
    const char *text = one->text, *start = text;
    size_t length = one->length;
    while (strip(&text, &length, OPENING, false)) {}
    while (strip(&text, &length, CLOSING, true)) {}
    bool comment = false;
    for (const char *c = start; c < text; c++) comment |= *c != ' ' && *c != '\t';
    bool dots = (length >= 3 && (!memcmp(text, "...", 3) || !memcmp(text, "\xE2\x80\xA6", 3))) ||
        (length >= 3 && (!memcmp(text + length - 3, "...", 3) || !memcmp(text + length - 3, "\xE2\x80\xA6", 3)));
    if (!dots) return false;
    while (strip(&text, &length, DOTS, false) || strip(&text, &length, CLOSING, false)) {}
    /* Three dots alone are Python's `...`, in a comment they are a marker. */
    if (!length) return comment;
    for (const char *const *word = SAY_SO; *word; word++)
        if (has_word(text, length, *word)) return true;
    return false;
}

/* ---- places */

/* Where a piece goes: the lines of the file from `first` to before `end`. */
typedef struct {
    size_t first, end;
    steps way;
} place;

static merged uncertain(const char *why) {
    return (merged) { UNCERTAIN, { 0 }, why };
}

static const char *words_of(const line *one) {
    size_t indent = indent_of(one), length = one->length - indent;
    while (length > 60 && ((unsigned char)one->text[indent + 60] & 0xC0) == 0x80) length--;
    return rf_format("%.*s", (int)(length > 60 ? 60 : length), one->text + indent);
}

/* More than this is no edit of what stands there: most likely a marker is missing. */
static size_t most_removed(const lines *piece) {
    return 3 + 2 * piece->count;
}

/* How many lines of the piece's beginning stand in the file from there on, and of its end before there. */
static size_t head_run(const lines *file, size_t first, const lines *piece) {
    size_t run = 0;
    while (run < piece->count && first + run < file->count && alike(file->items + first + run, piece->items + run)) run++;
    return run;
}

static size_t tail_run(const lines *file, size_t end, const lines *piece) {
    size_t run = 0;
    while (run < piece->count && run < end && alike(file->items + end - 1 - run, piece->items + piece->count - 1 - run)) run++;
    return run;
}

/* Looks at all pairs of anchors from `from` on. `at_start` and `at_end` hold the piece to the ends of the file. */
static const char *find(const lines *file, size_t from, const lines *piece, bool at_start, bool at_end, place *best) {
    const line *head = piece->items, *tail = piece->items + piece->count - 1;
    size_t first_text = 0, last_text = file->count;
    while (first_text < file->count && is_blank(file->items + first_text)) first_text++;
    while (last_text > first_text && is_blank(file->items + last_text - 1)) last_text--;
    size_t best_cost = SIZE_MAX, ties = 0, starts = 0, fitting = 0, most = most_removed(piece) + piece->count;
    size_t longest_head = 0, heads_as_long = 0, longest_tail = 0;
    bool head_known = false;
    for (size_t first = at_start ? first_text : from; first < file->count; first++) {
        bool head_stays = alike(file->items + first, head), fits = false;
        if (!head_stays && !at_start) continue;
        head_known = true;
        if (++starts > MOST_PLACES) return rf_format("`%s` stands there too often", words_of(head));
        size_t ends = 0;
        for (size_t end = at_end ? last_text : first + 1; end <= file->count && end > first && ends < MOST_PLACES; end++) {
            bool tail_stays = alike(file->items + end - 1, tail);
            if (!tail_stays && !at_end) continue;
            ends++;
            lines old = part(file, first, end);
            bool found;
            steps way = compare(&old, piece, alike, most, &found);
            size_t cost = way.removed + way.added;
            /* An end of the file whose own line does not stay may gain lines and lose none. */
            bool loses = way.removed && (!head_stays || !tail_stays);
            if (found && !loses && way.removed <= most_removed(piece)) {
                size_t tails = tail_run(file, end, piece);
                if (tails > longest_tail) longest_tail = tails;
                ties = cost == best_cost ? ties + 1 : cost < best_cost ? 0 : ties;
                if (cost < best_cost) *best = (place) { first, end, way };
                if (cost < best_cost) best_cost = cost;
                fits = true;
            }
            if (at_end) break;
        }
        if (fits) {
            size_t heads = head_run(file, first, piece);
            heads_as_long = heads == longest_head ? heads_as_long + 1 : heads > longest_head ? 1 : heads_as_long;
            if (heads > longest_head) longest_head = heads;
            fitting++;
        }
        if (at_start) break;
    }
    if (best_cost == SIZE_MAX) {
        if (at_start) return "the edit begins without a marker, and not as the file does";
        if (!head_known) return rf_format("`%s` does not stand in the file, behind what the edit has before it", words_of(head));
        if (at_end) return "the edit ends without a marker, and not as the file does";
        return rf_format("`%s` begins a piece whose last line `%s` does not end it in the file", words_of(head), words_of(tail));
    }
    /* Nothing changes there, so that every place is the same one. */
    if (!best_cost) return NULL;
    /* The cheapest place is not the right one where another has more of the piece's beginning, or of its end: one of the two matches by
     * coincidence. Several beginnings are told apart only by more than one line. */
    size_t heads = head_run(file, best->first, piece);
    bool one_start = fitting == 1 || (heads == longest_head && heads_as_long == 1 && heads > 1);
    if (!one_start || tail_run(file, best->end, piece) < longest_tail || ties)
        return rf_format("what begins with `%s` and ends with `%s` fits in several places", words_of(head), words_of(tail));
    return NULL;
}

/* The piece as it stands, or with the indentation that one of its places has. */
static const char *find_moved(const lines *file, size_t from, lines *piece, bool at_start, bool at_end, place *best) {
    const char *why = find(file, from, piece, at_start, at_end, best);
    if (!why) return NULL;
    size_t found = 0;
    lines fresh = { 0 };
    shift tried[8];
    size_t tries = 0;
    for (size_t i = from; i < file->count && tries < 8; i++) {
        shift by;
        lines other;
        place where;
        if (!shift_between(piece->items, file->items + i, &by) || !by.length) continue;
        bool known = false;
        for (size_t t = 0; t < tries; t++)
            known |= tried[t].take == by.take && tried[t].length == by.length && !memcmp(tried[t].text, by.text, by.length);
        if (known) continue;
        tried[tries++] = by;
        if (!moved(piece, by, &other) || find(file, from, &other, at_start, at_end, &where)) continue;
        found++;
        fresh = other;
        *best = where;
    }
    if (found != 1) return why;
    *piece = fresh;
    return NULL;
}

/* ---- the whole */

static void keep(lines *out, const lines *file, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) push(out, file->items[i]);
}

static void put(lines *out, const lines *file, const lines *piece, const place *where, const char *usual) {
    for (size_t i = 0; i < where->way.count; i++) {
        const step *one = where->way.items + i;
        if (one->what == ' ') push(out, file->items[where->first + one->old]);
        if (one->what != '+') continue;
        line fresh = piece->items[one->fresh];
        fresh.end = usual;
        push(out, fresh);
    }
}

static lines trim(const lines *all, size_t from, size_t to) {
    while (from < to && is_blank(all->items + from)) from++;
    while (to > from && is_blank(all->items + to - 1)) to--;
    return part(all, from, to);
}

merged merge_sketch(const lines *file, const lines *edit) {
    merged out = { MERGED, { 0 }, NULL };
    size_t markers = 0, at = 0;
    const char *usual = usual_end(file);
    for (size_t i = 0; i < edit->count; i++) markers += is_marker(edit->items + i);
    for (size_t i = 0; i < file->count && markers; i++)
        if (is_marker(file->items + i))
            return uncertain(rf_format("the file itself has a line that looks like a marker: `%s`", words_of(file->items + i)));
    for (size_t from = 0; from <= edit->count;) {
        size_t to = from;
        while (to < edit->count && !is_marker(edit->items + to)) to++;
        lines piece = trim(edit, from, to);
        bool at_start = from == 0, at_end = to == edit->count;
        from = to + 1;
        if (!piece.count) continue;
        place where = { 0 };
        const char *why = find_moved(file, at, &piece, at_start, at_end, &where);
        /* Without any marker it may be the whole file, or a piece of it that can be told by its anchors. */
        if (why && !markers) why = find_moved(file, at, &piece, false, false, &where);
        if (why) return uncertain(why);
        if (where.first < at) return uncertain("the edit has its pieces in another order than the file");
        keep(&out.result, file, at, where.first);
        put(&out.result, file, &piece, &where, usual);
        at = where.end;
    }
    keep(&out.result, file, at, file->count);
    settle_ends(&out.result, file);
    return out;
}

/* Models often put code between fences; a file that begins with one keeps it. */
static lines without_fences(const lines *edit, const lines *original) {
    lines all = trim(edit, 0, edit->count);
    if (all.count < 2 || (original->count && original->items[0].length >= 3 && !memcmp(original->items[0].text, "```", 3))) return *edit;
    line fence = { "```", 3, "" };
    const line *first = all.items;
    if (first->length < 3 || memcmp(first->text, "```", 3) || !alike(all.items + all.count - 1, &fence)) return *edit;
    return part(&all, 1, all.count - 1);
}

merged merge(const lines *original, const char *edit) {
    lines given = split(edit), all = without_fences(&given, original);
    if (has_blocks(&all)) return merge_blocks(original, &all);
    bool blank = true;
    for (size_t i = 0; i < all.count; i++) blank &= is_blank(all.items + i);
    if (blank) return (merged) { MALFORMED, { 0 }, "`edit` is empty" };
    if (!original->count) {
        for (size_t i = 0; i < all.count; i++)
            if (is_marker(all.items + i)) return (merged) { MALFORMED, { 0 }, "the edit keeps existing code, and there is none" };
        return (merged) { MERGED, all, NULL };
    }
    return merge_sketch(original, &all);
}
