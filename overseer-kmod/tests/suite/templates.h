/* SPDX-License-Identifier: GPL-2.0 */
/* Writers and templates that are refused. */

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
