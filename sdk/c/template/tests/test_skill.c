#include <ringfence_fake.h>

RF_TEST(action_items_are_read_by_the_model) {
    rf_fake_answer(RF_JSON({"items":[{"task":"Book a room","owner":"Ada","due":null}]}));
    const rf_outcome *outcome = rf_fake_call("action_items", RF_JSON({"text": "Ada will book a room.", "owner": "Ada"}));
    RF_CHECK_TEXT(rf_fake_structured(outcome), RF_JSON({"items":[{"task":"Book a room","owner":"Ada","due":null}]}));
    RF_CHECK_HAS(rf_fake_prompt(0), "action items of Ada");
    RF_CHECK_HAS(rf_fake_prompt(0), "Ada will book a room.");
}

RF_TEST(an_empty_text_is_refused_before_a_model_is_asked) {
    rf_fake_call("action_items", RF_JSON({"text": " "}));
    RF_CHECK_FAILED(RF_INVALID_INPUT);
    RF_CHECK_INT(rf_fake_request_count(), 0);
}

RF_TEST(words_and_lines_are_counted) {
    const rf_outcome *outcome = rf_fake_call("count", RF_JSON({"text": "one two\nthree"}));
    RF_CHECK_TEXT(rf_fake_structured(outcome), RF_JSON({"words":3,"lines":2,"minutes":1}));
}
