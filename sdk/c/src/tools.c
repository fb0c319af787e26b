#include "internal.h"

struct rf_tools_pending { ringfence_skill_tools_own_pending_t handle; };

rf_listed_tools rf_tools_list(void) {
    ringfence_skill_tools_list_listed_t wire;
    ringfence_skill_tools_list(&wire);
    rf_listed *items = rf_alloc_array(wire.len, sizeof *items);
    for (size_t i = 0; i < wire.len; i++) {
        const ringfence_skill_tools_listed_t *from = wire.ptr + i;
        items[i] = (rf_listed) {
            .name = rf_from_wire(from->name),
            .description = rf_from_wire(from->tool.description),
            .title = rf_from_maybe(from->tool.title),
            .input_schema = rf_from_wire(from->tool.input_schema),
            .output_schema = from->tool.output_schema.is_some ? rf_from_wire(from->tool.output_schema.val) : NULL,
            .hints = from->tool.hints,
        };
    }
    return (rf_listed_tools) { items, wire.len };
}

rf_outcome *rf_outcome_from_wire(const ringfence_skill_types_outcome_t *wire) {
    rf_outcome *outcome = rf_outcome_new();
    for (size_t i = 0; i < wire->content.len; i++) {
        const ringfence_skill_types_content_t *from = wire->content.ptr + i;
        switch (from->tag) {
        case RINGFENCE_SKILL_TYPES_CONTENT_TEXT: rf_outcome_text(outcome, rf_from_wire(from->val.text)); break;
        case RINGFENCE_SKILL_TYPES_CONTENT_IMAGE:
            rf_outcome_image(outcome, rf_from_wire(from->val.image.media_type), from->val.image.data.ptr, from->val.image.data.len);
            break;
        case RINGFENCE_SKILL_TYPES_CONTENT_AUDIO:
            rf_outcome_audio(outcome, rf_from_wire(from->val.audio.media_type), from->val.audio.data.ptr, from->val.audio.data.len);
            break;
        default:
            rf_outcome_link(outcome, rf_from_wire(from->val.link.uri), rf_from_maybe(from->val.link.title), rf_from_maybe(from->val.link.media_type));
        }
    }
    if (!wire->structured.is_some) return outcome;
    const rf_json *structured = rf_json_parse_n((const char *)wire->structured.val.ptr, wire->structured.val.len);
    return structured ? rf_outcome_structured(outcome, structured) : rf_refuse_because("what the tool gave is not what was expected");
}

static rf_outcome *outcome_of(const ringfence_skill_tools_answer_t *answer) {
    if (answer->tag == RINGFENCE_SKILL_TOOLS_ANSWER_FAILURE) return rf_failed_elsewhere(&answer->val.failure);
    return rf_outcome_from_wire(&answer->val.outcome);
}

rf_outcome *rf_tools_call(const char *name, const rf_json *input) {
    RF_TRY(input);
    guest_string_t tool = rf_to_wire(name), json = rf_to_wire(rf_json_write(input));
    ringfence_skill_tools_answer_t answer;
    ringfence_skill_tools_refusal_t refusal;
    return ringfence_skill_tools_call(&tool, &json, &answer, &refusal) ? outcome_of(&answer) : rf_refuse(&refusal);
}

rf_tools_pending *rf_tools_start(const char *name, const rf_json *input) {
    RF_TRY(input);
    guest_string_t tool = rf_to_wire(name), json = rf_to_wire(rf_json_write(input));
    ringfence_skill_tools_refusal_t refusal;
    rf_tools_pending *pending = rf_alloc(sizeof *pending);
    return ringfence_skill_tools_start(&tool, &json, &pending->handle, &refusal) ? pending : rf_refuse(&refusal);
}

rf_outcome *rf_tools_wait(rf_tools_pending *pending) {
    RF_TRY(pending);
    ringfence_skill_tools_answer_t answer;
    ringfence_skill_tools_refusal_t refusal;
    ringfence_skill_tools_borrow_pending_t borrowed = { pending->handle.__handle };
    return ringfence_skill_tools_method_pending_wait(borrowed, &answer, &refusal) ? outcome_of(&answer) : rf_refuse(&refusal);
}

void rf_tools_cancel(rf_tools_pending *pending) {
    if (pending) ringfence_skill_tools_pending_drop_own(pending->handle);
}
