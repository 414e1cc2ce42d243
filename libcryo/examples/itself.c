/* A program that has itself frozen, in the middle of its work: cc itself.c $(pkg-config --cflags --libs cryo) */
#include <cryo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  const CryoGeneration *life = cryo_generation();
  int steps = 0;
  for (; steps < 3; steps++) printf("step %d\n", steps);
  fflush(stdout);

  char *path = freeze_process(getpid(), argc > 1 ? atoi(argv[1]) : CRYO_FORCE);
  if (!path) {
    fprintf(stderr, "not frozen: %s\n", cryo_strerror());
    return 1;
  }
  if (*path) {
    printf("the original: I am in %s, and have been thawed %d times\n", strrchr(path, '/') ? strrchr(path, '/') + 1 : path, (int)life->count);
  } else {
    for (; steps < 6; steps++) printf("step %d\n", steps);
    printf("a copy: thawed %d times%s\n", (int)life->count, life->host[0] && life->thawed_at ? "" : ", and nobody knows where and when");
  }
  free(path);
  return 0;
}
