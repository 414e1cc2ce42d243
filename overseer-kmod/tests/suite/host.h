/* SPDX-License-Identifier: GPL-2.0 */
/* A traced process that writes, and the maps that it has then. */

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
