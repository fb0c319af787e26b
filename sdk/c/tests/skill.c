#include <ringfence_fake.h>

typedef struct { const char *name; int times; } greeting;
RF_TYPE(greeting, RF_FIELD(name, "Whom."), RF_FIELD(times, "", .fallback = "1"));

static rf_outcome *greet(const greeting *in) {
    rf_buffer text = { 0 };
    for (int i = 0; i < in->times; i++) rf_appendf(&text, "Hello, %s. ", in->name);
    return rf_text(rf_buffer_text(&text));
}
RF_TOOL(greet, greeting, "Greets someone.", .title = "Greet", .hints = RF_READ_ONLY | RF_IDEMPOTENT);

static rf_outcome *raw(const rf_json *in) {
    return rf_structured_json(in);
}
RF_TOOL(raw, rf_json, "Gives back what it is given.", .name = "as_it_is", .input_schema = RF_JSON({"type": "object"}), .output_schema = RF_JSON({"type": "object"}));

static rf_outcome *give_up(const rf_nothing *in) {
    (void)in;
    return RF_FAIL_HINT(RF_INVALID_INPUT, "try another", "%s is wrong", "this");
}
RF_TOOL(give_up, rf_nothing, "Fails.");

static rf_outcome *say_nothing(const rf_nothing *in) {
    (void)in;
    return NULL;
}
RF_TOOL(say_nothing, rf_nothing, "Forgets to say why.");

static rf_outcome *who(const rf_nothing *in) {
    (void)in;
    const rf_context *call = rf_this_call();
    return rf_textf("%s %s %llu %s", call->invocation, rf_caller_name(call->caller), (unsigned long long)call->deadline_ms, call->locale ? call->locale : "-");
}
RF_TOOL(who, rf_nothing, "Says who calls.");

static rf_outcome *media(const rf_nothing *in) {
    (void)in;
    return rf_outcome_link(rf_outcome_audio(rf_outcome_image(rf_text("a"), "image/png", "\1\0\3", 3), "audio/wav", "x", 1), "https://e.org/", NULL, "text/html");
}
RF_TOOL(media, rf_nothing, "Gives media.");

RF_TEST(a_tool_is_called_with_its_input) {
    RF_CHECK_TEXT(rf_outcome_joined(rf_fake_call("greet", RF_JSON({"name": "Ada"}))), "Hello, Ada. ");
    RF_CHECK_TEXT(rf_outcome_joined(rf_fake_call("greet", RF_JSON({"name": "Ada", "times": 2}))), "Hello, Ada. Hello, Ada. ");
    RF_CHECK_TEXT(rf_fake_structured(rf_fake_call("as_it_is", RF_JSON({"a": [1.50, "x\u0000"]}))), "{\"a\":[1.50,\"x\\u0000\"]}");
    RF_CHECK(rf_fake_failure() == NULL);
}

RF_TEST(a_tool_says_what_it_is) {
    rf_fake_tool_info tool = rf_fake_describe("greet");
    RF_CHECK_TEXT(tool.title, "Greet");
    RF_CHECK_INT(tool.hints, 5);
    RF_CHECK_TEXT(tool.input_schema, RF_JSON({"type":"object","properties":{"name":{"type":"string","description":"Whom."},"times":{"type":["integer","null"],"default":1}},"required":["name"],"additionalProperties":false}));
    RF_CHECK_TEXT(rf_fake_describe("who").input_schema, RF_JSON({"type":"object","properties":{},"additionalProperties":false}));
    RF_CHECK_TEXT(rf_fake_describe("as_it_is").input_schema, "{\"type\":\"object\"}");
}

RF_TEST(failures_keep_kind_message_and_hint) {
    rf_fake_call("give_up", "{}");
    RF_CHECK_FAILED(RF_INVALID_INPUT);
    RF_CHECK_TEXT(rf_fake_failure()->message, "this is wrong");
    RF_CHECK_TEXT(rf_fake_failure()->hint, "try another");
    RF_CHECK_HAS(rf_fake_log(0)->fields[0].value, "tests/skill.c:");
    rf_fake_call("say_nothing", "{}");
    RF_CHECK_FAILED(RF_FAILED);
    RF_CHECK_TEXT(rf_fake_failure()->message, "the tool `say_nothing` gave nothing and no reason");
    rf_fake_call("none", "{}");
    RF_CHECK_FAILED(RF_UNKNOWN_TOOL);
    RF_CHECK_TEXT(rf_fake_failure()->message, "this skill has no tool `none`");
    RF_CHECK_HAS(rf_fake_failure()->hint, "name one of: greet, as_it_is, give_up, ");
    rf_fake_call("greet", RF_JSON({"name": 1}));
    RF_CHECK_TEXT(rf_fake_failure()->message, "the input cannot be read: `name` must be a string");
}

RF_TEST(a_tool_knows_who_calls) {
    RF_CHECK_TEXT(rf_outcome_joined(rf_fake_call("who", "{}")), "test user 60000 -");
    rf_fake_context((rf_context) { "i-7", RF_CALLER_MODEL, 5, "de-AT" });
    RF_CHECK_TEXT(rf_outcome_joined(rf_fake_call("who", "{}")), "i-7 model 5 de-AT");
}

RF_TEST(media_come_as_they_are) {
    const rf_outcome *outcome = rf_fake_call("media", "{}");
    RF_CHECK_INT(outcome->count, 4);
    RF_CHECK(outcome->content[1].length == 3 && !memcmp(outcome->content[1].data, "\1\0\3", 3));
    RF_CHECK_TEXT(outcome->content[2].media_type, "audio/wav");
    RF_CHECK(!outcome->content[3].title && !strcmp(outcome->content[3].media_type, "text/html"));
}

RF_TEST(memory_is_aligned_zeroed_and_grows) {
    for (size_t size = 0; size < 200000; size = size * 2 + 1) {
        char *memory = rf_alloc(size);
        RF_CHECK((uintptr_t)memory % 16 == 0);
        for (size_t i = 0; i < size; i++)
            if (memory[i]) RF_CHECK(!"zeroed");
        memset(memory, 1, size);
    }
    rf_buffer buffer = { 0 };
    for (int i = 0; i < 10000; i++) rf_appendf(&buffer, "%d,", i);
    RF_CHECK_INT(buffer.length, 48890);
    RF_CHECK_INT(strlen(rf_format("%*s", 5000, "x")), 5000);
}

RF_TEST(a_long_line_of_the_log_is_cut_between_characters) {
    rf_buffer text = { 0 };
    rf_append(&text, "a");
    while (text.length < 5000) rf_append(&text, "é");
    rf_log_info("%s", text.text);
    RF_CHECK_INT(strlen(rf_fake_log(0)->message), 4095);
}
