#include "internal.h"

/* How often rf_kv_update tries when others write the same key. */
#define ATTEMPTS 32

typedef ringfence_skill_kv_condition_t condition;

static const condition ALWAYS = { .tag = RINGFENCE_SKILL_KV_CONDITION_ALWAYS };

static condition on_version(uint64_t version) {
    if (version == RF_KV_ABSENT) return (condition) { .tag = RINGFENCE_SKILL_KV_CONDITION_ABSENT };
    return (condition) { .tag = RINGFENCE_SKILL_KV_CONDITION_VERSION, .val.version = version };
}

const rf_kv_entry *rf_kv_get(const char *key) {
    guest_string_t name = rf_to_wire(key);
    ringfence_skill_kv_option_entry_t found;
    ringfence_skill_kv_refusal_t refusal;
    if (!ringfence_skill_kv_get(&name, &found, &refusal)) return rf_refuse(&refusal);
    rf_kv_entry *entry = rf_alloc(sizeof *entry);
    entry->value = "";
    if (found.is_some) {
        size_t length = found.val.value.len;
        *entry = (rf_kv_entry) { true, rf_copy_n(found.val.value.ptr, length), length, found.val.version };
    }
    return entry;
}

const rf_json *rf_kv_json(const rf_kv_entry *entry) {
    RF_TRY(entry);
    const rf_json *value = rf_json_parse_n(entry->value, entry->length);
    return value ? value : rf_refuse_because("what is stored is not what the skill expects");
}

static const rf_kv_written *set(const char *key, const void *data, size_t length, condition when) {
    guest_string_t name = rf_to_wire(key);
    guest_list_u8_t value = { (uint8_t *)data, length };
    ringfence_skill_kv_written_t written;
    ringfence_skill_kv_refusal_t refusal;
    if (!ringfence_skill_kv_set(&name, &value, &when, &written, &refusal)) return rf_refuse(&refusal);
    rf_kv_written *result = rf_alloc(sizeof *result);
    result->done = written.tag == RINGFENCE_SKILL_KV_WRITTEN_DONE;
    if (result->done) result->version = written.val.done;
    else if (written.val.conflict.is_some) result->version = written.val.conflict.val;
    return result;
}

const rf_kv_written *rf_kv_set_if(const char *key, const void *data, size_t length, uint64_t version) {
    return set(key, data, length, on_version(version));
}

uint64_t rf_kv_set_bytes(const char *key, const void *data, size_t length) {
    const rf_kv_written *written = set(key, data, length, ALWAYS);
    RF_TRY(written);
    if (written->done) return written->version;
    rf_refuse_as(RF_REFUSAL_UNAVAILABLE, "the host did not write `%s`, though nothing was in the way", key);
    return 0;
}

uint64_t rf_kv_set(const char *key, const char *text) {
    return rf_kv_set_bytes(key, text, strlen(text));
}

uint64_t rf_kv_set_json(const char *key, const rf_json *value) {
    RF_TRY(value);
    return rf_kv_set(key, rf_json_write(value));
}

static const rf_kv_written *delete(const char *key, condition when) {
    guest_string_t name = rf_to_wire(key);
    ringfence_skill_kv_written_t written;
    ringfence_skill_kv_refusal_t refusal;
    if (!ringfence_skill_kv_delete(&name, &when, &written, &refusal)) return rf_refuse(&refusal);
    rf_kv_written *result = rf_alloc(sizeof *result);
    result->done = written.tag == RINGFENCE_SKILL_KV_WRITTEN_DONE;
    if (!result->done && written.val.conflict.is_some) result->version = written.val.conflict.val;
    return result;
}

const rf_kv_written *rf_kv_delete_if(const char *key, uint64_t version) {
    return delete(key, on_version(version));
}

bool rf_kv_delete(const char *key) {
    return delete(key, ALWAYS) != NULL;
}

const rf_texts *rf_kv_keys(const char *prefix) {
    rf_texts *all = rf_alloc(sizeof *all);
    size_t capacity = 0;
    guest_string_t start = rf_to_wire(prefix), cursor = { 0 };
    bool more = false;
    do {
        ringfence_skill_kv_page_t page;
        ringfence_skill_kv_refusal_t refusal;
        if (!ringfence_skill_kv_list(&start, more ? &cursor : NULL, 0, &page, &refusal)) return rf_refuse(&refusal);
        for (size_t i = 0; i < page.keys.len; i++) {
            if (all->count == capacity) {
                capacity = capacity ? capacity * 2 : 16;
                const char **items = rf_alloc_array(capacity, sizeof *items);
                if (all->count) memcpy(items, all->items, all->count * sizeof *items);
                all->items = items;
            }
            all->items[all->count++] = rf_from_wire(page.keys.ptr[i]);
        }
        more = page.cursor.is_some;
        cursor = page.cursor.val;
    } while (more);
    return all;
}

const char *rf_kv_update(const char *key, const char *(*change)(const char *old, void *state), void *state) {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        const rf_kv_entry *entry = rf_kv_get(key);
        RF_TRY(entry);
        const char *fresh = change(entry->exists ? entry->value : NULL, state);
        RF_TRY(fresh);
        const rf_kv_written *written = rf_kv_set_if(key, fresh, strlen(fresh), entry->version);
        RF_TRY(written);
        if (written->done) return fresh;
    }
    return rf_refuse_as(RF_REFUSAL_UNAVAILABLE, "`%s` was changed by others %d times in a row", key, ATTEMPTS);
}
