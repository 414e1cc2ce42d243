// SPDX-License-Identifier: GPL-2.0
/*
 * What /dev/overseer promises to 32-bit processes, from inside a machine where the module is loaded: the end of their address space, and re-maps by both
 * interfaces, int 0x80 and 64-bit code, with the maps that the template says.
 *
 * Built with -m32, statically linked, and run as suite.c is. The last line is "suite: N passed, M failed".
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "../overseer.h"
#include "suite.h"
#include "template.h"

#define AREA 0x50000000UL
#define STUB 0x20000000UL
/* The last page that a 32-bit process can have, and the last below 3 GiB. */
#define LAST 0xffffd000UL
#define LAST_3GB 0xbffff000UL

static struct template of_i386(void)
{
	struct template t = template();

	t.machine = FRORE_EM_386;
	return t;
}

/* The errno of a write by int 0x80, which must leave the address space as it was. */
static void refuses(const char *name, int want, struct template t, unsigned long person)
{
	struct bytes b = finish(&t);
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		personality(person);
		_exit(writes(open(DEVICE, O_WRONLY), b.at, b.len));
	}
	waitpid(pid, &status, 0);
	verdict(name, WIFEXITED(status) && WEXITSTATUS(status) == want, "status %#x", status);
}

/* Its lines of maps without what is the kernel's: start-end, rights, name. */
static char *maps(pid_t pid, char *out)
{
	char path[40], *line, *rest = before;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	slurp(path, before, sizeof(before));
	*out = 0;
	while ((line = strsep(&rest, "\n")) && *line) {
		unsigned long start, stop;
		char rights[5];
		int at = 0;

		sscanf(line, "%lx-%lx %4s %*s %*s %*s %n", &start, &stop, rights, &at);
		if (line[at] != '[' || !strcmp(line + at, "[stack]"))
			n += (size_t)sprintf(out + n, "%lx-%lx %s %s\n", start, stop, rights, line + at);
	}
	return out;
}

/* A traced process re-maps itself, by int 0x80 (0x23, and calls of i386) or in 64-bit code (0x33). */
static void succeeds(const char *name, long cs, uint16_t machine)
{
	struct template t = template();
	struct user_regs_struct r;
	char want[500];
	struct bytes b;
	int status;
	pid_t pid;

	t.machine = machine;
	range(&t, AREA, AREA + PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, RX, FRORE_PRIVATE_FILE, 0, file(&t, "/tmp/file"), 0);
	range(&t, LAST, LAST + PAGE, PROT_READ, FRORE_ANONYMOUS, 0, 0, 0);
	b = finish(&t);
	pid = fork();
	if (pid == 0) {
		struct overseer_range keep = { STUB, 2 * PAGE };
		char *stub = mmap((void *)STUB, 2 * PAGE, RW | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

		memcpy(stub, "\xcd\x80\xcc\x90\x0f\x05\xcc", 7); /* int 0x80; int3; nop; syscall; int3 */
		memcpy(stub + PAGE, b.at, b.len);
		dup2(open(DEVICE, O_WRONLY), 60);
		if (ioctl(60, OVERSEER_KEEP, &keep))
			_exit(1);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	r.xcs = cs;
	r.eip = cs == 0x23 ? STUB : STUB + 4;
	r.eax = cs == 0x23 ? 4 : 1;
	r.orig_eax = -1;
	r.ebx = r.edi = 60;
	r.ecx = r.esi = STUB + PAGE;
	r.edx = (long)b.len;
	ptrace(PTRACE_SETREGS, pid, 0, &r);
	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, 0);
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	snprintf(want, sizeof(want), "%lx-%lx rwxp \n%lx-%lx rw-p \n%lx-%lx r-xp /tmp/file\n%lx-%lx r--p \n", STUB, STUB + 2 * PAGE, AREA,
		 AREA + PAGE, AREA + 2 * PAGE, AREA + 3 * PAGE, LAST, LAST + PAGE);
	maps(pid, after);
	verdict(name, WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP && r.eax == (long)b.len && !strcmp(want, after),
		"status %#x, %ld of %zu\nwanted\n%sgot\n%s", status, (long)r.eax, b.len, want, after);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	struct template t = of_i386();

	alarm(60);
	frore_begin();
	range(&t, 0x100000000, 0x100001000, RW, FRORE_ANONYMOUS, 0, 0, 0);
	refuses("above 4 GiB", EINVAL, t, 0);
	t = of_i386();
	range(&t, LAST, LAST + 2 * PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
	refuses("the last page but one", EINVAL, t, 0);
	t = of_i386();
	range(&t, LAST_3GB, LAST_3GB + PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
	refuses("a personality of 3 GiB in 4 GiB", EINVAL, t, ADDR_LIMIT_3GB);
	succeeds("by int 0x80", 0x23, FRORE_EM_386);
	succeeds("in 64-bit code", 0x33, FRORE_EM_386);
	succeeds("of a family's template", 0x33, FRORE_EM_X86_64);
	return verdicts();
}
