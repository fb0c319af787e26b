/* What a component needs beside the bindings. Empty in native tests. */
#ifdef __wasm__
#include "internal.h"

/* Takes the place of the bindings' own: the host's texts get a NUL behind them, so that they are C's without a copy. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t new_size) {
    (void)align; /* what rf_alloc gives is aligned for everything */
    char *memory = rf_alloc(new_size + 1);
    if (old_size) memcpy(memory, old, old_size < new_size ? old_size : new_size);
    return memory;
}

/* The same: nothing is freed, as the instance ends with its call. What is given back lies in the arena or in the program itself. */
__attribute__((export_name("cabi_post_ringfence:skill/skill@0.1.0#tools"))) void
__wasm_export_exports_ringfence_skill_skill_tools_post_return(uint8_t *result) {
    (void)result;
}

__attribute__((export_name("cabi_post_ringfence:skill/skill@0.1.0#call"))) void
__wasm_export_exports_ringfence_skill_skill_call_post_return(uint8_t *result) {
    (void)result;
}

/* Stands for the object with the world's types, which the bindings want linked. The build embeds them from `wit/`. */
void __component_type_object_force_link_guest(void) {}

/* `assert` of the C library would print, and with it import standard output. */
__attribute__((noreturn)) void __assert_fail(const char *claim, const char *file, int line, const char *function) {
    rf_panic_at(file, line, function, "assertion failed: %s", claim);
}
#endif
