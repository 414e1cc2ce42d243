/* Calls every function of the library a few times, good and bad, with process argv[1] as what is frozen, and frees what it is to free. Prints what failed. */
#include <cryo.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char *what) {
  printf("%s: %s\n", what, cryo_strerror());
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  /* Under valgrind the children of the library write what waits here, too. */
  setvbuf(stdout, NULL, _IOLBF, 0);
  int pid = atoi(argv[1]);
  const char *arguments[] = {"--no-digest", NULL};
  CryoOptions options = {sizeof options, CRYO_FORCE | CRYO_LEAVE_RUNNING, arguments};
  printf("version %s\n", cryo_version());
  if (!cryo_generation()) return failed("generation");
  for (int i = 0; i < 3; i++) {
    char *path = freeze_process(pid, CRYO_FORCE | CRYO_LEAVE_RUNNING);
    if (!path) return failed("freeze_process");
    free(path);
    if (cryo_freeze(pid, "named", &options, &path) != 0) return failed("cryo_freeze");
    free(path);
    if (cryo_freeze(pid, "named", &options, NULL) != 0) return failed("cryo_freeze without a path");
    char *json;
    if (cryo_inspect("named.freeze", &json) != 0 || !strstr(json, "\"frost\"")) return failed("cryo_inspect");
    free(json);
    /* What fails. */
    if (freeze_process(1 << 30, 0) || cryo_error() != CRYO_ERROR_NO_PROCESS || errno != ESRCH) return failed("no such process");
    if (freeze_process(pid, 1 << 30) || cryo_error() != CRYO_ERROR_ARGUMENT) return failed("no such option");
    if (cryo_freeze(pid, "named", NULL, &path) != -1 || path) return failed("a set that exists");
    if (cryo_inspect("nothing.freeze", &json) != -1 || json) return failed("no such set");
    if (cryo_thaw("nothing", NULL) != -1 || !*cryo_strerror()) return failed("nothing to thaw");
    int thawed = thaw_process(pid, CRYO_PID_NEW);
    if (thawed <= 0) return failed("thaw_process");
    kill(thawed, SIGKILL);
    thawed = cryo_thaw("named", &(CryoOptions){sizeof options, CRYO_PID_NEW, NULL});
    if (thawed <= 0) return failed("cryo_thaw");
    kill(thawed, SIGKILL);
  }
  printf("done\n");
  return 0;
}
