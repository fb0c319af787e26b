/* Servers. */
#include "fake.h"

typedef bool (*rule)(const rf_fake_sent *request, rf_fake_page *page, void *state);

/* A response, or a request on its way to one. */
typedef struct {
    rf_fake_sent request;
    rf_fake_page page;
    const char *url;
    size_t at;
    bool served, waited;
    rf_buffer body;
} exchange;

typedef struct { const char *url; rf_fake_page page; rule rule; void *state; } server;

static list_of(server) servers;
static list_of(rf_fake_sent) sent;
static list_of(exchange) exchanges;

void rf_fake_serve_page(const char *url, rf_fake_page page) {
    push(&servers, (server) { .url = rf_copy(url), .page = page });
}

void rf_fake_serve(const char *url, const char *body) {
    rf_fake_serve_page(url, (rf_fake_page) { .status = 200, .body = body });
}

void rf_fake_serve_with(rule serve, void *state) {
    push(&servers, (server) { .rule = serve, .state = state });
}

size_t rf_fake_sent_count(void) { return sent.count; }
const rf_fake_sent *rf_fake_sent_at(size_t index) { return index < sent.count ? sent.items + index : NULL; }

static int32_t begin(const ringfence_skill_http_request_t *wire) {
    rf_http_header *headers = rf_alloc_array(wire->headers.len + 1, sizeof *headers);
    for (size_t i = 0; i < wire->headers.len; i++)
        headers[i] = (rf_http_header) { text_of(&wire->headers.ptr[i].f0), text_of(&wire->headers.ptr[i].f1) };
    exchange fresh = {
        .request = { text_of(&wire->method), text_of(&wire->url), rf_copy_n(wire->body.ptr, wire->body.len), headers, wire->body.len },
    };
    push(&exchanges, fresh);
    return (int32_t)exchanges.count;
}

static bool serve(int32_t handle, ringfence_skill_types_refusal_t *err) {
    exchange *own = exchanges.items + handle - 1;
    push(&sent, own->request);
    size_t path = strcspn(own->request.url, "?");
    for (size_t i = 0; i < servers.count && !own->served; i++) {
        own->page = servers.items[i].page;
        const char *url = servers.items[i].url;
        if (servers.items[i].rule) own->served = servers.items[i].rule(&own->request, &own->page, servers.items[i].state);
        else own->served = !strcmp(url, own->request.url) || (strlen(url) == path && !strncmp(url, own->request.url, path));
    }
    if (own->served && !own->page.refusal) return true;
    rf_refusal denied = {
        .kind = RF_REFUSAL_DENIED, .capability = "http", .subject = rf_format("http %s %s", own->request.method, own->request.url),
        .message = "the fake has no answer for it", .hint = "script one with rf_fake_serve(\"https://...\", \"text\")",
    };
    return refuse_wire(own->served ? own->page.refusal : &denied, err);
}

bool ringfence_skill_http_send(ringfence_skill_http_request_t *request, ringfence_skill_http_own_response_t *ret, ringfence_skill_http_refusal_t *err) {
    ret->__handle = begin(request);
    return serve(ret->__handle, err);
}

bool ringfence_skill_http_start(ringfence_skill_http_request_t *request, ringfence_skill_http_own_pending_t *ret, ringfence_skill_http_refusal_t *err) {
    (void)err;
    ret->__handle = begin(request);
    in_flight(1);
    return true;
}

bool ringfence_skill_http_begin(ringfence_skill_http_request_t *request, ringfence_skill_http_own_upload_t *ret, ringfence_skill_http_refusal_t *err) {
    (void)err;
    ret->__handle = begin(request);
    return true;
}

bool ringfence_skill_http_method_pending_wait(ringfence_skill_http_borrow_pending_t self, ringfence_skill_http_own_response_t *ret,
    ringfence_skill_http_refusal_t *err) {
    exchange *own = exchanges.items + self.__handle - 1;
    rf_refusal twice = rf_fake_refusal(RF_REFUSAL_INVALID, "`wait` was called before");
    if (own->waited) return refuse_wire(&twice, err);
    own->waited = true;
    in_flight(-1);
    ret->__handle = self.__handle;
    return serve(self.__handle, err);
}

bool ringfence_skill_http_method_upload_write(ringfence_skill_http_borrow_upload_t self, guest_list_u8_t *chunk, ringfence_skill_http_refusal_t *err) {
    (void)err;
    rf_append_n(&exchanges.items[self.__handle - 1].body, chunk->ptr, chunk->len);
    return true;
}

bool ringfence_skill_http_method_upload_finish(ringfence_skill_http_borrow_upload_t self, ringfence_skill_http_own_response_t *ret,
    ringfence_skill_http_refusal_t *err) {
    exchange *own = exchanges.items + self.__handle - 1;
    own->request.body = rf_buffer_text(&own->body);
    own->request.body_length = own->body.length;
    ret->__handle = self.__handle;
    return serve(self.__handle, err);
}

void ringfence_skill_http_method_response_head(ringfence_skill_http_borrow_response_t self, ringfence_skill_http_head_t *ret) {
    const exchange *own = exchanges.items + self.__handle - 1;
    size_t count = 0;
    while (count < RF_COUNT(own->page.headers) && own->page.headers[count].name) count++;
    ret->status = (uint16_t)(own->page.status ? own->page.status : 200);
    ret->url = wire_copy(own->request.url);
    ret->headers.ptr = rf_alloc_array(count, sizeof *ret->headers.ptr);
    ret->headers.len = count;
    for (size_t i = 0; i < count; i++)
        ret->headers.ptr[i] = (ringfence_skill_http_header_t) { wire_copy(own->page.headers[i].name), wire_copy(own->page.headers[i].value) };
}

bool ringfence_skill_http_method_response_read(ringfence_skill_http_borrow_response_t self, uint32_t max, guest_list_u8_t *ret,
    ringfence_skill_http_refusal_t *err) {
    (void)err;
    exchange *own = exchanges.items + self.__handle - 1;
    const char *rest = own->page.body ? own->page.body + own->at : "";
    size_t most = max ? max : 65536, length = strlen(rest) < most ? strlen(rest) : most;
    *ret = (guest_list_u8_t) { (uint8_t *)rf_copy_n(rest, length), length };
    own->at += length;
    return true;
}

void ringfence_skill_http_response_drop_own(ringfence_skill_http_own_response_t handle) {
    (void)handle;
}

void ringfence_skill_http_pending_drop_own(ringfence_skill_http_own_pending_t handle) {
    exchange *own = exchanges.items + handle.__handle - 1;
    if (!own->waited) in_flight(-1);
    own->waited = true;
}
