#include "internal.h"

struct rf_http_pending { ringfence_skill_http_own_pending_t handle; };
struct rf_http_upload { ringfence_skill_http_own_upload_t handle; };

static ringfence_skill_http_request_t wire_of(const rf_http_request *request, bool upload) {
    const char *text = request->json ? rf_json_write(request->json) : request->text;
    size_t count = 0;
    while (request->headers && request->headers[count].name) count++;
    ringfence_skill_http_list_header_t headers = { rf_alloc_array(count + 1, sizeof *headers.ptr), count };
    for (size_t i = 0; i < count; i++)
        headers.ptr[i] = (ringfence_skill_http_header_t) { rf_to_wire(request->headers[i].name), rf_to_wire(request->headers[i].value) };
    if (request->json) headers.ptr[headers.len++] = (ringfence_skill_http_header_t) { rf_to_wire("content-type"), rf_to_wire("application/json") };
    guest_list_u8_t body = { (uint8_t *)request->body, request->body_length };
    if (text) body = (guest_list_u8_t) { (uint8_t *)text, strlen(text) };
    return (ringfence_skill_http_request_t) {
        .method = rf_to_wire(request->method),
        .url = rf_to_wire(request->url),
        .headers = headers,
        .body = body,
        .follow = !request->no_redirects && !upload,
        .timeout_ms = { request->timeout_ms != 0, request->timeout_ms },
    };
}

static rf_http_response *response_of(ringfence_skill_http_own_response_t handle) {
    ringfence_skill_http_head_t head;
    ringfence_skill_http_method_response_head((ringfence_skill_http_borrow_response_t) { handle.__handle }, &head);
    rf_http_header *headers = rf_alloc_array(head.headers.len + 1, sizeof *headers);
    for (size_t i = 0; i < head.headers.len; i++)
        headers[i] = (rf_http_header) { rf_from_wire(head.headers.ptr[i].f0), rf_from_wire(head.headers.ptr[i].f1) };
    rf_http_response *response = rf_alloc(sizeof *response);
    *response = (rf_http_response) { head.status, rf_from_wire(head.url), headers, handle.__handle, false };
    return response;
}

rf_http_response *rf_http_send_with(rf_http_request request) {
    ringfence_skill_http_request_t wire = wire_of(&request, false);
    ringfence_skill_http_own_response_t handle;
    ringfence_skill_http_refusal_t refusal;
    return ringfence_skill_http_send(&wire, &handle, &refusal) ? response_of(handle) : rf_refuse(&refusal);
}

rf_http_pending *rf_http_start_with(rf_http_request request) {
    ringfence_skill_http_request_t wire = wire_of(&request, false);
    ringfence_skill_http_refusal_t refusal;
    rf_http_pending *pending = rf_alloc(sizeof *pending);
    return ringfence_skill_http_start(&wire, &pending->handle, &refusal) ? pending : rf_refuse(&refusal);
}

rf_http_response *rf_http_wait(rf_http_pending *pending) {
    RF_TRY(pending);
    ringfence_skill_http_own_response_t handle;
    ringfence_skill_http_refusal_t refusal;
    ringfence_skill_http_borrow_pending_t borrowed = { pending->handle.__handle };
    return ringfence_skill_http_method_pending_wait(borrowed, &handle, &refusal) ? response_of(handle) : rf_refuse(&refusal);
}

void rf_http_cancel(rf_http_pending *pending) {
    if (pending) ringfence_skill_http_pending_drop_own(pending->handle);
}

rf_http_upload *rf_http_begin_with(rf_http_request request) {
    ringfence_skill_http_request_t wire = wire_of(&request, true);
    ringfence_skill_http_refusal_t refusal;
    rf_http_upload *upload = rf_alloc(sizeof *upload);
    return ringfence_skill_http_begin(&wire, &upload->handle, &refusal) ? upload : rf_refuse(&refusal);
}

bool rf_http_write(rf_http_upload *upload, const void *data, size_t length) {
    RF_TRY(upload);
    guest_list_u8_t chunk = { (uint8_t *)data, length };
    ringfence_skill_http_refusal_t refusal;
    ringfence_skill_http_borrow_upload_t borrowed = { upload->handle.__handle };
    return ringfence_skill_http_method_upload_write(borrowed, &chunk, &refusal) || rf_refuse(&refusal);
}

rf_http_response *rf_http_finish(rf_http_upload *upload) {
    RF_TRY(upload);
    ringfence_skill_http_own_response_t handle;
    ringfence_skill_http_refusal_t refusal;
    ringfence_skill_http_borrow_upload_t borrowed = { upload->handle.__handle };
    return ringfence_skill_http_method_upload_finish(borrowed, &handle, &refusal) ? response_of(handle) : rf_refuse(&refusal);
}

/* Without its query, which may hold what is not for others' eyes. */
static const char *place_of(const rf_http_response *response) {
    return rf_copy_n(response->url, strcspn(response->url, "?"));
}

rf_http_response *rf_http_ok(rf_http_response *response) {
    RF_TRY(response);
    int status = response->status;
    if (status < 400) return response;
    bool temporary = status == 408 || status == 425 || status == 429 || status >= 500;
    rf_refusal_kind kind = temporary ? RF_REFUSAL_UNAVAILABLE : RF_REFUSAL_INVALID;
    return rf_refuse_as(kind, "`%s` answered with status %d", place_of(response), status);
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

const char *rf_http_header_of(const rf_http_response *response, const char *name) {
    for (const rf_http_header *header = response->headers; header->name; header++) {
        size_t i = 0;
        while (name[i] && lower(name[i]) == lower(header->name[i])) i++;
        if (!name[i] && !header->name[i]) return header->value;
    }
    return NULL;
}

const rf_bytes *rf_http_read(rf_http_response *response, uint32_t max) {
    RF_TRY(response);
    rf_bytes *piece = rf_alloc(sizeof *piece);
    if (response->over) return piece;
    guest_list_u8_t data;
    ringfence_skill_http_refusal_t refusal;
    if (!ringfence_skill_http_method_response_read((ringfence_skill_http_borrow_response_t) { response->handle }, max, &data, &refusal))
        return rf_refuse(&refusal);
    if (!data.len) rf_http_close(response);
    *piece = (rf_bytes) { data.ptr, data.len };
    return piece;
}

void rf_http_close(rf_http_response *response) {
    if (!response || response->over) return;
    response->over = true;
    ringfence_skill_http_response_drop_own((ringfence_skill_http_own_response_t) { response->handle });
}

const rf_bytes *rf_http_bytes(rf_http_response *response) {
    RF_TRY(response);
    rf_buffer all = { 0 };
    for (;;) {
        const rf_bytes *piece = rf_http_read(response, 0);
        RF_TRY(piece);
        if (!piece->length) break;
        rf_append_n(&all, piece->data, piece->length);
    }
    rf_bytes *bytes = rf_alloc(sizeof *bytes);
    *bytes = (rf_bytes) { (uint8_t *)rf_buffer_text(&all), all.length };
    return bytes;
}

const char *rf_http_text(rf_http_response *response) {
    const rf_bytes *bytes = rf_http_bytes(response);
    RF_TRY(bytes);
    return rf_from_wire((guest_string_t) { bytes->data, bytes->length });
}

const rf_json *rf_http_json(rf_http_response *response) {
    const rf_bytes *bytes = rf_http_bytes(response);
    RF_TRY(bytes);
    const rf_json *value = rf_json_parse_n((const char *)bytes->data, bytes->length);
    return value ? value : rf_refuse_because("what `%s` answered is not what was expected", place_of(response));
}
