// SPDX-License-Identifier: GPL-2.0
/*
 * What /dev/overseer promises, from inside a machine where the module is loaded: each errno of README.md with the address space as it was, re-maps that
 * succeed with the maps that the template says, ten thousand of them with nothing left behind, and the line in the log.
 *
 * Statically linked, and run as root and as an ordinary user, with GLIBC_TUNABLES=glibc.pthread.rseq=0: what is registered for rseq may not go away.
 * The last line is "suite: N passed, M failed".
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "../overseer.h"
#include "suite.h"
#include "template.h"

/* Where templates here put things: nothing of a static program is near. */
#define AREA 0x10000000000UL
/* Far enough from what is below it to grow: the kernel leaves a gap of 256 pages. */
#define STACK (AREA + 1024 * PAGE)

#include "suite/refuses.h"
#include "suite/templates.h"
#include "suite/files.h"
#include "suite/kept.h"
#include "suite/host.h"
#include "suite/many.h"
#include "suite/killed.h"
#include "suite/log.h"

int main(int argc, char **argv)
{
	int root = getuid() == 0;
	struct overseer_version version = { 0 };
	struct counts first;

	alarm(170);
	frore_begin();
	if (argc > 1 && !strcmp(argv[1], "rseq")) {
		refuses("rseq is registered", EBUSY, good);
		return verdicts();
	}
	umask(0);
	if (root) {
		char text[3 * PAGE];

		memset(text, 'a', PAGE);
		memset(text + PAGE, 'b', 2 * PAGE);
		text[sizeof(text) - 1] = 0;
		spill("/tmp/file", text);
		spill("/tmp/secret", "secret");
		chmod("/tmp/secret", 0600);
		mkdir("/noexec", 0755);
		mount("none", "/noexec", "tmpfs", MS_NOEXEC, NULL);
		spill("/noexec/file", text);
	}
	verdict("version", !ioctl(open(DEVICE, O_WRONLY), OVERSEER_VERSION, &version) && version.interface == OVERSEER_INTERFACE &&
			   version.format_major == FRORE_MAJOR && version.max == OVERSEER_MAX, "%s", strerror(errno));
	first = counts();
	refuses_if("not under ptrace", EPERM, good, 0);
	inherited = open(DEVICE, O_WRONLY);
	refuses("opened by another process", EPERM, by_inherited);
	if (root)
		refuses("other credentials", EPERM, by_other_credentials);
	refuses("threads", EBUSY, threaded);
	refuses_if("vfork", EBUSY, vforked, 0);
	refuses("a shared address space", EBUSY, shared_space);
	refuses("too long", EFBIG, too_long);
	refuses("empty", EINVAL, empty);
	refuses("bad pointer", EFAULT, bad_pointer);
	refuses("magic (rule 1)", EBADMSG, bad_magic);
	refuses("checksum (rule 12)", EBADMSG, flipped);
	refuses("unknown critical chunk (rule 16)", EBADMSG, unknown_critical);
	refuses("truncated (rule 19)", EBADMSG, truncated);
	refuses("overlap (rule 40)", EBADMSG, overlapping);
	refuses("unaligned (rule 41)", EBADMSG, unaligned);
	refuses("no such object (rule 51)", EBADMSG, no_object);
	refuses("several processes", EBADMSG, several_processes);
	refuses("no such process", EBADMSG, no_such_process);
	refuses("another architecture", ENOEXEC, i386);
	refuses("larger pages", ENOEXEC, larger_pages);
	refuses("a 32-bit call", ENOEXEC, by_int80);
	refuses("kernel address", EINVAL, kernel_address);
	refuses("highest address", EINVAL, highest_address);
	if (!root)
		refuses("lowest address", EPERM, lowest_address);
	refuses("protection", EINVAL, bad_protection);
	refuses("backing", EINVAL, bad_backing);
	refuses("huge pages", EOPNOTSUPP, huge);
	refuses("droppable memory", EOPNOTSUPP, droppable);
	refuses("a part of shared memory", EOPNOTSUPP, shared_part);
	refuses("memfd", EOPNOTSUPP, memfd_object);
	refuses("shared memory twice", EOPNOTSUPP, shared_twice);
	refuses("stack of a file", EINVAL, stack_of_file);
	refuses("more than 65530 mappings", ENOMEM, too_many);
	if (root) {
		spill("/proc/sys/vm/max_map_count", "100");
		refuses("more than max_map_count", ENOMEM, more_than_a_hundred);
		spill("/proc/sys/vm/max_map_count", "65530");
	}
	refuses("RLIMIT_AS", ENOMEM, beyond_as);
	refuses("RLIMIT_DATA", ENOMEM, beyond_data);
	if (!root)
		refuses("RLIMIT_MEMLOCK", EAGAIN, beyond_memlock);
	refuses("noexec", EPERM, noexec);
	if (!root) {
		refuses("unreadable file", EACCES, unreadable);
		refuses("unwritable file", EACCES, unwritable);
	}
	refuses("missing file", ENOENT, missing);
	refuses("a device", EACCES, a_device);
	refuses("a directory", EACCES, a_directory);
	refuses("a zero in a path", EINVAL, zero_in_path);
	refuses("another inode", ESTALE, other_inode);
	refuses("another time", ESTALE, other_time);
	refuses("another size", ESTALE, other_size);
	refuses("odd offset", EINVAL, odd_offset);
	refuses("far offset", EINVAL, far_offset);
	refuses("sealed memfd", EPERM, seal_of_memfd);
	refuses("on the vDSO", EEXIST, on_vdso);
	refuses("on what is kept", EEXIST, keep_what_is_mapped_anew);
	refuses("a part of a mapping is kept", EINVAL, keep_a_part);
	refuses("nothing is kept", EINVAL, keep_nothing);
	refuses("many mappings are kept", EINVAL, keep_many);
	refuses("kept around the end", EINVAL, keep_around_the_end);
	refuses("sealed mapping", EPERM, sealed_mapping);
	refuses("unknown ioctl", ENOTTY, wrong_ioctl);
	interrupted();
	verdict("refused: nothing is left", flat("refused", first, counts()), "see above");
	succeeds();
	if (root) {
		double start = now();

		many(10000);
		printf("       10000 re-maps in %.1f s\n", now() - start);
		bench();
		logged();
		verdict("all: nothing is left", flat("all", first, counts()), "see above");
	}
	return verdicts();
}
