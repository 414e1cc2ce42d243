// What is run alone, under `overseer run` and under strace: `compute` makes no call, `open` opens and closes.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "compute")) {
        volatile unsigned long x = 1;
        for (long i = 0; i < 700000000; i++)
            x = x * 3 + i;
        return 0;
    }
    for (int i = 0; i < 20000; i++)
        close(open("/dev/null", O_RDONLY));
    return 0;
}
