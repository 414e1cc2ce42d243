// The example of the seed: a program with a fork or two, pipes between, handlers, a timer and an open file. The parent sends numbers to a child, which squares
// them for a second one, which adds them up for the parent: whoever of them is lost, or finds another parent than before, spoils the sum.
//
//     theprog LOG ROUNDS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t ticks, words;

static void tick(int signal) {
    (void)signal;
    ticks++;
}

static void word(int signal) {
    (void)signal;
    words++;
}

static void full(int fd, int reads, void *at, size_t size) {
    for (char *p = at; size;) {
        ssize_t n = reads ? read(fd, p, size) : write(fd, p, size);
        if (n == 0) _exit(0);
        if (n > 0) p += n, size -= n;
    }
}

// Works until nobody sends any more: `sums` or squares what comes. Tells its parent by a signal each time, by the pid that it knows from the beginning.
static void child(int from, int to, int sums) {
    pid_t self = getpid(), parent = getppid();
    for (long x, sum = 0;;) {
        full(from, 1, &x, sizeof x);
        if (getpid() != self || getppid() != parent) _exit(1);
        kill(parent, SIGUSR1);
        sum = sums ? sum + x : x * x;
        full(to, 0, &sum, sizeof sum);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    long rounds = atol(argv[2]), sum = 0;
    int a[2], b[2], c[2];
    FILE *log = fopen(argv[1], "w");
    if (!log || pipe(a) || pipe(b) || pipe(c)) return 2;
    signal(SIGUSR1, word);
    for (int i = 0; i < 2; i++) {
        if (fork() == 0) {
            if (i == 0) {
                close(a[1]), close(b[0]), close(c[0]), close(c[1]);
                child(a[0], b[1], 0);
            }
            close(a[0]), close(a[1]), close(b[1]), close(c[0]);
            child(b[0], c[1], 1);
        }
    }
    close(a[0]), close(b[0]), close(b[1]), close(c[1]);
    signal(SIGALRM, tick);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 50000}, {0, 50000}}, 0);
    for (long i = 1; i <= rounds; i++) {
        full(a[1], 0, &i, sizeof i);
        full(c[0], 1, &sum, sizeof sum);
        fprintf(log, "%ld %ld\n", i, sum);
        fflush(log);
        if (i % (rounds / 10) == 0) {
            char host[64] = "";
            gethostname(host, sizeof host - 1);
            printf("%s: process %d: the squares up to %ld make %ld\n", host, getpid(), i, sum);
            fflush(stdout);
        }
        // A tick of the timer for every round.
        for (sig_atomic_t before = ticks; ticks == before;) pause();
    }
    close(a[1]);
    int good = 1;
    for (int i = 0, status; i < 2; i++) good &= wait(&status) > 0 && status == 0;
    good &= words > 0 && sum == rounds * (rounds + 1) * (2 * rounds + 1) / 6;
    printf("%s\n", good ? "done: the sum is right, and both children are well" : "done: WRONG");
    return good ? 0 : 1;
}
