/* Stored values, with versions. */
#include "fake.h"

#define LARGEST_VALUE ((size_t)1024 * 1024)

typedef struct { const char *key; const char *value; size_t length; uint64_t version; } slot;

static list_of(slot) slots;
static list_of(rf_refusal) refusals;
static size_t refused;
static list_of(slot) races;
/* Versions are never used again, also not after a delete. */
static uint64_t last_version;

static slot *find(const char *key) {
    for (size_t i = 0; i < slots.count; i++)
        if (!strcmp(slots.items[i].key, key)) return slots.items + i;
    return NULL;
}

static uint64_t put(const char *key, const void *value, size_t length) {
    slot fresh = { rf_copy(key), rf_copy_n(value, length), length, ++last_version };
    slot *old = find(key);
    if (old) *old = fresh;
    else push(&slots, fresh);
    return last_version;
}

void rf_fake_kv(const char *key, const char *value) {
    put(key, value, strlen(value));
}

const char *rf_fake_stored(const char *key) {
    const slot *found = find(key);
    return found ? found->value : NULL;
}

void rf_fake_refuse_kv(rf_refusal refusal) {
    push(&refusals, refusal);
}

void rf_fake_race(const char *key, const char *value) {
    push(&races, (slot) { rf_copy(key), rf_copy(value), strlen(value), 0 });
}

static bool allowed(const char *key, ringfence_skill_types_refusal_t *err) {
    if (refused < refusals.count) return refuse_wire(&refusals.items[refused++], err);
    size_t length = strlen(key);
    rf_refusal wrong = rf_fake_refusal(RF_REFUSAL_INVALID, "a key has 1 to 256 bytes without control characters");
    bool bad = length < 1 || length > 256;
    for (size_t i = 0; i < length; i++) bad |= (unsigned char)key[i] < 0x20 || key[i] == 0x7F;
    return bad ? refuse_wire(&wrong, err) : true;
}

bool ringfence_skill_kv_get(guest_string_t *key, ringfence_skill_kv_option_entry_t *ret, ringfence_skill_kv_refusal_t *err) {
    if (!allowed(text_of(key), err)) return false;
    const slot *found = find(text_of(key));
    *ret = (ringfence_skill_kv_option_entry_t) { .is_some = found != NULL };
    if (found) ret->val = (ringfence_skill_kv_entry_t) { { (uint8_t *)found->value, found->length }, found->version };
    return true;
}

static bool holds(const char *key, const ringfence_skill_kv_condition_t *when, ringfence_skill_kv_written_t *ret) {
    for (size_t i = 0; when->tag != RINGFENCE_SKILL_KV_CONDITION_ALWAYS && i < races.count; i++) {
        if (!races.items[i].key || strcmp(races.items[i].key, key)) continue;
        put(key, races.items[i].value, races.items[i].length);
        races.items[i].key = NULL;
        break;
    }
    const slot *found = find(key);
    if (when->tag == RINGFENCE_SKILL_KV_CONDITION_ALWAYS) return true;
    if (when->tag == RINGFENCE_SKILL_KV_CONDITION_ABSENT && !found) return true;
    if (when->tag == RINGFENCE_SKILL_KV_CONDITION_VERSION && found && found->version == when->val.version) return true;
    ret->tag = RINGFENCE_SKILL_KV_WRITTEN_CONFLICT;
    ret->val.conflict = (guest_option_u64_t) { found != NULL, found ? found->version : 0 };
    return false;
}

bool ringfence_skill_kv_set(guest_string_t *key, guest_list_u8_t *value, ringfence_skill_kv_condition_t *when,
    ringfence_skill_kv_written_t *ret, ringfence_skill_kv_refusal_t *err) {
    const char *name = text_of(key);
    if (!allowed(name, err)) return false;
    if (value->len > LARGEST_VALUE) {
        rf_refusal large = { .kind = RF_REFUSAL_TOO_LARGE, .what = "kv value", .limit = LARGEST_VALUE, .actual = { true, (int64_t)value->len } };
        return refuse_wire(&large, err);
    }
    if (holds(name, when, ret)) *ret = (ringfence_skill_kv_written_t) { RINGFENCE_SKILL_KV_WRITTEN_DONE, .val.done = put(name, value->ptr, value->len) };
    return true;
}

bool ringfence_skill_kv_delete(guest_string_t *key, ringfence_skill_kv_condition_t *when, ringfence_skill_kv_written_t *ret,
    ringfence_skill_kv_refusal_t *err) {
    const char *name = text_of(key);
    if (!allowed(name, err)) return false;
    if (!holds(name, when, ret)) return true;
    slot *found = find(name);
    if (found) *found = slots.items[--slots.count];
    *ret = (ringfence_skill_kv_written_t) { RINGFENCE_SKILL_KV_WRITTEN_DONE, .val.done = 0 };
    return true;
}

static int by_key(const void *one, const void *other) {
    return strcmp(((const slot *)one)->key, ((const slot *)other)->key);
}

bool ringfence_skill_kv_list(guest_string_t *prefix, guest_string_t *maybe_cursor, uint32_t limit, ringfence_skill_kv_page_t *ret,
    ringfence_skill_kv_refusal_t *err) {
    if (refused < refusals.count) return refuse_wire(&refusals.items[refused++], err);
    if (slots.count) qsort(slots.items, slots.count, sizeof *slots.items, by_key);
    const char *start = text_of(prefix), *after = maybe_cursor ? text_of(maybe_cursor) : NULL;
    size_t most = limit ? limit : 100;
    *ret = (ringfence_skill_kv_page_t) { .keys.ptr = rf_alloc_array(most, sizeof *ret->keys.ptr) };
    for (size_t i = 0; i < slots.count; i++) {
        const char *key = slots.items[i].key;
        if (strncmp(key, start, strlen(start)) || (after && strcmp(key, after) <= 0)) continue;
        if (ret->keys.len == most) {
            ret->cursor = (guest_option_string_t) { true, ret->keys.ptr[most - 1] };
            break;
        }
        ret->keys.ptr[ret->keys.len++] = wire_copy(key);
    }
    return true;
}
