#include <ringfence_fake.h>

static const char *again(const char *text) {
    return rf_json_write(rf_json_parse(text));
}

RF_TEST(json_comes_back_as_it_was) {
    static const char *const TEXTS[] = {
        "null", "true", "false", "0", "-0", "1.50", "1e400", "123456789012345678901234567890", "\"\"", "[]", "{}", "[1,[2,{\"a\":[]}]]",
        "{\"a\":1,\"b\":{\"c\":[true,false,null]}}", "\"Grüße, 世界 👋🏽\"", "\"\\\"\\\\\\n\\u0001\"", "\"a\\u0000b\"",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) RF_CHECK_TEXT(again(TEXTS[i]), TEXTS[i]);
    RF_CHECK_TEXT(again(" { \"a\" : [ 1 , 2 ] } \n"), "{\"a\":[1,2]}");
    RF_CHECK_TEXT(again("\"\\ud83d\\udc4b\\u00e9\\/\""), "\"👋é/\"");
}

RF_TEST(json_that_is_none_is_refused_with_its_place) {
    static const char *const TEXTS[] = {
        "", " ", "nul", "01", "1.", "1e", "-", "+1", ".5", "NaN", "\"", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\t\"", "[", "[1", "[1,",
        "[1,]", "[1 2]", "{", "{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "1 2", "// no", "'a'", "\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf5\x80\x80\x80\"",
        "\"\xe2\x82",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        if (!RF_CHECK(rf_json_parse(TEXTS[i]) == NULL)) RF_CHECK_TEXT(TEXTS[i], "");
    rf_json_parse("{\n  \"a\": x}");
    RF_CHECK_TEXT(rf_failed()->message, "this is no JSON: a value is expected at line 2 column 8");
    RF_CHECK_INT(rf_refused()->kind, RF_REFUSAL_INVALID);
}

RF_TEST(json_is_not_read_deeper_than_the_host_does) {
    char text[200] = { 0 };
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    RF_CHECK(rf_json_parse(text));
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    RF_CHECK(!rf_json_parse(text));
}

RF_TEST(json_is_looked_into) {
    const rf_json *value = rf_json_parse("{\"n\":[1,2.5,1e3,9223372036854775807,1.0],\"t\":\"x\",\"b\":true,\"t\":\"y\",\"z\":\"a\\u0000b\"}");
    const rf_json *numbers = rf_json_get(value, "n");
    RF_CHECK_INT(rf_json_integer(rf_json_at(numbers, 0), -1), 1);
    RF_CHECK_INT(rf_json_integer(rf_json_at(numbers, 1), -1), -1);
    RF_CHECK_INT(rf_json_integer(rf_json_at(numbers, 2), -1), 1000);
    RF_CHECK_INT(rf_json_integer(rf_json_at(numbers, 3), -1), INT64_MAX);
    RF_CHECK_INT(rf_json_integer(rf_json_at(numbers, 4), -1), 1);
    RF_CHECK(rf_json_number(rf_json_at(numbers, 1), 0) == 2.5);
    RF_CHECK_TEXT(rf_json_text(rf_json_get(value, "t"), NULL), "y");
    RF_CHECK_TEXT(rf_json_text(rf_json_get(value, "z"), NULL), "a\xEF\xBF\xBD"
                                                               "b");
    RF_CHECK(rf_json_boolean(rf_json_get(value, "b"), false));
    RF_CHECK(!rf_json_get(value, "none") && !rf_json_get(NULL, "a") && !rf_json_at(numbers, 5) && !rf_json_get(numbers, "a"));
}

RF_TEST(json_is_made) {
    rf_json *list = rf_json_add(rf_json_add(rf_json_new_array(), rf_json_new_number(0.1)), rf_json_new_number(1e100));
    rf_json *value = rf_json_set(rf_json_set(rf_json_new_object(), "a", list), "b", rf_json_new_text(NULL));
    rf_json_set(value, "a", rf_json_new_integer(INT64_MIN));
    rf_json_set(value, "c", list);
    rf_json_add(list, rf_json_new_boolean(true));
    RF_CHECK_TEXT(rf_json_write(value), "{\"a\":-9223372036854775808,\"b\":null,\"c\":[0.1,1e+100]}");
    RF_CHECK_TEXT(rf_json_write_pretty(value), "{\n  \"a\": -9223372036854775808,\n  \"b\": null,\n  \"c\": [\n    0.1,\n    1e+100\n  ]\n}");
    RF_CHECK_TEXT(rf_json_write(rf_json_new_number(1.0 / 0.0)), "null");
    RF_CHECK_TEXT(rf_json_write(rf_json_new_text("a\xff\x1f\"")), "\"a\xEF\xBF\xBD\\u001f\\\"\"");
    RF_CHECK(!rf_json_set(value, "d", NULL) && !rf_json_write(NULL));
}
