// SPDX-License-Identifier: GPL-2.0
/* See frore.h. The order of the checks is that of cryo-format's reader: what is broken first in the file is named first. */

#include "frore.h"
#include "frore_layout.h"

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/string.h>
#else
#include <string.h>
#define cond_resched() ((void)0)
#endif

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* Eight bytes at a time, because it is most of the work: templates have up to 32 MiB. The kernel's own is in a module of its own in some versions. */
static uint32_t crcs[8][256];

void frore_begin(void)
{
	uint32_t crc;
	int i, bit;

	for (i = 0; i < 256; i++) {
		crc = (uint32_t)i;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
		crcs[0][i] = crc;
	}
	for (bit = 1; bit < 8; bit++)
		for (i = 0; i < 256; i++)
			crcs[bit][i] = crcs[bit - 1][i] >> 8 ^ crcs[0][crcs[bit - 1][i] & 255];
}

uint32_t frore_crc32c(const uint8_t *bytes, uint64_t len)
{
	uint32_t crc = 0xffffffff;
	uint64_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		uint32_t low = get32(bytes + i) ^ crc, high = get32(bytes + i + 4);

		if ((i & 0xfffff) == 0xffff8)
			cond_resched();
		crc = crcs[7][low & 255] ^ crcs[6][low >> 8 & 255] ^ crcs[5][low >> 16 & 255] ^ crcs[4][low >> 24] ^
		      crcs[3][high & 255] ^ crcs[2][high >> 8 & 255] ^ crcs[1][high >> 16 & 255] ^ crcs[0][high >> 24];
	}
	for (; i < len; i++)
		crc = crcs[0][(crc ^ bytes[i]) & 255] ^ crc >> 8;
	return ~crc;
}

static uint64_t left(const struct frore_span *s)
{
	return (uint64_t)(s->end - s->at);
}

static bool take(struct frore_span *s, uint64_t n, const uint8_t **out)
{
	if (left(s) < n)
		return false;
	*out = s->at;
	s->at += n;
	return true;
}

static bool take32(struct frore_span *s, uint32_t *out)
{
	const uint8_t *p;

	if (!take(s, 4, &p))
		return false;
	*out = get32(p);
	return true;
}

static bool take64(struct frore_span *s, uint64_t *out)
{
	const uint8_t *p;

	if (!take(s, 8, &p))
		return false;
	*out = get64(p);
	return true;
}

static bool take_bytes(struct frore_span *s, struct frore_bytes *out)
{
	return take64(s, &out->len) && take(s, out->len, &out->at);
}

bool frore_next_vma(struct frore_span *s, struct frore_vma *v)
{
	return take64(s, &v->start) && take64(s, &v->end) && take32(s, &v->prot) && take32(s, &v->backing) &&
	       take64(s, &v->flags) && take64(s, &v->object) && take64(s, &v->offset) && take_bytes(s, &v->name);
}

bool frore_next_object(struct frore_span *s, uint16_t version, struct frore_object *o)
{
	uint64_t mtime;

	if (!(take64(s, &o->id) && take32(s, &o->kind) && take32(s, &o->embedded) && take_bytes(s, &o->path) &&
	      take64(s, &o->dev) && take64(s, &o->ino) && take32(s, &o->mode) && take32(s, &o->seals) &&
	      take64(s, &o->size) && take64(s, &mtime) && take64(s, &o->mtime_nsec) && take_bytes(s, &o->build_id)))
		return false;
	o->mtime_sec = (int64_t)mtime;
	o->digest.len = FRORE_DIGEST_LEN;
	o->huge_page = 0;
	return take(s, FRORE_DIGEST_LEN, &o->digest.at) && take64(s, &o->shm) &&
	       (version == 1 || take64(s, &o->huge_page));
}

static int broken(struct frore_error *e, int rule, uint64_t at, const char *what)
{
	e->rule = rule;
	e->at = at;
	e->what = what;
	return -1;
}

/* A chunk's header, and its payload. */
struct chunk {
	const uint8_t *kind;
	uint16_t version;
	uint16_t flags;
	uint64_t owner;
	uint64_t offset;
	struct frore_span payload;
};

static bool is(const uint8_t *kind, const char *name)
{
	return memcmp(kind, name, 4) == 0;
}

/* The registry (spec/06-registry.md): what a kind is in each version that there was. */
static const struct line {
	char kind[5];
	uint16_t version;
	uint8_t profile; /* 0: any */
	uint16_t flags;
} lines[] = {
#define LINE(kind, version, profile, flags) { kind, version, profile, flags },
	FRORE_KINDS(LINE)
#undef LINE
};

/* Of a version that is not known, what is known of the kind counts: its latest stands first. */
static const struct line *line_of(const struct chunk *c)
{
	const struct line *latest = NULL;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!is(c->kind, lines[i].kind))
			continue;
		if (lines[i].version == c->version)
			return &lines[i];
		if (!latest)
			latest = &lines[i];
	}
	return latest;
}

static int admit(const struct chunk *c, struct frore_error *e)
{
	const struct line *line = line_of(c);
	bool critical = c->flags & FRORE_CRITICAL;
	bool container = is(c->kind, "END ") || is(c->kind, "PAD ") || is(c->kind, "INDX");

	if (!line)
		return critical ? broken(e, 16, c->offset, "a critical chunk of a kind that is unknown here") : 0;
	if (c->version != line->version) {
		if (critical || (line->flags & FRORE_CRITICAL) || !line->profile)
			return broken(e, 17, c->offset, "a version of the chunk that is unknown here");
		return 0;
	}
	if (container && c->owner)
		return broken(e, 56, c->offset, "the owner is not 0");
	if (c->flags != line->flags)
		return broken(e, 26, c->offset, "other flags than the registry's");
	if (line->profile && line->profile != FRORE_PROFILE_FRORE)
		return broken(e, 18, c->offset, "a chunk that does not belong into a template");
	/* Nothing announces pages in a template. */
	if (is(c->kind, "DATA"))
		return broken(e, 44, c->offset, "pages that no EXTS announces");
	return 0;
}

static bool zeros(const uint8_t *p, uint64_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

/* The chunk at the beginning of `rest`, which then begins behind it. */
static int next_chunk(struct frore_span *rest, uint64_t offset, struct chunk *c, struct frore_error *e)
{
	const uint8_t *h, *pad;
	uint64_t stored, padding;
	uint16_t known = FRORE_CRITICAL | FRORE_SAFE_TO_COPY | FRORE_CODEC;

	if (!take(rest, FRORE_CHUNK_HEADER_LEN, &h))
		return broken(e, 19, offset, "truncated");
	if (frore_crc32c(h, FRORE_CHUNK_HEADER_CRC) != get32(h + FRORE_CHUNK_HEADER_CRC))
		return broken(e, 10, offset, "the checksum of a chunk header is wrong");
	c->kind = h + FRORE_CHUNK_KIND;
	c->version = get16(h + FRORE_CHUNK_VERSION);
	c->flags = get16(h + FRORE_CHUNK_FLAGS);
	c->owner = get64(h + FRORE_CHUNK_OWNER);
	c->offset = offset;
	stored = get64(h + FRORE_CHUNK_STORED);
	if (c->flags & ~known)
		return broken(e, 11, offset, "unknown flags");
	if (!zeros(h + FRORE_CHUNK_RESERVED, FRORE_CHUNK_HEADER_CRC - FRORE_CHUNK_RESERVED))
		return broken(e, 11, offset, "reserved bytes of a chunk header are not zero");
	if (c->flags & FRORE_CODEC || get64(h + FRORE_CHUNK_RAW) != stored)
		return broken(e, 15, offset, "a compressed chunk");
	if (stored > (is(c->kind, "DATA") ? FRORE_MAX_DATA : FRORE_MAX_METADATA))
		return broken(e, 14, offset, "a payload above the limit");
	if (admit(c, e))
		return -1;
	if (!take(rest, stored, &c->payload.at))
		return broken(e, 19, offset, "truncated inside a chunk");
	c->payload.end = c->payload.at + stored;
	if (frore_crc32c(c->payload.at, stored) != get32(h + FRORE_CHUNK_CRC))
		return broken(e, 12, offset, "the checksum of a payload is wrong");
	padding = -stored % FRORE_CHUNK_ALIGN;
	if (!take(rest, padding, &pad))
		return broken(e, 19, offset, "truncated inside padding");
	if (!zeros(pad, padding))
		return broken(e, 13, offset, "the padding is not zero");
	if (is(c->kind, "PAD ") && !zeros(c->payload.at, stored))
		return broken(e, 25, offset, "the payload of PAD is not zero");
	return 0;
}

/* The header, whose length is `rest`'s at most. */
static int header(struct frore_span *rest, struct frore *f, struct frore_error *e)
{
	static const uint8_t magic[] = FRORE_MAGIC;
	uint64_t n = left(rest) < sizeof(magic) - 1 ? left(rest) : sizeof(magic) - 1;
	const uint8_t *h;

	if (memcmp(rest->at, magic, n))
		return broken(e, 1, 0, "not a Cryo file");
	if (!take(rest, FRORE_HEADER_LEN, &h))
		return broken(e, 19, 0, "truncated inside the header");
	if (frore_crc32c(h, FRORE_HEADER_CRC) != get32(h + FRORE_HEADER_CRC))
		return broken(e, 2, 0, "the header's checksum is wrong");
	if (get16(h + FRORE_HEADER_MAJOR) != FRORE_MAJOR)
		return broken(e, 4, 0, "a major version that is unknown here");
	if (get64(h + FRORE_HEADER_INCOMPAT))
		return broken(e, 5, 0, "it needs features that are unknown here");
	if (h[FRORE_HEADER_PROFILE] < 1 || h[FRORE_HEADER_PROFILE] > 3)
		return broken(e, 3, 0, "none of the three profiles");
	f->machine = get16(h + FRORE_HEADER_MACHINE);
	if (f->machine != FRORE_EM_X86_64 && f->machine != FRORE_EM_386)
		return broken(e, 7, 0, "neither x86-64 nor i386");
	f->page_shift = h[FRORE_HEADER_PAGE_SHIFT];
	if (f->page_shift < FRORE_MIN_PAGE_SHIFT || f->page_shift > FRORE_MAX_PAGE_SHIFT)
		return broken(e, 8, 0, "pages of an impossible size");
	if (!zeros(h + FRORE_HEADER_RESERVED, FRORE_HEADER_CRC - FRORE_HEADER_RESERVED))
		return broken(e, 6, 0, "reserved bytes of the header are not zero");
	if (h[FRORE_HEADER_PROFILE] != FRORE_PROFILE_FRORE)
		return broken(e, FRORE_PROFILE, 0, "not a template (.frore)");
	return 0;
}

/* The count of a list. Every entry of every list takes at least four bytes (spec/03-primitives.md). */
static bool count_of(struct frore_span *s, uint64_t *count)
{
	return take64(s, count) && *count <= left(s) / 4;
}

static int objects(const struct chunk *c, struct frore *f, struct frore_error *e)
{
	struct frore_span s = c->payload;
	struct frore_object o;
	uint64_t i, last = 0;

	if (c->owner)
		return broken(e, 56, c->offset, "the owner of OBJS is not 0");
	if (f->objects_version)
		return broken(e, 27, c->offset, "a second OBJS");
	if (!count_of(&s, &f->object_count))
		return broken(e, 30, c->offset, "more objects are announced than there is room for");
	f->objects = s;
	for (i = 0; i < f->object_count; i++)
		if (!frore_next_object(&s, c->version, &o))
			return broken(e, 30, c->offset, "an object that ends behind its payload");
	if (left(&s))
		return broken(e, 30, c->offset, "bytes are left over behind the objects");
	for (s = f->objects; frore_next_object(&s, c->version, &o);) {
		if (!o.id)
			return broken(e, 50, c->offset, "an object has the id 0");
		if (o.embedded > 1)
			return broken(e, 32, c->offset, "an object is embedded neither nor not");
		if (o.huge_page & (o.huge_page - 1))
			return broken(e, 32, c->offset, "a size of huge pages that is no power of two");
	}
	for (s = f->objects; frore_next_object(&s, c->version, &o); last = o.id)
		if (o.id <= last)
			return broken(e, 50, c->offset, "objects are out of order");
	f->objects_version = c->version;
	return 0;
}

/* Ranges ascend, and begin and end at pages of `page` bytes. */
static int in_order(struct frore_span s, uint64_t page, const struct chunk *c, struct frore_error *e)
{
	struct frore_vma v;
	uint64_t last = 0;

	for (; frore_next_vma(&s, &v); last = v.end) {
		if ((v.start | v.end) % page)
			return broken(e, 41, c->offset, "a range that does not begin or end at a page");
		if (v.start >= v.end || v.start < last)
			return broken(e, 40, c->offset, "ranges overlap, are empty or out of order");
	}
	return 0;
}

static int vmas(const struct chunk *c, struct frore *f, uint64_t wanted, bool *several, struct frore_error *e)
{
	struct frore_span s = c->payload, first;
	struct frore_vma v;
	uint64_t i, count;

	if (!c->owner)
		return broken(e, 56, c->offset, "the owner of VMAS is 0");
	if (f->owner == c->owner)
		return broken(e, 27, c->offset, "a second VMAS of the process");
	if (!count_of(&s, &count))
		return broken(e, 30, c->offset, "more ranges are announced than there is room for");
	first = s;
	for (i = 0; i < count; i++)
		if (!frore_next_vma(&s, &v))
			return broken(e, 30, c->offset, "a range that ends behind its payload");
	if (left(&s))
		return broken(e, 30, c->offset, "bytes are left over behind the ranges");
	if (in_order(first, 1 << FRORE_MIN_PAGE_SHIFT, c, e))
		return -1;
	for (s = first; frore_next_vma(&s, &v);)
		if ((v.backing == FRORE_PRIVATE_FILE || v.backing == FRORE_SHARED) && !v.object)
			return broken(e, 51, c->offset, "a range maps an object, but names none");
	if (f->page_shift > FRORE_MIN_PAGE_SHIFT && in_order(first, (uint64_t)1 << f->page_shift, c, e))
		return -1;
	if (!f->owner && (!wanted || wanted == c->owner)) {
		f->owner = c->owner;
		f->vma_count = count;
		f->vmas = first;
		f->vmas_offset = c->offset;
	} else if (!wanted) {
		*several = true;
	}
	return 0;
}

/* END and what follows it. */
static int end(const struct chunk *c, struct frore_span *rest, uint64_t chunks, uint64_t index, struct frore_error *e)
{
	static const uint8_t magic[] = FRORE_FOOTER_MAGIC;
	const uint8_t *p;

	if (left(&c->payload) != FRORE_END_LEN)
		return broken(e, 30, c->offset, "END has another length");
	if (get64(c->payload.at + FRORE_END_CHUNKS) != chunks)
		return broken(e, 20, c->offset, "END counts other chunks than there are");
	if (!take(rest, FRORE_FOOTER_LEN, &p))
		return broken(e, 19, c->offset, "truncated in the footer");
	if (!index)
		return broken(e, 24, c->offset, "there is no INDX");
	if (memcmp(p, magic, sizeof(magic) - 1) || frore_crc32c(p, FRORE_FOOTER_CRC) != get32(p + FRORE_FOOTER_CRC) ||
	    !zeros(p + FRORE_FOOTER_RESERVED, FRORE_FOOTER_CRC - FRORE_FOOTER_RESERVED) ||
	    get64(p + FRORE_FOOTER_END) != c->offset || get64(p + FRORE_FOOTER_INDEX) != index)
		return broken(e, 22, c->offset, "the footer is wrong");
	if (left(rest))
		return broken(e, 23, c->offset, "something follows the footer");
	return 0;
}

int frore_read(const uint8_t *bytes, size_t len, uint64_t owner, struct frore *f, struct frore_error *e)
{
	struct frore_span rest = { bytes, bytes + len };
	struct chunk c;
	uint64_t chunks, index = 0;
	bool several = false;

	memset(f, 0, sizeof(*f));
	memset(e, 0, sizeof(*e));
	if (header(&rest, f, e))
		return -1;
	for (chunks = 0;; chunks++) {
		cond_resched();
		if (next_chunk(&rest, (uint64_t)(rest.at - bytes), &c, e))
			return -1;
		if (is(c.kind, "END "))
			break;
		if (is(c.kind, "INDX"))
			index = c.offset;
		else if (is(c.kind, "OBJS") && objects(&c, f, e))
			return -1;
		else if (is(c.kind, "VMAS") && vmas(&c, f, owner, &several, e))
			return -1;
	}
	if (end(&c, &rest, chunks, index, e))
		return -1;
	if (!f->owner)
		return broken(e, FRORE_NONE, 0, "it has no ranges of this process");
	if (several)
		return broken(e, FRORE_WHICH, 0, "it has ranges of several processes, and none was chosen");
	return 0;
}

uint64_t frore_find(const struct frore *f, const uint32_t *at, uint64_t id)
{
	uint64_t low = 0, high = f->object_count;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;
		uint64_t found = get64(f->objects.at + at[mid]);

		if (found == id)
			return mid;
		if (found < id)
			low = mid + 1;
		else
			high = mid;
	}
	return f->object_count;
}

bool frore_object_of(const struct frore *f, const uint32_t *at, uint64_t index, struct frore_object *out)
{
	struct frore_span s = f->objects;

	if (index >= f->object_count)
		return false;
	s.at += at[index];
	return frore_next_object(&s, f->objects_version, out);
}

int frore_link(const struct frore *f, uint32_t *at, struct frore_error *e)
{
	struct frore_span s = f->objects;
	struct frore_object o;
	struct frore_vma v;
	uint64_t i;

	for (i = 0; i < f->object_count; i++) {
		at[i] = (uint32_t)(s.at - f->objects.at);
		if (!frore_next_object(&s, f->objects_version, &o))
			return broken(e, 30, 0, "an object that ends behind its payload");
	}
	for (s = f->vmas; frore_next_vma(&s, &v);)
		if (v.object && frore_find(f, at, v.object) == f->object_count)
			return broken(e, 51, f->vmas_offset, "the object of a range is not in OBJS");
	return 0;
}
