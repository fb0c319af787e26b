/* A host for unit tests: no host, no WebAssembly, plain `cc`.
 *
 *     RF_TEST(bees_hum) {
 *         rf_fake_answer("They hum.");
 *         const rf_outcome *outcome = rf_fake_call("answer", RF_JSON({"question": "What do bees do?", "text": "Bees hum."}));
 *         RF_CHECK_TEXT(rf_outcome_joined(outcome), "They hum.");
 *         RF_CHECK_HAS(rf_fake_prompt(0), "Bees hum.");
 *     }
 *
 * Every test has a process and a fake of its own, so that nothing is left over, and a crash ends one test alone. The program's `main` is in
 * the SDK; an argument names the tests to run. A fake grants everything, knows no answers, and has no settings and no stored keys.
 */
#ifndef RINGFENCE_FAKE_H
#define RINGFENCE_FAKE_H

#include <string.h>

#include "ringfence.h"

/* ---- tests --------------------------------------------------------------------------------------------------------------- */

typedef struct rf_test {
    const char *name;
    void (*run)(void);
    struct rf_test *next;
} rf_test;

#define RF_TEST(test) \
    static void test(void); \
    __attribute__((constructor)) static void test##_rf_register(void) { \
        static rf_test entry = { #test, test, NULL }; \
        rf_test_register(&entry); \
    } \
    static void test(void)

/* A check that fails is told with file and line, and the test goes on. */
#define RF_CHECK(claim) rf_test_check(__FILE__, __LINE__, (claim), #claim)
#define RF_CHECK_TEXT(text, wanted) rf_test_check_text(__FILE__, __LINE__, (text), (wanted), #text)
#define RF_CHECK_HAS(text, part) rf_test_check_has(__FILE__, __LINE__, (text), (part), #text)
#define RF_CHECK_INT(value, wanted) rf_test_check_int(__FILE__, __LINE__, (long long)(value), (long long)(wanted), #value)
/* The last rf_fake_call failed so. */
#define RF_CHECK_FAILED(kind) rf_test_check_failed(__FILE__, __LINE__, (kind))

void rf_test_register(rf_test *test);
bool rf_test_check(const char *file, int line, bool holds, const char *claim);
bool rf_test_check_text(const char *file, int line, const char *text, const char *wanted, const char *claim);
bool rf_test_check_has(const char *file, int line, const char *text, const char *part, const char *claim);
bool rf_test_check_int(const char *file, int line, long long value, long long wanted, const char *claim);
bool rf_test_check_failed(const char *file, int line, rf_failure_kind kind);

/* ---- calling this skill's tools ------------------------------------------------------------------------------------------ */

/* Calls a tool as the host does, with JSON. NULL where it failed: see rf_fake_failure. The input is not held against the schema. */
const rf_outcome *rf_fake_call(const char *tool, const char *input);
const rf_outcome *rf_fake_call_json(const char *tool, const rf_json *input);
/* Why the last call failed, NULL where it did not. */
const rf_failure *rf_fake_failure(void);
/* What the next calls are told about the caller. Without it: a person at the command line with a minute to wait. */
void rf_fake_context(rf_context context);
/* The structured part as JSON on one line, "" where there is none. */
const char *rf_fake_structured(const rf_outcome *outcome);

/* What a tool says of itself. The test ends where there is no such tool, or where a host would refuse the skill. */
typedef struct rf_fake_tool_info { const char *name, *title, *description, *input_schema, *output_schema; unsigned hints; } rf_fake_tool_info;
rf_fake_tool_info rf_fake_describe(const char *tool);

/* ---- models -------------------------------------------------------------------------------------------------------------- */

/* What a model answers. */
typedef struct rf_fake_reply {
    const char *text;
    const char *thinking;
    rf_tool_call calls[4];        /* up to the first without a name; ids are given: call-1, call-2, ... */
    rf_stop stop;
    const rf_refusal *refusal;    /* it breaks behind the text */
} rf_fake_reply;

/* A request as it came. */
typedef struct rf_fake_request {
    const char *prompt; /* the texts of its messages, blank lines between them */
    const char *last;   /* of the last message, results of tools included */
    const char *model;
    const char *schema; /* NULL where it asked for none */
    size_t tools, messages;
    uint32_t max_tokens;
} rf_fake_request;

/* The next answer. Where neither a rule nor a script has one, the test fails. */
void rf_fake_answer(const char *text);
void rf_fake_reply_with(rf_fake_reply reply);
void rf_fake_tool_call(const char *name, const char *input);
/* The answer to every request whose messages contain `words`. */
void rf_fake_answer_when(const char *words, const char *text);
/* Answers by a function; one that returns false leaves the request to the next rule. */
void rf_fake_answer_with(bool (*rule)(const rf_fake_request *request, rf_fake_reply *reply, void *state), void *state);
/* The next request is refused. A generation that was opened gives this when it is read. */
void rf_fake_refuse(rf_refusal refusal);
/* A model that rf_model_models lists. */
void rf_fake_model(const char *name, uint32_t max_tokens, uint32_t context_window);
/* The vector of the next input of rf_model_embed. */
void rf_fake_vector(const float *numbers, size_t count);

size_t rf_fake_request_count(void);
const rf_fake_request *rf_fake_request_at(size_t index);
/* Its prompt; "" where there is no such request. */
const char *rf_fake_prompt(size_t index);
/* The largest number of answers, requests or calls that were under way at once. */
size_t rf_fake_most_in_flight(void);

/* A refusal: rf_fake_refuse(rf_fake_refusal(RF_REFUSAL_UNAVAILABLE, "gone")). */
rf_refusal rf_fake_refusal(rf_refusal_kind kind, const char *message);

/* ---- the rest of the host ------------------------------------------------------------------------------------------------ */

/* A setting of the operator, as JSON text. */
void rf_fake_config(const char *key, const char *json);
void rf_fake_secret(const char *name);

/* A stored value; what is stored, NULL where nothing is. */
void rf_fake_kv(const char *key, const char *value);
const char *rf_fake_stored(const char *key);
/* The next call of kv is refused. */
void rf_fake_refuse_kv(rf_refusal refusal);
/* Another invocation writes this just before the skill's next conditional write of the key. */
void rf_fake_race(const char *key, const char *value);

/* Answers every request for this URL, whatever its method; without a query it answers every query. What nobody answers is denied. */
typedef struct rf_fake_page { int status; const char *body; rf_http_header headers[8]; const rf_refusal *refusal; } rf_fake_page;
typedef struct rf_fake_sent { const char *method, *url, *body; const rf_http_header *headers; size_t body_length; } rf_fake_sent;
void rf_fake_serve(const char *url, const char *body);
void rf_fake_serve_page(const char *url, rf_fake_page page);
void rf_fake_serve_with(bool (*rule)(const rf_fake_sent *request, rf_fake_page *page, void *state), void *state);
size_t rf_fake_sent_count(void);
const rf_fake_sent *rf_fake_sent_at(size_t index);

/* A tool of another skill, `skill/tool`: gives this text, answers by a function (NULL with RF_FAIL is its failure), or is refused. */
void rf_fake_tool(const char *name, const char *text);
void rf_fake_tool_with(const char *name, rf_outcome *(*rule)(const rf_json *input, void *state), void *state);
void rf_fake_refuse_tool(const char *name, rf_refusal refusal);
size_t rf_fake_call_count(void);
const char *rf_fake_called(size_t index);       /* the name */
const char *rf_fake_called_with(size_t index);  /* the input as JSON */

/* What the person answers next, as JSON. Where no answer is left, nobody is there. */
void rf_fake_person(const char *json);
void rf_fake_refuse_question(rf_refusal refusal);
size_t rf_fake_question_count(void);
const char *rf_fake_question(size_t index);
const char *rf_fake_question_schema(size_t index);

typedef struct rf_fake_line { rf_log_level level; const char *message; const rf_log_field *fields; } rf_fake_line;
typedef struct rf_fake_report { uint64_t done, total; const char *message; } rf_fake_report;
size_t rf_fake_log_count(void);
const rf_fake_line *rf_fake_log(size_t index);
size_t rf_fake_report_count(void);
const rf_fake_report *rf_fake_report_at(size_t index);
/* What was emitted, joined. */
const char *rf_fake_emitted(void);

#endif
