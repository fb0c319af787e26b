#include <ringfence_fake.h>

typedef struct { double x, y; } point;
RF_TYPE(point, RF_FIELD(x, ""), RF_FIELD(y, "Up."));

typedef enum { FAST, SLOW } speed;
typedef struct {
    const char *text;
    bool flag;
    int8_t small;
    uint64_t large;
    float ratio;
    rf_texts words;
    rf_integers integers;
    rf_numbers numbers;
    speed mode;
    const char *word;
    rf_maybe_integer maybe;
    const rf_json *any;
    point place;
    const point *other;
    rf_list(point) places;
    const char *language;
    unsigned short count;
} all;
RF_TYPE(all, RF_FIELD(text, "A text."), RF_FIELD(flag, ""), RF_FIELD(small, ""), RF_FIELD(large, ""), RF_FIELD(ratio, ""), RF_FIELD(words, ""),
    RF_FIELD(integers, ""), RF_FIELD(numbers, ""), RF_FIELD(mode, "", .one_of = "fast|slow"),
    RF_FIELD(word, "", .one_of = "a|b", .optional = true), RF_FIELD(maybe, ""), RF_FIELD(any, ""), RF_OBJECT(place, point, "Where."),
    RF_OBJECT(other, point, "", .optional = true), RF_LIST(places, point, ""), RF_FIELD(language, "", .fallback = RF_JSON("French")),
    RF_FIELD(count, "How many.", .schema = RF_JSON({"maximum": 10})));

#define WHOLE \
    "{\"text\":\"t\",\"flag\":true,\"small\":-128,\"large\":18446744073709551615,\"ratio\":0.5,\"words\":[\"a\",\"b\"],\"integers\":[1,-2],\"numbers\":[0.5]," \
    "\"mode\":\"slow\",\"word\":\"b\",\"maybe\":7,\"any\":{\"k\":[null]},\"place\":{\"x\":1,\"y\":2.5},\"other\":{\"x\":3,\"y\":4},\"places\":[{\"x\":5,\"y\":6}]," \
    "\"language\":\"German\",\"count\":3}"

RF_TEST(a_struct_is_read_and_written_as_it_was) {
    const all *value = rf_decode(all, rf_json_parse(WHOLE));
    RF_CHECK(value && value->mode == SLOW && value->small == -128 && value->large == UINT64_MAX && value->places.items[0].y == 6);
    RF_CHECK_TEXT(rf_json_write(rf_encode(all, value)), WHOLE);
}

RF_TEST(what_is_optional_may_be_missing) {
    const char *text = RF_JSON({"text":"t","flag":false,"small":1,"large":0,"ratio":1,"words":[],"integers":[],"numbers":[],"mode":"fast","word":null,
        "any":null,"place":{"x":0,"y":0},"places":[],"count":1});
    const all *value = rf_decode(all, rf_json_parse(text));
    RF_CHECK(value && !value->word && !value->maybe.is_set && !value->other);
    RF_CHECK_TEXT(value->language, "French");
    RF_CHECK_HAS(rf_json_write(rf_encode(all, value)), "\"word\":null,\"maybe\":null,\"any\":null");
}

static void wrong(const char *old, const char *fresh, const char *message) {
    const char *at = strstr(WHOLE, old);
    const char *text = rf_format("%.*s%s%s", (int)(at - WHOLE), WHOLE, fresh, at + strlen(old));
    RF_CHECK(!rf_decode(all, rf_json_parse(text)));
    RF_CHECK_TEXT(rf_failed()->message, message);
}

RF_TEST(what_does_not_fit_is_said_with_its_place) {
    wrong("\"t\"", "1", "`text` must be a string");
    wrong("\"t\"", "\"a\\u0000\"", "`text` holds the character U+0000, which this skill cannot read");
    wrong("true", "null", "`flag` must be true or false");
    wrong("-128", "-129", "`small` must be an integer that fits");
    wrong("18446744073709551615", "18446744073709551616", "`large` must be an integer that fits");
    wrong("18446744073709551615", "-1", "`large` must be an integer that fits");
    wrong("[1,-2]", "[1,1.5]", "`integers[1]` must be an integer");
    wrong("slow", "medium", "`mode` must be one of: fast, slow");
    wrong("\"y\":2.5", "\"z\":1", "`place.y` is missing");
    wrong("{\"x\":5,", "{\"x\":\"5\",", "`places[0].x` must be a number");
    wrong("\"count\":3", "\"count\":65536", "`count` must be an integer that fits");
}

RF_TEST(the_schema_says_what_the_type_says) {
    const rf_json *schema = rf_schema_of(RF_TYPE_OF(all)), *properties = rf_json_get(schema, "properties");
#define SAYS(name, json) RF_CHECK_TEXT(rf_json_write(rf_json_get(properties, name)), json)
    SAYS("text", RF_JSON({"type":"string","description":"A text."}));
    SAYS("mode", RF_JSON({"type":"string","enum":["fast","slow"]}));
    SAYS("word", RF_JSON({"type":["string","null"],"enum":["a","b",null]}));
    SAYS("maybe", RF_JSON({"type":["integer","null"]}));
    SAYS("words", RF_JSON({"type":"array","items":{"type":"string"}}));
    SAYS("any", "{}");
    SAYS("place", RF_JSON({"type":"object","properties":{"x":{"type":"number"},"y":{"type":"number","description":"Up."}},"required":["x","y"],"description":"Where."}));
    SAYS("language", RF_JSON({"type":["string","null"],"default":"French"}));
    SAYS("count", RF_JSON({"type":"integer","minimum":0,"description":"How many.","maximum":10}));
    RF_CHECK_HAS(rf_json_write(rf_json_get(schema, "required")), "\"any\",\"place\",\"places\",\"count\"");
}

RF_TEST(a_value_that_its_type_forbids_is_not_written) {
    all value = { .text = NULL };
    RF_CHECK(!rf_encode(all, &value));
    RF_CHECK_TEXT(rf_failed()->message, "`text` is NULL and not optional");
}
