/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/overseer, as programs see it. README.md says what each call does and with which errno it fails.
 */
#ifndef OVERSEER_H
#define OVERSEER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The interface that this header is of. */
#define OVERSEER_INTERFACE 1

/* The longest template that one write() takes. */
#define OVERSEER_MAX (32 << 20)

struct overseer_version {
	__u32 interface;    /* OVERSEER_INTERFACE */
	__u32 format_major; /* of the templates that it reads */
	__u64 max;	    /* OVERSEER_MAX */
};

/* Whole mappings that stay as they are: the caller's stub. */
struct overseer_range {
	__u64 start;
	__u64 len; /* 0: nothing stays */
};

#define OVERSEER_VERSION _IOR('o', 1, struct overseer_version)
#define OVERSEER_KEEP _IOW('o', 2, struct overseer_range)
/* Whose ranges of a family's template are wanted: a local id; 0: there is only one process. */
#define OVERSEER_PROCESS _IOW('o', 3, __u64)

#endif
