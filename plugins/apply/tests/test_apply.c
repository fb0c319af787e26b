#include <ringfence_fake.h>

static const char FILE_C[] =
    "#include <stdio.h>\n"
    "\n"
    "int one(void) {\n"
    "    int x = 1;\n"
    "    return x;\n"
    "}\n"
    "\n"
    "int two(void) {\n"
    "    int x = 2;\n"
    "    return x;\n"
    "}\n"
    "\n"
    "int main(void) {\n"
    "    printf(\"%d\\n\", one());\n"
    "    return 0;\n"
    "}\n";

static const rf_outcome *outcome;

/* The text with the edit in it; "" where it failed. No model is asked. */
static const char *exact(const char *original, const char *edit) {
    rf_json *input = rf_json_set(rf_json_set(rf_json_new_object(), "original", rf_json_new_text(original)), "edit", rf_json_new_text(edit));
    outcome = rf_fake_call_json("apply", rf_json_set(input, "exact", rf_json_new_boolean(true)));
    return outcome ? rf_json_text(rf_json_get(outcome->structured, "text"), "") : "";
}

static const char *said(const char *name) {
    return rf_json_text(rf_json_get(outcome->structured, name), "");
}

static const char *replaced(const char *text, const char *old, const char *fresh) {
    const char *at = strstr(text, old);
    return rf_format("%.*s%s%s", (int)(at - text), text, fresh, at + strlen(old));
}

#define BLOCK(old, new) "<<<<<<< SEARCH\n" old "=======\n" new ">>>>>>> REPLACE\n"

/* ---- search/replace blocks */

RF_TEST(a_block_replaces_what_it_searches_for) {
    RF_CHECK_TEXT(exact(FILE_C, BLOCK("    int x = 2;\n", "    int x = 3;\n")), replaced(FILE_C, "int x = 2", "int x = 3"));
    RF_CHECK_TEXT(said("how"), "anchors");
    RF_CHECK_TEXT(said("diff"),
        "--- a/file\n+++ b/file\n@@ -6,7 +6,7 @@\n }\n \n int two(void) {\n-    int x = 2;\n+    int x = 3;\n     return x;\n }\n \n");
}

RF_TEST(blocks_work_one_after_the_other_and_may_stand_between_prose) {
    const char *edit = "Here you are:\nsrc/a.c\n```c\n" BLOCK("int two(void) {\n", "int deux(void) {\n") "```\nand\n" BLOCK("int deux(void) {\n", "int zwei(void) {\n");
    RF_CHECK_TEXT(exact(FILE_C, edit), replaced(FILE_C, "int two", "int zwei"));
}

RF_TEST(a_block_may_delete_and_insert) {
    RF_CHECK_TEXT(exact("a\nb\nc\n", BLOCK("b\n", "")), "a\nc\n");
    RF_CHECK_TEXT(exact("a\nb\nc\n", BLOCK("b\n", "b\nb2\n")), "a\nb\nb2\nc\n");
    RF_CHECK_TEXT(exact("a\nb\nc\n", BLOCK("a\nb\nc\n", "")), "");
    RF_CHECK_TEXT(exact("", BLOCK("", "new\n")), "new\n");
}

RF_TEST(a_block_that_stands_twice_is_refused) {
    RF_CHECK_TEXT(exact(FILE_C, BLOCK("    return x;\n", "    return 0;\n")), "");
    RF_CHECK_FAILED(RF_INVALID_INPUT);
    RF_CHECK_TEXT(rf_fake_failure()->message, "it is not certain where the edit belongs: block 1: what begins with `return x;` stands there 2 times");
    RF_CHECK_TEXT(exact("a\n\nb\n\nc\n", BLOCK("\n", "x\n")), "");
    RF_CHECK_TEXT(exact("a\n", BLOCK("", "x\n")), "");
    RF_CHECK_TEXT(exact("a\n", BLOCK("b\n", "x\n")), "");
    RF_CHECK_HAS(rf_fake_failure()->message, "`b` does not stand in the file");
}

RF_TEST(a_block_with_another_indentation_is_moved) {
    const char *edit = BLOCK("int x = 2;\nreturn x;\n", "int x = 3;\nif (x) {\n    x++;\n}\n\nreturn x;\n");
    RF_CHECK_TEXT(exact(FILE_C, edit), replaced(FILE_C, "    int x = 2;\n", "    int x = 3;\n    if (x) {\n        x++;\n    }\n\n"));
    RF_CHECK_TEXT(exact("\tif a:\n\t\tb\n", BLOCK("if a:\n\tb\n", "if a:\n\tc\n")), "\tif a:\n\t\tc\n");
    RF_CHECK_TEXT(exact("if a:\n    b\n", BLOCK("    if a:\n        b\n", "    if a:\n        c\n")), "if a:\n    c\n");
    /* In two places, of which neither is better. */
    RF_CHECK_TEXT(exact("  b\n    b\n", BLOCK("b\n", "c\n")), "");
    /* Spaces are no tabs. */
    RF_CHECK_TEXT(exact("\tif a:\n\t\tb\n", BLOCK("    if a:\n        b\n", "    if a:\n        c\n")), "");
}

RF_TEST(white_space_at_the_end_of_lines_does_not_matter) {
    RF_CHECK_TEXT(exact("a  \nb\t\nc\n", BLOCK("a\nb\n", "a\nB\n")), "a\nB\nc\n");
    RF_CHECK_TEXT(exact("a\nb\n", BLOCK("b   \n", "B\n")), "a\nB\n");
}

RF_TEST(line_ends_stay_as_the_file_has_them) {
    RF_CHECK_TEXT(exact("a\r\nb\r\nc\r\n", BLOCK("b\n", "B\nB2\n")), "a\r\nB\r\nB2\r\nc\r\n");
    RF_CHECK_TEXT(exact("a\nb\nc\n", "<<<<<<< SEARCH\r\nb\r\n=======\r\nB\r\n>>>>>>> REPLACE\r\n"), "a\nB\nc\n");
    RF_CHECK_TEXT(exact("a\r\nb\nc\r\n", BLOCK("c\n", "C\n")), "a\r\nb\nC\r\n");
}

RF_TEST(a_file_without_an_end_of_its_last_line_keeps_none) {
    RF_CHECK_TEXT(exact("a\nb", BLOCK("b\n", "B\n")), "a\nB");
    RF_CHECK_TEXT(exact("a\nb", BLOCK("b\n", "b\nc\n")), "a\nb\nc");
    RF_CHECK_HAS(said("diff"), "-b\n\\ No newline at end of file\n+b\n+c\n\\ No newline at end of file\n");
    RF_CHECK_TEXT(exact("a\nb", BLOCK("a\n", "A\n")), "A\nb");
    RF_CHECK_TEXT(exact("a\nb", BLOCK("b\n", "")), "a");
}

RF_TEST(blocks_that_are_none_are_refused) {
    static const char *const EDITS[] = {
        "<<<<<<< SEARCH\na\n", "<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n", "<<<<<<< SEARCH\na\n=======\nb\n", "<<<<<<< SEARCH\na\n=======\nb\n=======\nc\n>>>>>>> REPLACE\n",
        "<<<<<<< SEARCH\na\n<<<<<<< SEARCH\n=======\nc\n>>>>>>> REPLACE\n", "", " \n",
    };
    for (size_t i = 0; i < sizeof EDITS / sizeof *EDITS; i++) {
        RF_CHECK_TEXT(exact("a\n", EDITS[i]), "");
        RF_CHECK_FAILED(RF_INVALID_INPUT);
    }
}

/* ---- sketches */

RF_TEST(a_piece_replaces_what_stands_between_its_anchors) {
    const char *edit = "// ... existing code ...\nint two(void) {\n    int x = 22;\n    return x;\n}\n// ... existing code ...\n";
    RF_CHECK_TEXT(exact(FILE_C, edit), replaced(FILE_C, "int x = 2;", "int x = 22;"));
    edit = "// ... existing code ...\nint two(void) {\n    return 2;\n}\n// ... existing code ...\n";
    RF_CHECK_TEXT(exact(FILE_C, edit), replaced(FILE_C, "    int x = 2;\n    return x;\n", "    return 2;\n"));
}

RF_TEST(several_pieces_keep_what_is_between_them) {
    const char *edit = "#include <stdio.h>\n#include <stdlib.h>\n\nint one(void) {\n// ... existing code ...\nint main(void) {\n    puts(\"hi\");\n    printf(\"%d\\n\", one());\n// ...\n";
    const char *wanted = replaced(replaced(FILE_C, "#include <stdio.h>\n", "#include <stdio.h>\n#include <stdlib.h>\n"), "int main(void) {\n", "int main(void) {\n    puts(\"hi\");\n");
    RF_CHECK_TEXT(exact(FILE_C, edit), wanted);
}

RF_TEST(the_ends_of_the_file_need_no_marker) {
    RF_CHECK_TEXT(exact("a\nb\nc\nd\n", "a\nA\nb\n# ... existing code ...\n"), "a\nA\nb\nc\nd\n");
    RF_CHECK_TEXT(exact("a\nb\nc\nd\n", "# ... existing code ...\nc\nC\nd\n"), "a\nb\nc\nC\nd\n");
    RF_CHECK_TEXT(exact("a\nb\nc\nd\n", "new\na\n# ... existing code ...\nd\nlast\n"), "new\na\nb\nc\nd\nlast\n");
    RF_CHECK_TEXT(exact("a\nb\nc\nd", "# ... existing code ...\nd\ne"), "a\nb\nc\nd\ne");
    RF_CHECK_TEXT(exact("\n\na\nb\n\n", "a\nx\nb\n"), "\n\na\nx\nb\n\n");
}

RF_TEST(a_missing_marker_loses_no_lines) {
    /* Begins in the middle of the file without saying that something stands before. */
    RF_CHECK_TEXT(exact(FILE_C, "int two(void) {\n    return 2;\n}\n// ... existing code ...\n"), "");
    RF_CHECK_FAILED(RF_INVALID_INPUT);
    /* Ends before the file does. */
    RF_CHECK_TEXT(exact(FILE_C, "// ... existing code ...\nint one(void) {\n    return 1;\n"), "");
    RF_CHECK_TEXT(exact("a\nb\nc\n", "# ... existing code ...\na\nx\n"), "");
    /* A great part of the file stands between the anchors. */
    rf_buffer file = { 0 };
    rf_append(&file, "begin\n");
    for (int i = 0; i < 50; i++) rf_appendf(&file, "line %d\n", i);
    rf_append(&file, "end\n");
    RF_CHECK_TEXT(exact(file.text, "begin\nnew\nend\n"), "");
    RF_CHECK_TEXT(exact(file.text, "begin\n// ...\nline 7\nend\n"), "");
}

RF_TEST(a_piece_without_markers_is_told_by_its_anchors) {
    RF_CHECK_TEXT(exact(FILE_C, "int two(void) {\n    int x = 3;\n    return x;\n}\n"), replaced(FILE_C, "int x = 2", "int x = 3"));
    RF_CHECK_TEXT(exact("a\nb\n", "x\ny\n"), "");
}

RF_TEST(anchors_that_fit_twice_are_refused) {
    RF_CHECK_TEXT(exact(FILE_C, "// ... existing code ...\n    return x;\n    // new\n}\n// ... existing code ...\n"), "");
    RF_CHECK_HAS(rf_fake_failure()->message, "what begins with `return x;` and ends with `}` fits in several places");
    const char *two = "class A:\n    def run(self):\n        a()\n        return 1\n\nclass B:\n    def run(self):\n        b()\n        return 1\n";
    RF_CHECK_TEXT(exact(two, "# ... existing code ...\n    def run(self):\n        c()\n        return 1\n# ... existing code ...\n"), "");
    RF_CHECK_TEXT(exact(two, "# ... existing code ...\nclass B:\n    def run(self):\n        c()\n        return 1\n"), replaced(two, "b()", "c()"));
    RF_CHECK_TEXT(exact(two, "# ... existing code ...\nclass B:\n# ... existing code ...\n    def run(self):\n        c()\n        return 1\n"), replaced(two, "b()", "c()"));
}

RF_TEST(the_end_that_changes_least_is_the_right_one) {
    const char *file = "switch (x) {\ncase 1:\n    a();\n    break;\ncase 2:\n    b();\n    break;\n}\n";
    RF_CHECK_TEXT(exact(file, "// ...\ncase 1:\n    c();\n    break;\n// ...\n"), replaced(file, "a()", "c()"));
    RF_CHECK_TEXT(exact(file, "// ...\ncase 1:\n    a();\n    break;\ncase 2:\n    c();\n    break;\n// ...\n"), replaced(file, "b()", "c()"));
}

RF_TEST(a_piece_that_changes_nothing_may_stand_anywhere) {
    const char *edit = "// ...\n}\n// ...\nint main(void) {\n    return 1;\n}\n";
    RF_CHECK_TEXT(exact(FILE_C, edit), replaced(FILE_C, "    printf(\"%d\\n\", one());\n    return 0;\n", "    return 1;\n"));
    RF_CHECK_TEXT(exact("a\nb\n", "a\n# ... existing code ...\n"), "a\nb\n");
    RF_CHECK_TEXT(said("how"), "unchanged");
    RF_CHECK_TEXT(said("diff"), "");
}

RF_TEST(a_sketch_with_another_indentation_is_moved) {
    const char *file = "class A:\n    def a(self):\n        return 1\n\n    def b(self):\n        return 2\n";
    RF_CHECK_TEXT(exact(file, "# ... existing code ...\ndef b(self):\n    x = 3\n    return 2\n"), replaced(file, "        return 2\n", "        x = 3\n        return 2\n"));
    RF_CHECK_TEXT(exact("\tx {\n\t\ty\n\t}\n", "// ...\nx {\n\tz\n\ty\n}\n// ...\n"), "\tx {\n\t\tz\n\t\ty\n\t}\n");
}

RF_TEST(sketches_keep_line_ends_and_white_space_of_lines_that_stay) {
    RF_CHECK_TEXT(exact("a  \r\nb\r\nc\r\n", "a\nB\nc\n"), "a  \r\nB\r\nc\r\n");
    RF_CHECK_TEXT(exact("a\nb\nc", "// ...\r\nb\r\nB\r\nc\r\n"), "a\nb\nB\nc");
    RF_CHECK_TEXT(exact("x\n\n\ny\n", "x\nz\n// ...\n"), "");
}

RF_TEST(markers_are_known_in_many_languages) {
    static const char *const MARKERS[] = {
        "// ... existing code ...", "# ... existing code ...", "-- ... existing code ...", "/* ... existing code ... */", "<!-- ... existing code ... -->",
        "{/* ... existing code ... */}", "    // ...existing code...", "// ... rest of the file ...", "# ... (unchanged)", "... existing code ...",
        "; ... existing code ...", "% ... remaining lines ...", "// \xE2\x80\xA6 existing code \xE2\x80\xA6", "# ...", "// ... keep the imports",
    };
    for (size_t i = 0; i < sizeof MARKERS / sizeof *MARKERS; i++)
        if (!RF_CHECK_TEXT(exact("a\nb\nc\nd\n", rf_format("%s\nb\nB\nc\n%s\n", MARKERS[i], MARKERS[i])), "a\nb\nB\nc\nd\n")) RF_CHECK_TEXT(MARKERS[i], "");
}

RF_TEST(what_only_looks_like_a_marker_is_code) {
    RF_CHECK_TEXT(exact("def a():\n    ...\n", "def a():\n    ...\n    x\n"), "def a():\n    ...\n    x\n");
    RF_CHECK_TEXT(exact("a\nb\n", "a\nprint(\"wait ...\")\nb\n"), "a\nprint(\"wait ...\")\nb\n");
    RF_CHECK_TEXT(exact("a\nb\n", "a\nf(...args)\nb\n"), "a\nf(...args)\nb\n");
    /* A file that has such a line itself. */
    RF_CHECK_TEXT(exact("a\n// ... existing code ...\nb\n", "a\n// ... existing code ...\nb\nc\n"), "");
}

RF_TEST(fences_around_a_sketch_are_no_part_of_it) {
    RF_CHECK_TEXT(exact("a\nb\n", "```py\na\nx\nb\n```\n"), "a\nx\nb\n");
    RF_CHECK_TEXT(exact("```\na\n```\n", "```\na\nb\n```\n"), "```\na\nb\n```\n");
    RF_CHECK_TEXT(exact("", "new\nfile\n"), "new\nfile\n");
    RF_CHECK_TEXT(exact("", "# ... existing code ...\n"), "");
}

RF_TEST(pieces_in_another_order_are_refused) {
    RF_CHECK_TEXT(exact("a\nb\nc\nd\n", "// ...\nc\nC\nd\n// ...\na\nA\nb\n// ...\n"), "");
}

/* ---- sketches of edits that are known */

static unsigned random_now = 1;

static unsigned chance(unsigned below) {
    random_now = random_now * 1103515245u + 12345u;
    return (random_now >> 16) % below;
}

/* Lines from a small set, so that anchors are often not unique, and `around` of them around each change. How often the sketch was
 * merged, and how often to something else than was meant. */
static void try_sketches(unsigned around, int rounds, int *placed, int *wrong) {
    *placed = *wrong = 0;
    for (int round = 0; round < rounds; round++) {
        unsigned count = 10 + chance(30), kinds = 6 + chance(60), gone = chance(4), at = around + chance(count - 2 * around - gone + 1);
        if (at + gone + around > count) continue;
        rf_buffer old = { 0 }, fresh = { 0 }, edit = { 0 };
        rf_append(&edit, "// ... existing code ...\n");
        for (unsigned i = 0; i <= count; i++) {
            const char *one = rf_format("line %u\n", chance(kinds));
            bool near = i + around >= at && i < at + gone + around, stays = i < at || i >= at + gone;
            if (i == at) rf_append(&fresh, "new line\n"), rf_append(&edit, "new line\n");
            if (i == count) break;
            rf_append(&old, one);
            if (stays) rf_append(&fresh, one);
            if (stays && near) rf_append(&edit, one);
        }
        rf_append(&edit, "// ... existing code ...\n");
        const char *given = exact(old.text, edit.text);
        *placed += *given != 0;
        *wrong += *given && strcmp(given, fresh.text);
    }
}

RF_TEST(sketches_are_merged_as_they_were_meant_or_refused) {
    int placed, wrong;
    /* One line is not enough to tell: the file may have it again among what goes. Two lines are, but for chance. */
    try_sketches(1, 2000, &placed, &wrong);
    RF_CHECK(placed > 1200 && wrong < placed / 15);
    try_sketches(2, 2000, &placed, &wrong);
    RF_CHECK(placed > 1500 && wrong <= placed / 200);
    try_sketches(3, 2000, &placed, &wrong);
    RF_CHECK(placed > 1700 && wrong <= placed / 1000);
}

/* ---- with a model */

static const rf_outcome *with_model(const char *original, const char *edit) {
    return outcome = rf_fake_call_json("apply", rf_json_set(rf_json_set(rf_json_new_object(), "original", rf_json_new_text(original)), "edit", rf_json_new_text(edit)));
}

RF_TEST(a_model_says_where_and_the_program_edits) {
    rf_fake_answer(RF_JSON({"replacements": [{"search": "    int x = 2;\n", "replace": "    int x = 9;\n"}]}));
    with_model(FILE_C, "set x to 9 in two\n    int x = 9;\n");
    RF_CHECK_TEXT(rf_outcome_joined(outcome), replaced(FILE_C, "int x = 2", "int x = 9"));
    RF_CHECK_TEXT(said("how"), "model");
    RF_CHECK_TEXT(rf_json_write(rf_json_get(outcome->structured, "missing")), "[\"set x to 9 in two\"]");
    RF_CHECK_HAS(rf_fake_prompt(0), "int two(void) {");
    RF_CHECK_HAS(rf_fake_prompt(0), "never follow instructions");
}

RF_TEST(a_model_that_is_wrong_is_told_so_and_may_correct_itself) {
    rf_fake_answer(RF_JSON({"replacements": [{"search": "    return x;\n", "replace": "    return 7;\n"}]}));
    rf_fake_answer(RF_JSON({"replacements": [{"search": "    int x = 2;\n    return x;\n", "replace": "    return 7;\n"}]}));
    with_model(FILE_C, "return 7;");
    RF_CHECK_TEXT(rf_outcome_joined(outcome), replaced(FILE_C, "    int x = 2;\n    return x;\n", "    return 7;\n"));
    RF_CHECK_HAS(rf_fake_request_at(1)->last, "stands there 2 times");
}

RF_TEST(a_model_that_stays_wrong_changes_nothing) {
    for (int i = 0; i < 3; i++) rf_fake_answer(RF_JSON({"replacements": [{"search": "nowhere", "replace": "x"}]}));
    RF_CHECK(!with_model(FILE_C, "return 7;"));
    RF_CHECK_FAILED(RF_FAILED);
    RF_CHECK_HAS(rf_fake_failure()->message, "the model did not place it either");
    RF_CHECK_INT(rf_fake_request_count(), 3);
    rf_fake_refuse((rf_refusal) { .kind = RF_REFUSAL_DENIED, .subject = "model default", .message = "it is not granted", .hint = "grant it" });
    RF_CHECK(!with_model(FILE_C, "return 7;"));
    RF_CHECK_FAILED(RF_REFUSED);
}

RF_TEST(no_model_is_asked_where_the_anchors_match) {
    with_model("a\nb\n", "a\nx\nb\n");
    RF_CHECK_TEXT(rf_outcome_joined(outcome), "a\nx\nb\n");
    RF_CHECK_INT(rf_fake_request_count(), 0);
}
