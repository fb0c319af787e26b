#include "internal.h"

/* <strings.h> has this, but not the standard. */
static bool starts_with_ignoring_case(const char *text, const char *word) {
    for (; *word; text++, word++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text + 32) : *text;
        if (c != *word) return false;
    }
    return true;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Whether what follows a `<` makes it an opening or closing document tag. */
static bool is_document_tag(const char *rest) {
    while (is_space(*rest) || *rest == '/') rest++;
    return starts_with_ignoring_case(rest, "document");
}

char *rf_text_document(const char *text) {
    rf_buffer out = { 0 };
    rf_append(&out, "<document>\n");
    for (const char *tag; (tag = strchr(text, '<')); text = tag + 1) {
        rf_append_n(&out, text, (size_t)(tag - text));
        rf_append(&out, is_document_tag(tag + 1) ? "&lt;" : "<");
    }
    rf_append(&out, text);
    rf_append(&out, "\n</document>");
    return out.text;
}

size_t rf_text_tokens(const char *text) {
    size_t ascii = 0, other = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x80) ascii++;
        else if (c >= 0xC0) other++;
    }
    return (ascii + 3) / 4 + other;
}

bool rf_text_is_blank(const char *text) {
    while (is_space(*text)) text++;
    return !*text;
}
