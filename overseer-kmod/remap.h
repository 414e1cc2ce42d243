/* SPDX-License-Identifier: GPL-2.0 */
#ifndef OVERSEER_REMAP_H
#define OVERSEER_REMAP_H

#include <linux/types.h>

/* What stays besides the kernel's own mappings, and whose ranges are wanted: see overseer.h. */
struct wish {
	unsigned long keep_start;
	unsigned long keep_end;
	u64 process;
};

/* Gives the current process the shape of the template. 0 or an errno: then nothing was changed, unless the process is being killed. */
int remap(const u8 *bytes, size_t len, const struct wish *wish);

/* A rate-limited line in the kernel's log: why a write was refused. */
void refused(const char *format, ...) __printf(1, 2);

#endif
