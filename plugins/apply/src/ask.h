/* A model says where an edit belongs; this program edits. */
#ifndef APPLY_ASK_H
#define APPLY_ASK_H

#include "lines.h"

/* The merged lines, NULL with a reason. `why` says what could not be told without a model. `missing` is given the lines of the edit that
 * are not in the result. */
lines *merge_by_model(const lines *original, const char *edit, const char *path, const char *why, rf_texts *missing);

#endif
