/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reader of a template (.frore) that the module and its tests share. It needs nothing of the kernel, allocates nothing, calls
 * nothing recursively, and believes no length that it has not compared with what is there. spec/ says what the bytes mean; an error
 * carries the number of the rule that is broken (spec/15-rules.md).
 */
#ifndef FRORE_H
#define FRORE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

/* Beside the rules: what is no broken rule, but nothing for this reader either. */
enum {
	FRORE_PROFILE = 1000, /* a .freeze or .frost, not a template */
	FRORE_NONE = 1001,    /* no VMAS of the process that is wanted */
	FRORE_WHICH = 1002,   /* several processes, and none was chosen */
};

struct frore_error {
	int rule;
	uint64_t at; /* offset in the file of the chunk, or of what is broken outside of one */
	const char *what;
};

/* A part of the file. */
struct frore_span {
	const uint8_t *at;
	const uint8_t *end;
};

struct frore {
	uint16_t machine;
	uint8_t page_shift;
	uint64_t owner; /* whose VMAS it is */
	uint16_t objects_version;
	uint64_t object_count;
	uint64_t vma_count;
	uint64_t vmas_offset; /* of the chunk, for messages */
	/* The entries, without their counts. */
	struct frore_span objects;
	struct frore_span vmas;
};

struct frore_bytes {
	const uint8_t *at;
	uint64_t len;
};

struct frore_object {
	uint64_t id;
	uint32_t kind;
	uint32_t embedded;
	struct frore_bytes path; /* not terminated; may hold zeros */
	uint64_t dev;
	uint64_t ino;
	uint32_t mode;
	uint32_t seals;
	uint64_t size;
	int64_t mtime_sec;
	uint64_t mtime_nsec;
	struct frore_bytes build_id;
	struct frore_bytes digest;
	uint64_t shm;
	uint64_t huge_page;
};

struct frore_vma {
	uint64_t start;
	uint64_t end;
	uint32_t prot;
	uint32_t backing;
	uint64_t flags;
	uint64_t object;
	uint64_t offset;
	struct frore_bytes name;
};

/* Once, before anything else: makes the table of the checksum. */
void frore_begin(void);

/*
 * Checks the container, OBJS and VMAS, and says where the ranges of `owner` are: 0 is the only process there is. Gives 0, or -1 and an error. All rules
 * that need the other files of a set, the root (rule 21) and the insides of other sections are not this reader's: see README.md.
 */
int frore_read(const uint8_t *bytes, size_t len, uint64_t owner, struct frore *out, struct frore_error *error);

/*
 * The second half: `at` has room for `object_count` numbers and becomes the list by which frore_object_of() finds objects. Checks that the object of each
 * range is there (rule 51).
 */
int frore_link(const struct frore *f, uint32_t *at, struct frore_error *error);

/* The next entry, and its removal from the span; false behind the last. What was read by frore_read() has no broken ones. */
bool frore_next_vma(struct frore_span *vmas, struct frore_vma *out);
bool frore_next_object(struct frore_span *objects, uint16_t version, struct frore_object *out);

/* The place of an object in the list that frore_link() made; object_count where there is none. */
uint64_t frore_find(const struct frore *f, const uint32_t *at, uint64_t id);
/* The object in that place. */
bool frore_object_of(const struct frore *f, const uint32_t *at, uint64_t index, struct frore_object *out);

uint32_t frore_crc32c(const uint8_t *bytes, uint64_t len);

#endif
