/* Every function of the interface, one tool for each. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ringfence.h>

/* ---- values */

typedef struct { const char *text; } text_input;
RF_TYPE(text_input, RF_FIELD(text, "A text."));

static rf_outcome *echo(const text_input *in) {
    return rf_text(in->text);
}
RF_TOOL(echo, text_input, "Gives back its text.", .hints = RF_READ_ONLY);

typedef struct { double x, y; } point;
RF_TYPE(point, RF_FIELD(x, "Right."), RF_FIELD(y, "Up."));

typedef enum { FAST, SLOW } speed;

typedef struct {
    int64_t count;
    double ratio;
    bool flag;
    rf_texts words;
    const char *note;
    speed mode;
    point point;
} shape;
RF_TYPE(shape,
    RF_FIELD(count, "How many."),
    RF_FIELD(ratio, "How much of it."),
    RF_FIELD(flag, "Whether."),
    RF_FIELD(words, "Which."),
    RF_FIELD(note, "What else.", .optional = true),
    RF_FIELD(mode, "How fast.", .one_of = "fast|slow"),
    RF_OBJECT(point, point, "Where."));

static rf_outcome *shapes(const shape *in) {
    return rf_structured(shape, in);
}
RF_TOOL(shapes, shape, "Gives back values of every shape.", .output = RF_TYPE_OF(shape));

static rf_outcome *unicode(const rf_nothing *in) {
    (void)in;
    return rf_text("Grüße, 世界 👋🏽 e\xCC\x81");
}
RF_TOOL(unicode, rf_nothing, "Gives text of many scripts.");

typedef struct { size_t bytes; } big_input;
RF_TYPE(big_input, RF_FIELD(bytes, "How many."));

static rf_outcome *big(const big_input *in) {
    char *text = rf_alloc(in->bytes + 1);
    memset(text, 'x', in->bytes);
    return rf_text(text);
}
RF_TOOL(big, big_input, "Gives a text of that many bytes.");

static rf_outcome *media(const rf_nothing *in) {
    (void)in;
    static const unsigned char image[] = { 1, 2, 3 };
    return rf_outcome_link(rf_outcome_image(rf_text("here"), "image/png", image, sizeof image), "https://example.com/", "Example", NULL);
}
RF_TOOL(media, rf_nothing, "Gives a text, an image and a link.");

/* ---- what always works */

static rf_outcome *logs(const rf_nothing *in) {
    (void)in;
    static const char *const LEVELS[] = { "trace", "debug", "info", "warn", "error" };
    for (int i = 0; i < 5; i++) rf_log((rf_log_level)i, RF_LOG_FIELDS({ "n", rf_format("%d", i) }), "line at %s", LEVELS[i]);
    return rf_text("ok");
}
RF_TOOL(logs, rf_nothing, "Logs a line at every level.");

static rf_outcome *progress(const rf_nothing *in) {
    (void)in;
    rf_progress_report(1, 3, "one");
    rf_progress_report(2, 3, NULL);
    rf_progress_report(3, 3, NULL);
    rf_progress_emit("a");
    rf_progress_emit("b");
    rf_progress_emit("c");
    return rf_text("abc");
}
RF_TOOL(progress, rf_nothing, "Reports and emits.");

typedef struct { const char *key; } key_input;
RF_TYPE(key_input, RF_FIELD(key, "A key."));
typedef struct { const rf_json *value; } any_value;
RF_TYPE(any_value, RF_FIELD(value, "Its value."));

static rf_outcome *setting(const key_input *in) {
    return rf_structured(any_value, (&(any_value) { rf_config_get(in->key) }));
}
RF_TOOL(setting, key_input, "Reads a setting.", .output = RF_TYPE_OF(any_value));

typedef struct { const char *invocation, *caller; uint64_t deadline_ms; const char *locale; } caller_output;
RF_TYPE(caller_output,
    RF_FIELD(invocation, "Its identifier."),
    RF_FIELD(caller, "What called."),
    RF_FIELD(deadline_ms, "Milliseconds left."),
    RF_FIELD(locale, "The caller's language.", .optional = true));

static rf_outcome *who(const rf_nothing *in) {
    (void)in;
    const rf_context *call = rf_this_call();
    caller_output out = { call->invocation, rf_caller_name(call->caller), call->deadline_ms, call->locale };
    return rf_structured(caller_output, &out);
}
RF_TOOL(who, rf_nothing, "Says who calls.", .output = RF_TYPE_OF(caller_output));

/* ---- state */

typedef struct {
    bool missing;
    uint64_t first;
    rf_maybe_integer conflict;
    uint64_t second;
    const char *value;
    rf_texts keys;
    bool deleted;
} state_output;
RF_TYPE(state_output,
    RF_FIELD(missing, ""), RF_FIELD(first, ""), RF_FIELD(conflict, ""), RF_FIELD(second, ""), RF_FIELD(value, ""), RF_FIELD(keys, ""),
    RF_FIELD(deleted, ""));

static rf_outcome *state(const key_input *in) {
    state_output out = { 0 };
    const rf_kv_entry *entry = rf_kv_get(in->key);
    RF_TRY(entry);
    out.missing = !entry->exists;
    const rf_kv_written *first = rf_kv_set_if(in->key, "one", 3, RF_KV_ABSENT);
    RF_TRY(first);
    out.first = first->version;
    const rf_kv_written *conflict = rf_kv_set_if(in->key, "x", 1, RF_KV_ABSENT);
    RF_TRY(conflict);
    if (!conflict->done) out.conflict = (rf_maybe_integer) RF_SOME((int64_t)conflict->version);
    const rf_kv_written *second = rf_kv_set_if(in->key, "two", 3, out.first);
    RF_TRY(second);
    out.second = second->version;
    RF_TRY(entry = rf_kv_get(in->key));
    out.value = entry->value;
    const rf_texts *keys = rf_kv_keys(in->key);
    RF_TRY(keys);
    out.keys = *keys;
    RF_TRY(rf_kv_delete(in->key));
    RF_TRY(entry = rf_kv_get(in->key));
    out.deleted = !entry->exists;
    return rf_structured(state_output, &out);
}
RF_TOOL(state, key_input, "Goes through what kv can do.", .output = RF_TYPE_OF(state_output));

/* ---- requests */

typedef struct { const char *url, *header; } fetch_input;
RF_TYPE(fetch_input, RF_FIELD(url, "Where."), RF_FIELD(header, "A value for the header `authorization`.", .optional = true));
typedef struct { int status; const char *body; } fetched;
RF_TYPE(fetched, RF_FIELD(status, ""), RF_FIELD(body, ""));

static rf_outcome *fetched_of(rf_http_response *response) {
    RF_TRY(response);
    fetched out = { response->status, rf_http_text(response) };
    RF_TRY(out.body);
    return rf_structured(fetched, &out);
}

static rf_outcome *fetch(const fetch_input *in) {
    const rf_http_header *headers = in->header ? RF_HEADERS({ "authorization", in->header }) : NULL;
    return fetched_of(rf_http_get(in->url, .headers = headers));
}
RF_TOOL(fetch, fetch_input, "Gets a URL.", .output = RF_TYPE_OF(fetched));

typedef struct { rf_texts urls; } urls_input;
RF_TYPE(urls_input, RF_FIELD(urls, "Where."));
typedef struct { rf_texts bodies; } bodies_output;
RF_TYPE(bodies_output, RF_FIELD(bodies, ""));

static rf_outcome *fetch_many(const urls_input *in) {
    size_t count = in->urls.count;
    rf_http_pending **under_way = rf_alloc_array(count, sizeof *under_way);
    bodies_output out = { { rf_alloc_array(count, sizeof *out.bodies.items), count } };
    for (size_t i = 0; i < count; i++) RF_TRY(under_way[i] = rf_http_start("GET", in->urls.items[i]));
    for (size_t i = 0; i < count; i++) RF_TRY(out.bodies.items[i] = rf_http_text(rf_http_wait(under_way[i])));
    return rf_structured(bodies_output, &out);
}
RF_TOOL(fetch_many, urls_input, "Gets several URLs at once.", .output = RF_TYPE_OF(bodies_output));

typedef struct { const char *url; rf_texts chunks; } upload_input;
RF_TYPE(upload_input, RF_FIELD(url, "Where."), RF_FIELD(chunks, "What, piece by piece."));

static rf_outcome *send_up(const upload_input *in) {
    rf_http_upload *upload = rf_http_begin("POST", in->url);
    RF_TRY(upload);
    for (size_t i = 0; i < in->chunks.count; i++) RF_TRY(rf_http_write(upload, in->chunks.items[i], strlen(in->chunks.items[i])));
    return fetched_of(rf_http_finish(upload));
}
RF_TOOL(send_up, upload_input, "Sends a body piece by piece.", .output = RF_TYPE_OF(fetched));

typedef struct { const char *name; } name_input;
RF_TYPE(name_input, RF_FIELD(name, "A name."));
typedef struct { bool exists; } exists_output;
RF_TYPE(exists_output, RF_FIELD(exists, ""));

static rf_outcome *secret(const name_input *in) {
    return rf_structured(exists_output, (&(exists_output) { rf_secrets_exists(in->name) }));
}
RF_TOOL(secret, name_input, "Says whether there is a secret.", .output = RF_TYPE_OF(exists_output));

/* ---- models */

typedef struct { const char *prompt, *model; } ask_input;
RF_TYPE(ask_input, RF_FIELD(prompt, "What to ask."), RF_FIELD(model, "Whom.", .optional = true));
typedef struct { const char *text, *model; uint64_t output_tokens; } ask_output;
RF_TYPE(ask_output, RF_FIELD(text, ""), RF_FIELD(model, ""), RF_FIELD(output_tokens, ""));

static rf_outcome *ask(const ask_input *in) {
    const rf_answer *answer = rf_model_ask(in->prompt, .model = in->model);
    RF_TRY(answer);
    ask_output out = { answer->text, answer->model, answer->usage.output_tokens };
    return rf_structured(ask_output, &out);
}
RF_TOOL(ask, ask_input, "Asks a model.", .output = RF_TYPE_OF(ask_output));

typedef struct { const char *prompt; } prompt_input;
RF_TYPE(prompt_input, RF_FIELD(prompt, "What to ask."));
typedef struct { const char *text; int pieces; } stream_output;
RF_TYPE(stream_output, RF_FIELD(text, ""), RF_FIELD(pieces, ""));

static rf_outcome *stream(const prompt_input *in) {
    stream_output out = { 0 };
    rf_generation *generation = rf_model_open(in->prompt);
    RF_TRY(generation);
    for (const rf_event *event; (event = rf_model_next(generation));) {
        if (event->kind != RF_EVENT_TEXT) continue;
        rf_progress_emit(event->text);
        out.pieces++;
    }
    const rf_answer *answer = rf_model_finish(generation);
    RF_TRY(answer);
    out.text = answer->text;
    return rf_structured(stream_output, &out);
}
RF_TOOL(stream, prompt_input, "Streams an answer.", .output = RF_TYPE_OF(stream_output));

typedef struct { rf_texts prompts; } prompts_input;
RF_TYPE(prompts_input, RF_FIELD(prompts, "What to ask."));
typedef struct { rf_texts texts; } texts_output;
RF_TYPE(texts_output, RF_FIELD(texts, ""));

static rf_outcome *parallel(const prompts_input *in) {
    size_t count = in->prompts.count;
    rf_ask *asks = rf_alloc_array(count, sizeof *asks);
    for (size_t i = 0; i < count; i++) asks[i].prompt = in->prompts.items[i];
    rf_answer **answers = rf_model_parallel(asks, count, count);
    RF_TRY(answers);
    texts_output out = { { rf_alloc_array(count, sizeof *out.texts.items), count } };
    for (size_t i = 0; i < count; i++) out.texts.items[i] = answers[i]->text;
    return rf_structured(texts_output, &out);
}
RF_TOOL(parallel, prompts_input, "Asks several things at once.", .output = RF_TYPE_OF(texts_output));

typedef struct { const char *city; int64_t population; } place;
RF_TYPE(place, RF_FIELD(city, "Its name."), RF_FIELD(population, "How many live there."));

static rf_outcome *structured(const prompt_input *in) {
    const place *found = rf_model_json(place, in->prompt);
    RF_TRY(found);
    return rf_structured(place, found);
}
RF_TOOL(structured, prompt_input, "Asks for a value of a type.", .output = RF_TYPE_OF(place));

typedef struct { int64_t a, b; } sum;
RF_TYPE(sum, RF_FIELD(a, "One."), RF_FIELD(b, "The other."));

static const char *add(const sum *in, void *calls) {
    ++*(int *)calls;
    return rf_format("%lld", (long long)(in->a + in->b));
}
RF_MODEL_TOOL(add, sum, "Adds two integers.");

typedef struct { const char *text; int calls; } loop_output;
RF_TYPE(loop_output, RF_FIELD(text, ""), RF_FIELD(calls, ""));

static rf_outcome *tool_loop(const prompt_input *in) {
    loop_output out = { 0 };
    const rf_answer *answer = rf_model_run(in->prompt, .tools = RF_WITH(&add_tool), .state = &out.calls);
    RF_TRY(answer);
    out.text = answer->text;
    return rf_structured(loop_output, &out);
}
RF_TOOL(tool_loop, prompt_input, "Lets a model call a tool.", .output = RF_TYPE_OF(loop_output));

typedef struct { rf_texts texts; } embed_input;
RF_TYPE(embed_input, RF_FIELD(texts, "What to embed."));
typedef struct { rf_integers dimensions; } embed_output;
RF_TYPE(embed_output, RF_FIELD(dimensions, ""));

static rf_outcome *embed(const embed_input *in) {
    const rf_embeddings *found = rf_model_embed("embed", in->texts.items, in->texts.count);
    RF_TRY(found);
    embed_output out = { { rf_alloc_array(found->count, sizeof(int64_t)), found->count } };
    for (size_t i = 0; i < found->count; i++) out.dimensions.items[i] = (int64_t)found->dimensions[i];
    return rf_structured(embed_output, &out);
}
RF_TOOL(embed, embed_input, "Makes vectors.", .output = RF_TYPE_OF(embed_output));

typedef struct { rf_texts names; } names_output;
RF_TYPE(names_output, RF_FIELD(names, ""));

static rf_outcome *models(const rf_nothing *in) {
    (void)in;
    rf_model_infos all = rf_model_models();
    names_output out = { { rf_alloc_array(all.count, sizeof *out.names.items), all.count } };
    for (size_t i = 0; i < all.count; i++) out.names.items[i] = all.items[i].name;
    return rf_structured(names_output, &out);
}
RF_TOOL(models, rf_nothing, "Lists the models.", .output = RF_TYPE_OF(names_output));

typedef struct { const char *kind, *message, *hint; } refusal_output;
RF_TYPE(refusal_output, RF_FIELD(kind, ""), RF_FIELD(message, ""), RF_FIELD(hint, "", .optional = true));
typedef struct { const char *prompt, *model; } refusal_input;
RF_TYPE(refusal_input, RF_FIELD(prompt, "What to ask."), RF_FIELD(model, "Whom."));

static rf_outcome *refusal(const refusal_input *in) {
    if (rf_model_ask(in->prompt, .model = in->model)) return RF_FAIL(RF_FAILED, "it was not refused");
    const rf_refusal *why = rf_refused();
    refusal_output out = { rf_refusal_name(why->kind), why->message, why->hint };
    return rf_structured(refusal_output, &out);
}
RF_TOOL(refusal, refusal_input, "Shows a refusal.", .output = RF_TYPE_OF(refusal_output));

/* ---- tools of others, and the person */

static rf_outcome *list_tools(const rf_nothing *in) {
    (void)in;
    rf_listed_tools all = rf_tools_list();
    names_output out = { { rf_alloc_array(all.count, sizeof *out.names.items), all.count } };
    for (size_t i = 0; i < all.count; i++) out.names.items[i] = all.items[i].name;
    return rf_structured(names_output, &out);
}
RF_TOOL(list_tools, rf_nothing, "Lists tools of other skills.", .output = RF_TYPE_OF(names_output));

typedef struct { const char *name; const rf_json *input; } call_input;
RF_TYPE(call_input, RF_FIELD(name, "Which tool."), RF_FIELD(input, "Its input.", .schema = RF_JSON({"type": "object"})));
typedef struct { const char *text; const rf_json *structured; } call_output;
RF_TYPE(call_output, RF_FIELD(text, ""), RF_FIELD(structured, ""));

static rf_outcome *call_tool(const call_input *in) {
    const rf_outcome *given = rf_tools_call(in->name, in->input);
    RF_TRY(given);
    call_output out = { rf_outcome_joined(given), given->structured };
    return rf_structured(call_output, &out);
}
RF_TOOL(call_tool, call_input, "Calls a tool of another skill.", .output = RF_TYPE_OF(call_output));

typedef struct { const char *name; const rf_json *inputs; } calls_input;
RF_TYPE(calls_input, RF_FIELD(name, "Which tool."), RF_FIELD(inputs, "Its inputs.", .schema = RF_JSON({"type": "array", "items": {"type": "object"}})));

static rf_outcome *call_many(const calls_input *in) {
    size_t count = in->inputs->length, at = 0;
    rf_tools_pending **under_way = rf_alloc_array(count, sizeof *under_way);
    texts_output out = { { rf_alloc_array(count, sizeof *out.texts.items), count } };
    for (const rf_json *input = in->inputs->first; input; input = input->next) RF_TRY(under_way[at++] = rf_tools_start(in->name, input));
    for (size_t i = 0; i < count; i++) {
        const rf_outcome *given = rf_tools_wait(under_way[i]);
        RF_TRY(given);
        out.texts.items[i] = rf_outcome_joined(given);
    }
    return rf_structured(texts_output, &out);
}
RF_TOOL(call_many, calls_input, "Calls a tool several times at once.", .output = RF_TYPE_OF(texts_output));

typedef struct { const char *question; } question_input;
RF_TYPE(question_input, RF_FIELD(question, "What to ask."));
typedef struct { const char *answer; } text_answer;
RF_TYPE(text_answer, RF_FIELD(answer, ""));
typedef struct { bool answer; } yes_or_no;
RF_TYPE(yes_or_no, RF_FIELD(answer, ""));

static rf_outcome *ask_person(const question_input *in) {
    text_answer out = { rf_user_ask(in->question) };
    RF_TRY(out.answer);
    return rf_structured(text_answer, &out);
}
RF_TOOL(ask_person, question_input, "Asks the person.", .output = RF_TYPE_OF(text_answer));

static rf_outcome *confirm_person(const question_input *in) {
    yes_or_no out;
    RF_TRY(rf_user_confirm(in->question, &out.answer));
    return rf_structured(yes_or_no, &out);
}
RF_TOOL(confirm_person, question_input, "Asks the person for a yes or a no.", .output = RF_TYPE_OF(yes_or_no));

/* ---- files, time and chance: by the C library */

typedef struct { const char *path; } path_input;
RF_TYPE(path_input, RF_FIELD(path, "Which file or folder."));

static rf_outcome *read_file(const path_input *in) {
    FILE *file = fopen(in->path, "rb");
    if (!file) return RF_FAIL(RF_FAILED, "%s: %s", in->path, strerror(errno));
    rf_buffer text = { 0 };
    char piece[4096];
    for (size_t length; (length = fread(piece, 1, sizeof piece, file));) rf_append_n(&text, piece, length);
    if (ferror(file)) return RF_FAIL(RF_FAILED, "%s: %s", in->path, strerror(errno));
    fclose(file);
    return rf_text(rf_buffer_text(&text));
}
RF_TOOL(read_file, path_input, "Reads a file.");

typedef struct { const char *path, *text; } write_input;
RF_TYPE(write_input, RF_FIELD(path, "Which file."), RF_FIELD(text, "What."));

static rf_outcome *write_file(const write_input *in) {
    FILE *file = fopen(in->path, "wb");
    if (!file) return RF_FAIL(RF_FAILED, "%s: %s", in->path, strerror(errno));
    size_t length = strlen(in->text);
    bool wrong = fwrite(in->text, 1, length, file) != length;
    wrong |= fclose(file) != 0;
    return wrong ? RF_FAIL(RF_FAILED, "%s: %s", in->path, strerror(errno)) : rf_text("ok");
}
RF_TOOL(write_file, write_input, "Writes a file.");

static int by_text(const void *one, const void *other) {
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

static rf_outcome *list_files(const path_input *in) {
    DIR *folder = opendir(in->path);
    if (!folder) return RF_FAIL(RF_FAILED, "%s: %s", in->path, strerror(errno));
    const char *names[1024];
    names_output out = { { names, 0 } };
    for (const struct dirent *entry; out.names.count < 1024 && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) names[out.names.count++] = rf_copy(entry->d_name);
    closedir(folder);
    qsort(names, out.names.count, sizeof *names, by_text);
    return rf_structured(names_output, &out);
}
RF_TOOL(list_files, path_input, "Lists a folder.", .output = RF_TYPE_OF(names_output));

typedef struct { int64_t now_ms; const char *random; } chance_output;
RF_TYPE(chance_output, RF_FIELD(now_ms, ""), RF_FIELD(random, ""));

static rf_outcome *time_and_chance(const rf_nothing *in) {
    (void)in;
    struct timespec now;
    unsigned char bytes[16];
    if (clock_gettime(CLOCK_REALTIME, &now) || getentropy(bytes, sizeof bytes)) return RF_FAIL(RF_FAILED, "no clock or no chance: %s", strerror(errno));
    rf_buffer hex = { 0 };
    for (size_t i = 0; i < sizeof bytes; i++) rf_appendf(&hex, "%02x", bytes[i]);
    chance_output out = { (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, hex.text };
    return rf_structured(chance_output, &out);
}
RF_TOOL(time_and_chance, rf_nothing, "Gives the time and a random number.", .output = RF_TYPE_OF(chance_output));

/* ---- failures */

typedef struct { const char *message, *hint; } give_up_input;
RF_TYPE(give_up_input, RF_FIELD(message, "Why."), RF_FIELD(hint, "What to do.", .optional = true));

static rf_outcome *give_up(const give_up_input *in) {
    return RF_FAIL_HINT(RF_INVALID_INPUT, in->hint, "%s", in->message);
}
RF_TOOL(give_up, give_up_input, "Fails.");

typedef struct { const char *message; } crash_input;
RF_TYPE(crash_input, RF_FIELD(message, "Its last words."));

static void deep(const char *message) {
    RF_PANIC("%s", message);
}

static rf_outcome *crash(const crash_input *in) {
    deep(in->message);
    return rf_text("never");
}
RF_TOOL(crash, crash_input, "Crashes.");

static rf_outcome *spin(const rf_nothing *in) {
    (void)in;
    for (volatile unsigned turns = 0;; turns++) {
    }
}
RF_TOOL(spin, rf_nothing, "Computes for ever.");
