// SPDX-License-Identifier: GPL-2.0
/*
 * The module's reader in user space. It takes one file after another on stdin, each behind its length (8 bytes, little-endian) and the process that is wanted
 * (8 bytes), and says on stdout what it understood, up to a line "done". With a number as argument it reads files and their mutants for that
 * many seconds instead: built with sanitizers, it ends by itself where the reader reads what is not its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../frore.h"
#include "../frore_layout.h"

static void text(const char *name, struct frore_bytes b)
{
	printf(" %s=", name);
	for (uint64_t i = 0; i < b.len; i++)
		printf("%02x", b.at[i]);
}

/* Reads it as the module does; `say` is what it is. Gives the rule that is broken. */
static int understand(const uint8_t *bytes, size_t len, uint64_t owner, int say)
{
	struct frore f;
	struct frore_error e;
	struct frore_vma v;
	struct frore_object o;
	uint32_t *at = NULL;
	uint64_t sum = 0;
	int bad = frore_read(bytes, len, owner, &f, &e);

	if (!bad) {
		at = malloc(f.object_count * sizeof(*at) + 1);
		bad = !at || frore_link(&f, at, &e);
	}
	if (bad) {
		if (say)
			printf("rule %d at %#" PRIx64 ": %s\n", e.rule, e.at, e.what);
		free(at);
		return e.rule;
	}
	if (say)
		printf("machine=%u page_shift=%u owner=%" PRIu64 "\n", f.machine, f.page_shift, f.owner);
	for (uint64_t i = 0; i < f.object_count && frore_object_of(&f, at, i, &o); i++) {
		sum += o.path.len ? o.path.at[o.path.len - 1] : 0;
		sum += o.build_id.len ? o.build_id.at[o.build_id.len - 1] : 0;
		if (frore_find(&f, at, o.id) != i)
			abort();
		if (!say)
			continue;
		printf("object id=%" PRIu64 " kind=%u embedded=%u dev=%" PRIu64 " ino=%" PRIu64 " mode=%u seals=%u size=%" PRIu64
		       " mtime=%" PRId64 ".%" PRIu64 " shm=%" PRIu64 " huge=%" PRIu64,
		       o.id, o.kind, o.embedded, o.dev, o.ino, o.mode, o.seals, o.size, o.mtime_sec, o.mtime_nsec, o.shm,
		       o.huge_page);
		text("path", o.path);
		text("build_id", o.build_id);
		text("digest", o.digest);
		printf("\n");
	}
	for (struct frore_span s = f.vmas; frore_next_vma(&s, &v);) {
		sum += v.name.len ? v.name.at[v.name.len - 1] : 0;
		if (!say)
			continue;
		printf("vma start=%" PRIu64 " end=%" PRIu64 " prot=%u backing=%u flags=%" PRIu64 " object=%" PRIu64 " offset=%" PRIu64,
		       v.start, v.end, v.prot, v.backing, v.flags, v.object, v.offset);
		text("name", v.name);
		printf("\n");
	}
	free(at);
	return sum == UINT64_MAX; /* so that the bytes are really looked at */
}

static int next(uint8_t **bytes, uint64_t *len, uint64_t *owner)
{
	if (fread(len, 8, 1, stdin) != 1 || fread(owner, 8, 1, stdin) != 1)
		return 0;
	*bytes = malloc(*len ? *len : 1);
	return *bytes && fread(*bytes, 1, *len, stdin) == *len;
}

static uint64_t state;

static uint64_t chance(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1d;
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t number(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

/* Makes checksums right as far as the chunks can be followed, so that what was changed gets behind them. */
static void mend(uint8_t *b, size_t len)
{
	size_t at = FRORE_HEADER_LEN;

	if (len < at)
		return;
	put32(b + FRORE_HEADER_CRC, frore_crc32c(b, FRORE_HEADER_CRC));
	while (len - at >= FRORE_CHUNK_HEADER_LEN) {
		uint8_t *h = b + at;
		uint64_t stored = number(h + FRORE_CHUNK_STORED);

		at += FRORE_CHUNK_HEADER_LEN;
		if (stored > len - at || stored > FRORE_MAX_METADATA)
			stored = len - at;
		put32(h + FRORE_CHUNK_CRC, frore_crc32c(b + at, stored));
		put32(h + FRORE_CHUNK_HEADER_CRC, frore_crc32c(h, FRORE_CHUNK_HEADER_CRC));
		at += stored;
		if (!memcmp(h, "END ", 4) && len - at >= FRORE_FOOTER_LEN)
			put32(b + at + FRORE_FOOTER_CRC, frore_crc32c(b + at, FRORE_FOOTER_CRC));
		at += -stored % FRORE_CHUNK_ALIGN;
		if (at > len)
			return;
	}
}

static void mutate(uint8_t *b, size_t *len)
{
	static const uint64_t numbers[] = { 0, 1, 7, 8, 0xff, 0x1000, 0xffffffff, 1 << 24, (uint64_t)1 << 47,
					    (uint64_t)1 << 63, UINT64_MAX - 7, UINT64_MAX };

	for (uint64_t n = 1 + chance() % 4; n-- && *len;) {
		size_t at = chance() % *len;
		uint64_t word = numbers[chance() % (sizeof(numbers) / sizeof(*numbers))];

		switch (chance() % 6) {
		case 0:
			*len = at;
			break;
		case 1:
			b[at] ^= (uint8_t)(1 << chance() % 8);
			break;
		case 2:
			b[at] = (uint8_t)chance();
			break;
		default: /* most numbers stand at multiples of four or eight */
			at &= ~(size_t)(chance() % 2 ? 7 : 3);
			memcpy(b + at, &word, *len - at < 8 ? *len - at : 8);
		}
	}
	if (chance() % 8)
		mend(b, *len);
}

int main(int argc, char **argv)
{
	uint8_t *bytes[64];
	uint64_t len[64], owner[64];
	uint64_t tries = 0, good = 0;
	int count = 0;

	frore_begin();
	if (argc < 2) {
		while (next(&bytes[0], &len[0], &owner[0])) {
			understand(bytes[0], len[0], owner[0], 1);
			free(bytes[0]);
			puts("done");
			fflush(stdout);
		}
		return 0;
	}
	state = strtoull(getenv("SEED") ? getenv("SEED") : "1", NULL, 10) | 1;
	while (count < 64 && next(&bytes[count], &len[count], &owner[count]))
		count++;
	for (time_t stop = time(NULL) + atoi(argv[1]); count && time(NULL) < stop;) {
		for (int i = 0; i < 200; i++, tries++) {
			int from = (int)(chance() % (uint64_t)count);
			size_t n = len[from];
			uint8_t *copy = malloc(n ? n : 1), *exact;

			memcpy(copy, bytes[from], n);
			mutate(copy, &n);
			/* In exactly its length, so that the byte behind it is found out. */
			exact = malloc(n ? n : 1);
			memcpy(exact, copy, n);
			good += !understand(exact, n, chance() % 2 ? owner[from] : 0, 0);
			free(exact);
			free(copy);
		}
	}
	while (count)
		free(bytes[--count]);
	printf("%" PRIu64 " mutants, %" PRIu64 " of them good\n", tries, good);
	return 0;
}
