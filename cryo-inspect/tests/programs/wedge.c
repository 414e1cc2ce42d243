// A program that hangs: one thread waits for a lock that another one holds, a third sits in the handler of a signal. What it is given as arguments are programs
// like it: the first is its child, which is given the others.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct node {
    struct node *next;
    long value;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int sitting;
char secret[] = "the-secret-word";
struct node *head;
volatile double ratio = 3.25;

static void sit(int signal) {
    (void)signal;
    sitting = 1;
    for (;;)
        pause();
}

static void change(int signal) {
    (void)signal;
    ratio = 7.5;
    write(1, "changed\n", 8);
}

__attribute__((noinline)) static int wait_for_lock(int depth) {
    if (depth)
        return wait_for_lock(depth - 1) + 1;
    pthread_mutex_lock(&lock);
    return 0;
}

static void *waits(void *arg) {
    (void)arg;
    return (void *)(long)wait_for_lock(3);
}

static void *interrupted(void *arg) {
    (void)arg;
    raise(SIGUSR1);
    return 0;
}

int main(int argc, char **argv) {
    pthread_t a, b;
    if (argc > 1 && fork() == 0) {
        execv(argv[1], argv + 1);
        _exit(1);
    }
    signal(SIGUSR1, sit);
    for (int i = 0; i < 3; i++) {
        struct node *n = malloc(sizeof *n);
        n->next = head;
        n->value = i;
        head = n;
    }
    pthread_mutex_lock(&lock);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, 0);
    pthread_create(&a, 0, waits, 0);
    pthread_create(&b, 0, interrupted, 0);
    signal(SIGUSR2, change);
    pthread_sigmask(SIG_UNBLOCK, &set, 0);
    while (!sitting)
        usleep(1000);
    write(1, "ready\n", 6);
    for (;;)
        pause();
}
