/* Files of the granted folder. */
#ifndef APPLY_FILES_H
#define APPLY_FILES_H

#include <ringfence.h>

/* The text of a file, NULL with a reason. */
const char *read_text(const char *path);
/* Writes a file, which keeps its mode. Where that breaks off, the whole text is beside it. False with a reason. */
bool write_text(const char *path, const char *text);
/* The place of `path` in `folder`, NULL with a reason where it leads out of it. */
const char *inside(const char *folder, const char *path);

#endif
