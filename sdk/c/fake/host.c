/* The small interfaces, and calls of this skill's tools. */
#include "fake.h"

typedef struct { const char *key, *json; } setting;
typedef struct { const char *json; bool refused; rf_refusal refusal; } reply;
typedef struct { const char *text, *schema; } question;

static struct {
    list_of(rf_fake_line) logs;
    list_of(rf_fake_report) reports;
    rf_buffer emitted;
    list_of(setting) config;
    list_of(const char *) secrets;
    list_of(reply) person;
    list_of(question) questions;
    size_t asked;
    int now, most;
    bool failed;
    rf_failure failure;
    bool has_context;
    rf_context context;
} host;

void *grown(const void *items, size_t count, size_t capacity, size_t size) {
    void *fresh = rf_alloc_array(capacity, size);
    if (count) memcpy(fresh, items, count * size);
    return fresh;
}

guest_string_t wire_copy(const char *text) {
    return rf_to_wire(rf_copy(text));
}

const char *text_of(const guest_string_t *text) {
    return rf_copy_n(text->ptr, text->len);
}

void in_flight(int change) {
    host.now += change;
    if (host.now > host.most) host.most = host.now;
}

size_t rf_fake_most_in_flight(void) {
    return (size_t)host.most;
}

rf_refusal rf_fake_refusal(rf_refusal_kind kind, const char *message) {
    return (rf_refusal) { .kind = kind, .message = message };
}

bool refuse_wire(const rf_refusal *refusal, ringfence_skill_types_refusal_t *err) {
    *err = (ringfence_skill_types_refusal_t) { .tag = (uint8_t)refusal->kind };
    switch (refusal->kind) {
    case RF_REFUSAL_DENIED:
        err->val.denied = (ringfence_skill_types_denial_t) {
            wire_copy(refusal->capability), wire_copy(refusal->subject ? refusal->subject : "what the test says"),
            wire_copy(refusal->message), wire_copy(refusal->hint),
        };
        break;
    case RF_REFUSAL_OVER_BUDGET:
        err->val.over_budget = (ringfence_skill_types_overrun_t) {
            wire_copy(refusal->scope ? refusal->scope : "invocation"), wire_copy(refusal->unit ? refusal->unit : "output-tokens"),
            refusal->limit, refusal->used, refusal->needed,
        };
        break;
    case RF_REFUSAL_UNAVAILABLE: err->val.unavailable = wire_copy(refusal->message); break;
    case RF_REFUSAL_INVALID: err->val.invalid = wire_copy(refusal->message); break;
    case RF_REFUSAL_TOO_LARGE:
        err->val.too_large = (ringfence_skill_types_excess_t) {
            wire_copy(refusal->what ? refusal->what : "value"), refusal->limit, { refusal->actual.is_set, (uint64_t)refusal->actual.value },
        };
        break;
    case RF_REFUSAL_TIMED_OUT: err->val.timed_out = wire_copy(refusal->message); break;
    case RF_REFUSAL_CANCELLED: break;
    }
    return false;
}

/* ---- log and progress */

void ringfence_skill_log_log(ringfence_skill_log_level_t level, guest_string_t *message, guest_list_tuple2_string_string_t *fields) {
    rf_log_field *copies = rf_alloc_array(fields->len + 1, sizeof *copies);
    for (size_t i = 0; i < fields->len; i++) copies[i] = (rf_log_field) { text_of(&fields->ptr[i].f0), text_of(&fields->ptr[i].f1) };
    push(&host.logs, (rf_fake_line) { (rf_log_level)level, text_of(message), copies });
}

void ringfence_skill_progress_report(uint64_t done, uint64_t *maybe_total, guest_string_t *maybe_message) {
    push(&host.reports, (rf_fake_report) { done, maybe_total ? *maybe_total : 0, maybe_message ? text_of(maybe_message) : NULL });
}

void ringfence_skill_progress_emit(guest_string_t *text) {
    rf_append_n(&host.emitted, text->ptr, text->len);
}

size_t rf_fake_log_count(void) { return host.logs.count; }
const rf_fake_line *rf_fake_log(size_t index) { return index < host.logs.count ? host.logs.items + index : NULL; }
size_t rf_fake_report_count(void) { return host.reports.count; }
const rf_fake_report *rf_fake_report_at(size_t index) { return index < host.reports.count ? host.reports.items + index : NULL; }
const char *rf_fake_emitted(void) { return rf_buffer_text(&host.emitted); }

/* ---- config and secrets */

void rf_fake_config(const char *key, const char *json) {
    if (!rf_json_parse(json)) stop_test("rf_fake_config(\"%s\"): %s. A text has quotation marks of its own: \"\\\"warm\\\"\"", key, rf_failed()->message);
    push(&host.config, (setting) { rf_copy(key), rf_copy(json) });
}

bool ringfence_skill_config_get(guest_string_t *key, ringfence_skill_config_json_t *ret) {
    for (size_t i = host.config.count; i-- > 0;) {
        if (strcmp(host.config.items[i].key, text_of(key))) continue;
        *ret = wire_copy(host.config.items[i].json);
        return true;
    }
    return false;
}

void rf_fake_secret(const char *name) {
    push(&host.secrets, rf_copy(name));
}

bool ringfence_skill_secrets_exists(guest_string_t *name) {
    for (size_t i = 0; i < host.secrets.count; i++)
        if (!strcmp(host.secrets.items[i], text_of(name))) return true;
    return false;
}

/* ---- the person */

void rf_fake_person(const char *json) {
    push(&host.person, (reply) { .json = rf_copy(json) });
}

void rf_fake_refuse_question(rf_refusal refusal) {
    push(&host.person, (reply) { .refused = true, .refusal = refusal });
}

size_t rf_fake_question_count(void) { return host.questions.count; }
const char *rf_fake_question(size_t index) { return index < host.questions.count ? host.questions.items[index].text : ""; }
const char *rf_fake_question_schema(size_t index) { return index < host.questions.count ? host.questions.items[index].schema : NULL; }

bool ringfence_skill_user_ask(ringfence_skill_user_question_t *asked, ringfence_skill_user_json_t *ret, ringfence_skill_user_refusal_t *err) {
    push(&host.questions, (question) { text_of(&asked->text), asked->schema.is_some ? text_of(&asked->schema.val) : NULL });
    rf_refusal nobody = rf_fake_refusal(RF_REFUSAL_UNAVAILABLE, "nobody is there to answer");
    if (host.asked == host.person.count) return refuse_wire(&nobody, err);
    size_t at = host.asked++;
    if (host.person.items[at].refused) return refuse_wire(&host.person.items[at].refusal, err);
    *ret = wire_copy(host.person.items[at].json);
    return true;
}

/* ---- calls */

void rf_fake_context(rf_context context) {
    host.has_context = true;
    host.context = context;
}

const rf_failure *rf_fake_failure(void) {
    return host.failed ? &host.failure : NULL;
}

const rf_outcome *rf_fake_call(const char *tool, const char *input) {
    rf_context context = host.has_context ? host.context : (rf_context) { "test", RF_CALLER_USER, 60000, NULL };
    exports_ringfence_skill_skill_context_t wire = {
        wire_copy(context.invocation), (uint8_t)context.caller, context.deadline_ms, rf_to_maybe(context.locale),
    };
    guest_string_t name = wire_copy(tool), json = wire_copy(input);
    exports_ringfence_skill_skill_outcome_t outcome;
    exports_ringfence_skill_skill_failure_t failure;
    host.failed = !exports_ringfence_skill_skill_call(&name, &json, &wire, &outcome, &failure);
    if (!host.failed) return rf_outcome_from_wire(&outcome);
    host.failure = (rf_failure) { (rf_failure_kind)failure.kind, rf_from_wire(failure.message), rf_from_maybe(failure.hint), NULL, 0 };
    return NULL;
}

const rf_outcome *rf_fake_call_json(const char *tool, const rf_json *input) {
    return rf_fake_call(tool, rf_json_write(input));
}

const char *rf_fake_structured(const rf_outcome *outcome) {
    return outcome && outcome->structured ? rf_json_write(outcome->structured) : "";
}

rf_fake_tool_info rf_fake_describe(const char *name) {
    exports_ringfence_skill_skill_list_tool_t tools;
    exports_ringfence_skill_skill_tools(&tools);
    for (size_t i = 0; i < tools.len; i++) {
        const exports_ringfence_skill_skill_tool_t *tool = tools.ptr + i;
        if (strcmp(rf_from_wire(tool->name), name)) continue;
        return (rf_fake_tool_info) {
            name, rf_from_maybe(tool->title), rf_from_wire(tool->description), rf_from_wire(tool->input_schema),
            tool->output_schema.is_some ? rf_from_wire(tool->output_schema.val) : NULL, tool->hints,
        };
    }
    stop_test("this skill has no tool `%s`", name);
}
