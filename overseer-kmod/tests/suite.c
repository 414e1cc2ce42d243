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

static int spill(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	int ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static int write_template(struct template *t)
{
	struct bytes b = finish(t);

	return writes(open(DEVICE, O_WRONLY), b.at, b.len);
}

/* A template with one good range, to which a case adds what is wrong. */
static struct template plain(void)
{
	struct template t = template();

	range(&t, AREA, AREA + PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
	return t;
}

static struct bytes plain_bytes(void)
{
	struct template t = plain();

	return finish(&t);
}

/* Runs `body` in a child that is traced (or not), and compares the errno that it ends with. */
static void refuses_if(const char *name, int want, int (*body)(void), int traced)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		if (traced)
			ptrace(PTRACE_TRACEME, 0, 0, 0);
		_exit(body());
	}
	/* What it is told of its own children stops it. */
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD)
		ptrace(PTRACE_CONT, pid, 0, 0);
	if (WIFSTOPPED(status))
		kill(pid, SIGKILL);
	verdict(name, WIFEXITED(status) && WEXITSTATUS(status) == want, "status %#x, not errno %d (%s)", status, want,
		strerror(want));
}

static void refuses(const char *name, int want, int (*body)(void))
{
	refuses_if(name, want, body, 1);
}

/* The cases. */

static int good(void)
{
	struct template t = plain();

	return write_template(&t);
}

static int inherited = -1;

static int by_inherited(void)
{
	struct bytes b = plain_bytes();

	return writes(inherited, b.at, b.len);
}

static int by_other_credentials(void)
{
	struct bytes b = plain_bytes();
	int fd = open(DEVICE, O_WRONLY);

	if (setuid(65534))
		return 202;
	return writes(fd, b.at, b.len);
}

static void *sleeper(void *arg)
{
	pause();
	return arg;
}

static int threaded(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, sleeper, NULL);
	return good();
}

static int in_child(void *arg)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	*(int *)arg = good();
	return 0;
}

static int wait_a_while(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sleep(20);
	return arg != NULL;
}

static char stack[1 << 16] __attribute__((aligned(16)));

static int vforked(void)
{
	int result = 203, status;
	pid_t pid = clone(in_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &result);

	waitpid(pid, &status, 0);
	return result;
}

static int shared_space(void)
{
	pid_t pid = clone(wait_a_while, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	int result = good();

	kill(pid, SIGKILL);
	return result;
}

static int too_long(void)
{
	size_t len = OVERSEER_MAX + 1;

	return writes(open(DEVICE, O_WRONLY), mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), len);
}

static int empty(void)
{
	return writes(open(DEVICE, O_WRONLY), stack, 0);
}

static int bad_pointer(void)
{
	return writes(open(DEVICE, O_WRONLY), (void *)8, 100);
}

static int bad_magic(void)
{
	return writes(open(DEVICE, O_WRONLY), stack, 100);
}

static int flipped(void)
{
	struct bytes b = plain_bytes();

	b.at[FRORE_HEADER_LEN + FRORE_CHUNK_HEADER_LEN] ^= 1;
	return writes(open(DEVICE, O_WRONLY), b.at, b.len);
}

static int truncated(void)
{
	struct bytes b = plain_bytes();

	return writes(open(DEVICE, O_WRONLY), b.at, b.len - 1);
}

static int overlapping(void)
{
	struct template t = plain();

	range(&t, AREA, AREA + 2 * PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
	return write_template(&t);
}

static int unaligned(void)
{
	struct template t = plain();

	range(&t, AREA + 2 * PAGE, AREA + 2 * PAGE + 8, RW, FRORE_ANONYMOUS, 0, 0, 0);
	return write_template(&t);
}

static int unknown_critical(void)
{
	struct template t = plain();

	t.extra = "NEW!";
	t.extra_flags = FRORE_CRITICAL;
	return write_template(&t);
}

static int no_object(void)
{
	struct template t = plain();

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, RW, FRORE_PRIVATE_FILE, 0, 5, 0);
	return write_template(&t);
}

static int several_processes(void)
{
	struct template t = plain();

	t.twice = 1;
	return write_template(&t);
}

static int no_such_process(void)
{
	struct bytes b = plain_bytes();
	int fd = open(DEVICE, O_WRONLY);
	uint64_t id = 77;

	return ioctl(fd, OVERSEER_PROCESS, &id) ? 204 : writes(fd, b.at, b.len);
}

static int i386(void)
{
	struct template t = plain();

	t.machine = FRORE_EM_386;
	return write_template(&t);
}

static int larger_pages(void)
{
	struct template t = template();

	t.page_shift = 16;
	range(&t, AREA, AREA + 16 * PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
	return write_template(&t);
}

/* As a 32-bit program calls. */
static int by_int80(void)
{
	struct bytes b = plain_bytes();
	void *low = mmap((void *)0x20000000, 1 << 16, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	long fd = open(DEVICE, O_WRONLY), result = 4;

	memcpy(low, b.at, b.len);
	asm volatile("int $0x80" : "+a"(result) : "b"(fd), "c"(low), "d"(b.len) : "memory", "r8", "r9", "r10", "r11");
	return result < 0 ? (int)-result : 205;
}

static int kernel_address(void)
{
	struct template t = plain();

	/* Behind the end of user space with five levels of page tables, too. */
	range(&t, 0xffffffffffe000, 0x100000000001000, RW, FRORE_ANONYMOUS, 0, 0, 0);
	return write_template(&t);
}

static int highest_address(void)
{
	struct template t = plain();

	range(&t, 0xffffffffffff0000, 0xfffffffffffff000, RW, FRORE_ANONYMOUS, 0, 0, 0);
	return write_template(&t);
}

static int lowest_address(void)
{
	struct template t = template();

	range(&t, 0, PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
	return write_template(&t);
}

static int bad_protection(void)
{
	struct template t = plain();

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, 0x1000003, FRORE_ANONYMOUS, 0, 0, 0);
	return write_template(&t);
}

static int bad_backing(void)
{
	struct template t = plain();

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, RW, 9, 0, 0, 0);
	return write_template(&t);
}

static int huge(void)
{
	struct template t = plain();

	range(&t, AREA + (2 << 20), AREA + (4 << 20), RW, FRORE_ANONYMOUS, FRORE_VM_HUGETLB, 0, 0);
	return write_template(&t);
}

static int droppable(void)
{
	struct template t = plain();

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, RW, FRORE_ANONYMOUS, FRORE_VM_DROPPABLE, 0, 0);
	return write_template(&t);
}

static int shared_part(void)
{
	struct template t = plain();
	struct stat st = { .st_size = 4 * PAGE };

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, RW, FRORE_SHARED, 0, object(&t, FRORE_OBJECT_SHARED_ANONYMOUS, "", &st),
	      PAGE);
	return write_template(&t);
}

static int memfd_object(void)
{
	struct template t = plain();
	struct stat st = { 0 };

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, RW, FRORE_SHARED, 0, object(&t, 3, "memfd", &st), 0);
	return write_template(&t);
}

static int shared_twice(void)
{
	struct template t = plain();
	struct stat st = { .st_size = PAGE };
	uint64_t id = object(&t, FRORE_OBJECT_SHARED_ANONYMOUS, "", &st);

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, RW, FRORE_SHARED, 0, id, 0);
	range(&t, AREA + 4 * PAGE, AREA + 5 * PAGE, RW, FRORE_SHARED, 0, id, 0);
	return write_template(&t);
}

static int ranges(unsigned long n)
{
	struct template t = template();

	for (unsigned long i = 0; i < n; i++)
		range(&t, AREA + 2 * i * PAGE, AREA + (2 * i + 1) * PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
	return write_template(&t);
}

static int too_many(void)
{
	return ranges(65531);
}

static int more_than_a_hundred(void)
{
	return ranges(101);
}

static int limited(int what, unsigned long most, uint64_t flags)
{
	struct template t = plain();
	struct rlimit limit = { most, most };

	range(&t, AREA + (1UL << 30), AREA + (2UL << 30), RW, FRORE_ANONYMOUS, flags, 0, 0);
	return setrlimit(what, &limit) ? 206 : write_template(&t);
}

static int beyond_as(void)
{
	return limited(RLIMIT_AS, 1UL << 30, 0);
}

static int beyond_data(void)
{
	return limited(RLIMIT_DATA, 1UL << 30, 0);
}

static int beyond_memlock(void)
{
	return limited(RLIMIT_MEMLOCK, 1 << 20, FRORE_VM_LOCKED);
}

static int of_file(const char *path, uint32_t prot, uint32_t backing, uint64_t flags)
{
	struct template t = plain();

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, prot, backing, flags, file(&t, path), 0);
	return write_template(&t);
}

static int noexec(void)
{
	return of_file("/noexec/file", RX, FRORE_PRIVATE_FILE, 0);
}

static int unreadable(void)
{
	return of_file("/tmp/secret", PROT_READ, FRORE_PRIVATE_FILE, 0);
}

static int unwritable(void)
{
	return of_file("/tmp/file", PROT_READ, FRORE_SHARED, FRORE_VM_MAYWRITE);
}

static int missing(void)
{
	return of_file("/tmp/nothing", PROT_READ, FRORE_PRIVATE_FILE, 0);
}

static int a_device(void)
{
	return of_file("/dev/zero", PROT_READ, FRORE_PRIVATE_FILE, 0);
}

static int a_directory(void)
{
	return of_file("/tmp", PROT_READ, FRORE_PRIVATE_FILE, 0);
}

static int zero_in_path(void)
{
	struct template t = plain();

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, PROT_READ, FRORE_PRIVATE_FILE, 0, file(&t, "/tmp/file"), 0);
	t.objects.at[28] = 0;
	return write_template(&t);
}

enum other { INODE, TIME, SIZE };

static int other(enum other what)
{
	struct template t = plain();
	struct stat st;

	stat("/tmp/file", &st);
	if (what == INODE)
		st.st_ino++;
	else if (what == TIME)
		st.st_mtim.tv_nsec ^= 1;
	else
		st.st_size++;
	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, PROT_READ, FRORE_PRIVATE_FILE, 0,
	      object(&t, FRORE_OBJECT_FILE, "/tmp/file", &st), 0);
	return write_template(&t);
}

static int other_inode(void)
{
	return other(INODE);
}

static int other_time(void)
{
	return other(TIME);
}

static int other_size(void)
{
	return other(SIZE);
}

static int odd_offset(void)
{
	struct template t = plain();

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, PROT_READ, FRORE_PRIVATE_FILE, 0, file(&t, "/tmp/file"), 100);
	return write_template(&t);
}

static int far_offset(void)
{
	struct template t = plain();

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, PROT_READ, FRORE_PRIVATE_FILE, 0, file(&t, "/tmp/file"),
	      0xfffffffffffff000);
	return write_template(&t);
}

static int seal_of_memfd(void)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (ftruncate(fd, PAGE) || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE))
		return 207;
	return of_file(path, RW, FRORE_SHARED, 0);
}

static uint64_t vdso(void)
{
	char *line = strstr(slurp("/proc/self/maps", before, sizeof(before)), "[vdso]");

	while (line > before && line[-1] != '\n')
		line--;
	return strtoull(line, NULL, 16);
}

static int on_vdso(void)
{
	struct template t = template();

	range(&t, vdso(), vdso() + PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
	return write_template(&t);
}

static int keeping(uint64_t start, uint64_t len)
{
	struct bytes b = plain_bytes();
	struct overseer_range keep = { start, len };
	int fd = open(DEVICE, O_WRONLY);

	return ioctl(fd, OVERSEER_KEEP, &keep) ? errno : writes(fd, b.at, b.len);
}

static int keep_what_is_mapped_anew(void)
{
	void *at = mmap((void *)AREA, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	return keeping((uint64_t)at, 4 * PAGE);
}

static int keep_a_part(void)
{
	char *at = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return keeping((uint64_t)at + PAGE, PAGE);
}

static int keep_nothing(void)
{
	return keeping(AREA, PAGE);
}

/* More mappings than the module remembers. */
static int keep_many(void)
{
	char *at = mmap((void *)(AREA + (1UL << 30)), 40 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	for (int i = 0; i < 40; i += 2)
		mprotect(at + (unsigned long)i * PAGE, PAGE, PROT_READ);
	return keeping((uint64_t)at, 40 * PAGE);
}

static int keep_around_the_end(void)
{
	return keeping(-PAGE, 2 * PAGE);
}

static int stack_of_file(void)
{
	return of_file("/tmp/file", RW, FRORE_PRIVATE_FILE, FRORE_VM_GROWSDOWN);
}

static int sealed_mapping(void)
{
	void *at = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return syscall(462, at, PAGE, 0) ? EPERM : good(); /* before 6.10 there is no mseal(2) */
}

static int wrong_ioctl(void)
{
	return ioctl(open(DEVICE, O_WRONLY), _IO('o', 99)) ? errno : 0;
}

/* A traced process with a stub that makes one system call, and the template behind it. */
struct host {
	pid_t pid;
	int fd;
	uint64_t stub;
	size_t room;
};

static struct host host(uint64_t at, const struct bytes *b)
{
	struct host h = { .stub = at, .room = (b->len + 3 * PAGE) & -PAGE };
	int status;

	h.pid = fork();
	if (h.pid == 0) {
		struct overseer_range keep = { at, h.room };
		char *stub = mmap((void *)at, h.room, RW | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		int fd = open(DEVICE, O_WRONLY);

		memcpy(stub, "\x0f\x05\xcc", 3); /* syscall; int3 */
		memcpy(stub + PAGE, b->at, b->len);
		dup2(fd, 60);
		if (ioctl(60, OVERSEER_KEEP, &keep))
			_exit(1);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(2);
	}
	waitpid(h.pid, &status, 0);
	h.fd = 60;
	return h;
}

/* A system call in it; 1 << 40 if it has not come back. */
static long call(struct host *h, long number, uint64_t a, uint64_t b, uint64_t c)
{
	struct user_regs_struct r;
	int status;

	ptrace(PTRACE_GETREGS, h->pid, 0, &r);
	r.rip = h->stub;
	r.rax = r.orig_rax = (uint64_t)number;
	r.orig_rax = -1;
	r.rdi = a;
	r.rsi = b;
	r.rdx = c;
	r.r10 = r.r8 = r.r9 = 0;
	ptrace(PTRACE_SETREGS, h->pid, 0, &r);
	ptrace(PTRACE_CONT, h->pid, 0, 0);
	waitpid(h->pid, &status, 0);
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
		printf("status %#x\n", status);
		return 1L << 40;
	}
	ptrace(PTRACE_GETREGS, h->pid, 0, &r);
	return (long)r.rax;
}

static void end(struct host *h)
{
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
}

/* The lines of its maps, without what is the kernel's: start-end, rights, offset and name. */
static char *maps(struct host *h, char *out, size_t size)
{
	char path[40], *line, *rest = before;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", h->pid);
	slurp(path, before, sizeof(before));
	*out = 0;
	while ((line = strsep(&rest, "\n")) && *line) {
		unsigned long start, stop, offset;
		char rights[5];
		int at = 0;

		sscanf(line, "%lx-%lx %4s %lx %*s %*s %n", &start, &stop, rights, &offset, &at);
		if (line[at] == '[' && strcmp(line + at, "[stack]") && strcmp(line + at, "[heap]"))
			continue;
		n += (size_t)snprintf(out + n, size - n, "%lx-%lx %s %lx %s\n", start, stop, rights, offset, line + at);
	}
	return out;
}

static int has_flag(struct host *h, uint64_t start, const char *flag)
{
	static char smaps[1 << 17];
	char path[40], begin[20], *at;

	snprintf(path, sizeof(path), "/proc/%d/smaps", h->pid);
	snprintf(begin, sizeof(begin), "%lx-", start);
	slurp(path, smaps, sizeof(smaps));
	at = strstr(smaps, begin);
	at = at ? strstr(at, "VmFlags:") : NULL;
	if (at)
		*strchr(at, '\n') = 0;
	return at && strstr(at, flag);
}

static void succeeds(void)
{
	struct template t = template();
	struct stat shared = { .st_size = 2 * PAGE };
	uint64_t id, anon, memfd;
	int fd = memfd_create("memory", 0);
	char path[40], want[2000], got[4000], byte = 0;
	struct bytes b;
	struct host h;
	long done;

	if (ftruncate(fd, 3 * PAGE))
		return;
	id = file(&t, "/tmp/file");
	anon = object(&t, FRORE_OBJECT_SHARED_ANONYMOUS, "", &shared);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memfd = file(&t, path);
	range(&t, AREA, AREA + PAGE, PROT_NONE, FRORE_ANONYMOUS, FRORE_VM_NORESERVE, 0, 0);
	range(&t, AREA + PAGE, AREA + 3 * PAGE, RX, FRORE_PRIVATE_FILE, 0, id, PAGE);
	range(&t, AREA + 3 * PAGE, AREA + 4 * PAGE, RW, FRORE_PRIVATE_FILE, 0, id, 0);
	range(&t, AREA + 5 * PAGE, AREA + 7 * PAGE, RW, FRORE_SHARED, 0, anon, 0);
	range(&t, AREA + 8 * PAGE, AREA + 9 * PAGE, PROT_READ, FRORE_SHARED, FRORE_VM_MAYWRITE, memfd, 2 * PAGE);
	range(&t, STACK, STACK + 2 * PAGE, RW, FRORE_ANONYMOUS, FRORE_VM_GROWSDOWN, 0, 0);
	range(&t, AREA + 2060 * PAGE, AREA + 2061 * PAGE, RW, FRORE_ANONYMOUS, FRORE_VM_LOCKED, 0, 0);
	/* The kernel's own stay where they are. */
	range(&t, AREA + 2100 * PAGE, AREA + 2101 * PAGE, RX, FRORE_SPECIAL, 0, 0, 0);
	b = finish(&t);
	h = host(AREA - (1 << 30), &b);
	done = call(&h, SYS_write, (uint64_t)h.fd, h.stub + PAGE, b.len);
	verdict("success", done == (long)b.len, "write gave %ld of %zu", done, b.len);
	snprintf(want, sizeof(want),
		 "%lx-%lx rwxp 0 \n%lx-%lx ---p 0 \n%lx-%lx r-xp 1000 /tmp/file\n%lx-%lx rw-p 0 /tmp/file\n"
		 "%lx-%lx rw-s 0 /dev/zero (deleted)\n%lx-%lx r--s 2000 /memfd:memory (deleted)\n%lx-%lx rw-p 0 \n%lx-%lx rw-p 0 \n",
		 h.stub, h.stub + h.room, AREA, AREA + PAGE, AREA + PAGE, AREA + 3 * PAGE, AREA + 3 * PAGE, AREA + 4 * PAGE,
		 AREA + 5 * PAGE, AREA + 7 * PAGE, AREA + 8 * PAGE, AREA + 9 * PAGE, STACK, STACK + 2 * PAGE,
		 AREA + 2060 * PAGE, AREA + 2061 * PAGE);
	maps(&h, got, sizeof(got));
	verdict("success: maps", !strcmp(want, got), "wanted\n%sgot\n%s", want, got);
	verdict("success: flags", has_flag(&h, AREA, " nr") && has_flag(&h, STACK, " gd") &&
				  has_flag(&h, AREA + 2060 * PAGE, " lo") && has_flag(&h, AREA + 8 * PAGE, " mw"), "see smaps");
	snprintf(path, sizeof(path), "/proc/%d/mem", h.pid);
	fd = open(path, O_RDONLY);
	verdict("success: the file's bytes", pread(fd, &byte, 1, AREA + PAGE) == 1 && byte == 'b', "%#x", byte);
	close(fd);
	done = call(&h, SYS_getrandom, STACK - 3 * PAGE, 8, 0);
	verdict("success: the stack grows", done == 8, "%ld", done);
	done = call(&h, SYS_mprotect, AREA + 8 * PAGE, PAGE, RW);
	verdict("success: shared memory can be made writable", done == 0, "%ld", done);
	/* It opened the device before its space was another: the same one. */
	done = call(&h, SYS_write, (uint64_t)h.fd, h.stub + PAGE, b.len);
	verdict("success: again", done == (long)b.len, "write gave %ld", done);
	maps(&h, got, sizeof(got));
	verdict("success: maps again", !strcmp(want, got), "wanted\n%sgot\n%s", want, got);
	end(&h);
}

static long number(const char *path, const char *name)
{
	char text[8000], *at;

	slurp(path, text, sizeof(text));
	at = *name ? strstr(text, name) : text;
	return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

struct counts {
	long files;
	long slab;
	long vmalloc;
	long available;
};

static struct counts counts(void)
{
	/* What is freed behind a grace period is freed by then. */
	usleep(300000);
	return (struct counts){
		number("/proc/sys/fs/file-nr", ""),
		number("/proc/meminfo", "Slab:"),
		number("/proc/meminfo", "VmallocUsed:"),
		number("/proc/meminfo", "MemAvailable:"),
	};
}

static int flat(const char *name, struct counts a, struct counts b)
{
	printf("       %s: files %ld -> %ld, slab %ld -> %ld kB, vmalloc %ld -> %ld kB, available %ld -> %ld kB\n", name, a.files, b.files,
	       a.slab, b.slab, a.vmalloc, b.vmalloc, a.available, b.available);
	return b.files - a.files < 64 && b.slab - a.slab < 1500 && b.vmalloc - a.vmalloc < 1500 &&
	       a.available - b.available < 20000;
}

/* Two shapes in turn, by one process. */
static void many(int times)
{
	struct bytes b[2];
	struct host h;
	struct counts first;
	long done = 0, wrong = 0;
	int i;

	for (i = 0; i < 2; i++) {
		struct template t = template();
		struct stat shared = { .st_size = PAGE };
		uint64_t at = AREA + (uint64_t)i * 3 * PAGE, id = file(&t, "/tmp/file");

		range(&t, at, at + PAGE, PROT_READ, FRORE_PRIVATE_FILE, 0, id, 0);
		range(&t, at + PAGE, at + 2 * PAGE, RW, FRORE_SHARED, 0,
		      object(&t, FRORE_OBJECT_SHARED_ANONYMOUS, "", &shared), 0);
		range(&t, at + 2 * PAGE, at + 5 * PAGE, RW, FRORE_ANONYMOUS, 0, 0, 0);
		b[i] = finish(&t);
	}
	put(&b[0], (uint8_t[PAGE]){ 0 }, PAGE - b[0].len);
	b[0].len = PAGE;
	put(&b[0], b[1].at, b[1].len);
	h = host(AREA - (1 << 30), &b[0]);
	for (i = -100; i < times && !wrong; i++) {
		size_t len = b[1].len;

		if (i == 0)
			first = counts();
		done = call(&h, SYS_write, (uint64_t)h.fd, h.stub + PAGE * (uint64_t)(1 + (i & 1)), len);
		wrong = done != (long)len;
		if (!wrong)
			call(&h, SYS_getrandom, AREA + (uint64_t)(i & 1) * 3 * PAGE + PAGE, 2 * PAGE, 0);
	}
	verdict("many re-maps", !wrong, "number %d gave %ld", i, done);
	verdict("many re-maps: nothing is left", flat("re-mapped", first, counts()), "see above");
	end(&h);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 30,000 ranges that do not join: one write, beside as many calls of mmap(2) by the process itself, which is what a thaw without the module has it make. */
static void bench(void)
{
	enum { N = 30000 };
	struct template t = template();
	struct bytes b;
	struct host h;
	double start, module, calls;
	long done;
	int status;
	pid_t pid;

	for (uint64_t i = 0; i < N; i++)
		range(&t, AREA + i * PAGE, AREA + (i + 1) * PAGE, i & 1 ? PROT_READ : RW, FRORE_ANONYMOUS, 0, 0, 0);
	b = finish(&t);
	h = host(AREA - (1 << 30), &b);
	start = now();
	done = call(&h, SYS_write, (uint64_t)h.fd, h.stub + PAGE, b.len);
	module = now() - start;
	end(&h);
	start = now();
	pid = fork();
	if (pid == 0) {
		for (uint64_t i = 0; i < N; i++)
			if (mmap((void *)(AREA + i * PAGE), PAGE, i & 1 ? PROT_READ : RW,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
				_exit(1);
		kill(getpid(), SIGSTOP);
	}
	waitpid(pid, &status, WUNTRACED);
	calls = now() - start;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	verdict("30000 ranges", done == (long)b.len && WIFSTOPPED(status), "write gave %ld, calls %#x", done, status);
	printf("       30000 ranges: by the module %.0f ms, by calls %.0f ms: %.2f\n", module * 1e3, calls * 1e3, module / calls);
}

/* Refused behind the opening of files: what was opened is closed again. */
static int refused_often(void)
{
	struct template t = plain();
	struct bytes b;
	int fd = open(DEVICE, O_WRONLY);

	range(&t, AREA + 2 * PAGE, AREA + 3 * PAGE, PROT_READ, FRORE_PRIVATE_FILE, 0, file(&t, "/tmp/file"), 0);
	range(&t, AREA + 4 * PAGE, AREA + 5 * PAGE, PROT_READ, FRORE_PRIVATE_FILE, 0, file(&t, "/tmp/nothing"), 0);
	b = finish(&t);
	for (int i = 0; i < 3000; i++)
		if (write(fd, b.at, b.len) != -1 || errno != ENOENT)
			return 208;
	return writes(fd, b.at, b.len);
}

/* More memory than there is: nobody can know before it is mapped, and then there is no way back. */
static void killed(void)
{
	struct template t = plain();
	struct bytes b;
	struct host h;
	struct user_regs_struct r;
	int status;

	range(&t, AREA + (1UL << 40), AREA + (2UL << 40), RW, FRORE_ANONYMOUS, 0, 0, 0);
	b = finish(&t);
	h = host(AREA - (1 << 30), &b);
	ptrace(PTRACE_GETREGS, h.pid, 0, &r);
	r.rip = h.stub;
	r.rax = SYS_write;
	r.orig_rax = -1;
	r.rdi = (uint64_t)h.fd;
	r.rsi = h.stub + PAGE;
	r.rdx = b.len;
	ptrace(PTRACE_SETREGS, h.pid, 0, &r);
	ptrace(PTRACE_CONT, h.pid, 0, 0);
	waitpid(h.pid, &status, 0);
	verdict("behind the point of no return: SIGKILL", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x", status);
}

/* Waits in a write for another to leave its address space. */
static void waits_to_write(void)
{
	struct bytes b = plain_bytes();
	int fd = open(DEVICE, O_WRONLY);

	clone(wait_a_while, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (;;)
		write(fd, b.at, b.len);
}

/* A writer that waits dies of SIGKILL at once. Where it ends its tracer sees what the call gave, and that its maps are those of before. */
static void interrupted(void)
{
	char path[40], line[200];
	struct user_regs_struct r = { 0 };
	int status, tries;
	pid_t pid = fork();

	if (pid == 0)
		waits_to_write();
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	slurp(path, before, sizeof(before));
	ptrace(PTRACE_CONT, pid, 0, 0);
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	for (tries = 0; tries < 5000 && strncmp(slurp(path, line, sizeof(line)), "1 ", 2); tries++)
		usleep(1000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	slurp(path, after, sizeof(after));
	verdict("interrupted", status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8) && (long)r.rax == -EINTR, "%#x, %ld", status,
		(long)r.rax);
	verdict("interrupted: maps", *before && !strcmp(before, after), "before:\n%safter:\n%s", before, after);
	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, 0);
	verdict("interrupted: SIGKILL", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x", status);
}

static char *kernel_log(void)
{
	static char text[1 << 18];
	int n = klogctl(3, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = 0;
	return text;
}

/* A refusal, and what the log says of it. No more than ten of them in five seconds. */
struct line {
	const char *name;
	int want;
	int (*body)(void);
	const char *text;
	int untraced;
};

static const struct line rules[] = {
	{ "log: rule 1", EBADMSG, bad_magic, "not a Cryo file (rule 1)", 0 },
	{ "log: rule 12", EBADMSG, flipped, "(rule 12)", 0 },
	{ "log: rule 16", EBADMSG, unknown_critical, "(rule 16)", 0 },
	{ "log: rule 19", EBADMSG, truncated, "(rule 19)", 0 },
	{ "log: rule 40", EBADMSG, overlapping, "overlap, are empty or out of order (rule 40)", 0 },
	{ "log: rule 41", EBADMSG, unaligned, "(rule 41)", 0 },
	{ "log: rule 51", EBADMSG, no_object, "(rule 51)", 0 },
	{ "log: several processes", EBADMSG, several_processes, "ranges of several processes", 0 },
	{ "log: no such process", EBADMSG, no_such_process, "no ranges of this process", 0 },
	{ "log: architecture", ENOEXEC, i386, "a template of machine 3", 0 },
};

static const struct line others[] = {
	{ "log: threads", EBUSY, threaded, "several threads", 0 },
	{ "log: too long", EFBIG, too_long, "a template of 33554433 bytes", 0 },
	{ "log: kernel address", EINVAL, kernel_address, "100000000001000: an address of the kernel's", 0 },
	{ "log: max_map_count", ENOMEM, too_many, "more than vm.max_map_count", 0 },
	{ "log: RLIMIT_AS", ENOMEM, beyond_as, "more than RLIMIT_AS or RLIMIT_DATA", 0 },
	{ "log: noexec", EPERM, noexec, "it cannot be mapped (1)", 0 },
	{ "log: missing file", ENOENT, missing, "10000002000-10000003000", 0 },
	{ "log: another inode", ESTALE, other_inode, "10000002000-10000003000", 0 },
	{ "log: sealed memfd", EPERM, seal_of_memfd, "it cannot be mapped (1)", 0 },
	{ "log: on the vDSO", EEXIST, on_vdso, "stays there", 0 },
};

/* What root may, as somebody else. */
static int as_nobody(int (*body)(void))
{
	return setuid(65534) ? 202 : body();
}

static int nobodys_beyond_memlock(void)
{
	return as_nobody(beyond_memlock);
}

static int nobodys_unreadable(void)
{
	return as_nobody(unreadable);
}

static const struct line limits[] = {
	{ "log: not under ptrace", EPERM, good, "not under ptrace", 1 },
	{ "log: vfork", EBUSY, vforked, "(vfork)", 1 },
	{ "log: a shared address space", EBUSY, shared_space, "another process shares its address space", 0 },
	{ "log: RLIMIT_DATA", ENOMEM, beyond_data, "more than RLIMIT_AS or RLIMIT_DATA", 0 },
	{ "log: RLIMIT_MEMLOCK", EAGAIN, nobodys_beyond_memlock, "more than RLIMIT_MEMLOCK", 0 },
	{ "log: unreadable file", EACCES, nobodys_unreadable, "cannot be opened (13)", 0 },
	{ "log: highest address", EINVAL, highest_address, "an address of the kernel's", 0 },
};

static void each_logged(const struct line *all, size_t count)
{
	/* The limit's five seconds, and what the last of them wrote. */
	sleep(6);
	for (const struct line *l = all; l < all + count; l++) {
		klogctl(5, NULL, 0);
		refuses_if(l->name, l->want, l->body, !l->untraced);
		verdict(l->name, strstr(kernel_log(), l->text) && strstr(kernel_log(), "not re-mapped: "), "%s", kernel_log());
	}
}

static void logged(void)
{
	int lines = 0;

	each_logged(rules, sizeof(rules) / sizeof(rules[0]));
	each_logged(others, sizeof(others) / sizeof(others[0]));
	each_logged(limits, sizeof(limits) / sizeof(limits[0]));
	klogctl(5, NULL, 0);
	interrupted();
	verdict("log: interrupted", !!strstr(kernel_log(), "a fatal signal"), "%s", kernel_log());
	klogctl(5, NULL, 0);
	killed();
	verdict("log: killed", !!strstr(kernel_log(), "killed: half re-mapped, then error 12"), "%s", kernel_log());
	sleep(6);
	refuses("often", ENOENT, refused_often);
	for (char *at = kernel_log(); (at = strstr(at, "not re-mapped")); at++)
		lines++;
	verdict("log: limited", lines > 0 && lines < 200, "%d lines", lines);
}

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
