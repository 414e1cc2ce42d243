/* SPDX-License-Identifier: GPL-2.0 */
/* What of the old address space is in the way, or is to be kept. */

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
