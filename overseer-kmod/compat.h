/* SPDX-License-Identifier: GPL-2.0 */
/* All that differs between the kernels that the module is built for, Debian's 6.1, 6.12 and 7.2, and between 32-bit and 64-bit processes. */
#ifndef OVERSEER_COMPAT_H
#define OVERSEER_COMPAT_H

#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/thread_info.h>
#include <linux/version.h>

/* The area that the kernel writes for restartable sequences when a thread returns to user space: 0 where none is registered. */
static inline unsigned long rseq_area(void)
{
#ifndef CONFIG_RSEQ
	return 0;
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
	return (unsigned long)current->rseq.usrptr;
#else
	return (unsigned long)current->rseq;
#endif
}

/* Is this a 32-bit process? By whichever interface it calls: TASK_SIZE is 4 GiB, or 3, for all that it maps. */
static inline bool is_32bit(void)
{
	return test_thread_flag(TIF_ADDR32);
}

/* Where a 32-bit process that calls by the 64-bit interface has what it maps anywhere: the kernel would look above its end. */
static inline unsigned long anywhere(void)
{
	return is_32bit() ? MAP_32BIT : 0;
}

/* mseal(2) is of 6.10. */
static inline bool is_sealed(const struct vm_area_struct *vma)
{
#ifdef VM_SEALED
	return vma->vm_flags & VM_SEALED;
#else
	return false;
#endif
}

#endif
