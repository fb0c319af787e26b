#include "internal.h"

void rf_progress_report(uint64_t done, uint64_t total, const char *message) {
    guest_string_t words = rf_to_wire(message);
    ringfence_skill_progress_report(done, total ? &total : NULL, message ? &words : NULL);
}

void rf_progress_say(const char *message) {
    rf_progress_report(0, 0, message);
}

void rf_progress_emit(const char *text) {
    guest_string_t words = rf_to_wire(text);
    if (words.len) ringfence_skill_progress_emit(&words);
}
