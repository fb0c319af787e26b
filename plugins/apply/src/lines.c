#include "lines.h"

#include <string.h>

void push(lines *all, line one) {
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 32;
        line *items = rf_alloc_array(all->capacity, sizeof *items);
        if (all->count) memcpy(items, all->items, all->count * sizeof *items);
        all->items = items;
    }
    all->items[all->count++] = one;
}

lines split(const char *text) {
    lines all = { 0 };
    while (*text) {
        size_t length = strcspn(text, "\n");
        const char *end = "";
        size_t step = length;
        if (text[length]) {
            step++;
            end = "\n";
            if (length && text[length - 1] == '\r') end = "\r\n", length--;
        }
        push(&all, (line) { text, length, end });
        text += step;
    }
    return all;
}

char *join(const lines *all) {
    rf_buffer text = { 0 };
    for (size_t i = 0; i < all->count; i++) {
        rf_append_n(&text, all->items[i].text, all->items[i].length);
        rf_append(&text, all->items[i].end);
    }
    return rf_buffer_text(&text);
}

lines part(const lines *all, size_t from, size_t to) {
    return (lines) { all->items + from, to - from, to - from };
}

const char *usual_end(const lines *all) {
    size_t windows = 0, unix_ends = 0;
    for (size_t i = 0; i < all->count; i++) {
        windows += !strcmp(all->items[i].end, "\r\n");
        unix_ends += !strcmp(all->items[i].end, "\n");
    }
    return windows > unix_ends ? "\r\n" : "\n";
}

void settle_ends(lines *all, const lines *like) {
    const char *usual = usual_end(like->count ? like : all);
    for (size_t i = 0; i < all->count; i++)
        if (!*all->items[i].end) all->items[i].end = usual;
    if (all->count && like->count && !*like->items[like->count - 1].end) all->items[all->count - 1].end = "";
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static size_t trimmed(const line *one) {
    size_t length = one->length;
    while (length && is_space(one->text[length - 1])) length--;
    return length;
}

bool is_blank(const line *one) {
    return trimmed(one) == 0;
}

bool same(const line *one, const line *other) {
    return one->length == other->length && !memcmp(one->text, other->text, one->length);
}

bool alike(const line *one, const line *other) {
    size_t length = trimmed(one);
    return length == trimmed(other) && !memcmp(one->text, other->text, length);
}

size_t indent_of(const line *one) {
    size_t indent = 0;
    while (indent < one->length && is_space(one->text[indent])) indent++;
    return indent;
}

bool shift_between(const line *one, const line *other, shift *by) {
    size_t from = indent_of(one), to = indent_of(other);
    size_t length = trimmed(one) - from;
    if (is_blank(one) || is_blank(other) || length != trimmed(other) - to || memcmp(one->text + from, other->text + to, length)) return false;
    const line *more = from > to ? one : other;
    size_t less = from > to ? to : from, most = from > to ? from : to;
    /* What both have has to stand behind, so that what differs stands at the margin. */
    const line *fewer = from > to ? other : one;
    if (memcmp(more->text + (most - less), fewer->text, less)) return false;
    *by = (shift) { more->text, most - less, from > to };
    return true;
}

bool moved(const lines *all, shift by, lines *out) {
    *out = (lines) { 0 };
    for (size_t i = 0; i < all->count; i++) {
        line one = all->items[i];
        if (is_blank(&one)) {
            push(out, one);
        } else if (by.take) {
            if (one.length < by.length || memcmp(one.text, by.text, by.length)) return false;
            push(out, (line) { one.text + by.length, one.length - by.length, one.end });
        } else {
            const char *text = rf_format("%.*s%.*s", (int)by.length, by.text, (int)one.length, one.text);
            push(out, (line) { text, by.length + one.length, one.end });
        }
    }
    return true;
}
