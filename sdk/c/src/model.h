/* Between the two files about models. */
#ifndef RINGFENCE_MODEL_H
#define RINGFENCE_MODEL_H

#include "internal.h"

struct rf_chat {
    ringfence_skill_model_message_t *messages;
    size_t count, capacity;
    size_t cache_until; /* how many messages are the same in many calls */
};

rf_chat *rf_messages_of(const rf_ask *ask);
ringfence_skill_model_request_t rf_request_of(const rf_ask *ask, const rf_chat *messages);
rf_answer *rf_answer_of(const ringfence_skill_model_response_t *wire);
rf_tool_call rf_tool_call_of(const ringfence_skill_model_tool_call_t *wire);

#endif
