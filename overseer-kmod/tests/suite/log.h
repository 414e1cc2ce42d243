/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel's log says of a refusal. */

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
