/* Questions and answers. */
#include "model.h"

rf_chat *rf_chat_new(void) {
    return rf_alloc(sizeof(rf_chat));
}

static rf_chat *add(rf_chat *chat, ringfence_skill_model_message_t message) {
    RF_TRY(chat);
    if (chat->count == chat->capacity) {
        chat->capacity = chat->capacity ? chat->capacity * 2 : 8;
        ringfence_skill_model_message_t *messages = rf_alloc_array(chat->capacity, sizeof *messages);
        if (chat->count) memcpy(messages, chat->messages, chat->count * sizeof *messages);
        chat->messages = messages;
    }
    chat->messages[chat->count++] = message;
    return chat;
}

static ringfence_skill_model_message_t of(uint8_t role, ringfence_skill_model_part_t part) {
    ringfence_skill_model_part_t *parts = rf_alloc(sizeof *parts);
    *parts = part;
    return (ringfence_skill_model_message_t) { role, { parts, 1 } };
}

static rf_chat *say(rf_chat *chat, uint8_t role, const char *text) {
    RF_TRY(text);
    return add(chat, of(role, (ringfence_skill_model_part_t) { RINGFENCE_SKILL_MODEL_PART_TEXT, .val.text = rf_to_wire(rf_copy(text)) }));
}

rf_chat *rf_chat_system(rf_chat *chat, const char *text) {
    return say(chat, RINGFENCE_SKILL_MODEL_ROLE_SYSTEM, text);
}

rf_chat *rf_chat_user(rf_chat *chat, const char *text) {
    return say(chat, RINGFENCE_SKILL_MODEL_ROLE_USER, text);
}

rf_chat *rf_chat_assistant(rf_chat *chat, const char *text) {
    return say(chat, RINGFENCE_SKILL_MODEL_ROLE_ASSISTANT, text);
}

rf_chat *rf_chat_answer(rf_chat *chat, const rf_answer *answer) {
    RF_TRY(answer);
    return add(chat, *(const ringfence_skill_model_message_t *)answer->message);
}

rf_chat *rf_chat_result(rf_chat *chat, const rf_tool_call *call, const char *text, bool is_error) {
    RF_TRY(chat && text);
    ringfence_skill_model_tool_result_t result = { rf_to_wire(call->id), rf_to_wire(rf_copy(text)), is_error };
    ringfence_skill_model_part_t part = { RINGFENCE_SKILL_MODEL_PART_TOOL_RESULT, .val.tool_result = result };
    ringfence_skill_model_message_t *last = chat->count ? chat->messages + chat->count - 1 : NULL;
    if (!last || last->role != RINGFENCE_SKILL_MODEL_ROLE_TOOL) return add(chat, of(RINGFENCE_SKILL_MODEL_ROLE_TOOL, part));
    /* All results of one answer stand in one turn. */
    ringfence_skill_model_part_t *parts = rf_alloc_array(last->parts.len + 1, sizeof *parts);
    memcpy(parts, last->parts.ptr, last->parts.len * sizeof *parts);
    parts[last->parts.len] = part;
    last->parts = (ringfence_skill_model_list_part_t) { parts, last->parts.len + 1 };
    return chat;
}

/* ---- what is sent */

/* All messages: instructions, what was said before, and the prompt with its images. */
rf_chat *rf_messages_of(const rf_ask *ask) {
    rf_chat *all = rf_chat_new();
    size_t at = 0, before = ask->chat ? ask->chat->count : 0;
    /* After the conversation's own instructions, before everything else. */
    for (; at < before && ask->chat->messages[at].role == RINGFENCE_SKILL_MODEL_ROLE_SYSTEM; at++) add(all, ask->chat->messages[at]);
    if (ask->system) rf_chat_system(all, ask->system);
    for (; at < before; at++) add(all, ask->chat->messages[at]);
    all->cache_until = all->count;
    size_t images = 0;
    while (ask->images && ask->images[images].media_type) images++;
    if (!ask->prompt && !images) return all;
    ringfence_skill_model_part_t *parts = rf_alloc_array(images + 1, sizeof *parts);
    size_t count = 0;
    if (ask->prompt) parts[count++] = (ringfence_skill_model_part_t) { RINGFENCE_SKILL_MODEL_PART_TEXT, .val.text = rf_to_wire(ask->prompt) };
    for (size_t i = 0; i < images; i++) {
        const rf_image *image = ask->images + i;
        ringfence_skill_model_image_t wire = { rf_to_wire(image->media_type), { (uint8_t *)image->data, image->length } };
        parts[count++] = (ringfence_skill_model_part_t) { RINGFENCE_SKILL_MODEL_PART_IMAGE, .val.image = wire };
    }
    return add(all, (ringfence_skill_model_message_t) { RINGFENCE_SKILL_MODEL_ROLE_USER, { parts, count } });
}

static ringfence_skill_model_list_tool_t tools_of(const rf_ask *ask) {
    size_t count = 0;
    while (ask->tools && ask->tools[count]) count++;
    ringfence_skill_model_list_tool_t tools = { rf_alloc_array(count, sizeof *tools.ptr), count };
    for (size_t i = 0; i < count; i++) {
        const rf_model_tool *tool = ask->tools[i];
        const char *schema = rf_json_write(rf_tool_schema(tool->input, tool->input_schema, tool->name));
        tools.ptr[i] = (ringfence_skill_model_tool_t) { rf_to_wire(tool->name), rf_to_wire(tool->description), rf_to_wire(schema) };
    }
    return tools;
}

ringfence_skill_model_request_t rf_request_of(const rf_ask *ask, const rf_chat *messages) {
    const char *schema = ask->type ? rf_json_write(rf_schema_of(ask->type)) : ask->schema;
    const char *options = rf_json_write(ask->provider_options);
    size_t stops = 0;
    while (ask->stop && ask->stop[stops]) stops++;
    guest_list_string_t stop = { rf_alloc_array(stops, sizeof *stop.ptr), stops };
    for (size_t i = 0; i < stops; i++) stop.ptr[i] = rf_to_wire(ask->stop[i]);
    ringfence_skill_model_tool_choice_t choice = { .tag = (uint8_t)ask->tool_choice };
    if (ask->tool) choice = (ringfence_skill_model_tool_choice_t) { RINGFENCE_SKILL_MODEL_TOOL_CHOICE_NAMED, .val.named = rf_to_wire(ask->tool) };
    return (ringfence_skill_model_request_t) {
        .model = rf_to_wire(ask->model ? ask->model : "default"),
        .messages = { messages->messages, messages->count },
        .tools = tools_of(ask),
        .tool_choice = choice,
        .output_schema = { schema != NULL, rf_to_wire(schema) },
        .max_tokens = { ask->max_tokens != 0, ask->max_tokens },
        .temperature = { ask->temperature.is_set, (float)ask->temperature.value },
        .top_p = { ask->top_p.is_set, (float)ask->top_p.value },
        .stop = stop,
        .effort = { ask->effort != RF_EFFORT_DEFAULT, (uint8_t)(ask->effort ? ask->effort - 1 : 0) },
        .cache_until = { ask->cache && messages->cache_until, (uint32_t)(messages->cache_until ? messages->cache_until - 1 : 0) },
        .provider_options = { options != NULL, rf_to_wire(options) },
    };
}

/* ---- what comes back */

rf_tool_call rf_tool_call_of(const ringfence_skill_model_tool_call_t *wire) {
    return (rf_tool_call) { rf_from_wire(wire->id), rf_from_wire(wire->name), rf_from_wire(wire->input), rf_from_maybe(wire->signature) };
}

static rf_usage usage_of(const ringfence_skill_model_usage_t *wire) {
    return (rf_usage) {
        wire->input_tokens, wire->cached_input_tokens, wire->cache_write_tokens, wire->output_tokens, wire->reasoning_tokens,
        { wire->micro_dollars.is_some, (int64_t)wire->micro_dollars.val },
    };
}

rf_answer *rf_answer_of(const ringfence_skill_model_response_t *wire) {
    rf_buffer text = { 0 };
    size_t count = 0;
    const ringfence_skill_model_list_part_t parts = wire->message.parts;
    rf_tool_call *calls = rf_alloc_array(parts.len, sizeof *calls);
    for (size_t i = 0; i < parts.len; i++) {
        if (parts.ptr[i].tag == RINGFENCE_SKILL_MODEL_PART_TEXT) rf_append(&text, rf_from_wire(parts.ptr[i].val.text));
        if (parts.ptr[i].tag == RINGFENCE_SKILL_MODEL_PART_TOOL_CALL) calls[count++] = rf_tool_call_of(&parts.ptr[i].val.tool_call);
    }
    ringfence_skill_model_message_t *message = rf_alloc(sizeof *message);
    *message = wire->message;
    rf_answer *answer = rf_alloc(sizeof *answer);
    *answer = (rf_answer) {
        rf_buffer_text(&text), (rf_stop)wire->stop_reason, rf_from_wire(wire->model), usage_of(&wire->usage), calls, count, message,
    };
    return answer;
}

static rf_answer *generate(const rf_ask *ask, const rf_chat *messages) {
    ringfence_skill_model_request_t request = rf_request_of(ask, messages);
    ringfence_skill_model_response_t response;
    ringfence_skill_model_refusal_t refusal;
    return ringfence_skill_model_generate(&request, &response, &refusal) ? rf_answer_of(&response) : rf_refuse(&refusal);
}

rf_answer *rf_model_ask_with(rf_ask ask) {
    return generate(&ask, rf_messages_of(&ask));
}

void *rf_answer_json_as(const rf_type *type, const rf_answer *answer) {
    RF_TRY(answer);
    const char *what = rf_format("the answer of %s is not the JSON that was asked for", answer->model);
    if (answer->stop == RF_STOP_MAX_TOKENS) return rf_refuse_as(RF_REFUSAL_INVALID, "%s: it was cut at its largest length", what);
    void *value = rf_decode_as(type, rf_json_parse(answer->text));
    return value ? value : rf_refuse_because("%s", what);
}

void *rf_model_json_with(const rf_type *type, rf_ask ask) {
    ask.type = type;
    return rf_answer_json_as(type, rf_model_ask_with(ask));
}

/* ---- tools that the model calls */

static const char *run_tool(const rf_ask *ask, const rf_tool_call *call) {
    for (const rf_model_tool *const *tool = ask->tools; tool && *tool; tool++) {
        if (strcmp((*tool)->name, call->name)) continue;
        const void *input = rf_decode_as((*tool)->input, rf_json_parse(call->input));
        if (!input) return rf_fail_at(NULL, 0, RF_INVALID_INPUT, NULL, "the arguments of `%s` are wrong: %s", call->name, rf_failed()->message);
        return (*tool)->run(input, ask->state);
    }
    return rf_fail_at(NULL, 0, RF_UNKNOWN_TOOL, NULL, "there is no tool `%s`", call->name);
}

static const char *failure_text(void) {
    const rf_failure *failure = rf_failed();
    if (!failure) return "it failed";
    return failure->hint ? rf_format("%s\n%s", failure->message, failure->hint) : failure->message;
}

rf_answer *rf_model_run_with(rf_ask ask) {
    rf_chat *messages = rf_messages_of(&ask);
    for (unsigned rounds = ask.rounds ? ask.rounds : 8; rounds; rounds--) {
        rf_answer *answer = generate(&ask, messages);
        RF_TRY(answer);
        if (answer->stop != RF_STOP_TOOL_CALL) return answer;
        rf_chat_answer(messages, answer);
        for (size_t i = 0; i < answer->tool_call_count; i++) {
            rf_forget();
            const char *text = run_tool(&ask, answer->tool_calls + i);
            rf_chat_result(messages, answer->tool_calls + i, text ? text : failure_text(), !text);
        }
        /* What went to the model is no reason for this skill to fail. */
        rf_forget();
        /* Otherwise the model could never answer. */
        ask.tool = NULL;
        ask.tool_choice = RF_TOOLS_AUTO;
    }
    ask.tool_choice = RF_TOOLS_NONE;
    return generate(&ask, messages);
}

/* ---- vectors and models */

rf_embeddings *rf_model_embed(const char *model, const char *const *inputs, size_t count) {
    guest_string_t name = rf_to_wire(model);
    guest_list_string_t texts = { rf_alloc_array(count, sizeof *texts.ptr), count };
    for (size_t i = 0; i < count; i++) texts.ptr[i] = rf_to_wire(inputs[i]);
    ringfence_skill_model_embeddings_t wire;
    ringfence_skill_model_refusal_t refusal;
    if (!ringfence_skill_model_embed(&name, &texts, &wire, &refusal)) return rf_refuse(&refusal);
    const float **vectors = rf_alloc_array(wire.vectors.len, sizeof *vectors);
    size_t *dimensions = rf_alloc_array(wire.vectors.len, sizeof *dimensions);
    for (size_t i = 0; i < wire.vectors.len; i++) {
        vectors[i] = wire.vectors.ptr[i].ptr;
        dimensions[i] = wire.vectors.ptr[i].len;
    }
    rf_embeddings *embeddings = rf_alloc(sizeof *embeddings);
    *embeddings = (rf_embeddings) { vectors, wire.vectors.len, dimensions, rf_from_wire(wire.model), usage_of(&wire.usage) };
    return embeddings;
}

rf_model_infos rf_model_models(void) {
    ringfence_skill_model_list_model_info_t wire;
    ringfence_skill_model_models(&wire);
    rf_model_info *items = rf_alloc_array(wire.len, sizeof *items);
    for (size_t i = 0; i < wire.len; i++) {
        const ringfence_skill_model_model_info_t *from = wire.ptr + i;
        items[i] = (rf_model_info) { rf_from_wire(from->name), from->max_tokens, from->context_window.is_some ? from->context_window.val : 0, from->local };
    }
    return (rf_model_infos) { items, wire.len };
}
