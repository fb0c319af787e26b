/* Memory that is given back all at once, and texts in it. */
#include "internal.h"

/* Large enough that most calls need one or two, small beside a page of WebAssembly memory times a thousand instances. */
#define BLOCK ((size_t)32 * 1024)
#define ALIGN ((size_t)16)

typedef struct block {
    struct block *next;
    size_t used, size;
} block;

#define HEAD ((sizeof(block) + ALIGN - 1) / ALIGN * ALIGN)

static block *blocks;

void *rf_alloc(size_t bytes) {
    if (bytes > SIZE_MAX / 2) RF_PANIC("out of memory: %zu bytes were wanted", bytes);
    size_t size = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!blocks || blocks->size - blocks->used < size) {
        size_t room = size > BLOCK ? size : BLOCK;
        block *fresh = calloc(1, HEAD + room);
        /* No formatting here: it would allocate. */
        if (!fresh) abort();
        fresh->size = room;
        /* A large piece goes behind the block that is being filled, whose room would be lost otherwise. */
        if (blocks && size > BLOCK) {
            fresh->next = blocks->next;
            blocks->next = fresh;
            fresh->used = size;
            return (char *)fresh + HEAD;
        }
        fresh->next = blocks;
        blocks = fresh;
    }
    void *memory = (char *)blocks + HEAD + blocks->used;
    blocks->used += size;
    return memory;
}

void *rf_alloc_array(size_t count, size_t size) {
    if (size && count > SIZE_MAX / 2 / size) RF_PANIC("out of memory: %zu times %zu bytes were wanted", count, size);
    return rf_alloc(count * size);
}

/* Of tests alone: a skill's memory goes with its instance. */
void rf_release_all(void) {
    while (blocks) {
        block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

char *rf_copy_n(const void *bytes, size_t length) {
    char *copy = rf_alloc(length + 1);
    if (length) memcpy(copy, bytes, length);
    return copy;
}

char *rf_copy(const char *text) {
    return text ? rf_copy_n(text, strlen(text)) : NULL;
}

char *rf_vformat(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    char small[256];
    int length = vsnprintf(small, sizeof small, format, arguments);
    char *text;
    if (length < 0) {
        text = rf_copy(format);
    } else if ((size_t)length < sizeof small) {
        text = rf_copy_n(small, (size_t)length);
    } else {
        text = rf_alloc((size_t)length + 1);
        vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    return text;
}

char *rf_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = rf_vformat(format, arguments);
    va_end(arguments);
    return text;
}

void rf_append_n(rf_buffer *buffer, const void *bytes, size_t length) {
    if (buffer->capacity - buffer->length < length + 1 || !buffer->text) {
        size_t capacity = buffer->capacity * 2 > 64 ? buffer->capacity * 2 : 64;
        while (capacity < buffer->length + length + 1) capacity *= 2;
        char *text = rf_alloc(capacity);
        if (buffer->length) memcpy(text, buffer->text, buffer->length);
        buffer->text = text;
        buffer->capacity = capacity;
    }
    if (length) memcpy(buffer->text + buffer->length, bytes, length);
    buffer->length += length;
    buffer->text[buffer->length] = 0;
}

void rf_append(rf_buffer *buffer, const char *text) {
    rf_append_n(buffer, text, strlen(text));
}

void rf_appendf(rf_buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    rf_append(buffer, rf_vformat(format, arguments));
    va_end(arguments);
}

char *rf_buffer_text(const rf_buffer *buffer) {
    return buffer->text ? buffer->text : rf_alloc(1);
}

const char *rf_from_wire(guest_string_t text) {
    if (!text.len) return "";
    if (!memchr(text.ptr, 0, text.len)) return text.ptr[text.len] ? rf_copy_n(text.ptr, text.len) : (const char *)text.ptr;
    rf_buffer out = { 0 };
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i]) rf_append_n(&out, text.ptr + i, 1);
        else rf_append(&out, "\xEF\xBF\xBD");
    }
    return out.text;
}

const char *rf_from_maybe(guest_option_string_t text) {
    return text.is_some ? rf_from_wire(text.val) : NULL;
}

guest_string_t rf_to_wire(const char *text) {
    return (guest_string_t) { (uint8_t *)(text ? text : ""), text ? strlen(text) : 0 };
}

guest_option_string_t rf_to_maybe(const char *text) {
    return (guest_option_string_t) { text != NULL, rf_to_wire(text) };
}
