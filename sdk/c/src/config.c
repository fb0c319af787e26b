#include "internal.h"

const rf_json *rf_config_get(const char *key) {
    guest_string_t name = rf_to_wire(key), json;
    if (!ringfence_skill_config_get(&name, &json)) return NULL;
    const rf_json *value = rf_json_parse_n((const char *)json.ptr, json.len);
    if (!value) RF_PANIC("the host's setting `%s` is no JSON", key);
    return value;
}

const char *rf_config_text(const char *key, const char *otherwise) {
    return rf_json_text(rf_config_get(key), otherwise);
}

int64_t rf_config_integer(const char *key, int64_t otherwise) {
    return rf_json_integer(rf_config_get(key), otherwise);
}

double rf_config_number(const char *key, double otherwise) {
    return rf_json_number(rf_config_get(key), otherwise);
}

bool rf_config_boolean(const char *key, bool otherwise) {
    return rf_json_boolean(rf_config_get(key), otherwise);
}
