/*
 * subject LOG KIND [N]: the program that the bench freezes. It takes on the state that KIND names, adds "ready PID" to the
 * file LOG, and then reads the clock without a pause. Each time that it did not get to do so for 100 us it adds
 * "gap START END" (CLOCK_REALTIME, ns: other clocks may be set for a thawed program alone): a freeze, seen from inside,
 * and at a thaw, the moment at which it is there again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define GAP 100000
#define MIB (1024L * 1024)

static const char *log_name;

static void say(const char *format, ...)
{
	char line[128];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	/* Opened each time: the log is the bench's means, not a part of the state that is measured. */
	int fd = open(log_name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, n) != n)
		_exit(3);
	close(fd);
}

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *map(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	if (p == MAP_FAILED)
		_exit(4);
	return p;
}

/* xorshift: pages that no content-based trick makes smaller. */
static void fill_random(uint64_t *p, size_t bytes)
{
	static uint64_t x = 0x9e3779b97f4a7c15;
	for (size_t i = 0; i < bytes / 8; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		p[i] = x;
	}
}

static void random_memory(long mib)
{
	fill_random(map(mib * MIB, 0), mib * MIB);
}

/* Small pages, of which so many in a hundred are written to in each 100 ms, one after another. */
static struct {
	char *at;
	long pages, percent;
} written;

static void *writer(void *unused)
{
	struct timespec ms = { 0, 1000000 };
	for (long page = 0;; nanosleep(&ms, NULL))
		for (long i = 0; i < written.pages * written.percent / 10000; i++, page += 7919)
			written.at[page % written.pages * 4096]++;
	return unused;
}

static void small_pages(long mib, long percent)
{
	written.at = map(mib * MIB, 0);
	written.pages = mib * MIB / 4096;
	written.percent = percent;
	madvise(written.at, mib * MIB, MADV_NOHUGEPAGE);
	fill_random((uint64_t *)written.at, mib * MIB);
}

static void written_by(long mib, long percent)
{
	pthread_t thread;
	small_pages(mib, percent);
	if (pthread_create(&thread, NULL, writer, NULL) != 0)
		_exit(4);
}

static void written_1(long mib)
{
	written_by(mib, 1);
}

static void written_10(long mib)
{
	written_by(mib, 10);
}

/* One page in a hundred is written to when a signal asks for it. */
static void write_some(int signal)
{
	(void)signal;
	for (long page = 0; page < written.pages; page += 100)
		written.at[page * 4096]++;
}

static void written_when_asked(long mib)
{
	small_pages(mib, 0);
	signal(SIGUSR1, write_some);
}

/* Every page is touched; one in ten, spread evenly, is not zero. */
static void zero_memory(long mib)
{
	char *p = map(mib * MIB, 0);
	for (long page = 0; page < mib * MIB / 4096; page++) {
		memset(p + page * 4096, 0, 4096);
		if (page % 10 == 0)
			fill_random((uint64_t *)(p + page * 4096), 4096);
	}
}

static void untouched_memory(long mib)
{
	map(mib * MIB, MAP_NORESERVE);
}

static void *sleeper(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void threads(long n)
{
	pthread_attr_t attr;
	pthread_t thread;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	for (long i = 1; i < n; i++)
		if (pthread_create(&thread, &attr, sleeper, NULL) != 0)
			_exit(4);
}

/* Neighbours differ in permission, or the kernel would make one of them. */
static void maps(long n)
{
	char *p = map(n * 4096, 0);
	for (long i = 0; i < n; i++) {
		p[i * 4096] = 1;
		if (i % 2 && mprotect(p + i * 4096, 4096, PROT_READ) != 0)
			_exit(4);
	}
}

/* Nine descriptions of a file for each duplicate, as programs have them. */
static void descriptors(long n)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		_exit(4);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	int last = 0;
	for (long i = 0; i < n; i++) {
		last = i % 10 == 9 ? dup(last) : open("/dev/null", O_RDONLY);
		if (last < 0)
			_exit(4);
	}
}

/* Children that sleep, each with so much memory of its own, and that end with their parent. */
static void children(long n, long mib)
{
	int filled[2];
	char byte;
	if (pipe(filled) != 0)
		_exit(4);
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();
		if (pid < 0)
			_exit(4);
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(filled[0]);
			if (mib)
				random_memory(mib);
			close(filled[1]);
			for (;;)
				pause();
		}
	}
	/* The end of the pipe comes when all of them are there. */
	close(filled[1]);
	if (read(filled[0], &byte, 1) != 0)
		_exit(4);
	close(filled[0]);
}

static void small_children(long n)
{
	children(n, 0);
}

static void large_children(long n)
{
	children(n, 8);
}

/* 1 GiB that n children were forked with, and have not written to. */
static void heirs(long n)
{
	random_memory(1024);
	children(n, 0);
}

/* A child that makes so many children a second, of which each lives for 5 ms. */
static void births(long n)
{
	struct timespec pause = { 0, 1000000000 / n }, life = { 0, 5000000 };
	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		if (fork() == 0) {
			nanosleep(&life, NULL);
			_exit(0);
		}
		nanosleep(&pause, NULL);
	}
}

static const struct {
	const char *name;
	void (*take)(long);
} kinds[] = {
	{ "random", random_memory }, { "zero", zero_memory }, { "untouched", untouched_memory },
	{ "threads", threads }, { "maps", maps }, { "descriptors", descriptors },
	{ "children", small_children }, { "large-children", large_children }, { "heirs", heirs },
	{ "births", births }, { "written-1", written_1 }, { "written-10", written_10 },
	{ "written-when-asked", written_when_asked },
};

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	log_name = argv[1];
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (argc > 3 && strcmp(argv[2], kinds[i].name) == 0)
			kinds[i].take(atol(argv[3]));
	say("ready %d\n", getpid());
	for (long long last = now();;) {
		/* It computes for the most part, as programs do: one that asks for nothing but the time is always met inside the vDSO, and has to be
		 * stepped out of it. */
		for (volatile int i = 0; i < 3000; i++)
			;
		long long t = now(), before = last;
		/* Now, so that a freeze in the midst of saying so is a gap too. */
		last = t;
		if (t - before > GAP)
			say("gap %lld %lld\n", before, t);
	}
}
