/* Merges an edit that a model sketched into a file: exactly where its anchors match, with a model where they do not. */
#include <ringfence.h>
#include <string.h>
#include <sys/stat.h>

#include "ask.h"
#include "diff.h"
#include "files.h"
#include "merge.h"

#define EDIT_IS \
    "Either search/replace blocks (<<<<<<< SEARCH, the old lines, =======, the new lines, >>>>>>> REPLACE), or the changed code with a " \
    "comment `... existing code ...` for each part that stays. Each piece between such marks begins and ends with a line of the file that stays; a " \
    "line of the file between these two that the piece does not have is removed."

typedef enum { BY_ANCHORS, BY_MODEL, NOT_AT_ALL } manner;

typedef struct {
    const char *text;
    const char *diff;
    manner how;
    size_t added, removed;
    rf_texts missing;
} result;
RF_TYPE(result,
    RF_FIELD(text, "The whole text with the edit in it. Left out where it was written to a file.", .optional = true),
    RF_FIELD(diff, "What changed, as a unified diff. Empty where nothing did."),
    RF_FIELD(how, "By its anchors alone, or by a model that said where it belongs; `unchanged` where the edit is in the file already.",
        .one_of = "anchors|model|unchanged"),
    RF_FIELD(added, "Lines that came."),
    RF_FIELD(removed, "Lines that went."),
    RF_FIELD(missing, "Lines of the edit that are not in the text; possible only where a model placed it."));

static result *merge_into(const char *original, const char *edit, const char *path, bool exact) {
    lines file = split(original);
    result *out = rf_alloc(sizeof *out);
    merged now = merge(&file, edit);
    lines fresh = now.result;
    if (now.verdict == MALFORMED) return RF_FAIL_HINT(RF_INVALID_INPUT, "see the description of `edit`", "%s", now.why);
    if (now.verdict == UNCERTAIN) {
        if (exact) return RF_FAIL_HINT(RF_INVALID_INPUT, "give more of the lines around it, or allow a model", "it is not certain where the edit belongs: %s", now.why);
        rf_log_info("a model is asked: %s", now.why);
        const lines *placed = merge_by_model(&file, edit, path, now.why, &out->missing);
        RF_TRY(placed);
        fresh = *placed;
        out->how = BY_MODEL;
    }
    out->text = join(&fresh);
    out->diff = unified(&file, &fresh, path, &out->removed, &out->added);
    if (!*out->diff) out->how = NOT_AT_ALL;
    for (size_t i = 0; i < out->missing.count; i++) rf_log_warn("not in the text: %s", out->missing.items[i]);
    return out;
}

/* ---- apply */

typedef struct {
    const char *original;
    const char *edit;
    const char *path;
    bool exact;
} text_edit;
RF_TYPE(text_edit,
    RF_FIELD(original, "The whole text as it is now."),
    RF_FIELD(edit, EDIT_IS),
    RF_FIELD(path, "The file's name, for the diff.", .fallback = RF_JSON("file")),
    RF_FIELD(exact, "Fail where the place is not certain, and ask no model.", .fallback = "false"));

static rf_outcome *apply(const text_edit *in) {
    const result *merged = merge_into(in->original, in->edit, in->path, in->exact);
    RF_TRY(merged);
    return rf_outcome_structured(rf_text(merged->text), rf_encode(result, merged));
}
RF_TOOL(apply, text_edit,
    "Merges a sketched edit into a text and gives the whole text back, with a diff. Exact and immediate where the edit's anchors stand in the "
    "text; a model is asked only where they do not.",
    .title = "Apply an edit to a text", .output = RF_TYPE_OF(result), .hints = RF_READ_ONLY);

/* ---- apply_file */

typedef struct {
    const char *path;
    const char *edit;
    bool exact;
    bool dry_run;
} file_edit;
RF_TYPE(file_edit,
    RF_FIELD(path, "The file, from the granted folder on, for example `src/main.c`."),
    RF_FIELD(edit, EDIT_IS),
    RF_FIELD(exact, "Fail where the place is not certain, and ask no model.", .fallback = "false"),
    RF_FIELD(dry_run, "Give the diff and write nothing.", .fallback = "false"));

rf_outcome *apply_in(const char *folder, const file_edit *in) {
    const char *path = inside(folder, in->path);
    RF_TRY(path);
    struct stat about;
    if (stat(folder, &about)) return RF_FAIL_HINT(RF_INVALID_INPUT, "grant one with `ringfence grant apply files=work:FOLDER:write`, or give the text to the tool `apply`", "no folder was granted, so there is no `%s`", in->path);
    const char *original = read_text(path);
    RF_TRY(original);
    result *merged = merge_into(original, in->edit, path + strlen(folder) + 1, in->exact);
    RF_TRY(merged);
    if (*merged->diff && !in->dry_run) {
        /* A model may have taken its time. */
        const char *now = read_text(path);
        RF_TRY(now);
        if (strcmp(now, original)) return RF_FAIL_HINT(RF_FAILED, "apply the edit again", "%s was changed by another while the edit was merged", in->path);
        RF_TRY(write_text(path, merged->text));
    }
    merged->text = NULL;
    return rf_outcome_structured(rf_text(*merged->diff ? merged->diff : "Nothing changed."), rf_encode(result, merged));
}

static rf_outcome *apply_file(const file_edit *in) {
    return apply_in("/work", in);
}
RF_TOOL(apply_file, file_edit,
    "Merges a sketched edit into a file of the granted folder, writes it, and gives a diff.",
    .title = "Apply an edit to a file", .output = RF_TYPE_OF(result), .hints = RF_DESTRUCTIVE | RF_IDEMPOTENT);
