// Two threads that wait for each other for ever: each has locked the account that the other one wants.
#include <pthread.h>
#include <unistd.h>

struct account {
    pthread_mutex_t lock;
    long balance;
};

struct account checking = {PTHREAD_MUTEX_INITIALIZER, 100};
struct account savings = {PTHREAD_MUTEX_INITIALIZER, 100};
static pthread_barrier_t both;

__attribute__((noinline)) static void transfer(struct account *from, struct account *to, long amount) {
    pthread_mutex_lock(&from->lock);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&to->lock);
    from->balance -= amount;
    to->balance += amount;
    pthread_mutex_unlock(&to->lock);
    pthread_mutex_unlock(&from->lock);
}

static void *save(void *unused) {
    transfer(&checking, &savings, 10);
    return unused;
}

static void *spend(void *unused) {
    transfer(&savings, &checking, 20);
    return unused;
}

int main(void) {
    pthread_t a, b;
    pthread_barrier_init(&both, 0, 2);
    pthread_create(&a, 0, save, 0);
    pthread_create(&b, 0, spend, 0);
    pthread_join(a, 0);
    pthread_join(b, 0);
    return 0;
}
