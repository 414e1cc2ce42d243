/* SPDX-License-Identifier: GPL-2.0 */
/* Files that are refused. */

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
