/* SPDX-License-Identifier: GPL-2.0 */
/* Templates as cryo-format writes them, but for the root (rule 21), which the module cannot check. */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../frore.h"
#include "../frore_layout.h"

struct bytes {
	uint8_t *at;
	size_t len;
	size_t room;
};

static void put(struct bytes *b, const void *what, size_t n)
{
	if (b->len + n > b->room) {
		b->room = (b->len + n) * 2;
		b->at = realloc(b->at, b->room);
		if (!b->at)
			abort();
	}
	memcpy(b->at + b->len, what, n);
	b->len += n;
}

static void put16(struct bytes *b, uint16_t v)
{
	put(b, &v, 2);
}

static void put32(struct bytes *b, uint32_t v)
{
	put(b, &v, 4);
}

static void put64(struct bytes *b, uint64_t v)
{
	put(b, &v, 8);
}

/* A template in the making. */
struct template {
	struct bytes objects;
	struct bytes vmas;
	uint64_t object_count;
	uint64_t vma_count;
	uint16_t machine;
	uint8_t page_shift;
	/* A chunk of its own behind the others. */
	const char *extra;
	uint16_t extra_flags;
	/* The same ranges again, as another process's. */
	int twice;
};

static struct template template(void)
{
	return (struct template){ .machine = FRORE_EM_X86_64, .page_shift = 12 };
}

/* An object, whose id is returned. */
static uint64_t object(struct template *t, uint32_t kind, const char *path, const struct stat *st)
{
	uint64_t id = ++t->object_count + 100;
	uint8_t none[32] = { 0 };

	put64(&t->objects, id);
	put32(&t->objects, kind);
	put32(&t->objects, 0);
	put64(&t->objects, strlen(path));
	put(&t->objects, path, strlen(path));
	put64(&t->objects, st->st_dev);
	put64(&t->objects, st->st_ino);
	put32(&t->objects, st->st_mode);
	put32(&t->objects, 0);
	put64(&t->objects, (uint64_t)st->st_size);
	put64(&t->objects, (uint64_t)st->st_mtim.tv_sec);
	put64(&t->objects, (uint64_t)st->st_mtim.tv_nsec);
	put64(&t->objects, 0);
	put(&t->objects, none, sizeof(none));
	put64(&t->objects, 0);
	put64(&t->objects, 0);
	return id;
}

/* A file as it is now. */
static uint64_t file(struct template *t, const char *path)
{
	struct stat st = { 0 };

	stat(path, &st);
	return object(t, FRORE_OBJECT_FILE, path, &st);
}

static void range(struct template *t, uint64_t start, uint64_t end, uint32_t prot, uint32_t backing, uint64_t flags,
		  uint64_t id, uint64_t offset)
{
	t->vma_count++;
	put64(&t->vmas, start);
	put64(&t->vmas, end);
	put32(&t->vmas, prot);
	put32(&t->vmas, backing);
	put64(&t->vmas, flags);
	put64(&t->vmas, id);
	put64(&t->vmas, offset);
	put64(&t->vmas, 0);
}

static void chunk(struct bytes *b, const char *kind, uint16_t version, uint16_t flags, uint64_t owner,
		  const struct bytes *payload)
{
	size_t head = b->len;

	put(b, kind, 4);
	put16(b, version);
	put16(b, flags);
	put64(b, owner);
	put64(b, payload->len);
	put64(b, payload->len);
	put32(b, frore_crc32c(payload->at, payload->len));
	put64(b, 0);
	put32(b, frore_crc32c(b->at + head, FRORE_CHUNK_HEADER_CRC));
	put(b, payload->at, payload->len);
	put(b, (uint8_t[8]){ 0 }, -payload->len % FRORE_CHUNK_ALIGN);
}

/* The whole file. */
static struct bytes finish(struct template *t)
{
	struct bytes b = { 0 }, list = { 0 };
	uint64_t chunks = 3, index, end;
	size_t foot;

	put(&b, FRORE_MAGIC, 9);
	put(&b, (uint8_t[]){ FRORE_PROFILE_FRORE }, 1);
	put16(&b, t->machine);
	put16(&b, FRORE_MAJOR);
	put16(&b, 0);
	put64(&b, 0);
	put64(&b, 0);
	put64(&b, 7);
	put64(&b, 7);
	put(&b, (uint8_t[12]){ t->page_shift }, 12);
	put32(&b, frore_crc32c(b.at, FRORE_HEADER_CRC));
	put64(&list, t->object_count);
	put(&list, t->objects.at ? t->objects.at : (uint8_t *)"", t->objects.len);
	chunk(&b, "OBJS", 2, FRORE_CRITICAL, 0, &list);
	list.len = 0;
	put64(&list, t->vma_count);
	put(&list, t->vmas.at ? t->vmas.at : (uint8_t *)"", t->vmas.len);
	chunk(&b, "VMAS", 1, FRORE_CRITICAL, 1, &list);
	if (t->twice) {
		chunks++;
		chunk(&b, "VMAS", 1, FRORE_CRITICAL, 2, &list);
	}
	list.len = 0;
	if (t->extra) {
		chunks++;
		chunk(&b, t->extra, 1, t->extra_flags, 0, &list);
	}
	/* Readers in one pass do without its entries. */
	put64(&list, 0);
	put64(&list, 0);
	index = b.len;
	chunk(&b, "INDX", 1, 0, 0, &list);
	list.len = 0;
	put(&list, (uint8_t[32]){ 0 }, 32);
	put64(&list, chunks);
	end = b.len;
	chunk(&b, "END ", 1, FRORE_CRITICAL, 0, &list);
	foot = b.len;
	put(&b, FRORE_FOOTER_MAGIC, 8);
	put64(&b, index);
	put64(&b, end);
	put32(&b, 0);
	put32(&b, frore_crc32c(b.at + foot, FRORE_FOOTER_CRC));
	free(list.at);
	return b;
}

#endif
