/* The export: from functions to the interface `skill`. */
#include "internal.h"

static rf_tool *first, *newest;
static rf_context this_call = { "", RF_CALLER_USER, 0, NULL };

void rf_register(rf_tool *tool) {
    if (!tool->name) tool->name = tool->function;
    if (newest) newest->next = tool;
    else first = tool;
    newest = tool;
}

const rf_tool *rf_first_tool(void) {
    return first;
}

const rf_context *rf_this_call(void) {
    return &this_call;
}

const char *rf_caller_name(rf_caller caller) {
    static const char *const NAMES[] = { "user", "client", "model", "skill" };
    return (size_t)caller < RF_COUNT(NAMES) ? NAMES[caller] : "?";
}

/* The schema of an input: of its type, or as it was written by hand. */
const rf_json *rf_tool_schema(const rf_type *input, const char *schema, const char *tool) {
    if (schema) {
        const rf_json *written = rf_json_parse(schema);
        if (!written) RF_PANIC("the input schema of `%s` is no JSON: %s", tool, rf_failed()->message);
        return written;
    }
    rf_json *made = rf_schema_of(input);
    if (input->fields) rf_json_set(made, "additionalProperties", rf_json_new_boolean(false));
    return made;
}

/* ---- what the host is told of the tools */

/* Ends a test that asks for such a tool. A host refuses the skill by the same rules, and says so better than a crash would. */
static void check(const rf_tool *tool) {
#ifndef __wasm__
    size_t length = strlen(tool->name);
    if (!length || length > 64 || strspn(tool->name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != length)
        RF_PANIC("`%s` is no name of a tool: give it 1 to 64 characters of `a-z 0-9 _ -` with .name = \"...\"", tool->name);
    if (!tool->description || rf_text_is_blank(tool->description))
        RF_PANIC("the tool `%s` has no description: say in RF_TOOL what it does, for a model chooses by it", tool->name);
    for (const rf_tool *other = tool->next; other; other = other->next)
        if (!strcmp(tool->name, other->name))
            RF_PANIC("two tools have the name `%s`: give one another with .name = \"...\"", tool->name);
#else
    (void)tool;
#endif
}

/* Without any tool the skill is of no use, and nothing else would say so before somebody wants to run it. */
static void check_some(void) {
    static const char *const WORDS = "the skill has no tools: register a function of yours with RF_TOOL, in a file below src/";
    if (first) return;
    rf_log_error("%s", WORDS);
#ifndef __wasm__
    fprintf(stderr, "%s\n", WORDS);
#endif
    abort();
}

void exports_ringfence_skill_skill_tools(exports_ringfence_skill_skill_list_tool_t *ret) {
    check_some();
    size_t count = 0, at = 0;
    for (const rf_tool *tool = first; tool; tool = tool->next) count++;
    ret->ptr = rf_alloc_array(count, sizeof *ret->ptr);
    ret->len = count;
    for (const rf_tool *tool = first; tool; tool = tool->next, at++) {
        check(tool);
        const char *output = tool->output_schema;
        if (!output && tool->output) output = rf_json_write(rf_schema_of(tool->output));
        ret->ptr[at] = (exports_ringfence_skill_skill_tool_t) {
            .name = rf_to_wire(tool->name),
            .title = rf_to_maybe(tool->title),
            .description = rf_to_wire(tool->description),
            .input_schema = rf_to_wire(rf_json_write(rf_tool_schema(tool->input, tool->input_schema, tool->name))),
            .output_schema = { output != NULL, rf_to_wire(output) },
            .hints = (ringfence_skill_types_tool_hints_t)tool->hints,
        };
    }
}

/* ---- a call */

static guest_list_u8_t bytes(const void *data, size_t length) {
    return (guest_list_u8_t) { (uint8_t *)data, length };
}

static void give(const rf_outcome *outcome, exports_ringfence_skill_skill_outcome_t *ret) {
    ret->content.ptr = rf_alloc_array(outcome->count, sizeof *ret->content.ptr);
    ret->content.len = outcome->count;
    for (size_t i = 0; i < outcome->count; i++) {
        const rf_content *from = outcome->content + i;
        ringfence_skill_types_content_t *to = ret->content.ptr + i;
        ringfence_skill_types_media_t media = { rf_to_wire(from->media_type), bytes(from->data, from->length) };
        to->tag = (uint8_t)from->kind;
        switch (from->kind) {
        case RF_CONTENT_TEXT: to->val.text = rf_to_wire(from->text); break;
        case RF_CONTENT_IMAGE: to->val.image = media; break;
        case RF_CONTENT_AUDIO: to->val.audio = media; break;
        case RF_CONTENT_LINK:
            to->val.link = (ringfence_skill_types_link_t) { rf_to_wire(from->uri), rf_to_maybe(from->title), rf_to_maybe(from->media_type) };
        }
    }
    const char *structured = rf_json_write(outcome->structured);
    ret->structured.is_some = structured != NULL;
    ret->structured.val = rf_to_wire(structured);
}

static const rf_outcome *unknown(const char *name) {
    rf_buffer known = { 0 };
    for (const rf_tool *tool = first; tool; tool = tool->next) rf_appendf(&known, "%s%s", tool == first ? "" : ", ", tool->name);
    return rf_fail_at(NULL, 0, RF_UNKNOWN_TOOL, rf_format("name one of: %s", rf_buffer_text(&known)), "this skill has no tool `%s`", name);
}

static const rf_outcome *run(const char *name, const exports_ringfence_skill_skill_json_t *input) {
    for (const rf_tool *tool = first; tool; tool = tool->next) {
        if (strcmp(tool->name, name)) continue;
        /* The host has validated it against the schema: what fails here is a rule that no schema says. */
        const rf_json *json = rf_json_parse_n((const char *)input->ptr, input->len);
        if (!json) return rf_fail_at(NULL, 0, RF_INVALID_INPUT, NULL, "the input cannot be read: %s", rf_failed()->message);
        const void *decoded = rf_decode_as(tool->input, json);
        if (!decoded) return rf_fail_at(NULL, 0, RF_INVALID_INPUT, NULL, "the input cannot be read: %s", rf_failed()->message);
        rf_forget();
        const rf_outcome *outcome = tool->run(decoded);
        if (!outcome && !rf_failed()) rf_fail_at(NULL, 0, RF_FAILED, NULL, "the tool `%s` gave nothing and no reason", name);
        return outcome;
    }
    return unknown(name);
}

bool exports_ringfence_skill_skill_call(guest_string_t *name, exports_ringfence_skill_skill_json_t *input,
    exports_ringfence_skill_skill_context_t *context, exports_ringfence_skill_skill_outcome_t *ret,
    exports_ringfence_skill_skill_failure_t *err) {
    this_call = (rf_context) {
        rf_from_wire(context->invocation), (rf_caller)context->caller, context->deadline_ms, rf_from_maybe(context->locale),
    };
    rf_forget();
    const rf_outcome *outcome = run(rf_from_wire(*name), input);
    if (outcome) {
        give(outcome, ret);
        return true;
    }
    const rf_failure *failure = rf_failed();
    *err = (exports_ringfence_skill_skill_failure_t) {
        (uint8_t)failure->kind, rf_to_wire(failure->message), rf_to_maybe(failure->hint),
    };
    /* Where it was given up is of use to the author alone. */
    if (failure->file) {
        const char *place = rf_format("%s:%d", failure->file, failure->line);
        rf_log(failure->kind == RF_FAILED ? RF_LOG_ERROR : RF_LOG_DEBUG, RF_LOG_FIELDS({ "at", place }), "failed: %s", failure->message);
    }
    return false;
}
