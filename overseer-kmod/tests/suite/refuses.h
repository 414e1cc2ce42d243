/* SPDX-License-Identifier: GPL-2.0 */
/* A write that is refused: what a case adds to, and how its errno is compared. */

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
