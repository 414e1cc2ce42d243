// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/overseer: who writes a template (.frore) to it gets the template's address space. Any user may re-map itself, and nobody else.
 */

#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>

#include "compat.h"
#include "frore.h"
#include "frore_layout.h"
#include "overseer.h"
#include "remap.h"

/* An open device. */
struct session {
	/* The address space that opened it: the only one that it re-maps. */
	struct mm_struct *mm;
	struct wish wish;
};

void refused(const char *format, ...)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 10);
	struct va_format text;
	va_list args;

	if (!__ratelimit(&limit))
		return;
	va_start(args, format);
	text.fmt = format;
	text.va = &args;
	/* The name of the process is the user's own choice, and does not belong into a log. */
	pr_info("overseer: pid %d, uid %u: not re-mapped: %pV\n", task_pid_nr(current),
		from_kuid(&init_user_ns, current_uid()), &text);
	va_end(args);
}

/*
 * A descriptor can be handed on: to a set-user-id program as its stdout, say, which would then re-map itself to what its caller has it print. So who
 * writes is who opened.
 */
static int own(const struct file *file)
{
	const struct session *session = file->private_data;

	if (session->mm != current->mm || file->f_cred != current_cred()) {
		refused("opened by another process, or with other credentials");
		return -EPERM;
	}
	return 0;
}

/* Is there nobody else in this address space, and somebody who gives the process a place to go on? */
static int alone(void)
{
	int tries;

	if (in_compat_syscall() && !is_32bit()) {
		refused("a 32-bit call by a 64-bit process");
		return -ENOEXEC;
	}
	if (!current->ptrace) {
		refused("not under ptrace: there would be nowhere to return to");
		return -EPERM;
	}
	if (get_nr_threads(current) != 1) {
		refused("it has several threads");
		return -EBUSY;
	}
	if (current->vfork_done) {
		refused("its address space is that of the parent, which waits (vfork)");
		return -EBUSY;
	}
	/* Whoever looks into a process by /proc or process_vm_readv() holds its address space for a moment; who was cloned with CLONE_VM, for ever. */
	for (tries = 0; atomic_read(&current->mm->mm_users) != 1; tries++) {
		if (tries == 50) {
			refused("another process shares its address space");
			return -EBUSY;
		}
		schedule_timeout_killable(1);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

static ssize_t overseer_write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	struct session *session = file->private_data;
	u8 *bytes;
	int err;

	err = own(file);
	if (!err)
		err = alone();
	if (err)
		goto out;
	if (len > OVERSEER_MAX) {
		refused("a template of %zu bytes", len);
		return -EFBIG;
	}
	if (!len)
		return -EINVAL;
	/* A copy, so that what was checked is what is done, whoever writes into the original meanwhile. */
	bytes = kvmalloc(len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!bytes)
		return -ENOMEM;
	err = copy_from_user(bytes, from, len) ? -EFAULT : remap(bytes, len, &session->wish);
	kvfree(bytes);
out:
	if (err == -EINTR)
		refused("a fatal signal");
	return err ? err : len;
}

static long overseer_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	struct session *session = file->private_data;
	const struct overseer_version version = {
		.interface = OVERSEER_INTERFACE,
		.format_major = FRORE_MAJOR,
		.max = OVERSEER_MAX,
	};
	void __user *user = (void __user *)arg;
	struct overseer_range range;
	u64 process;
	int err;

	if (command == OVERSEER_VERSION)
		return copy_to_user(user, &version, sizeof(version)) ? -EFAULT : 0;
	err = own(file);
	if (err)
		return err;
	switch (command) {
	case OVERSEER_KEEP:
		if (copy_from_user(&range, user, sizeof(range)))
			return -EFAULT;
		if ((range.start | range.len) & ~PAGE_MASK || range.len > ULONG_MAX - range.start)
			return -EINVAL;
		session->wish.keep_start = range.start;
		session->wish.keep_end = range.start + range.len;
		return 0;
	case OVERSEER_PROCESS:
		if (copy_from_user(&process, user, sizeof(process)))
			return -EFAULT;
		session->wish.process = process;
		return 0;
	}
	return -ENOTTY;
}

static int overseer_open(struct inode *inode, struct file *file)
{
	struct session *session;

	if (!current->mm)
		return -EINVAL;
	session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);
	if (!session)
		return -ENOMEM;
	/* The structure alone: as /proc/PID/mem has it, an open device keeps no memory of a process that has ended. */
	mmgrab(current->mm);
	session->mm = current->mm;
	file->private_data = session;
	return stream_open(inode, file);
}

static int overseer_release(struct inode *inode, struct file *file)
{
	struct session *session = file->private_data;

	mmdrop(session->mm);
	kfree(session);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = overseer_open,
	.write = overseer_write,
	.unlocked_ioctl = overseer_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = overseer_release,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "overseer",
	.fops = &operations,
	.mode = 0666,
};

static int __init begin(void)
{
	frore_begin();
	return misc_register(&device);
}

static void __exit end(void)
{
	misc_deregister(&device);
}

module_init(begin);
module_exit(end);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Re-maps the process that writes a template (.frore) to /dev/overseer");
MODULE_VERSION("0.1.0");
