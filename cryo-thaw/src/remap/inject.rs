//! The road that needs nothing: system calls made inside the host.

use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::{VmFlags, Vma};
use cryo_tracee::{Batch, Host, proc};

use super::huge::pool_lacks;
use super::mapper::Mapper;
use super::mapping::{MAP_DROPPABLE, Mapping, Source};
use super::template::{hole, range};
use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};
use crate::sysv;

impl Mapper<'_> {
    /// A mapping of the template as one of the list.
    pub(super) fn mapping(&mut self, host: &mut Host, vma: &Vma) -> Result<Mapping> {
        let source = self.source(host, vma)?;
        let file = self.template.object(vma).is_ok_and(|o| o.kind == ObjectKind::FILE);
        let droppable = vma.flags.has(VmFlags::DROPPABLE) && self.droppable(host)?;
        Ok(Mapping::new(vma, source, file, droppable))
    }

    /// Makes it.
    pub(super) fn inject(&mut self, host: &mut Host, batch: &mut Batch, m: &Mapping) -> Result<()> {
        let (fd, offset) = match m.source {
            Source::Part(id) => return self.share(host, batch, m, id),
            Source::File { fd, .. } | Source::Made(fd) => (fd, m.offset),
            Source::Nothing | Source::Shared => (u64::MAX, 0),
        };
        if m.huge.is_some() {
            huge(host, m, fd, offset)?;
        } else {
            batch.call(libc::SYS_mmap, &[m.start, m.len, m.prot.into(), m.flags as u64, fd, offset]);
        }
        self.mapped(batch, m);
        Ok(())
    }

    /// What is still to be done with a mapping that is there, whoever made it.
    pub(super) fn mapped(&mut self, batch: &mut Batch, m: &Mapping) {
        if let Some(prot) = m.then {
            batch.call(libc::SYS_mprotect, &[m.start, m.len, prot.into()]);
        }
        self.protect.extend(m.later.map(|prot| (m.start, m.len, prot)));
    }

    /// Whether this kernel has memory that it may drop. Elsewhere it is kept, which is allowed, too.
    fn droppable(&mut self, host: &mut Host) -> Result<bool> {
        if let Some(known) = self.droppable {
            return Ok(known);
        }
        let (prot, flags) =
            (libc::PROT_READ as u64, (MAP_DROPPABLE | libc::MAP_ANONYMOUS | host.arch().anywhere()) as u64);
        let tried = host.call(libc::SYS_mmap, [0, 4096, prot, flags, u64::MAX, 0]);
        if let Ok(at) = tried {
            host.call(libc::SYS_munmap, [at, 4096, 0, 0, 0, 0]).doing(|| "trying memory that may be dropped".into())?;
        }
        Ok(*self.droppable.insert(tried.is_ok()))
    }

    /// One of several mappings of nameless shared memory: the whole is mapped once, out of the way, and each mapping is a duplicate of a part of it
    /// (mremap(2) with an old size of 0).
    fn share(&mut self, host: &mut Host, batch: &mut Batch, m: &Mapping, id: u64) -> Result<()> {
        let object = self.template.by_id(id)?;
        let whole = self.whole(host, object)?;
        let (start, len) = (m.start, m.len);
        let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64;
        batch.call(libc::SYS_mremap, &[whole + m.offset, 0, len, flags, start]);
        batch.call(libc::SYS_mprotect, &[start, len, m.prot.into()]);
        self.mapped(batch, m);
        Ok(())
    }

    /// Where the whole of such memory is.
    pub(super) fn whole(&mut self, host: &mut Host, object: &Object) -> Result<u64> {
        if let Some((at, _)) = self.whole.get(&object.id) {
            return Ok(*at);
        }
        let size = object.size.next_multiple_of(4096);
        let taken = self.whole.values().map(|(at, size)| proc::Mapping::range(*at, at + size));
        let here: Vec<proc::Mapping> = proc::mappings(host.pid())?.into_iter().chain(taken).collect();
        let at = hole(self.template, &here, size)?;
        if object.kind == ObjectKind::SYSV_SHM {
            self.made.extend(sysv::attach(self.notes, host, object, at, self.template.owner)?);
        } else {
            let flags = libc::MAP_FIXED_NOREPLACE | libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            host.call(libc::SYS_mmap, [at, size, prot as u64, flags as u64, u64::MAX, 0])
                .doing(|| range(at, size, "mapping shared memory"))?;
        }
        self.whole.insert(object.id, (at, size));
        Ok(at)
    }
}

/// Memory made of huge TLB pages, which come out of a pool.
fn huge(host: &mut Host, m: &Mapping, fd: u64, offset: u64) -> Result<()> {
    let (start, len, mut flags, shift) = (m.start, m.len, m.flags, m.huge.unwrap_or_default());
    if flags & libc::MAP_ANONYMOUS != 0 {
        flags |= libc::MAP_HUGETLB | shift << libc::MAP_HUGE_SHIFT;
    }
    match host.call(libc::SYS_mmap, [start, len, m.prot.into(), flags as u64, fd, offset]) {
        Err(e) if e.errno() == Some(libc::ENOMEM) => {
            refuse(RefusalKind::Memory, pool_lacks(&format!("memory {start:#x}-{:#x}", start + len), len, 1 << shift))
        }
        other => other.map(drop).doing(|| range(start, len, "mapping huge pages")),
    }
}
