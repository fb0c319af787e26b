/* What the parts of the SDK share, and between them and the bindings. Not for skills. */
#ifndef RINGFENCE_INTERNAL_H
#define RINGFENCE_INTERNAL_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../bindings/guest.h"
#include "../include/ringfence.h"

/* memory.c */
char *rf_vformat(const char *format, va_list arguments);
void rf_release_all(void);

/* A text of the host as C has it: U+FFFD stands for U+0000. The host's strings were allocated with a NUL behind them. */
const char *rf_from_wire(guest_string_t text);
/* NULL where it is none. */
const char *rf_from_maybe(guest_option_string_t text);
/* A text of ours for the host; nothing is copied. NULL becomes "". */
guest_string_t rf_to_wire(const char *text);
guest_option_string_t rf_to_maybe(const char *text);

/* failure.c: each keeps a reason and gives NULL. */
void *rf_refuse(const ringfence_skill_types_refusal_t *refusal);
void *rf_refuse_with(const rf_refusal *refusal);
void *rf_refuse_as(rf_refusal_kind kind, const char *format, ...) RF_PRINTF(2, 3);
/* The failure of another skill's tool. */
void *rf_failed_elsewhere(const ringfence_skill_types_failure_t *failure);
/* An invalid refusal with the last reason behind a colon: `the answer is not the JSON that was asked for: <reason>`. */
void *rf_refuse_because(const char *format, ...) RF_PRINTF(1, 2);
void rf_forget(void);
/* A reason that was kept, to be kept again later. */
typedef struct rf_reason { bool failed, refused; rf_failure failure; rf_refusal refusal; } rf_reason;
rf_reason rf_reason_now(void);
void *rf_reason_again(const rf_reason *reason);

/* tools.c */
rf_outcome *rf_outcome_from_wire(const ringfence_skill_types_outcome_t *outcome);

/* skill.c */
const rf_tool *rf_first_tool(void);
const rf_json *rf_tool_schema(const rf_type *input, const char *schema, const char *what);

#define RF_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
