#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_utf8(const unsigned char *at, size_t left) {
    while (left) {
        size_t length = *at < 0x80 ? 1 : *at >= 0xC2 && *at <= 0xDF ? 2 : (*at & 0xF0) == 0xE0 ? 3 : *at >= 0xF0 && *at <= 0xF4 ? 4 : 0;
        if (!length || length > left) return false;
        for (size_t i = 1; i < length; i++)
            if ((at[i] & 0xC0) != 0x80) return false;
        at += length;
        left -= length;
    }
    return true;
}

const char *inside(const char *folder, const char *path) {
    const char *rest = path;
    if (!strncmp(rest, folder, strlen(folder)) && rest[strlen(folder)] == '/') rest += strlen(folder) + 1;
    bool wrong = !*rest || *rest == '/';
    for (const char *step = rest; step; step = strchr(step, '/')) {
        step += *step == '/';
        size_t length = strcspn(step, "/");
        wrong |= length == 2 && !memcmp(step, "..", 2);
    }
    if (wrong) return RF_FAIL_HINT(RF_INVALID_INPUT, "name a file of the granted folder, for example `src/main.c`", "`%s` is no file in the folder", path);
    return rf_format("%s/%s", folder, rest);
}

const char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return RF_FAIL(errno == ENOENT ? RF_INVALID_INPUT : RF_FAILED, "cannot read %s: %s", path, strerror(errno));
    rf_buffer text = { 0 };
    char piece[16384];
    for (size_t length; (length = fread(piece, 1, sizeof piece, file));) rf_append_n(&text, piece, length);
    bool failed = ferror(file);
    int why = errno;
    fclose(file);
    if (failed) return RF_FAIL(RF_FAILED, "cannot read %s: %s", path, strerror(why));
    const char *all = rf_buffer_text(&text);
    if (memchr(all, 0, text.length) || !is_utf8((const unsigned char *)all, text.length)) return RF_FAIL(RF_INVALID_INPUT, "%s is no UTF-8 text", path);
    return all;
}

/* Writes all of a text to a file. 0, or why not. */
static int write_all(FILE *file, const char *text) {
    size_t length = strlen(text);
    int why = fwrite(text, 1, length, file) == length ? 0 : errno ? errno : EIO;
    if (fclose(file) && !why) why = errno;
    return why;
}

bool write_text(const char *path, const char *text) {
    /* Whole beside it first, so that nothing can be lost; files move within one folder only. */
    const char *fresh = rf_format("%s.apply-new", path);
    FILE *file = fopen(fresh, "wb");
    if (!file) return RF_FAIL(RF_FAILED, "cannot write %s: %s", fresh, strerror(errno));
    int why = write_all(file, text);
    if (!why) {
        /* Then into it: what takes a file's place has neither its mode, which WASI can neither read nor set, nor its links. */
        file = fopen(path, "wb");
        if (!file) why = errno;
        else if (write_all(file, text) && rename(fresh, path))
            return RF_FAIL(RF_FAILED, "cannot write %s: %s; the whole text is in %s", path, strerror(errno), fresh);
    }
    remove(fresh);
    return !why || RF_FAIL(RF_FAILED, "cannot write %s: %s", path, strerror(why));
}
