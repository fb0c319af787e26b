#include "internal.h"

static const char *schema_of(const rf_question *question) {
    if (question->schema || !question->choices) return question->schema;
    rf_json *values = rf_json_new_array(), *schema = rf_json_set(rf_json_new_object(), "type", rf_json_new_text("string"));
    for (const char *const *choice = question->choices; *choice; choice++) rf_json_add(values, rf_json_new_text(*choice));
    return rf_json_write(rf_json_set(schema, "enum", values));
}

const rf_json *rf_user_ask_json_with(rf_question question) {
    const char *schema = schema_of(&question);
    ringfence_skill_user_question_t wire = {
        .text = rf_to_wire(question.text),
        .schema = { schema != NULL, rf_to_wire(schema) },
        .timeout_ms = { question.timeout_ms != 0, question.timeout_ms },
        .remember = rf_to_maybe(question.remember),
    };
    ringfence_skill_user_json_t json;
    ringfence_skill_user_refusal_t refusal;
    if (!ringfence_skill_user_ask(&wire, &json, &refusal)) return rf_refuse(&refusal);
    const rf_json *answer = rf_json_parse_n((const char *)json.ptr, json.len);
    return answer ? answer : rf_refuse_because("the answer is not what the skill expects");
}

const char *rf_user_ask_with(rf_question question) {
    const rf_json *answer = rf_user_ask_json_with(question);
    RF_TRY(answer);
    if (answer->kind == RF_JSON_STRING) return rf_json_text(answer, "");
    return rf_refuse_as(RF_REFUSAL_INVALID, "the answer is not what the skill expects: it is no text");
}

void *rf_user_ask_for_with(const rf_type *type, rf_question question) {
    question.schema = rf_json_write(rf_schema_of(type));
    const rf_json *answer = rf_user_ask_json_with(question);
    RF_TRY(answer);
    void *value = rf_decode_as(type, answer);
    return value ? value : rf_refuse_because("the answer is not what the skill expects");
}

bool rf_user_confirm(const char *question, bool *answer) {
    const rf_json *value = rf_user_ask_json(question, .schema = RF_JSON({"type": "boolean"}));
    RF_TRY(value);
    if (value->kind != RF_JSON_BOOLEAN)
        return rf_refuse_as(RF_REFUSAL_INVALID, "the answer is not what the skill expects: it is neither true nor false");
    *answer = value->boolean;
    return true;
}
