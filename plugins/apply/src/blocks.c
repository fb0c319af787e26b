/* Search/replace blocks. */
#include "diff.h"
#include "merge.h"

#include <string.h>

static bool begins(const line *one, const char *word) {
    size_t length = strlen(word);
    return one->length >= length && !memcmp(one->text, word, length);
}

static bool is_opening(const line *one) {
    return begins(one, "<<<<<<< SEARCH") || begins(one, "<<<<<<< ORIGINAL");
}

static bool is_divider(const line *one) {
    line bare = { "=======", 7, "" };
    return alike(one, &bare);
}

static bool is_closing(const line *one) {
    return begins(one, ">>>>>>> REPLACE") || begins(one, ">>>>>>> UPDATED");
}

bool has_blocks(const lines *edit) {
    for (size_t i = 0; i < edit->count; i++)
        if (is_opening(edit->items + i)) return true;
    return false;
}

/* How often a block stands in the text, and where first. */
static size_t count_of(const lines *text, const lines *block, comparison equal, size_t *at) {
    size_t found = 0;
    for (size_t start = 0; start + block->count <= text->count; start++) {
        size_t i = 0;
        while (i < block->count && equal(text->items + start + i, block->items + i)) i++;
        if (i < block->count) continue;
        if (!found++) *at = start;
    }
    return found;
}

/* The text with `old` lines from `at` on replaced. Lines that say the same keep their own end. */
static merged replaced(const lines *text, size_t at, size_t old, const lines *replacement) {
    merged out = { MERGED, { 0 }, NULL };
    const char *usual = usual_end(text);
    lines before = part(text, at, at + old);
    for (size_t i = 0; i < at; i++) push(&out.result, text->items[i]);
    steps way = compare(&before, replacement, same, before.count + replacement->count, NULL);
    for (size_t i = 0; i < way.count; i++) {
        if (way.items[i].what == ' ') push(&out.result, before.items[way.items[i].old]);
        if (way.items[i].what != '+') continue;
        line fresh = replacement->items[way.items[i].fresh];
        fresh.end = usual;
        push(&out.result, fresh);
    }
    for (size_t i = at + old; i < text->count; i++) push(&out.result, text->items[i]);
    settle_ends(&out.result, text);
    return out;
}

static merged uncertain(const char *why) {
    return (merged) { UNCERTAIN, { 0 }, why };
}

static const char *first_words(const lines *block) {
    size_t i = 0;
    while (i + 1 < block->count && is_blank(block->items + i)) i++;
    const line *one = block->items + i;
    size_t indent = indent_of(one), length = one->length - indent;
    /* Not inside of a character. */
    while (length > 60 && ((unsigned char)one->text[indent + (length > 60 ? 60 : length)] & 0xC0) == 0x80) length--;
    return rf_format("%.*s", (int)(length > 60 ? 60 : length), one->text + indent);
}

/* Where the block stands with another indentation, its replacement is moved with it. */
static merged replace_moved(const lines *original, const lines *search, const lines *replacement) {
    size_t lead = 0, found = 0, place = 0;
    lines fresh = { 0 };
    while (lead < search->count && is_blank(search->items + lead)) lead++;
    for (size_t at = lead; lead < search->count && at < original->count; at++) {
        shift by;
        lines block, text;
        if (!shift_between(search->items + lead, original->items + at, &by) || !moved(search, by, &block) || !moved(replacement, by, &text)) continue;
        size_t start = at - lead, i = 0;
        if (start + block.count > original->count) continue;
        while (i < block.count && alike(original->items + start + i, block.items + i)) i++;
        if (i < block.count) continue;
        found++;
        place = start;
        fresh = text;
    }
    if (found == 1) return replaced(original, place, search->count, &fresh);
    if (found) return uncertain(rf_format("what begins with `%s` stands there %zu times, with another indentation", first_words(search), found));
    return uncertain(rf_format("what begins with `%s` does not stand in the file", first_words(search)));
}

merged replace_once(const lines *original, const lines *search, const lines *replacement) {
    size_t at = 0;
    if (!search->count) {
        if (original->count) return uncertain("a block without a text to search for says no place in a file that is not empty");
        merged out = { MERGED, *replacement, NULL };
        return out;
    }
    comparison ways[] = { same, alike };
    for (int i = 0; i < 2; i++) {
        size_t found = count_of(original, search, ways[i], &at);
        if (found == 1) return replaced(original, at, search->count, replacement);
        if (found) return uncertain(rf_format("what begins with `%s` stands there %zu times", first_words(search), found));
    }
    bool blank = true;
    for (size_t i = 0; i < search->count; i++) blank &= is_blank(search->items + i);
    if (blank) return uncertain("a block that searches for white space alone says no place");
    return replace_moved(original, search, replacement);
}

merged merge_blocks(const lines *original, const lines *edit) {
    merged now = { MERGED, *original, NULL };
    size_t number = 0;
    for (size_t i = 0; i < edit->count; i++) {
        if (!is_opening(edit->items + i)) continue;
        number++;
        size_t divider = 0, end = i + 1;
        for (; end < edit->count && !is_closing(edit->items + end); end++) {
            if (is_opening(edit->items + end)) return (merged) { MALFORMED, { 0 }, rf_format("block %zu begins before the one above it has ended", number + 1) };
            if (!is_divider(edit->items + end)) continue;
            if (divider) return (merged) { MALFORMED, { 0 }, rf_format("block %zu has two lines `=======`, and it is not certain which divides it", number) };
            divider = end;
        }
        if (end == edit->count) return (merged) { MALFORMED, { 0 }, rf_format("block %zu has no line `>>>>>>> REPLACE`", number) };
        if (!divider) return (merged) { MALFORMED, { 0 }, rf_format("block %zu has no line `=======`", number) };
        lines search = part(edit, i + 1, divider), replacement = part(edit, divider + 1, end);
        now = replace_once(&now.result, &search, &replacement);
        if (now.verdict != MERGED) {
            now.why = rf_format("block %zu: %s", number, now.why);
            return now;
        }
        i = end;
    }
    return now;
}
