#include "internal.h"

rf_outcome *rf_outcome_new(void) {
    return rf_alloc(sizeof(rf_outcome));
}

static rf_outcome *add(rf_outcome *outcome, rf_content content) {
    RF_TRY(outcome);
    /* Few pieces: one more each time costs nothing. */
    rf_content *all = rf_alloc_array(outcome->count + 1, sizeof *all);
    if (outcome->count) memcpy(all, outcome->content, outcome->count * sizeof *all);
    all[outcome->count++] = content;
    outcome->content = all;
    return outcome;
}

rf_outcome *rf_outcome_text(rf_outcome *outcome, const char *text) {
    RF_TRY(text);
    return add(outcome, (rf_content) { .kind = RF_CONTENT_TEXT, .text = text });
}

rf_outcome *rf_outcome_image(rf_outcome *outcome, const char *media_type, const void *data, size_t length) {
    return add(outcome, (rf_content) { .kind = RF_CONTENT_IMAGE, .media_type = media_type, .data = data, .length = length });
}

rf_outcome *rf_outcome_audio(rf_outcome *outcome, const char *media_type, const void *data, size_t length) {
    return add(outcome, (rf_content) { .kind = RF_CONTENT_AUDIO, .media_type = media_type, .data = data, .length = length });
}

rf_outcome *rf_outcome_link(rf_outcome *outcome, const char *uri, const char *title, const char *media_type) {
    return add(outcome, (rf_content) { .kind = RF_CONTENT_LINK, .uri = uri, .title = title, .media_type = media_type });
}

rf_outcome *rf_outcome_structured(rf_outcome *outcome, const rf_json *value) {
    RF_TRY(outcome && value);
    outcome->structured = value;
    return outcome;
}

rf_outcome *rf_text(const char *text) {
    return rf_outcome_text(rf_outcome_new(), text);
}

rf_outcome *rf_textf(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    rf_outcome *outcome = rf_text(rf_vformat(format, arguments));
    va_end(arguments);
    return outcome;
}

rf_outcome *rf_structured_json(const rf_json *value) {
    RF_TRY(value);
    return rf_outcome_structured(rf_text(rf_json_write_pretty(value)), value);
}

char *rf_outcome_joined(const rf_outcome *outcome) {
    rf_buffer all = { 0 };
    bool first = true;
    for (size_t i = 0; outcome && i < outcome->count; i++) {
        if (outcome->content[i].kind != RF_CONTENT_TEXT) continue;
        if (!first) rf_append(&all, "\n");
        first = false;
        rf_append(&all, outcome->content[i].text);
    }
    return rf_buffer_text(&all);
}
