/* Models that answer by script. */
#include "fake.h"

typedef bool (*rule)(const rf_fake_request *request, rf_fake_reply *reply, void *state);

typedef struct {
    ringfence_skill_model_event_t *events;
    size_t count, at;
    rf_fake_reply reply;
    bool open;
} generation;

typedef struct { rule rule; void *state; const char *words, *text; } answerer;

static list_of(rf_fake_reply) script;
static size_t told;
static list_of(answerer) rules;
static list_of(rf_fake_request) requests;
static list_of(ringfence_skill_model_model_info_t) models;
static list_of(guest_list_f32_t) vectors;
static size_t embedded;
static list_of(generation) generations;

void rf_fake_reply_with(rf_fake_reply reply) {
    push(&script, reply);
}

void rf_fake_answer(const char *text) {
    rf_fake_reply_with((rf_fake_reply) { .text = text });
}

void rf_fake_tool_call(const char *name, const char *input) {
    rf_fake_reply_with((rf_fake_reply) { .calls = { { .name = name, .input = input } } });
}

void rf_fake_refuse(rf_refusal refusal) {
    rf_refusal *kept = rf_alloc(sizeof *kept);
    *kept = refusal;
    rf_fake_reply_with((rf_fake_reply) { .refusal = kept });
}

void rf_fake_answer_when(const char *words, const char *text) {
    push(&rules, (answerer) { .words = rf_copy(words), .text = rf_copy(text) });
}

void rf_fake_answer_with(rule answer, void *state) {
    push(&rules, (answerer) { .rule = answer, .state = state });
}

void rf_fake_model(const char *name, uint32_t max_tokens, uint32_t context_window) {
    push(&models, (ringfence_skill_model_model_info_t) { wire_copy(name), max_tokens, { context_window != 0, context_window }, true });
}

void rf_fake_vector(const float *numbers, size_t count) {
    push(&vectors, (guest_list_f32_t) { (float *)rf_copy_n(numbers, count * sizeof *numbers), count });
}

size_t rf_fake_request_count(void) { return requests.count; }
const rf_fake_request *rf_fake_request_at(size_t index) { return index < requests.count ? requests.items + index : NULL; }
const char *rf_fake_prompt(size_t index) { return index < requests.count ? requests.items[index].prompt : ""; }

static void append_parts(rf_buffer *text, const ringfence_skill_model_message_t *message) {
    for (size_t i = 0; i < message->parts.len; i++) {
        const ringfence_skill_model_part_t *part = message->parts.ptr + i;
        if (part->tag == RINGFENCE_SKILL_MODEL_PART_TEXT) rf_append_n(text, part->val.text.ptr, part->val.text.len);
        if (part->tag == RINGFENCE_SKILL_MODEL_PART_TOOL_RESULT) rf_append_n(text, part->val.tool_result.content.ptr, part->val.tool_result.content.len);
    }
}

static rf_fake_reply reply_to(const ringfence_skill_model_request_t *wire) {
    rf_buffer prompt = { 0 }, last = { 0 };
    for (size_t i = 0; i < wire->messages.len; i++) {
        if (i) rf_append(&prompt, "\n\n");
        append_parts(&prompt, wire->messages.ptr + i);
    }
    if (wire->messages.len) append_parts(&last, wire->messages.ptr + wire->messages.len - 1);
    rf_fake_request request = {
        rf_buffer_text(&prompt), rf_buffer_text(&last), text_of(&wire->model),
        wire->output_schema.is_some ? text_of(&wire->output_schema.val) : NULL, wire->tools.len, wire->messages.len,
        wire->max_tokens.is_some ? wire->max_tokens.val : 0,
    };
    push(&requests, request);
    for (size_t i = 0; i < rules.count; i++) {
        rf_fake_reply reply = { .text = rules.items[i].text };
        if (rules.items[i].rule ? rules.items[i].rule(&request, &reply, rules.items[i].state) : strstr(request.prompt, rules.items[i].words) != NULL)
            return reply;
    }
    if (told < script.count) return script.items[told++];
    stop_test("the skill asked a model and the fake has no answer for it: script one with rf_fake_answer(\"...\"). It asked:\n%s", request.prompt);
}

/* A rough count, as tests need no better one. */
static uint64_t tokens(const char *text) {
    return text ? (strlen(text) + 3) / 4 : 0;
}

static ringfence_skill_model_tool_call_t call_of(const rf_fake_reply *reply, size_t index) {
    const rf_tool_call *call = reply->calls + index;
    return (ringfence_skill_model_tool_call_t) {
        wire_copy(rf_format("call-%zu", index + 1)), wire_copy(call->name), wire_copy(call->input ? call->input : "{}"), rf_to_maybe(call->signature),
    };
}

static ringfence_skill_model_response_t response_of(const rf_fake_reply *reply, const ringfence_skill_model_request_t *request) {
    ringfence_skill_model_part_t *parts = rf_alloc_array(RF_COUNT(reply->calls) + 2, sizeof *parts);
    size_t count = 0, calls = 0;
    if (reply->thinking)
        parts[count++] = (ringfence_skill_model_part_t) {
            RINGFENCE_SKILL_MODEL_PART_THINKING, .val.thinking = { wire_copy(reply->thinking), { 0 } },
        };
    if (reply->text) parts[count++] = (ringfence_skill_model_part_t) { RINGFENCE_SKILL_MODEL_PART_TEXT, .val.text = wire_copy(reply->text) };
    for (; calls < RF_COUNT(reply->calls) && reply->calls[calls].name; calls++)
        parts[count++] = (ringfence_skill_model_part_t) { RINGFENCE_SKILL_MODEL_PART_TOOL_CALL, .val.tool_call = call_of(reply, calls) };
    return (ringfence_skill_model_response_t) {
        { RINGFENCE_SKILL_MODEL_ROLE_ASSISTANT, { parts, count } },
        (uint8_t)(calls ? RF_STOP_TOOL_CALL : reply->stop),
        wire_copy(rf_format("fake/%s", text_of(&request->model))),
        { .input_tokens = tokens(requests.items[requests.count - 1].prompt), .output_tokens = tokens(reply->text) },
    };
}

bool ringfence_skill_model_generate(ringfence_skill_model_request_t *request, ringfence_skill_model_response_t *ret, ringfence_skill_model_refusal_t *err) {
    rf_fake_reply reply = reply_to(request);
    if (reply.refusal) return refuse_wire(reply.refusal, err);
    *ret = response_of(&reply, request);
    return true;
}

/* ---- generations: text comes word by word */

typedef list_of(ringfence_skill_model_event_t) events;

static void add_words(events *all, const char *text) {
    while (text && *text) {
        size_t length = strcspn(text, " ");
        length += text[length] == ' ';
        push(all, (ringfence_skill_model_event_t) { RINGFENCE_SKILL_MODEL_EVENT_TEXT, .val.text = rf_to_wire(rf_copy_n(text, length)) });
        text += length;
    }
}

bool ringfence_skill_model_open(ringfence_skill_model_request_t *request, ringfence_skill_model_own_generation_t *ret, ringfence_skill_model_refusal_t *err) {
    (void)err;
    generation fresh = { .reply = reply_to(request), .open = true };
    events all = { 0 };
    if (fresh.reply.thinking)
        push(&all, (ringfence_skill_model_event_t) { RINGFENCE_SKILL_MODEL_EVENT_THINKING, .val.thinking = wire_copy(fresh.reply.thinking) });
    add_words(&all, fresh.reply.text);
    for (size_t i = 0; i < RF_COUNT(fresh.reply.calls) && fresh.reply.calls[i].name; i++) {
        ringfence_skill_model_tool_call_t call = call_of(&fresh.reply, i);
        push(&all, (ringfence_skill_model_event_t) { RINGFENCE_SKILL_MODEL_EVENT_TOOL_CALL_START, .val.tool_call_start = { call.id, call.name } });
        push(&all, (ringfence_skill_model_event_t) { RINGFENCE_SKILL_MODEL_EVENT_TOOL_CALL_DELTA, .val.tool_call_delta = { call.id, call.input } });
        push(&all, (ringfence_skill_model_event_t) { RINGFENCE_SKILL_MODEL_EVENT_TOOL_CALL, .val.tool_call = call });
    }
    if (!fresh.reply.refusal)
        push(&all, (ringfence_skill_model_event_t) { RINGFENCE_SKILL_MODEL_EVENT_DONE, .val.done = response_of(&fresh.reply, request) });
    fresh.events = all.items;
    fresh.count = all.count;
    push(&generations, fresh);
    in_flight(1);
    ret->__handle = (int32_t)generations.count;
    return true;
}

bool ringfence_skill_model_method_generation_next(ringfence_skill_model_borrow_generation_t self, ringfence_skill_model_list_event_t *ret,
    ringfence_skill_model_refusal_t *err) {
    generation *own = generations.items + self.__handle - 1;
    if (own->at == own->count && own->reply.refusal) return refuse_wire(own->reply.refusal, err);
    /* Two at a time, so that lists of several and of one are met. */
    size_t count = own->count - own->at < 2 ? own->count - own->at : 2;
    *ret = (ringfence_skill_model_list_event_t) { own->events + own->at, count };
    own->at += count;
    return true;
}

void ringfence_skill_model_generation_drop_own(ringfence_skill_model_own_generation_t handle) {
    generation *own = generations.items + handle.__handle - 1;
    if (own->open) in_flight(-1);
    own->open = false;
}

/* ---- vectors and models */

bool ringfence_skill_model_embed(guest_string_t *model, guest_list_string_t *inputs, ringfence_skill_model_embeddings_t *ret,
    ringfence_skill_model_refusal_t *err) {
    (void)err;
    if (vectors.count - embedded < inputs->len)
        stop_test("the skill wants vectors of %zu texts and the fake has %zu: give them with rf_fake_vector", inputs->len, vectors.count - embedded);
    *ret = (ringfence_skill_model_embeddings_t) { { vectors.items + embedded, inputs->len }, wire_copy(rf_format("fake/%s", text_of(model))), { 0 } };
    embedded += inputs->len;
    return true;
}

void ringfence_skill_model_models(ringfence_skill_model_list_model_info_t *ret) {
    *ret = (ringfence_skill_model_list_model_info_t) { models.items, models.count };
}
