/* Descriptions of structs: to JSON Schema, from JSON, to JSON. */
#include "internal.h"

#include <errno.h>

static const rf_field *no_fields(void) {
    static const rf_field none = { 0 };
    return &none;
}

const rf_type rf_nothing_rf_type = { "rf_nothing", sizeof(rf_nothing), no_fields };
/* Read as it is: see rf_decode_as. */
const rf_type rf_json_rf_type = { "rf_json", sizeof(rf_json), NULL };

/* ---- schema */

static bool is_optional(const rf_field *field) {
    return field->optional || field->fallback || (field->kind >= RF_KIND_MAYBE_INTEGER && field->kind <= RF_KIND_MAYBE_BOOLEAN);
}

static const char *word_of(rf_kind kind) {
    switch (kind) {
    case RF_KIND_TEXT: return "string";
    case RF_KIND_BOOLEAN:
    case RF_KIND_MAYBE_BOOLEAN: return "boolean";
    case RF_KIND_SIGNED:
    case RF_KIND_UNSIGNED:
    case RF_KIND_MAYBE_INTEGER: return "integer";
    case RF_KIND_NUMBER:
    case RF_KIND_MAYBE_NUMBER: return "number";
    case RF_KIND_TEXTS:
    case RF_KIND_INTEGERS:
    case RF_KIND_NUMBERS:
    case RF_KIND_LIST: return "array";
    case RF_KIND_OBJECT:
    case RF_KIND_POINTER: return "object";
    case RF_KIND_JSON: break;
    }
    return NULL;
}

/* One word of "fast|slow"; NULL where there are fewer. */
static const char *word_at(const char *words, size_t index) {
    for (; index; index--) {
        words = strchr(words, '|');
        RF_TRY(words);
        words++;
    }
    return rf_copy_n(words, strcspn(words, "|"));
}

static rf_json *typed(const char *word) {
    return rf_json_set(rf_json_new_object(), "type", rf_json_new_text(word));
}

/* JSON that stands in the skill's own source. */
static const rf_json *own(const char *text, const char *what, const char *where) {
    const rf_json *value = rf_json_parse(text);
    if (!value) RF_PANIC("the %s of `%s` is wrong: %s", what, where, rf_failed()->message);
    return value;
}

static rf_json *schema_of_field(const rf_field *field) {
    rf_json *schema = field->type ? NULL : rf_json_new_object();
    const char *word = field->one_of ? "string" : word_of(field->kind);
    if (field->kind == RF_KIND_LIST) schema = rf_json_set(typed("array"), "items", rf_schema_of(field->type));
    else if (field->type) schema = rf_schema_of(field->type);
    else if (word) schema = typed(word);
    if (word && is_optional(field)) {
        rf_json *both = rf_json_add(rf_json_add(rf_json_new_array(), rf_json_new_text(word)), rf_json_new_text("null"));
        rf_json_set(schema, "type", both);
    }
    if (field->kind == RF_KIND_TEXTS) rf_json_set(schema, "items", typed("string"));
    if (field->kind == RF_KIND_INTEGERS) rf_json_set(schema, "items", typed("integer"));
    if (field->kind == RF_KIND_NUMBERS) rf_json_set(schema, "items", typed("number"));
    if (field->kind == RF_KIND_UNSIGNED && !field->one_of) rf_json_set(schema, "minimum", rf_json_new_integer(0));
    if (field->one_of) {
        rf_json *values = rf_json_new_array();
        const char *value;
        for (size_t i = 0; (value = word_at(field->one_of, i)); i++) rf_json_add(values, rf_json_new_text(value));
        /* `null` is a value too. */
        if (is_optional(field)) rf_json_add(values, rf_json_new_null());
        rf_json_set(schema, "enum", values);
    }
    if (field->description && *field->description) rf_json_set(schema, "description", rf_json_new_text(field->description));
    if (field->fallback) rf_json_set(schema, "default", own(field->fallback, "fallback", field->name));
    if (field->schema)
        for (const rf_json *item = own(field->schema, "schema", field->name)->first; item; item = item->next)
            rf_json_set(schema, rf_copy_n(item->key, item->key_length), item);
    return schema;
}

rf_json *rf_schema_of(const rf_type *type) {
    rf_json *schema = typed("object"), *properties = rf_json_new_object(), *required = rf_json_new_array();
    if (!type->fields) return schema;
    for (const rf_field *field = type->fields(); field->name; field++) {
        rf_json_set(properties, field->name, schema_of_field(field));
        if (!is_optional(field)) rf_json_add(required, rf_json_new_text(field->name));
    }
    rf_json_set(schema, "properties", properties);
    if (required->length) rf_json_set(schema, "required", required);
    return schema;
}

/* ---- from JSON */

/* Where a value stands: `point.x`, `items[2].name`. */
static void *misfit(const char *path, const char *why) {
    return rf_fail_at(NULL, 0, RF_INVALID_INPUT, NULL, "`%s` %s", *path ? path : "the value", why);
}

static const char *below(const char *path, const char *name) {
    return *path ? rf_format("%s.%s", path, name) : name;
}

static bool decode_into(const rf_type *type, const rf_json *value, void *out, const char *path);

static const char *decode_text(const rf_json *value, const char *path) {
    if (value->kind != RF_JSON_STRING) return misfit(path, "must be a string");
    if (memchr(value->text, 0, value->length)) return misfit(path, "holds the character U+0000, which this skill cannot read");
    return value->text;
}

/* Whether it is an integer that fits. Both bounds are looked at, as the largest unsigned one has no place in the other type. */
static bool integer_of(const rf_json *value, bool is_signed, size_t size, int64_t *out) {
    if (value->kind != RF_JSON_NUMBER) return false;
    if (!is_signed && value->text[0] != '-') {
        char *end;
        errno = 0;
        unsigned long long whole = strtoull(value->text, &end, 10);
        if (!*end && !errno && whole > INT64_MAX) return *out = (int64_t)whole, size == 8;
    }
    int64_t one = rf_json_integer(value, 0), other = rf_json_integer(value, 1);
    if (one != other) return false;
    *out = one;
    if (!is_signed) return one >= 0 && (size == 8 || one <= (int64_t)((UINT64_C(1) << (size * 8)) - 1));
    int64_t most = size == 8 ? INT64_MAX : (INT64_C(1) << (size * 8 - 1)) - 1;
    return one <= most && one >= -most - 1;
}

static bool put_integer(void *to, size_t size, int64_t value) {
    switch (size) {
    case 1: *(int8_t *)to = (int8_t)value; return true;
    case 2: *(int16_t *)to = (int16_t)value; return true;
    case 4: *(int32_t *)to = (int32_t)value; return true;
    default: *(int64_t *)to = value; return true;
    }
}

static int64_t take_integer(const void *from, size_t size, bool is_signed) {
    switch (size) {
    case 1: return is_signed ? *(const int8_t *)from : (int64_t)*(const uint8_t *)from;
    case 2: return is_signed ? *(const int16_t *)from : (int64_t)*(const uint16_t *)from;
    case 4: return is_signed ? *(const int32_t *)from : (int64_t)*(const uint32_t *)from;
    default: return *(const int64_t *)from;
    }
}

static bool decode_choice(const rf_field *field, const rf_json *value, void *to, const char *path) {
    const char *text = decode_text(value, path);
    RF_TRY(text);
    rf_buffer known = { 0 };
    const char *word;
    for (size_t i = 0; (word = word_at(field->one_of, i)); i++) {
        if (!strcmp(word, text)) {
            if (field->kind == RF_KIND_TEXT) *(const char **)to = text;
            else put_integer(to, field->size, (int64_t)i);
            return true;
        }
        rf_appendf(&known, "%s%s", i ? ", " : "", word);
    }
    return misfit(path, rf_format("must be one of: %s", rf_buffer_text(&known)));
}

static bool decode_list(const rf_field *field, const rf_json *value, void *to, const char *path) {
    if (value->kind != RF_JSON_ARRAY) return misfit(path, "must be an array");
    struct { void *items; size_t count; } *list = to;
    size_t size = field->kind == RF_KIND_LIST ? field->type->size : field->kind == RF_KIND_TEXTS ? sizeof(char *) : 8;
    list->count = value->length;
    list->items = rf_alloc_array(value->length, size);
    size_t at = 0;
    for (const rf_json *item = value->first; item; item = item->next, at++) {
        void *place = (char *)list->items + at * size;
        const char *here = rf_format("%s[%zu]", path, at);
        switch (field->kind) {
        case RF_KIND_TEXTS: RF_TRY(*(const char **)place = decode_text(item, here)); break;
        case RF_KIND_INTEGERS: if (!integer_of(item, true, 8, place)) return misfit(here, "must be an integer"); break;
        case RF_KIND_NUMBERS:
            if (item->kind != RF_JSON_NUMBER) return misfit(here, "must be a number");
            *(double *)place = rf_json_number(item, 0);
            break;
        default: RF_TRY(decode_into(field->type, item, place, here));
        }
    }
    return true;
}

static bool decode_field(const rf_field *field, const rf_json *value, void *to, const char *path) {
    if (field->one_of) return decode_choice(field, value, to, path);
    int64_t integer;
    switch (field->kind) {
    case RF_KIND_TEXT: return (*(const char **)to = decode_text(value, path)) != NULL;
    case RF_KIND_BOOLEAN:
        if (value->kind != RF_JSON_BOOLEAN) return misfit(path, "must be true or false");
        *(bool *)to = value->boolean;
        return true;
    case RF_KIND_SIGNED:
    case RF_KIND_UNSIGNED:
        if (!integer_of(value, field->kind == RF_KIND_SIGNED, field->size, &integer)) return misfit(path, "must be an integer that fits");
        return put_integer(to, field->size, integer);
    case RF_KIND_NUMBER:
    case RF_KIND_MAYBE_NUMBER:
        if (value->kind != RF_JSON_NUMBER) return misfit(path, "must be a number");
        if (field->kind == RF_KIND_MAYBE_NUMBER) *(rf_maybe_number *)to = (rf_maybe_number) { true, rf_json_number(value, 0) };
        else if (field->size == sizeof(float)) *(float *)to = (float)rf_json_number(value, 0);
        else *(double *)to = rf_json_number(value, 0);
        return true;
    case RF_KIND_MAYBE_INTEGER:
        if (!integer_of(value, true, 8, &integer)) return misfit(path, "must be an integer that fits");
        *(rf_maybe_integer *)to = (rf_maybe_integer) { true, integer };
        return true;
    case RF_KIND_MAYBE_BOOLEAN:
        if (value->kind != RF_JSON_BOOLEAN) return misfit(path, "must be true or false");
        *(rf_maybe_boolean *)to = (rf_maybe_boolean) { true, value->boolean };
        return true;
    case RF_KIND_JSON: *(const rf_json **)to = value; return true;
    case RF_KIND_OBJECT: return decode_into(field->type, value, to, path);
    case RF_KIND_POINTER: return decode_into(field->type, value, *(void **)to = rf_alloc(field->type->size), path);
    default: return decode_list(field, value, to, path);
    }
}

static bool decode_into(const rf_type *type, const rf_json *value, void *out, const char *path) {
    if (value->kind != RF_JSON_OBJECT) return misfit(path, "must be an object");
    if (!type->fields) return *(rf_json *)out = *value, true;
    for (const rf_field *field = type->fields(); field->name; field++) {
        const rf_json *item = rf_json_get(value, field->name);
        const char *here = below(path, field->name);
        bool missing = !item || (item->kind == RF_JSON_NULL && field->kind != RF_KIND_JSON);
        if (missing && field->fallback) item = own(field->fallback, "fallback", field->name);
        else if (missing && is_optional(field)) continue;
        else if (!item) return misfit(here, "is missing");
        RF_TRY(decode_field(field, item, (char *)out + field->offset, here));
    }
    return true;
}

void *rf_decode_as(const rf_type *type, const rf_json *value) {
    RF_TRY(value);
    void *out = rf_alloc(type->size);
    return decode_into(type, value, out, "") ? out : NULL;
}

/* ---- to JSON */

static rf_json *encode_list(const rf_field *field, const void *from) {
    const struct { char *items; size_t count; } *list = from;
    rf_json *all = rf_json_new_array();
    for (size_t i = 0; i < list->count; i++) {
        rf_json *item;
        switch (field->kind) {
        case RF_KIND_TEXTS: item = rf_json_new_text(((const char **)(void *)list->items)[i]); break;
        case RF_KIND_INTEGERS: item = rf_json_new_integer(((const int64_t *)(void *)list->items)[i]); break;
        case RF_KIND_NUMBERS: item = rf_json_new_number(((const double *)(void *)list->items)[i]); break;
        default: item = rf_encode_as(field->type, list->items + i * field->type->size);
        }
        RF_TRY(rf_json_add(all, item));
    }
    return all;
}

static rf_json *encode_field(const rf_field *field, const void *from) {
    if (field->one_of && field->kind != RF_KIND_TEXT) {
        int64_t index = take_integer(from, field->size, true);
        const char *word = index < 0 ? NULL : word_at(field->one_of, (size_t)index);
        if (word) return rf_json_new_text(word);
        return rf_fail_at(NULL, 0, RF_FAILED, NULL, "`%s` has the value %lld, which stands for no word", field->name, (long long)index);
    }
    switch (field->kind) {
    case RF_KIND_TEXT:
        if (!*(const char *const *)from && !is_optional(field))
            return rf_fail_at(NULL, 0, RF_FAILED, NULL, "`%s` is NULL and not optional", field->name);
        return rf_json_new_text(*(const char *const *)from);
    case RF_KIND_BOOLEAN: return rf_json_new_boolean(*(const bool *)from);
    case RF_KIND_SIGNED: return rf_json_new_integer(take_integer(from, field->size, true));
    case RF_KIND_UNSIGNED: {
        rf_json *value = rf_json_new_integer(0);
        value->text = rf_format("%llu", (unsigned long long)take_integer(from, field->size, false));
        value->length = strlen(value->text);
        return value;
    }
    case RF_KIND_NUMBER: return rf_json_new_number(field->size == sizeof(float) ? (double)*(const float *)from : *(const double *)from);
    case RF_KIND_MAYBE_INTEGER: {
        const rf_maybe_integer *value = from;
        return value->is_set ? rf_json_new_integer(value->value) : rf_json_new_null();
    }
    case RF_KIND_MAYBE_NUMBER: {
        const rf_maybe_number *value = from;
        return value->is_set ? rf_json_new_number(value->value) : rf_json_new_null();
    }
    case RF_KIND_MAYBE_BOOLEAN: {
        const rf_maybe_boolean *value = from;
        return value->is_set ? rf_json_new_boolean(value->value) : rf_json_new_null();
    }
    case RF_KIND_JSON: {
        const rf_json *value = *(const rf_json *const *)from;
        return value ? rf_json_copy(value) : rf_json_new_null();
    }
    case RF_KIND_OBJECT: return rf_encode_as(field->type, from);
    case RF_KIND_POINTER: {
        const void *value = *(const void *const *)from;
        if (!value && !is_optional(field)) return rf_fail_at(NULL, 0, RF_FAILED, NULL, "`%s` is NULL and not optional", field->name);
        return value ? rf_encode_as(field->type, value) : rf_json_new_null();
    }
    default: return encode_list(field, from);
    }
}

rf_json *rf_encode_as(const rf_type *type, const void *value) {
    RF_TRY(value);
    if (!type->fields) return rf_json_copy(value);
    rf_json *object = rf_json_new_object();
    for (const rf_field *field = type->fields(); field->name; field++)
        RF_TRY(rf_json_set(object, field->name, encode_field(field, (const char *)value + field->offset)));
    return object;
}
