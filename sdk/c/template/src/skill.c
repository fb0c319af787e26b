/* {{description}} */
#include <ringfence.h>

/* ---- action_items: found by a model */

typedef struct {
    const char *text;
    const char *owner;
} search;
RF_TYPE(search,
    RF_FIELD(text, "The text to read."),
    RF_FIELD(owner, "Only what this person has to do.", .optional = true));

typedef struct {
    const char *task;
    const char *owner;
    const char *due;
} action_item;
RF_TYPE(action_item,
    RF_FIELD(task, "What is to be done."),
    RF_FIELD(owner, "Who does it, where the text says so.", .optional = true),
    RF_FIELD(due, "Until when, as the text says it.", .optional = true));

typedef struct {
    rf_list(action_item) items;
} action_item_list;
RF_TYPE(action_item_list, RF_LIST(items, action_item, "The action items of a text."));

static rf_outcome *action_items(const search *in) {
    if (rf_text_is_blank(in->text)) return RF_FAIL_HINT(RF_INVALID_INPUT, "give the text to read", "`text` is empty");
    const char *whose = in->owner ? rf_format(" of %s", in->owner) : "";
    const char *prompt = rf_format("List the action items%s in this document.\n\n%s", whose, rf_text_document(in->text));
    action_item_list *found = rf_model_json(action_item_list, prompt, .system = RF_DOCUMENT_IS_DATA);
    RF_TRY(found);
    rf_log_info("found %zu action items", found->items.count);
    return rf_structured(action_item_list, found);
}
RF_TOOL(action_items, search, "Finds what has to be done in notes, mails or minutes.",
    .output = RF_TYPE_OF(action_item_list), .hints = RF_READ_ONLY);

/* ---- count: needs no model */

typedef struct {
    const char *text;
} measure;
RF_TYPE(measure, RF_FIELD(text, "The text to count."));

typedef struct {
    size_t words;
    size_t lines;
    size_t minutes;
} counts;
RF_TYPE(counts,
    RF_FIELD(words, ""),
    RF_FIELD(lines, ""),
    RF_FIELD(minutes, "Minutes that a person needs to read it, at 230 words a minute."));

static rf_outcome *count(const measure *in) {
    counts found = { 0 };
    bool in_word = false, in_line = false;
    for (const char *at = in->text; *at; at++) {
        bool space = *at == ' ' || (*at >= '\t' && *at <= '\r');
        found.words += !space && !in_word;
        found.lines += !in_line;
        in_word = !space;
        in_line = *at != '\n';
    }
    found.minutes = (found.words + 229) / 230;
    return rf_structured(counts, &found);
}
RF_TOOL(count, measure, "Counts the words and lines of a text, and says how long it takes to read. Needs no model.",
    .output = RF_TYPE_OF(counts), .hints = RF_READ_ONLY | RF_IDEMPOTENT);
