#include "internal.h"

#define MOST_FIELDS 32

void rf_log(rf_log_level level, const rf_log_field *fields, const char *format, ...) {
    char line[4096 + 1]; /* what the host takes; nothing is allocated, so that a panic can always be told */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    guest_tuple2_string_string_t pairs[MOST_FIELDS];
    size_t count = 0;
    for (; fields && fields[count].name && count < MOST_FIELDS; count++)
        pairs[count] = (guest_tuple2_string_string_t) { rf_to_wire(fields[count].name), rf_to_wire(fields[count].value) };
    guest_string_t message = rf_to_wire(line);
    /* A text that was cut inside of a character would not be UTF-8, and the host would end the call. */
    while (message.len == sizeof line - 1 && message.len && (message.ptr[message.len - 1] & 0xC0) == 0x80) message.len--;
    if (message.len && (message.ptr[message.len - 1] & 0xC0) == 0xC0) message.len--;
    guest_list_tuple2_string_string_t list = { pairs, count };
    ringfence_skill_log_log((ringfence_skill_log_level_t)level, &message, &list);
}
