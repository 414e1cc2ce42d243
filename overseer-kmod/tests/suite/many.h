/* SPDX-License-Identifier: GPL-2.0 */
/* Many re-maps with nothing left behind, and what one of many ranges costs. */

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
