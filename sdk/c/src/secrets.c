#include "internal.h"

bool rf_secrets_exists(const char *name) {
    guest_string_t wire = rf_to_wire(name);
    return ringfence_skill_secrets_exists(&wire);
}

const char *rf_secrets_placeholder(const char *name) {
    return rf_format("{{secret:%s}}", name);
}

const char *rf_secrets_bearer(const char *name) {
    return rf_format("Bearer {{secret:%s}}", name);
}
