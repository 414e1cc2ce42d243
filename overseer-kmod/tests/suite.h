/* SPDX-License-Identifier: GPL-2.0 */
/* What the suites have in common: verdicts, of which the last line is "suite: N passed, M failed", and writes that must change nothing. */
#ifndef SUITE_H
#define SUITE_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEVICE "/dev/overseer"
#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)

static int passed, failed;

static void verdict(const char *name, int ok, const char *format, ...)
{
	va_list args;

	ok ? passed++ : failed++;
	printf("%s %s", ok ? "ok    " : "FAILED", name);
	if (!ok) {
		va_start(args, format);
		printf(": ");
		vprintf(format, args);
		va_end(args);
	}
	printf("\n");
	fflush(stdout);
}

static char *slurp(const char *path, char *room, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t n = 0;
	ssize_t got;

	while (fd >= 0 && n < size - 1 && (got = read(fd, room + n, size - 1 - n)) > 0)
		n += (size_t)got;
	room[n] = 0;
	if (fd >= 0)
		close(fd);
	return room;
}

static char before[1 << 16], after[1 << 16];

/* The errno of writing `b`; the status of what ends with it. 200: the address space was changed all the same. */
static int writes(int fd, const void *at, size_t len)
{
	ssize_t got;
	int err;

	slurp("/proc/self/maps", before, sizeof(before));
	got = write(fd, at, len);
	err = errno;
	slurp("/proc/self/maps", after, sizeof(after));
	if (strcmp(before, after)) {
		printf("before:\n%safter:\n%s", before, after);
		return 200;
	}
	return got == -1 ? err : 201;
}

static int verdicts(void)
{
	printf("suite: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}

#endif
