// What is run alone, under `overseer run` and under strace: `compute` makes no call, `open` opens and closes, `getpid` asks for its pid when there is a file
// `go`, and says how many microseconds an answer takes.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "compute")) {
        volatile unsigned long x = 1;
        for (long i = 0; i < 700000000; i++)
            x = x * 3 + i;
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "getpid")) {
        enum { TIMES = 100000 };
        write(1, "ready\n", 6);
        while (access("go", F_OK))
            usleep(10000);
        double begin = now();
        for (int i = 0; i < TIMES; i++)
            syscall(SYS_getpid);
        dprintf(1, "%.3f\n", (now() - begin) / TIMES);
        return 0;
    }
    for (int i = 0; i < 20000; i++)
        close(open("/dev/null", O_RDONLY));
    return 0;
}
