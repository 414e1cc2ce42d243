// The C library of Cryo: freezes running processes into files, and thaws them. See cryo(3).

#ifndef CRYO_H
#define CRYO_H

// Made of libcryo/src by cbindgen (cargo xtask bless); do not edit.

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

// Freeze: let the original go on. (A process that freezes itself always does.)
#define CRYO_LEAVE_RUNNING 1

// Freeze: leave the original stopped.
#define CRYO_LEAVE_STOPPED (1 << 1)

// Freeze: this process alone, without its children.
#define CRYO_ONLY (1 << 2)

// Freeze: all processes of its session, too.
#define CRYO_SESSION (1 << 3)

// Freeze: overwrite a set that exists.
#define CRYO_FORCE (1 << 4)

// Freeze: name the pages of mapped files instead of taking them along (`--files refer`).
#define CRYO_REFER (1 << 5)

// Freeze: the program finds TCP connections to other processes reset.
#define CRYO_TCP_CLOSE (1 << 6)

// Freeze: the program finds unix sockets to other processes closed.
#define CRYO_UNIX_CLOSE (1 << 7)

// Freeze: a copy of what other processes share.
#define CRYO_SHARED_COPY (1 << 8)

// Freeze: `/dev/null` in place of every descriptor that would be refused.
#define CRYO_OUTSIDE_NULL (1 << 9)

// Freeze: with CRYO_LEAVE_RUNNING, copy no pages while the process runs.
#define CRYO_NO_LIVE (1 << 10)

// Thaw: leave it stopped.
#define CRYO_STOPPED (1 << 16)

// Thaw: a new pid.
#define CRYO_PID_NEW (1 << 17)

// Thaw: the old pid, or nothing.
#define CRYO_PID_SAME (1 << 18)

// Thaw: time in the ice counts for timers.
#define CRYO_TIME_REAL (1 << 19)

// Thaw: the caller's ids, groups and capabilities in place of the frozen ones.
#define CRYO_OWN_CREDENTIALS (1 << 20)

// What stands in the way (`cryo_error()`).
typedef enum CryoError {
  // Nothing: the last call succeeded.
  CRYO_ERROR_NONE = 0,
  // Something failed that is none of the others: an input or output error, a command that was not found.
  CRYO_ERROR_FAILED,
  // An argument of the call.
  CRYO_ERROR_ARGUMENT,
  // It is in the midst of something that ends by itself: the same may succeed a moment later.
  CRYO_ERROR_BUSY,
  // The same would succeed with more rights.
  CRYO_ERROR_PERMISSION,
  // There is no such process.
  CRYO_ERROR_NO_PROCESS,
  // The place where the set should go: it is taken, full, or does not take all of it.
  CRYO_ERROR_OUTPUT,
  // The set: damaged, not whole, of another version, or not to be trusted.
  CRYO_ERROR_IMAGE,
  // This machine lacks what the program needs.
  CRYO_ERROR_MACHINE,
  // A descriptor, file, socket or terminal.
  CRYO_ERROR_FILE,
  // Memory, threads, signals, timers, children, identity: state that cannot be carried.
  CRYO_ERROR_STATE,
} CryoError;

// Options of `cryo_freeze()` and `cryo_thaw()`.
typedef struct CryoOptions {
  // `sizeof(CryoOptions)`: a later release may have more members, which are as if zero for who does not know them.
  uintptr_t size;
  // CRYO_ bits.
  int ops;
  // Further arguments as on the command line, ended by NULL; or NULL.
  const char *const *arguments;
} CryoOptions;

// What the page says. It changes only while the program is frozen.
typedef struct CryoGeneration {
  // `CRYO_GENERATION_MAGIC`.
  uint64_t magic;
  // How often the program was thawed: 0 in one that never was.
  uint64_t count;
  // When the last time: nanoseconds since 1970, as of `CLOCK_REALTIME`.
  uint64_t thawed_at;
  // Where: the host name, with a NUL behind it.
  uint8_t host[72];
} CryoGeneration;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Freezes process `pid`, with all that descend from it, into the files PID.freeze, PID.frore and PID.frost in $CRYO_DIR, or in the current directory.
//
// Returns the name of the primary file, to be freed by the caller; NULL, with errno and `cryo_strerror()`, if nothing was frozen: the process goes on
// then. A process may freeze itself. It goes on then, whatever `ops` say, and the call returns twice: that name in the process that asked, and an
// empty string in each one that is thawed from it.
//
// `ops` is a sum of CRYO_ bits for freezing, or 0.
char *freeze_process(int pid,
                     int ops);

// Thaws the set that was frozen of process `pid`: PID.freeze in $CRYO_DIR, or in the current directory.
//
// Returns the pid of the thawed process, which is no child of the caller; -1, with errno and `cryo_strerror()`, if nothing was thawed. `ops` is a sum of
// CRYO_ bits for thawing, or 0.
int thaw_process(int pid,
                 int ops);

// `freeze_process()` with a name for the set (NULL: as there), and options (NULL: none).
//
// Returns 0 when it is frozen, 1 in a process that was thawed from who froze itself, -1 with errno and `cryo_strerror()` if nothing was frozen. `path`, if
// it is not NULL, gets the name of the primary file, to be freed by the caller, or NULL.
//
// # Safety
// `name` and the arguments in `options` are C strings, `options->size` is right, and `path` can be written.
int cryo_freeze(int pid,
                const char *name,
                const struct CryoOptions *options,
                char **path);

// Thaws the set NAME.freeze, with options (NULL: none). Returns as `thaw_process()` does.
//
// # Safety
// `name` and the arguments in `options` are C strings, and `options->size` is right.
int cryo_thaw(const char *name, const struct CryoOptions *options);

// What is in the set NAME.freeze, as the JSON of `cryo-inspect dump --format json`: 0, and in `json` a string to be freed by the caller; or -1 with errno and
// `cryo_strerror()`, and NULL there.
//
// # Safety
// `name` is a C string, and `json` can be written.
int cryo_inspect(const char *name,
                 char **json);

// How often, when and where this process was thawed. What is there changes whenever it is; the address stays. A program that compares `count` with what it
// was can make its connections anew, and stir its random state.
//
// NULL, with errno and `cryo_strerror()`, where there is no memory for the page.
const struct CryoGeneration *cryo_generation(void);

// Why the last call of this thread did not come about, for people: the object and the way out. Empty if it did. It stays until the thread's next call.
const char *cryo_strerror(void);

// The same for programs.
enum CryoError cryo_error(void);

// The version of this library.
const char *cryo_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CRYO_H */
