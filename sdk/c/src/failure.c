/* Why something gave no outcome: the reason that was kept last. */
#include "internal.h"

static rf_reason last;

static const char *const REFUSALS[] = { "denied", "over-budget", "unavailable", "invalid", "too-large", "timed-out", "cancelled" };
static const char *const FAILURES[] = { "invalid-input", "unknown-tool", "refused", "unavailable", "failed" };

const char *rf_refusal_name(rf_refusal_kind kind) {
    return (size_t)kind < RF_COUNT(REFUSALS) ? REFUSALS[kind] : "?";
}

const char *rf_failure_name(rf_failure_kind kind) {
    return (size_t)kind < RF_COUNT(FAILURES) ? FAILURES[kind] : "?";
}

const rf_refusal *rf_refused(void) {
    return last.refused ? &last.refusal : NULL;
}

const rf_failure *rf_failed(void) {
    return last.failed ? &last.failure : NULL;
}

void rf_forget(void) {
    last = (rf_reason) { 0 };
}

rf_reason rf_reason_now(void) {
    return last;
}

void *rf_reason_again(const rf_reason *reason) {
    last = *reason;
    return NULL;
}

void *rf_fail_at(const char *file, int line, rf_failure_kind kind, const char *hint, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const char *message = rf_vformat(format, arguments);
    va_end(arguments);
    last = (rf_reason) { .failed = true, .failure = { kind, message, hint ? rf_copy(hint) : NULL, file, line } };
    return NULL;
}

/* What to do is said once, in the hint: the message ends before it. */
static const char *without_hint(const char *message, const char *hint) {
    size_t length = strlen(message), tail = hint ? strlen(hint) : 0;
    if (!tail || length < tail + 2 || strcmp(message + length - tail, hint) || memcmp(message + length - tail - 2, "; ", 2)) return message;
    return rf_copy_n(message, length - tail - 2);
}

void *rf_refuse_with(const rf_refusal *refusal) {
    static const rf_failure_kind KINDS[] = { RF_REFUSED, RF_REFUSED, RF_UNAVAILABLE, RF_FAILED, RF_REFUSED, RF_UNAVAILABLE, RF_REFUSED };
    rf_failure failure = { KINDS[refusal->kind], without_hint(refusal->message, refusal->hint), refusal->hint, NULL, 0 };
    last = (rf_reason) { .failed = true, .refused = true, .failure = failure, .refusal = *refusal };
    return NULL;
}

void *rf_refuse_as(rf_refusal_kind kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    rf_refusal refusal = { .kind = kind, .message = rf_vformat(format, arguments) };
    va_end(arguments);
    return rf_refuse_with(&refusal);
}

void *rf_refuse_because(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const char *what = rf_vformat(format, arguments);
    va_end(arguments);
    return rf_refuse_as(RF_REFUSAL_INVALID, "%s: %s", what, last.failed ? last.failure.message : "it cannot be read");
}

/* What the host says behind the last semicolon is what to do. */
static const char *advice(const char *message) {
    const char *hint = NULL;
    for (const char *at = message; (at = strstr(at, "; ")); at += 2) hint = at + 2;
    return hint;
}

void *rf_refuse(const ringfence_skill_types_refusal_t *wire) {
    rf_refusal refusal = { .kind = (rf_refusal_kind)wire->tag };
    switch (wire->tag) {
    case RINGFENCE_SKILL_TYPES_REFUSAL_DENIED:
        refusal.capability = rf_from_wire(wire->val.denied.capability);
        refusal.subject = rf_from_wire(wire->val.denied.subject);
        refusal.message = rf_format("the host refused `%s`: %s", refusal.subject, rf_from_wire(wire->val.denied.reason));
        refusal.hint = wire->val.denied.hint.len ? rf_from_wire(wire->val.denied.hint) : NULL;
        break;
    case RINGFENCE_SKILL_TYPES_REFUSAL_OVER_BUDGET:
        refusal.scope = rf_from_wire(wire->val.over_budget.scope);
        refusal.unit = rf_from_wire(wire->val.over_budget.unit);
        refusal.limit = wire->val.over_budget.limit;
        refusal.used = wire->val.over_budget.used;
        refusal.needed = wire->val.over_budget.needed;
        refusal.message = rf_format("the %s budget of %llu %s is used up: %llu used or reserved, %llu needed", refusal.scope,
            (unsigned long long)refusal.limit, refusal.unit, (unsigned long long)refusal.used, (unsigned long long)refusal.needed);
        refusal.hint = rf_format("raise `budget.%s.%s` of the host, or give the tool less to do", refusal.scope, refusal.unit);
        break;
    case RINGFENCE_SKILL_TYPES_REFUSAL_TOO_LARGE:
        refusal.what = rf_from_wire(wire->val.too_large.what);
        refusal.limit = wire->val.too_large.limit;
        refusal.actual = (rf_maybe_integer) { wire->val.too_large.actual.is_some, (int64_t)wire->val.too_large.actual.val };
        refusal.message = rf_format("the %s is too large: at most %llu", refusal.what, (unsigned long long)refusal.limit);
        if (refusal.actual.is_set) refusal.message = rf_format("%s, this has %llu", refusal.message, (unsigned long long)refusal.actual.value);
        refusal.hint = rf_format("give at most %llu of %s", (unsigned long long)refusal.limit, refusal.what);
        break;
    case RINGFENCE_SKILL_TYPES_REFUSAL_UNAVAILABLE:
        refusal.message = rf_from_wire(wire->val.unavailable);
        refusal.hint = advice(refusal.message);
        break;
    case RINGFENCE_SKILL_TYPES_REFUSAL_TIMED_OUT:
        refusal.message = rf_from_wire(wire->val.timed_out);
        refusal.hint = advice(refusal.message);
        break;
    case RINGFENCE_SKILL_TYPES_REFUSAL_INVALID:
        refusal.message = rf_from_wire(wire->val.invalid);
        break;
    default:
        refusal.kind = RF_REFUSAL_CANCELLED;
        refusal.message = "the call was cancelled";
    }
    return rf_refuse_with(&refusal);
}

void *rf_failed_elsewhere(const ringfence_skill_types_failure_t *wire) {
    rf_failure_kind kind = (rf_failure_kind)wire->kind;
    /* That its input was wrong is no mistake of whoever called this skill. */
    if (kind == RF_INVALID_INPUT || kind == RF_UNKNOWN_TOOL) kind = RF_FAILED;
    last = (rf_reason) { .failed = true, .failure = { kind, rf_from_wire(wire->message), rf_from_maybe(wire->hint), NULL, 0 } };
    return NULL;
}

void rf_panic_at(const char *file, int line, const char *function, const char *format, ...) {
    /* Not from the arena: it may be what is broken. */
    char message[1024], place[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    snprintf(place, sizeof place, "%s:%d", file, line);
    rf_log(RF_LOG_ERROR, RF_LOG_FIELDS({ "at", place }, { "in", function }), "panic: %s", message);
#ifndef __wasm__
    fprintf(stderr, "%s: %s: panic: %s\n", place, function, message);
#endif
    abort();
}
