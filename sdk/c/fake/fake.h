/* What the parts of the fake share. */
#ifndef RINGFENCE_FAKE_INTERNAL_H
#define RINGFENCE_FAKE_INTERNAL_H

#include "../include/ringfence_fake.h"
#include "../src/internal.h"

/* A list that grows. */
#define list_of(T) struct { T *items; size_t count, capacity; }
#define push(list, ...) \
    do { \
        if ((list)->count == (list)->capacity) { \
            size_t fresh = (list)->capacity ? (list)->capacity * 2 : 8; \
            (list)->items = grown((list)->items, (list)->count, fresh, sizeof *(list)->items); \
            (list)->capacity = fresh; \
        } \
        (list)->items[(list)->count++] = __VA_ARGS__; \
    } while (0)

void *grown(const void *items, size_t count, size_t capacity, size_t size);

/* Ends the test with words for its author. */
void stop_test(const char *format, ...) RF_PRINTF(1, 2) __attribute__((noreturn));

/* A refusal for the bindings; gives false. */
bool refuse_wire(const rf_refusal *refusal, ringfence_skill_types_refusal_t *err);

/* A copy for the skill: what it was given must not change under it. */
guest_string_t wire_copy(const char *text);
const char *text_of(const guest_string_t *text);

void in_flight(int change);

#endif
