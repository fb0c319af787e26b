#include <ringfence_fake.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../src/files.h"

typedef struct { const char *path, *edit; bool exact, dry_run; } file_edit;
rf_outcome *apply_in(const char *folder, const file_edit *in);

static const char *folder(void) {
    char *made = rf_copy("/tmp/apply-XXXXXX");
    return mkdtemp(made);
}

RF_TEST(a_file_is_written_whole) {
    const char *place = folder(), *path = rf_format("%s/a.txt", place);
    RF_CHECK(write_text(path, "a\nb\n"));
    const rf_outcome *outcome = apply_in(place, &(file_edit) { .path = "a.txt", .edit = "a\nx\nb\n", .dry_run = true });
    RF_CHECK_TEXT(rf_outcome_joined(outcome), "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,3 @@\n a\n+x\n b\n");
    RF_CHECK_TEXT(read_text(path), "a\nb\n");
    outcome = apply_in(place, &(file_edit) { .path = "a.txt", .edit = "a\nx\nb\n" });
    RF_CHECK_TEXT(read_text(path), "a\nx\nb\n");
    outcome = apply_in(place, &(file_edit) { .path = "a.txt", .edit = "a\nx\nb\n" });
    RF_CHECK_TEXT(rf_outcome_joined(outcome), "Nothing changed.");
    RF_CHECK(!read_text(rf_format("%s.apply-new", path)));
    remove(path);
    remove(place);
}

RF_TEST(a_file_keeps_its_mode_and_its_links) {
    const char *place = folder(), *path = rf_format("%s/a.sh", place), *other = rf_format("%s/b.sh", place);
    RF_CHECK(write_text(path, "a\nb\nc\n"));
    RF_CHECK_INT(chmod(path, 0755), 0);
    RF_CHECK_INT(link(path, other), 0);
    RF_CHECK(apply_in(place, &(file_edit) { .path = "a.sh", .edit = "a\nc\n" }));
    struct stat about;
    RF_CHECK_INT(stat(path, &about), 0);
    RF_CHECK_INT(about.st_mode & 0777, 0755);
    RF_CHECK_TEXT(read_text(other), "a\nc\n");
    RF_CHECK(!read_text(rf_format("%s.apply-new", path)));
    /* What cannot be written is said, and leaves nothing behind. */
    RF_CHECK(!write_text(place, "x"));
    RF_CHECK_HAS(rf_failed()->message, "cannot write");
    RF_CHECK(!read_text(rf_format("%s.apply-new", place)));
    remove(path);
    remove(other);
    remove(place);
}

RF_TEST(a_file_that_is_none_is_refused) {
    const char *place = folder(), *path = rf_format("%s/a.txt", place);
    RF_CHECK(!apply_in(place, &(file_edit) { .path = "none.txt", .edit = "a\n" }));
    RF_CHECK_INT(rf_failed()->kind, RF_INVALID_INPUT);
    write_text(path, "a\xff\n");
    RF_CHECK(!apply_in(place, &(file_edit) { .path = "a.txt", .edit = "a\n" }));
    RF_CHECK_HAS(rf_failed()->message, "is no UTF-8 text");
    remove(path);
    remove(place);
}

RF_TEST(without_a_folder_it_is_said) {
    RF_CHECK(!apply_in("/nowhere", &(file_edit) { .path = "a.txt", .edit = "a\n" }));
    RF_CHECK_HAS(rf_failed()->message, "no folder was granted, so there is no `a.txt`");
    RF_CHECK_HAS(rf_failed()->hint, "files=work:FOLDER:write");
}

RF_TEST(a_path_stays_in_its_folder) {
    RF_CHECK_TEXT(inside("/work", "src/a.c"), "/work/src/a.c");
    RF_CHECK_TEXT(inside("/work", "/work/a.c"), "/work/a.c");
    RF_CHECK_TEXT(inside("/work", "a..b"), "/work/a..b");
    static const char *const PATHS[] = { "", "/etc/passwd", "../a", "a/../../b", "a/..", "/work", "/work/", "/workshop/a" };
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) RF_CHECK(!inside("/work", PATHS[i]));
}
