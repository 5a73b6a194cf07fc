/* Probe files (docs/FORMAT.md, "Probe file"): one safetensors file with the
 * tensors W [d,classes] and b [classes], and the rest in its metadata. */
#ifndef FILES_PROBEFILE_H
#define FILES_PROBEFILE_H

#include "base/probe.h"

/* p is owned by the caller (probe_free). Refused (CODE_DATA, naming the file):
 * what is no probe, numbers that are not finite, shapes that do not agree,
 * fewer than 2 classes or more than PROBE_MAX_CLASSES, a name twice. */
int probe_load(struct probe *p, const char *path, struct err *e);

/* Atomic; fills p->sha256. What probe_load would refuse is not written. */
int probe_save(struct probe *p, const char *path, struct err *e);

#endif
