/* Answers being made, one or many at once. */
#include "model.h"

struct rf_generation {
    ringfence_skill_model_own_generation_t handle;
    ringfence_skill_model_list_event_t ready;
    size_t at;
    bool over;
    rf_answer *answer;
    rf_reason reason; /* why it broke */
};

rf_generation *rf_model_open_with(rf_ask ask) {
    rf_generation *generation = rf_alloc(sizeof *generation);
    ringfence_skill_model_request_t request = rf_request_of(&ask, rf_messages_of(&ask));
    ringfence_skill_model_refusal_t refusal;
    return ringfence_skill_model_open(&request, &generation->handle, &refusal) ? generation : rf_refuse(&refusal);
}

static void end(rf_generation *generation) {
    if (!generation->over) ringfence_skill_model_generation_drop_own(generation->handle);
    generation->over = true;
}

void rf_model_cancel(rf_generation *generation) {
    if (generation) end(generation);
}

static const rf_event *event_of(rf_generation *generation, const ringfence_skill_model_event_t *wire) {
    rf_event *event = rf_alloc(sizeof *event);
    event->kind = (rf_event_kind)wire->tag;
    switch (wire->tag) {
    case RINGFENCE_SKILL_MODEL_EVENT_TEXT: event->text = rf_from_wire(wire->val.text); break;
    case RINGFENCE_SKILL_MODEL_EVENT_THINKING: event->text = rf_from_wire(wire->val.thinking); break;
    case RINGFENCE_SKILL_MODEL_EVENT_TOOL_CALL_START:
        event->id = rf_from_wire(wire->val.tool_call_start.f0);
        event->name = rf_from_wire(wire->val.tool_call_start.f1);
        break;
    case RINGFENCE_SKILL_MODEL_EVENT_TOOL_CALL_DELTA:
        event->id = rf_from_wire(wire->val.tool_call_delta.f0);
        event->text = rf_from_wire(wire->val.tool_call_delta.f1);
        break;
    case RINGFENCE_SKILL_MODEL_EVENT_TOOL_CALL: {
        rf_tool_call *call = rf_alloc(sizeof *call);
        *call = rf_tool_call_of(&wire->val.tool_call);
        event->call = call;
        event->id = call->id;
        event->name = call->name;
        break;
    }
    default: generation->answer = rf_answer_of(&wire->val.done);
    }
    return event;
}

const rf_event *rf_model_next(rf_generation *generation) {
    RF_TRY(generation);
    if (generation->at == generation->ready.len) {
        if (generation->over) return NULL;
        ringfence_skill_model_refusal_t refusal;
        generation->at = 0;
        generation->ready.len = 0;
        ringfence_skill_model_borrow_generation_t borrowed = { generation->handle.__handle };
        if (!ringfence_skill_model_method_generation_next(borrowed, &generation->ready, &refusal)) {
            generation->ready.len = 0;
            rf_refuse(&refusal);
            generation->reason = rf_reason_now();
            end(generation);
            return NULL;
        }
        if (!generation->ready.len) {
            end(generation);
            return NULL;
        }
    }
    return event_of(generation, generation->ready.ptr + generation->at++);
}

static rf_answer *finish(rf_generation *generation, bool show) {
    RF_TRY(generation);
    for (const rf_event *event; !generation->answer && (event = rf_model_next(generation));)
        if (show && event->kind == RF_EVENT_TEXT) rf_progress_emit(event->text);
    end(generation);
    if (generation->answer) return generation->answer;
    if (generation->reason.failed) return rf_reason_again(&generation->reason);
    return rf_refuse_as(RF_REFUSAL_UNAVAILABLE, "the answer ended before it was complete");
}

rf_answer *rf_model_finish(rf_generation *generation) {
    return finish(generation, false);
}

rf_answer *rf_model_emit(rf_generation *generation) {
    return finish(generation, true);
}

rf_answer **rf_model_parallel(const rf_ask *asks, size_t count, size_t in_flight) {
    rf_answer **answers = rf_alloc_array(count, sizeof *answers);
    rf_generation **open = rf_alloc_array(count, sizeof *open);
    size_t begun = 0;
    if (!in_flight) in_flight = 1;
    for (size_t at = 0; at < count; at++) {
        bool refused = false;
        for (; !refused && begun < count && begun < at + in_flight; begun++) refused = !(open[begun] = rf_model_open_with(asks[begun]));
        if (!refused) answers[at] = rf_model_finish(open[at]);
        if (answers[at]) continue;
        rf_reason why = rf_reason_now();
        for (size_t i = at; i < begun; i++) rf_model_cancel(open[i]);
        return rf_reason_again(&why);
    }
    return answers;
}
