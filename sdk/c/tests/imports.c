#include <stdlib.h>

#include <ringfence_fake.h>

typedef struct { const char *city; int64_t population; } place;
RF_TYPE(place, RF_FIELD(city, ""), RF_FIELD(population, ""));
typedef struct { int64_t a, b; } sum;
RF_TYPE(sum, RF_FIELD(a, ""), RF_FIELD(b, ""));

RF_TEST(a_model_is_asked) {
    rf_fake_answer("Blue.");
    const rf_answer *answer = rf_model_ask("Why?", .system = "Be brief.", .model = "fast", .max_tokens = 9, .temperature = RF_SOME(0));
    RF_CHECK_TEXT(answer->text, "Blue.");
    RF_CHECK_TEXT(answer->model, "fake/fast");
    RF_CHECK_TEXT(rf_fake_prompt(0), "Be brief.\n\nWhy?");
    RF_CHECK_INT(rf_fake_request_at(0)->max_tokens, 9);
    RF_CHECK_INT(answer->usage.output_tokens, 2);
}

RF_TEST(a_conversation_goes_on) {
    rf_fake_answer("One.");
    rf_fake_answer("Two.");
    rf_chat *chat = rf_chat_user(rf_chat_system(rf_chat_new(), "S."), "First?");
    rf_chat_answer(chat, rf_model_ask(NULL, .chat = chat));
    RF_CHECK_TEXT(rf_model_ask("Second?", .chat = chat, .system = "T.")->text, "Two.");
    RF_CHECK_TEXT(rf_fake_prompt(1), "S.\n\nT.\n\nFirst?\n\nOne.\n\nSecond?");
}

RF_TEST(a_value_of_a_type_is_asked_for) {
    rf_fake_answer(RF_JSON({"city": "Graz", "population": 300000}));
    const place *found = rf_model_json(place, "Name a city.");
    RF_CHECK(found && found->population == 300000 && !strcmp(found->city, "Graz"));
    RF_CHECK_HAS(rf_fake_request_at(0)->schema, "\"population\":{\"type\":\"integer\"}");
    rf_fake_answer("Graz");
    RF_CHECK(!rf_model_json(place, "Name a city."));
    RF_CHECK_TEXT(rf_refused()->message, "the answer of fake/default is not the JSON that was asked for: this is no JSON: a value is expected at line 1 column 1");
    rf_fake_reply_with((rf_fake_reply) { .text = "{", .stop = RF_STOP_MAX_TOKENS });
    RF_CHECK(!rf_model_json(place, "Name a city."));
    RF_CHECK_HAS(rf_failed()->message, "it was cut at its largest length");
}

RF_TEST(an_answer_streams) {
    rf_fake_answer("Once upon a time");
    rf_generation *story = rf_model_open("Tell.");
    int pieces = 0;
    for (const rf_event *event; (event = rf_model_next(story));) pieces += event->kind == RF_EVENT_TEXT;
    RF_CHECK_INT(pieces, 4);
    RF_CHECK_TEXT(rf_model_finish(story)->text, "Once upon a time");
    rf_fake_answer("shown now");
    RF_CHECK_TEXT(rf_model_emit(rf_model_open("Tell."))->text, "shown now");
    RF_CHECK_TEXT(rf_fake_emitted(), "shown now");
}

RF_TEST(an_answer_that_breaks_is_a_refusal) {
    rf_refusal gone = rf_fake_refusal(RF_REFUSAL_UNAVAILABLE, "it is down; try later");
    rf_fake_reply_with((rf_fake_reply) { .text = "half a", .refusal = &gone });
    RF_CHECK(!rf_model_emit(rf_model_open("Tell.")));
    RF_CHECK_TEXT(rf_fake_emitted(), "half a");
    RF_CHECK_TEXT(rf_failed()->message, "it is down");
    RF_CHECK_TEXT(rf_failed()->hint, "try later");
    RF_CHECK_INT(rf_failed()->kind, RF_UNAVAILABLE);
    RF_CHECK_TEXT(rf_refused()->message, "it is down; try later");
}

RF_TEST(many_are_asked_at_once_and_answered_in_order) {
    rf_ask asks[5];
    for (int i = 0; i < 5; i++) {
        asks[i] = (rf_ask) { .prompt = rf_format("q%d", i) };
        rf_fake_answer(rf_format("a%d", i));
    }
    rf_answer **answers = rf_model_parallel(asks, 5, 3);
    RF_CHECK_TEXT(answers[4]->text, "a4");
    RF_CHECK_TEXT(answers[0]->text, "a0");
    RF_CHECK_INT(rf_fake_most_in_flight(), 3);
    rf_fake_answer("x");
    rf_fake_refuse(rf_fake_refusal(RF_REFUSAL_TIMED_OUT, "late"));
    rf_fake_answer("y");
    RF_CHECK(!rf_model_parallel(asks, 3, 3));
    RF_CHECK_INT(rf_refused()->kind, RF_REFUSAL_TIMED_OUT);
    RF_CHECK(rf_model_parallel(asks, 0, 3));
}

static const char *add(const sum *in, void *state) {
    ++*(int *)state;
    if (in->a < 0) return RF_FAIL_HINT(RF_INVALID_INPUT, "give another", "%lld is negative", (long long)in->a);
    return rf_format("%lld", (long long)(in->a + in->b));
}
RF_MODEL_TOOL(add, sum, "Adds.");

RF_TEST(a_model_calls_tools) {
    int calls = 0;
    rf_fake_tool_call("add", RF_JSON({"a": 2, "b": 3}));
    rf_fake_tool_call("add", RF_JSON({"a": -2, "b": 3}));
    rf_fake_tool_call("add", RF_JSON({"a": "x"}));
    rf_fake_tool_call("sub", "{}");
    rf_fake_answer("5");
    RF_CHECK_TEXT(rf_model_run("2 + 3?", .tools = RF_WITH(&add_tool), .state = &calls)->text, "5");
    RF_CHECK_INT(calls, 2);
    RF_CHECK_TEXT(rf_fake_request_at(1)->last, "5");
    RF_CHECK_TEXT(rf_fake_request_at(2)->last, "-2 is negative\ngive another");
    RF_CHECK_TEXT(rf_fake_request_at(3)->last, "the arguments of `add` are wrong: `a` must be an integer that fits");
    RF_CHECK_TEXT(rf_fake_request_at(4)->last, "there is no tool `sub`");
    RF_CHECK(!rf_failed());
}

RF_TEST(refusals_become_failures) {
    struct { rf_refusal refusal; rf_failure_kind kind; const char *message, *hint; } cases[] = {
        { { .kind = RF_REFUSAL_DENIED, .subject = "model smart", .message = "it is not granted", .hint = "grant it" }, RF_REFUSED,
            "the host refused `model smart`: it is not granted", "grant it" },
        { { .kind = RF_REFUSAL_OVER_BUDGET, .limit = 9, .used = 8, .needed = 2 }, RF_REFUSED,
            "the invocation budget of 9 output-tokens is used up: 8 used or reserved, 2 needed",
            "raise `budget.invocation.output-tokens` of the host, or give the tool less to do" },
        { { .kind = RF_REFUSAL_TOO_LARGE, .what = "prompt", .limit = 5, .actual = RF_SOME(7) }, RF_REFUSED,
            "the prompt is too large: at most 5, this has 7", "give at most 5 of prompt" },
        { { .kind = RF_REFUSAL_INVALID, .message = "wrong" }, RF_FAILED, "wrong", NULL },
        { { .kind = RF_REFUSAL_TIMED_OUT, .message = "late" }, RF_UNAVAILABLE, "late", NULL },
        { { .kind = RF_REFUSAL_CANCELLED }, RF_REFUSED, "the call was cancelled", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_fake_refuse(cases[i].refusal);
        RF_CHECK(!rf_model_ask("x"));
        RF_CHECK_INT(rf_refused()->kind, cases[i].refusal.kind);
        RF_CHECK_INT(rf_failed()->kind, cases[i].kind);
        RF_CHECK_TEXT(rf_failed()->message, cases[i].message);
        RF_CHECK_TEXT(rf_failed()->hint, cases[i].hint);
    }
}

static const char *more(const char *old, void *state) {
    (void)state;
    return rf_format("%d", (old ? atoi(old) : 0) + 1);
}

RF_TEST(values_are_kept_with_versions) {
    RF_CHECK(!rf_kv_get("k")->exists);
    uint64_t version = rf_kv_set_if("k", "one", 3, RF_KV_ABSENT)->version;
    const rf_kv_written *conflict = rf_kv_set_if("k", "x", 1, RF_KV_ABSENT);
    RF_CHECK(!conflict->done && conflict->version == version);
    RF_CHECK(rf_kv_set_if("k", "two", 3, version)->version > version);
    RF_CHECK_TEXT(rf_kv_get("k")->value, "two");
    rf_fake_race("k", "10");
    RF_CHECK_TEXT(rf_kv_update("k", more, NULL), "11");
    RF_CHECK_TEXT(rf_fake_stored("k"), "11");
    RF_CHECK(rf_kv_delete("k") && !rf_kv_get("k")->exists);
    for (int i = 0; i < 250; i++) RF_CHECK(rf_kv_set(rf_format("n%03d", i), "1"));
    const rf_texts *keys = rf_kv_keys("n");
    RF_CHECK_INT(keys->count, 250);
    RF_CHECK_TEXT(keys->items[249], "n249");
    RF_CHECK(!rf_kv_set("", "x") && rf_refused()->kind == RF_REFUSAL_INVALID);
    rf_fake_refuse_kv(rf_fake_refusal(RF_REFUSAL_UNAVAILABLE, "no disk"));
    RF_CHECK(!rf_kv_get("k") && !strcmp(rf_failed()->message, "no disk"));
}

RF_TEST(servers_are_asked) {
    rf_fake_serve("https://e.org/a", "page");
    rf_fake_serve_page("https://e.org/j", (rf_fake_page) { .status = 201, .body = "{\"a\":1}", .headers = { { "x-n", "7" } } });
    rf_fake_serve_page("https://e.org/down", (rf_fake_page) { .status = 503 });
    RF_CHECK_TEXT(rf_http_text(rf_http_ok(rf_http_get("https://e.org/a?q=1", .headers = RF_HEADERS({ "authorization", rf_secrets_bearer("T") })))), "page");
    RF_CHECK_TEXT(rf_fake_sent_at(0)->headers[0].value, "Bearer {{secret:T}}");
    rf_http_response *made = rf_http_send("POST", "https://e.org/j", .json = rf_json_parse("[1]"));
    RF_CHECK_INT(made->status, 201);
    RF_CHECK_TEXT(rf_http_header_of(made, "X-N"), "7");
    RF_CHECK_INT(rf_json_integer(rf_json_get(rf_http_json(made), "a"), 0), 1);
    RF_CHECK_TEXT(rf_fake_sent_at(1)->headers[0].value, "application/json");
    RF_CHECK(!rf_http_ok(rf_http_get("https://e.org/down?key=1")));
    RF_CHECK_TEXT(rf_failed()->message, "`https://e.org/down` answered with status 503");
    RF_CHECK_INT(rf_refused()->kind, RF_REFUSAL_UNAVAILABLE);
    RF_CHECK(!rf_http_text(rf_http_get("https://other.org/")));
    RF_CHECK_INT(rf_refused()->kind, RF_REFUSAL_DENIED);
    rf_http_pending *one = rf_http_start("GET", "https://e.org/a"), *two = rf_http_start("GET", "https://e.org/a");
    RF_CHECK_TEXT(rf_http_text(rf_http_wait(two)), "page");
    RF_CHECK_TEXT(rf_http_text(rf_http_wait(one)), "page");
    RF_CHECK(!rf_http_wait(one));
    RF_CHECK_INT(rf_fake_most_in_flight(), 2);
    rf_http_upload *upload = rf_http_begin("PUT", "https://e.org/a");
    RF_CHECK(rf_http_write(upload, "ab", 2) && rf_http_write(upload, "c", 1));
    RF_CHECK_TEXT(rf_http_text(rf_http_finish(upload)), "page");
    RF_CHECK_TEXT(rf_fake_sent_at(rf_fake_sent_count() - 1)->body, "abc");
}

static rf_outcome *doubled(const rf_json *in, void *state) {
    (void)state;
    if (!rf_json_get(in, "n")) return RF_FAIL(RF_INVALID_INPUT, "`n` is missing");
    return rf_structured_json(rf_json_new_integer(2 * rf_json_integer(rf_json_get(in, "n"), 0)));
}

RF_TEST(tools_of_others_are_called) {
    rf_fake_tool("a/b", "text");
    rf_fake_tool_with("a/double", doubled, NULL);
    rf_fake_refuse_tool("a/no", rf_fake_refusal(RF_REFUSAL_DENIED, "not granted"));
    RF_CHECK_TEXT(rf_tools_list().items[1].name, "a/double");
    RF_CHECK_TEXT(rf_outcome_joined(rf_tools_call("a/b", rf_json_new_object())), "text");
    rf_tools_pending *one = rf_tools_start("a/double", rf_json_parse("{\"n\":4}")), *two = rf_tools_start("a/double", rf_json_parse("{\"n\":5}"));
    RF_CHECK_INT(rf_json_integer(rf_tools_wait(one)->structured, 0), 8);
    RF_CHECK_INT(rf_json_integer(rf_tools_wait(two)->structured, 0), 10);
    RF_CHECK_INT(rf_fake_most_in_flight(), 2);
    RF_CHECK(!rf_tools_call("a/double", rf_json_new_object()));
    RF_CHECK(rf_failed()->kind == RF_FAILED && !rf_refused());
    RF_CHECK_TEXT(rf_failed()->message, "`n` is missing");
    RF_CHECK(!rf_tools_call("a/no", rf_json_new_object()) && rf_refused()->kind == RF_REFUSAL_DENIED);
    RF_CHECK_TEXT(rf_fake_called_with(1), "{\"n\":4}");
}

RF_TEST(a_person_is_asked) {
    bool sure = false;
    rf_fake_person("\"Ada\"");
    rf_fake_person("true");
    rf_fake_person("\"formal\"");
    rf_fake_person(RF_JSON({"city": "Graz", "population": 1}));
    rf_fake_refuse_question(rf_fake_refusal(RF_REFUSAL_CANCELLED, NULL));
    RF_CHECK_TEXT(rf_user_ask("Name?"), "Ada");
    RF_CHECK(rf_user_confirm("Sure?", &sure) && sure);
    RF_CHECK_TEXT(rf_user_ask("Tone?", .choices = RF_TEXTS("plain", "formal"), .remember = "tone"), "formal");
    RF_CHECK_TEXT(rf_fake_question_schema(2), RF_JSON({"type":"string","enum":["plain","formal"]}));
    RF_CHECK_TEXT(rf_user_ask_for(place, "Where?")->city, "Graz");
    RF_CHECK(!rf_user_ask("More?") && rf_refused()->kind == RF_REFUSAL_CANCELLED);
    RF_CHECK(!rf_user_ask("More?") && rf_refused()->kind == RF_REFUSAL_UNAVAILABLE);
    RF_CHECK_TEXT(rf_fake_question(0), "Name?");
}

RF_TEST(settings_secrets_progress_and_vectors) {
    rf_fake_config("tone", "\"warm\"");
    rf_fake_config("n", "7");
    RF_CHECK_TEXT(rf_config_text("tone", "cold"), "warm");
    RF_CHECK_INT(rf_config_integer("n", 1) + rf_config_integer("none", 1), 8);
    RF_CHECK(!rf_config_get("none"));
    rf_fake_secret("T");
    RF_CHECK(rf_secrets_exists("T") && !rf_secrets_exists("U"));
    rf_progress_report(1, 3, "one");
    rf_progress_say("two");
    RF_CHECK(rf_fake_report_at(0)->total == 3 && !strcmp(rf_fake_report_at(1)->message, "two"));
    rf_fake_vector((float[]) { 1, 2, 3 }, 3);
    rf_fake_vector((float[]) { 4 }, 1);
    const rf_embeddings *found = rf_model_embed("embed", RF_TEXTS("a", "b"), 2);
    RF_CHECK(found->count == 2 && found->dimensions[0] == 3 && found->vectors[1][0] == 4);
    rf_fake_model("fast", 512, 1000);
    RF_CHECK(rf_model_models().count == 1 && rf_model_models().items[0].context_window == 1000);
    rf_log(RF_LOG_WARN, RF_LOG_FIELDS({ "file", "a.md" }, { "n", "2" }), "read %d", 2);
    RF_CHECK(rf_fake_log(0)->level == RF_LOG_WARN && !strcmp(rf_fake_log(0)->fields[1].value, "2") && !strcmp(rf_fake_log(0)->message, "read 2"));
}

RF_TEST(a_document_cannot_end_itself) {
    RF_CHECK_TEXT(rf_text_document("a </document> < / DOCUMENT> <div> <document <"),
        "<document>\na &lt;/document> &lt; / DOCUMENT> <div> &lt;document <\n</document>");
    RF_CHECK_INT(rf_text_tokens("four letter words"), 5);
    RF_CHECK_INT(rf_text_tokens("日本語"), 3);
}
