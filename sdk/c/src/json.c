/* JSON (RFC 8259): read, changed and written. Strict: what is not JSON is refused with its place. */
#include "internal.h"

#include <errno.h>
#include <math.h>

/* As deep as the host takes. */
#define DEEPEST 64

/* ---- reading */

typedef struct reader {
    const char *start, *at, *end;
    int depth;
    const char *error; /* where and why: only the first is kept */
    const char *where;
} reader;

static rf_json *read_value(reader *in);

static void *wrong(reader *in, const char *why) {
    if (!in->error) {
        in->error = why;
        in->where = in->at;
    }
    return NULL;
}

static void skip_space(reader *in) {
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) in->at++;
}

static bool take(reader *in, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length)) return false;
    in->at += length;
    return true;
}

static rf_json *fresh(rf_json_kind kind) {
    rf_json *value = rf_alloc(sizeof *value);
    value->kind = kind;
    return value;
}

static bool digit(const reader *in) {
    return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

static rf_json *read_number(reader *in) {
    const char *start = in->at;
    take(in, "-");
    if (!digit(in)) return wrong(in, "a value is expected");
    if (!take(in, "0")) while (digit(in)) in->at++;
    if (digit(in)) return wrong(in, "a number cannot begin with 0");
    if (take(in, ".")) {
        if (!digit(in)) return wrong(in, "a digit is expected");
        while (digit(in)) in->at++;
    }
    if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
        in->at++;
        if (!take(in, "+")) take(in, "-");
        if (!digit(in)) return wrong(in, "a digit is expected");
        while (digit(in)) in->at++;
    }
    rf_json *value = fresh(RF_JSON_NUMBER);
    value->length = (size_t)(in->at - start);
    value->text = rf_copy_n(start, value->length);
    return value;
}

static int hex4(reader *in) {
    int code = 0;
    if (in->end - in->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = in->at[i];
        int nibble = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (nibble < 0) return -1;
        code = code * 16 + nibble;
    }
    in->at += 4;
    return code;
}

static size_t put_utf8(char *out, unsigned code) {
    if (code < 0x80) return out[0] = (char)code, 1;
    if (code < 0x800) return out[0] = (char)(0xC0 | code >> 6), out[1] = (char)(0x80 | (code & 0x3F)), 2;
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12), out[1] = (char)(0x80 | (code >> 6 & 0x3F)), out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18), out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F)), out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* The length of the UTF-8 character that begins here, 0 where there is none. */
static size_t utf8(const unsigned char *at, size_t left) {
    unsigned char c = at[0];
    if (c < 0x80) return 1;
    size_t length = c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (!length || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    if ((c == 0xE0 && at[1] < 0xA0) || (c == 0xED && at[1] > 0x9F) || (c == 0xF0 && at[1] < 0x90) || (c == 0xF4 && at[1] > 0x8F)) return 0;
    return length;
}

/* The text of a string whose quotation mark has been read. What comes out is never longer than what stands there. */
static const char *read_string(reader *in, size_t *length) {
    const char *end = in->at;
    while (end < in->end && *end != '"') end += *end == '\\' && end + 1 < in->end ? 2 : 1;
    char *out = rf_alloc((size_t)(end - in->at) + 1), *to = out;
    while (in->at < in->end && *in->at != '"') {
        unsigned char c = (unsigned char)*in->at;
        if (c < 0x20) return wrong(in, "a control character has to be escaped");
        if (c != '\\') {
            size_t bytes = utf8((const unsigned char *)in->at, (size_t)(in->end - in->at));
            if (!bytes) return wrong(in, "this is no UTF-8");
            memcpy(to, in->at, bytes);
            to += bytes;
            in->at += bytes;
            continue;
        }
        in->at++;
        char kind = in->at < in->end ? *in->at++ : 0;
        static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
        const char *known = kind ? strchr(FROM, kind) : NULL;
        if (known) {
            *to++ = TO[known - FROM];
            continue;
        }
        int code = kind == 'u' ? hex4(in) : -1;
        if (code < 0) return wrong(in, "this is no escape");
        if (code >= 0xD800 && code <= 0xDBFF) {
            int low = take(in, "\\u") ? hex4(in) : -1;
            if (low < 0xDC00 || low > 0xDFFF) return wrong(in, "half of a surrogate pair is missing");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else if (code >= 0xDC00 && code <= 0xDFFF) {
            return wrong(in, "half of a surrogate pair is missing");
        }
        to += put_utf8(to, (unsigned)code);
    }
    if (!take(in, "\"")) return wrong(in, "the string does not end");
    *length = (size_t)(to - out);
    return out;
}

static void append(rf_json *parent, rf_json *child) {
    if (parent->last) parent->last->next = child;
    else parent->first = child;
    parent->last = child;
    parent->length++;
}

static rf_json *read_items(reader *in, rf_json_kind kind) {
    rf_json *all = fresh(kind);
    const char *close = kind == RF_JSON_ARRAY ? "]" : "}";
    if (++in->depth > DEEPEST) return wrong(in, "it is nested deeper than 64 levels");
    skip_space(in);
    if (take(in, close)) return in->depth--, all;
    for (;;) {
        const char *key = NULL;
        size_t key_length = 0;
        if (kind == RF_JSON_OBJECT) {
            skip_space(in);
            if (!take(in, "\"")) return wrong(in, "a name in quotation marks is expected");
            key = read_string(in, &key_length);
            RF_TRY(key);
            skip_space(in);
            if (!take(in, ":")) return wrong(in, "`:` is expected");
        }
        rf_json *item = read_value(in);
        RF_TRY(item);
        item->key = key;
        item->key_length = key_length;
        append(all, item);
        skip_space(in);
        if (take(in, ",")) continue;
        if (!take(in, close)) return wrong(in, kind == RF_JSON_ARRAY ? "`,` or `]` is expected" : "`,` or `}` is expected");
        in->depth--;
        return all;
    }
}

static rf_json *read_value(reader *in) {
    skip_space(in);
    if (take(in, "{")) return read_items(in, RF_JSON_OBJECT);
    if (take(in, "[")) return read_items(in, RF_JSON_ARRAY);
    if (take(in, "\"")) {
        rf_json *value = fresh(RF_JSON_STRING);
        value->text = read_string(in, &value->length);
        return value->text ? value : NULL;
    }
    if (take(in, "true")) return rf_json_new_boolean(true);
    if (take(in, "false")) return rf_json_new_boolean(false);
    if (take(in, "null")) return fresh(RF_JSON_NULL);
    return read_number(in);
}

rf_json *rf_json_parse_n(const char *text, size_t length) {
    reader in = { text, text, text + length, 0, NULL, NULL };
    rf_json *value = read_value(&in);
    skip_space(&in);
    if (value && in.at < in.end) value = wrong(&in, "something follows the value");
    if (value) return value;
    int line = 1, column = 1;
    for (const char *at = text; at < in.where; at++) line += *at == '\n', column = *at == '\n' ? 1 : column + 1;
    return rf_refuse_as(RF_REFUSAL_INVALID, "this is no JSON: %s at line %d column %d", in.error, line, column);
}

rf_json *rf_json_parse(const char *text) {
    return rf_json_parse_n(text, strlen(text));
}

/* ---- looking */

const rf_json *rf_json_get(const rf_json *object, const char *key) {
    size_t length = strlen(key);
    const rf_json *found = NULL;
    if (object && object->kind == RF_JSON_OBJECT)
        for (const rf_json *item = object->first; item; item = item->next)
            /* The last of several, as nearly every reader has it. */
            if (item->key_length == length && !memcmp(item->key, key, length)) found = item;
    return found;
}

const rf_json *rf_json_at(const rf_json *array, size_t index) {
    if (!array || array->kind != RF_JSON_ARRAY) return NULL;
    const rf_json *item = array->first;
    while (item && index--) item = item->next;
    return item;
}

const char *rf_json_text(const rf_json *value, const char *otherwise) {
    if (!value || value->kind != RF_JSON_STRING) return otherwise;
    return rf_from_wire((guest_string_t) { (uint8_t *)value->text, value->length });
}

double rf_json_number(const rf_json *value, double otherwise) {
    return value && value->kind == RF_JSON_NUMBER ? strtod(value->text, NULL) : otherwise;
}

int64_t rf_json_integer(const rf_json *value, int64_t otherwise) {
    if (!value || value->kind != RF_JSON_NUMBER) return otherwise;
    char *end;
    errno = 0;
    long long whole = strtoll(value->text, &end, 10);
    if (!*end && !errno) return whole;
    /* 1.0 and 1e3 are integers to JSON Schema. */
    double number = strtod(value->text, NULL);
    bool exact = number >= -9007199254740992.0 && number <= 9007199254740992.0 && floor(number) == number;
    return exact ? (int64_t)number : otherwise;
}

bool rf_json_boolean(const rf_json *value, bool otherwise) {
    return value && value->kind == RF_JSON_BOOLEAN ? value->boolean : otherwise;
}

/* ---- making */

rf_json *rf_json_new_object(void) {
    return fresh(RF_JSON_OBJECT);
}

rf_json *rf_json_new_array(void) {
    return fresh(RF_JSON_ARRAY);
}

rf_json *rf_json_new_null(void) {
    return fresh(RF_JSON_NULL);
}

rf_json *rf_json_new_text(const char *text) {
    if (!text) return rf_json_new_null();
    rf_json *value = fresh(RF_JSON_STRING);
    value->length = strlen(text);
    value->text = rf_copy_n(text, value->length);
    return value;
}

static rf_json *number(const char *text) {
    rf_json *value = fresh(RF_JSON_NUMBER);
    value->text = rf_copy(text);
    value->length = strlen(text);
    return value;
}

rf_json *rf_json_new_integer(int64_t integer) {
    return number(rf_format("%lld", (long long)integer));
}

rf_json *rf_json_new_number(double value) {
    /* JSON has no word for them. */
    if (isnan(value) || isinf(value)) return rf_json_new_null();
    char text[32];
    /* The shortest text that is read as the same number. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    return number(text);
}

rf_json *rf_json_new_boolean(bool boolean) {
    rf_json *value = fresh(RF_JSON_BOOLEAN);
    value->boolean = boolean;
    return value;
}

rf_json *rf_json_copy(const rf_json *value) {
    rf_json *copy = rf_alloc(sizeof *copy);
    *copy = *value;
    copy->next = copy->first = copy->last = NULL;
    if (value->first) copy->length = 0;
    for (const rf_json *item = value->first; item; item = item->next) append(copy, rf_json_copy(item));
    return copy;
}


rf_json *rf_json_set(rf_json *object, const char *key, const rf_json *value) {
    if (!object || !value) return NULL;
    rf_json *item = rf_json_copy(value);
    item->key_length = strlen(key);
    item->key = rf_copy_n(key, item->key_length);
    rf_json *before = NULL;
    for (rf_json *old = object->first; old; before = old, old = old->next) {
        if (old->key_length != item->key_length || memcmp(old->key, key, item->key_length)) continue;
        item->next = old->next;
        if (before) before->next = item;
        else object->first = item;
        if (object->last == old) object->last = item;
        return object;
    }
    append(object, item);
    return object;
}

rf_json *rf_json_add(rf_json *array, const rf_json *value) {
    if (!array || !value) return NULL;
    append(array, rf_json_copy(value));
    array->last->key = NULL;
    return array;
}

/* ---- writing */

static void write_string(rf_buffer *out, const char *text, size_t length) {
    rf_append_n(out, "\"", 1);
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end) {
        static const char FROM[] = "\"\\\b\f\n\r\t", TO[] = "\"\\bfnrt";
        const char *known = *at ? strchr(FROM, *at) : NULL;
        size_t bytes = utf8(at, (size_t)(end - at));
        if (known) rf_append_n(out, (char[]) { '\\', TO[known - FROM] }, 2), at++;
        else if (*at < 0x20 || *at == 0x7F) rf_appendf(out, "\\u%04x", *at), at++;
        /* JSON that is no UTF-8 would end the call. */
        else if (!bytes) rf_append(out, "\xEF\xBF\xBD"), at++;
        else {
            const unsigned char *start = at;
            while (at < end && (bytes = utf8(at, (size_t)(end - at))) && *at >= 0x20 && *at != '"' && *at != '\\' && *at != 0x7F) at += bytes;
            rf_append_n(out, start, (size_t)(at - start));
        }
    }
    rf_append_n(out, "\"", 1);
}

static void line_break(rf_buffer *out, int indent) {
    if (indent < 0) return;
    rf_append_n(out, "\n", 1);
    while (indent-- > 0) rf_append_n(out, "  ", 2);
}

/* `indent` below 0 writes one line. */
static void write_value(rf_buffer *out, const rf_json *value, int indent) {
    int inner = indent < 0 ? indent : indent + 1;
    bool object = value->kind == RF_JSON_OBJECT;
    switch (value->kind) {
    case RF_JSON_NULL: rf_append(out, "null"); return;
    case RF_JSON_BOOLEAN: rf_append(out, value->boolean ? "true" : "false"); return;
    case RF_JSON_NUMBER: rf_append_n(out, value->text, value->length); return;
    case RF_JSON_STRING: write_string(out, value->text, value->length); return;
    case RF_JSON_ARRAY:
    case RF_JSON_OBJECT: break;
    }
    rf_append_n(out, object ? "{" : "[", 1);
    for (const rf_json *item = value->first; item; item = item->next) {
        if (item != value->first) rf_append_n(out, ",", 1);
        line_break(out, inner);
        if (object) {
            write_string(out, item->key, item->key_length);
            rf_append(out, indent < 0 ? ":" : ": ");
        }
        write_value(out, item, inner);
    }
    if (value->first) line_break(out, indent);
    rf_append_n(out, object ? "}" : "]", 1);
}

char *rf_json_write(const rf_json *value) {
    if (!value) return NULL;
    rf_buffer out = { 0 };
    write_value(&out, value, -1);
    return out.text;
}

char *rf_json_write_pretty(const rf_json *value) {
    if (!value) return NULL;
    rf_buffer out = { 0 };
    write_value(&out, value, 0);
    return out.text;
}
