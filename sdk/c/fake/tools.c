/* Tools of other skills. */
#include "fake.h"

typedef rf_outcome *(*rule)(const rf_json *input, void *state);
typedef struct { const char *name; const char *text; rule rule; void *state; bool refused; rf_refusal refusal; } other;
typedef struct { const char *name, *input; bool started, waited; } call;

static list_of(other) tools;
static list_of(call) calls;

void rf_fake_tool(const char *name, const char *text) {
    push(&tools, (other) { .name = rf_copy(name), .text = rf_copy(text) });
}

void rf_fake_tool_with(const char *name, rule answer, void *state) {
    push(&tools, (other) { .name = rf_copy(name), .rule = answer, .state = state });
}

void rf_fake_refuse_tool(const char *name, rf_refusal refusal) {
    push(&tools, (other) { .name = rf_copy(name), .refused = true, .refusal = refusal });
}

size_t rf_fake_call_count(void) { return calls.count; }
const char *rf_fake_called(size_t index) { return index < calls.count ? calls.items[index].name : ""; }
const char *rf_fake_called_with(size_t index) { return index < calls.count ? calls.items[index].input : ""; }

void ringfence_skill_tools_list(ringfence_skill_tools_list_listed_t *ret) {
    *ret = (ringfence_skill_tools_list_listed_t) { rf_alloc_array(tools.count, sizeof *ret->ptr), tools.count };
    for (size_t i = 0; i < tools.count; i++) {
        const char *name = tools.items[i].name, *slash = strrchr(name, '/');
        ret->ptr[i] = (ringfence_skill_tools_listed_t) {
            wire_copy(name),
            { .name = wire_copy(slash ? slash + 1 : name), .description = wire_copy("A tool of the test."), .input_schema = wire_copy("{\"type\":\"object\"}") },
        };
    }
}

static bool answer(const call *made, ringfence_skill_tools_answer_t *ret, ringfence_skill_types_refusal_t *err) {
    for (size_t i = 0; i < tools.count; i++) {
        const other *tool = tools.items + i;
        if (strcmp(tool->name, made->name)) continue;
        if (tool->refused) return refuse_wire(&tool->refusal, err);
        rf_reason before = rf_reason_now();
        rf_forget();
        const rf_outcome *outcome = tool->rule ? tool->rule(rf_json_parse(made->input), tool->state) : rf_text(tool->text);
        *ret = (ringfence_skill_tools_answer_t) { .tag = RINGFENCE_SKILL_TOOLS_ANSWER_OUTCOME };
        if (!outcome) {
            const rf_failure *why = rf_failed();
            ret->tag = RINGFENCE_SKILL_TOOLS_ANSWER_FAILURE;
            ret->val.failure = (ringfence_skill_types_failure_t) {
                (uint8_t)(why ? why->kind : RF_FAILED), wire_copy(why ? why->message : "it failed"), rf_to_maybe(why ? why->hint : NULL),
            };
            rf_reason_again(&before);
            return true;
        }
        rf_reason_again(&before);
        ringfence_skill_types_outcome_t *to = &ret->val.outcome;
        to->content.ptr = rf_alloc_array(outcome->count, sizeof *to->content.ptr);
        for (size_t at = 0; at < outcome->count; at++)
            if (outcome->content[at].kind == RF_CONTENT_TEXT)
                to->content.ptr[to->content.len++] = (ringfence_skill_types_content_t) { 0, .val.text = wire_copy(outcome->content[at].text) };
        const char *structured = rf_json_write(outcome->structured);
        to->structured.is_some = structured != NULL;
        to->structured.val = wire_copy(structured);
        return true;
    }
    stop_test("the skill called `%s` and the fake has no such tool: give it one with rf_fake_tool(\"%s\", \"...\")", made->name, made->name);
}

bool ringfence_skill_tools_call(guest_string_t *name, ringfence_skill_tools_json_t *input, ringfence_skill_tools_answer_t *ret,
    ringfence_skill_tools_refusal_t *err) {
    push(&calls, (call) { text_of(name), text_of(input), false, true });
    return answer(calls.items + calls.count - 1, ret, err);
}

bool ringfence_skill_tools_start(guest_string_t *name, ringfence_skill_tools_json_t *input, ringfence_skill_tools_own_pending_t *ret,
    ringfence_skill_tools_refusal_t *err) {
    (void)err;
    push(&calls, (call) { text_of(name), text_of(input), true, false });
    in_flight(1);
    ret->__handle = (int32_t)calls.count;
    return true;
}

bool ringfence_skill_tools_method_pending_wait(ringfence_skill_tools_borrow_pending_t self, ringfence_skill_tools_answer_t *ret,
    ringfence_skill_tools_refusal_t *err) {
    call *made = calls.items + self.__handle - 1;
    rf_refusal twice = rf_fake_refusal(RF_REFUSAL_INVALID, "`wait` was called before");
    if (made->waited) return refuse_wire(&twice, err);
    made->waited = true;
    in_flight(-1);
    return answer(made, ret, err);
}

void ringfence_skill_tools_pending_drop_own(ringfence_skill_tools_own_pending_t handle) {
    call *made = calls.items + handle.__handle - 1;
    if (!made->waited) in_flight(-1);
    made->waited = true;
}
