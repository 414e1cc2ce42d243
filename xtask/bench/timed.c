/*
 * timed REPORT COMMAND...: runs a command, and writes into the file REPORT, in one line, when it was started and when it
 * ended (CLOCK_REALTIME, ns), how long that was (CLOCK_MONOTONIC, ns), its peak resident memory (KiB), its wait status, and
 * the time of processors that it took, with its children (us).
 *
 * Small and static, because a child's peak begins with that of the process that started it.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct rusage usage;
	pid_t pid;
	int status;
	long long start = now(CLOCK_REALTIME), mono = now(CLOCK_MONOTONIC);
	if (posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ) != 0)
		return 2;
	if (wait4(pid, &status, 0, &usage) != pid)
		return 2;
	long long wall = now(CLOCK_MONOTONIC) - mono, end = now(CLOCK_REALTIME);
	FILE *report = fopen(argv[1], "w");
	if (!report)
		return 2;
	long long cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL;
	cpu += usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	fprintf(report, "%lld %lld %lld %ld %d %lld\n", start, end, wall, usage.ru_maxrss, status, cpu);
	return fclose(report) ? 2 : 0;
}
