// SPDX-License-Identifier: GPL-2.0
/*
 * A process into the shape of a template, as execve(2) has it: everything that can be checked is checked, and every file opened with the writer's own
 * rights, before the old space is touched; an error until then leaves the writer as it was. Behind that point an error kills it.
 *
 * All that changes an address space here is vm_mmap() and vm_munmap(): what mmap(2) and munmap(2) are made of, with all their checks (limits, security
 * modules, seals, mounts without exec, the lowest address). Nobody gets here what these would not give them.
 */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/stat.h>

#include "compat.h"
#include "frore.h"
#include "frore_layout.h"
#include "remap.h"

/* Mappings that stay: the caller's stub, and the kernel's own. */
#define MOST_STAYING 16

/* A range of the old space that stays. */
struct stay {
	unsigned long start;
	unsigned long end;
};

/* An object of the template that ranges are mapped of. */
struct opened {
	struct file *file;
	/* Bits 1 << prot, and 1 << (prot + 8) of shared ones: what was mapped on trial. */
	u16 tried;
	bool shared_anonymous;
};

struct job {
	const struct wish *wish;
	struct frore frore;
	u32 *at;
	struct opened *opened;
	u16 tried; /* of memory without a file */
	struct stay stay[MOST_STAYING];
	int staying;
	unsigned long stays; /* their pages */
	unsigned long stays_locked;
};

/* How a range is mapped. */
struct mapping {
	unsigned long start;
	unsigned long len;
	unsigned long prot;
	unsigned long flags;
	unsigned long offset;
	struct opened *opened; /* NULL: memory without a file or a name */
};

#define RANGE "%llx-%llx"

/* How a range of the template is mapped, or why not. Gives 1 where there is nothing to do: the kernel's own mappings stay where they are. */
static int mapping_of(struct job *job, const struct frore_vma *v, struct mapping *m)
{
	struct frore_object o;
	u64 index;

	if (v->backing == FRORE_SPECIAL)
		return 1;
	memset(m, 0, sizeof(*m));
	m->start = v->start;
	m->len = v->end - v->start;
	m->prot = v->prot;
	if (v->prot & ~(u32)(PROT_READ | PROT_WRITE | PROT_EXEC)) {
		refused(RANGE ": protection %#x", v->start, v->end, v->prot);
		return -EINVAL;
	}
	if (v->flags & (FRORE_VM_HUGETLB | FRORE_VM_DROPPABLE)) {
		refused(RANGE ": huge TLB pages and droppable memory are mapped by the caller", v->start, v->end);
		return -EOPNOTSUPP;
	}
	if (v->flags & FRORE_VM_NORESERVE)
		m->flags |= MAP_NORESERVE;
	if (v->flags & FRORE_VM_LOCKED && !(v->flags & FRORE_VM_LOCKONFAULT))
		m->flags |= MAP_LOCKED;
	if (v->flags & FRORE_VM_GROWSDOWN) {
		if (v->backing != FRORE_ANONYMOUS) {
			refused(RANGE ": a stack of something else than private memory", v->start, v->end);
			return -EINVAL;
		}
		m->flags |= MAP_GROWSDOWN;
	}
	if (v->backing == FRORE_ANONYMOUS) {
		m->flags |= MAP_PRIVATE | MAP_ANONYMOUS;
		return 0;
	}
	if (v->backing != FRORE_PRIVATE_FILE && v->backing != FRORE_SHARED) {
		refused(RANGE ": backing %u", v->start, v->end, v->backing);
		return -EINVAL;
	}
	index = frore_find(&job->frore, job->at, v->object);
	if (!frore_object_of(&job->frore, job->at, index, &o))
		return -EINVAL; /* rule 51: it was looked for */
	m->opened = &job->opened[index];
	m->offset = v->offset;
	if (v->backing == FRORE_SHARED && o.kind == FRORE_OBJECT_SHARED_ANONYMOUS) {
		/* Two mappings of the same memory, or one of a part of it, want mremap(2), which no module can call. */
		if (v->offset || o.huge_page || o.size > m->len || m->len - o.size >= PAGE_SIZE) {
			refused(RANGE ": a part of shared memory is mapped by the caller", v->start, v->end);
			return -EOPNOTSUPP;
		}
		m->flags |= MAP_SHARED | MAP_ANONYMOUS;
		return 0;
	}
	if (o.kind != FRORE_OBJECT_FILE || o.huge_page) {
		refused(RANGE ": object %llu is no file with a name", v->start, v->end, o.id);
		return -EOPNOTSUPP;
	}
	if (v->offset & ~PAGE_MASK || v->offset > (u64)LLONG_MAX - m->len) {
		refused(RANGE ": offset %#llx", v->start, v->end, v->offset);
		return -EINVAL;
	}
	m->flags |= v->backing == FRORE_SHARED ? MAP_SHARED : MAP_PRIVATE;
	return 0;
}

/*
 * What of the old space stays. The kernel's own mappings (vDSO, vvar, ...) are those that have operations but no file: they could not be made again.
 */
static int survey(struct job *job)
{
	struct mm_struct *mm = current->mm;
	unsigned long keep = job->wish->keep_start, keep_end = job->wish->keep_end, kept = 0;
	struct vm_area_struct *vma;
	unsigned long at = 0;
	int err = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	while (!err && (vma = find_vma(mm, at))) {
		bool wished = vma->vm_start < keep_end && keep < vma->vm_end;
		bool kernels = vma->vm_ops && !vma->vm_file;

		at = vma->vm_end;
		if (wished && (vma->vm_start < keep || vma->vm_end > keep_end)) {
			err = -EINVAL; /* a part of a mapping */
		} else if (wished || kernels) {
			if (job->staying == MOST_STAYING) {
				err = -EINVAL;
				break;
			}
			job->stay[job->staying++] = (struct stay){ vma->vm_start, vma->vm_end };
			job->stays += (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
			if (vma->vm_flags & VM_LOCKED)
				job->stays_locked += (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
			if (wished)
				kept += vma->vm_end - vma->vm_start;
		} else if (is_sealed(vma)) {
			err = -EPERM;
		}
	}
	mmap_read_unlock(mm);
	if (err == -EPERM)
		refused("a mapping of it is sealed");
	else if (err || kept != keep_end - keep)
		refused("what is to stay, %lx-%lx, is not made of few whole mappings", keep, keep_end);
	return err ? err : kept != keep_end - keep ? -EINVAL : 0;
}

/* A range of rseq(2) that goes away kills the thread as soon as it returns. */
static int rseq_stays(const struct job *job)
{
	unsigned long area = rseq_area();
	int i;

	for (i = 0; i < job->staying; i++)
		if (area >= job->stay[i].start && area < job->stay[i].end)
			return 0;
	if (!area)
		return 0;
	refused("it has registered restartable sequences (rseq) in memory that goes away");
	return -EBUSY;
}

/* The sysctl is exported to no module; it is read as everybody reads it. */
static unsigned long max_map_count(void)
{
	unsigned long most = DEFAULT_MAX_MAP_COUNT;
	struct file *file = filp_open("/proc/sys/vm/max_map_count", O_RDONLY, 0);
	char text[24] = "";
	loff_t pos = 0;

	if (!IS_ERR(file)) {
		if (kernel_read(file, text, sizeof(text) - 1, &pos) <= 0 || kstrtoul(strim(text), 10, &most))
			most = DEFAULT_MAX_MAP_COUNT;
		fput(file);
	}
	return most;
}

/* Ranges, addresses and limits. */
static int check_ranges(struct job *job)
{
	unsigned long pages = job->stays, data = 0, locked = job->stays_locked, count = job->staying;
	bool all_locked = current->mm->def_flags & VM_LOCKED;
	struct frore_span s = job->frore.vmas;
	struct frore_vma v;
	struct mapping m;
	int i, err;

	while (frore_next_vma(&s, &v)) {
		if (v.end > current->mm->task_size) {
			refused(RANGE ": an address of the kernel's", v.start, v.end);
			return -EINVAL;
		}
		err = mapping_of(job, &v, &m);
		if (err < 0)
			return err;
		if (err)
			continue;
		for (i = 0; i < job->staying; i++)
			if (v.start < job->stay[i].end && job->stay[i].start < v.end) {
				refused(RANGE ": %lx-%lx stays there", v.start, v.end, job->stay[i].start, job->stay[i].end);
				return -EEXIST;
			}
		if (m.opened && m.flags & MAP_ANONYMOUS) {
			if (m.opened->shared_anonymous) {
				refused(RANGE ": shared memory that is mapped twice is mapped by the caller", v.start, v.end);
				return -EOPNOTSUPP;
			}
			m.opened->shared_anonymous = true;
		}
		count++;
		/* None of these sums can overflow: ranges do not overlap, and are user space's. */
		pages += m.len >> PAGE_SHIFT;
		if (m.prot & PROT_WRITE && m.flags & MAP_PRIVATE && !(m.flags & MAP_GROWSDOWN))
			data += m.len >> PAGE_SHIFT;
		if (m.flags & MAP_LOCKED || all_locked)
			locked += m.len >> PAGE_SHIFT;
		cond_resched();
	}
	if (count > max_map_count()) {
		refused("%lu mappings: more than vm.max_map_count", count);
		return -ENOMEM;
	}
	if (pages > rlimit(RLIMIT_AS) >> PAGE_SHIFT || data > rlimit(RLIMIT_DATA) >> PAGE_SHIFT) {
		refused("%lu pages, %lu of them data: more than RLIMIT_AS or RLIMIT_DATA", pages, data);
		return -ENOMEM;
	}
	if (locked > job->stays_locked && locked > rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT && !capable(CAP_IPC_LOCK)) {
		refused("%lu locked pages: more than RLIMIT_MEMLOCK", locked);
		return -EAGAIN;
	}
	return 0;
}

/*
 * Opens the file of an object as the writer would, and sees that it is the one that the template names: the same inode, and under a private mapping with
 * the same content as far as size and time of change tell. Whether another file will do is the caller's decision, who then names that one.
 */
static int open_object(struct job *job, const struct frore_vma *v, struct opened *opened, bool write, bool shared)
{
	struct frore_object o;
	struct kstat stat;
	struct file *file;
	char *path;
	int err;

	if (!frore_object_of(&job->frore, job->at, opened - job->opened, &o))
		return -EINVAL;
	if (!o.path.len || o.path.len >= PATH_MAX || memchr(o.path.at, 0, o.path.len)) {
		refused(RANGE ": object %llu has no path that could be opened", v->start, v->end, o.id);
		return -EINVAL;
	}
	path = kmemdup_nul(o.path.at, o.path.len, GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	file = filp_open(path, (write ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_LARGEFILE, 0);
	kfree(path);
	if (IS_ERR(file)) {
		refused(RANGE ": the file of object %llu cannot be opened (%ld)", v->start, v->end, o.id, -PTR_ERR(file));
		return PTR_ERR(file);
	}
	err = vfs_getattr(&file->f_path, &stat, STATX_BASIC_STATS, AT_STATX_SYNC_AS_STAT);
	if (!err && !S_ISREG(stat.mode))
		err = -EACCES;
	if (!err && (new_encode_dev(stat.dev) != o.dev || stat.ino != o.ino ||
		     (!shared && (stat.size != o.size || stat.mtime.tv_sec != o.mtime_sec || stat.mtime.tv_nsec != o.mtime_nsec))))
		err = -ESTALE;
	if (err) {
		refused(RANGE ": object %llu is another file than the template names (%d)", v->start, v->end, o.id, -err);
		fput(file);
		return err;
	}
	opened->file = file;
	return 0;
}

/* How the ranges of an object together use it. */
struct use {
	bool shared;
	bool write;
};

static int open_files(struct job *job)
{
	struct frore_span s = job->frore.vmas;
	struct frore_vma v;
	struct mapping m;
	struct use *uses;
	int err = 0;

	if (!job->frore.object_count)
		return 0;
	uses = kvcalloc(job->frore.object_count + 1, sizeof(*uses), GFP_KERNEL_ACCOUNT);
	if (!uses)
		return -ENOMEM;
	while (frore_next_vma(&s, &v)) {
		if (mapping_of(job, &v, &m) || !m.opened)
			continue;
		uses[m.opened - job->opened].shared |= v.backing == FRORE_SHARED;
		/* One that may be made writable later needs a file that is open for writing now. */
		uses[m.opened - job->opened].write |=
			v.backing == FRORE_SHARED && (v.prot & PROT_WRITE || v.flags & FRORE_VM_MAYWRITE);
	}
	for (s = job->frore.vmas; !err && frore_next_vma(&s, &v);) {
		const struct use *use;

		if (mapping_of(job, &v, &m) || !m.opened || m.flags & MAP_ANONYMOUS || m.opened->file)
			continue;
		use = &uses[m.opened - job->opened];
		err = open_object(job, &v, m.opened, use->write, use->shared);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	kvfree(uses);
	return err;
}

/*
 * Each kind of mapping once on trial, one page of it, wherever there is room: seals, mounts without exec, security modules and file systems say here what they would
 * say behind the point of no return. And the lowest range where it belongs, for vm.mmap_min_addr, which no module can read.
 */
static int try_out(struct job *job)
{
	struct frore_span s = job->frore.vmas;
	bool first = true;
	struct frore_vma v;
	struct mapping m;
	unsigned long at;

	while (frore_next_vma(&s, &v)) {
		u16 bit, *tried;

		if (mapping_of(job, &v, &m))
			continue;
		if (first) {
			at = vm_mmap(NULL, m.start, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, 0);
			if (!IS_ERR_VALUE(at))
				vm_munmap(at, PAGE_SIZE);
			else if (at != (unsigned long)-EEXIST) {
				refused(RANGE ": nothing may be mapped there (%ld)", v.start, v.end, -(long)at);
				return at;
			}
			first = false;
		}
		tried = m.opened ? &m.opened->tried : &job->tried;
		bit = 1 << (m.prot + (m.flags & MAP_SHARED ? 8 : 0));
		if (*tried & bit)
			continue;
		*tried |= bit;
		at = vm_mmap(m.opened ? m.opened->file : NULL, 0, PAGE_SIZE, m.prot,
			     (m.flags & (MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE)) | anywhere(), m.offset);
		if (IS_ERR_VALUE(at)) {
			refused(RANGE ": it cannot be mapped (%ld)", v.start, v.end, -(long)at);
			return at;
		}
		vm_munmap(at, PAGE_SIZE);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* There is no way back from here. */
static int replace(struct job *job)
{
	struct frore_span s = job->frore.vmas;
	struct frore_vma v;
	struct mapping m;
	unsigned long at = 0;
	int i, err = 0;

	for (i = 0; i <= job->staying && !err; i++) {
		unsigned long end = i < job->staying ? job->stay[i].start : current->mm->task_size;

		if (at < end)
			err = vm_munmap(at, end - at);
		if (i < job->staying)
			at = job->stay[i].end;
	}
	while (!err && frore_next_vma(&s, &v)) {
		err = mapping_of(job, &v, &m);
		if (err > 0) {
			err = 0;
			continue;
		}
		if (err)
			break;
		at = vm_mmap(m.opened ? m.opened->file : NULL, m.start, m.len, m.prot, m.flags | MAP_FIXED_NOREPLACE, m.offset);
		if (IS_ERR_VALUE(at))
			err = at;
		cond_resched();
	}
	if (err) {
		pr_warn_ratelimited("overseer: pid %d: killed: half re-mapped, then error %d at %lx\n",
				    task_pid_nr(current), -err, m.start);
		force_sig(SIGKILL);
	}
	return err;
}

int remap(const u8 *bytes, size_t len, const struct wish *wish)
{
	struct frore_error error;
	struct job *job;
	u64 i;
	int err;

	job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);
	if (!job)
		return -ENOMEM;
	job->wish = wish;
	err = -EBADMSG;
	if (frore_read(bytes, len, wish->process, &job->frore, &error))
		goto broken;
	err = -ENOMEM;
	job->at = kvcalloc(job->frore.object_count + 1, sizeof(*job->at), GFP_KERNEL_ACCOUNT);
	job->opened = kvcalloc(job->frore.object_count + 1, sizeof(*job->opened), GFP_KERNEL_ACCOUNT);
	if (!job->at || !job->opened)
		goto out;
	err = -EBADMSG;
	if (frore_link(&job->frore, job->at, &error))
		goto broken;
	err = -ENOEXEC;
	/* The template of a family with members of both is x86-64's. */
	if ((job->frore.machine == FRORE_EM_386 && !is_32bit()) || job->frore.page_shift != PAGE_SHIFT) {
		refused("a template of machine %u with pages of 2^%u bytes", job->frore.machine, job->frore.page_shift);
		goto out;
	}
	/* By personality(2) ADDR_LIMIT_3GB: what lies above could not be taken away. */
	err = -EINVAL;
	if (current->mm->task_size > TASK_SIZE) {
		refused("its address space ends above what its personality lets it map");
		goto out;
	}
	err = survey(job);
	if (!err)
		err = rseq_stays(job);
	if (!err)
		err = check_ranges(job);
	if (!err)
		err = open_files(job);
	if (!err)
		err = try_out(job);
	if (!err && fatal_signal_pending(current))
		err = -EINTR;
	if (!err)
		err = replace(job);
	goto out;
broken:
	if (error.rule < FRORE_PROFILE)
		refused("at offset %#llx of the template: %s (rule %d)", error.at, error.what, error.rule);
	else
		refused("%s", error.what);
out:
	for (i = 0; job->opened && i < job->frore.object_count; i++)
		if (job->opened[i].file)
			fput(job->opened[i].file);
	kvfree(job->opened);
	kvfree(job->at);
	kfree(job);
	return err;
}
