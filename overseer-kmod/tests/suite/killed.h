/* SPDX-License-Identifier: GPL-2.0 */
/* Writers that end in their midst. */

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
