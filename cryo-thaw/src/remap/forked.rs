//! The host of a process that is forked from its parent's: what both have alike stays, and with it the pages that they share.

use std::collections::HashMap;

use cryo_format::prim::Addr;
use cryo_format::ranges::{joined, without};
use cryo_format::section::forked::ForkedRange;
use cryo_format::section::objects::ObjectKind;
use cryo_format::section::vmas::{Backing, Vma, alike};
use cryo_tracee::{Host, fds};

use super::mapper::{Mapper, uses};
use super::mapping::{advise, writable};
use super::template::Template;
use super::{Remapper, Shape, run};
use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};
use crate::same_file::Hashes;

impl Remapper<'_> {
    /// Gives a host that was forked from one with the mappings `parents` those of the template. Of private memory that is alike it keeps the `forked` ranges.
    pub fn remap_forked(
        &self,
        host: &mut Host,
        (parents, shaped): (&[Vma], &Shape),
        template: &Template<'_>,
        forked: &[ForkedRange],
    ) -> Result<Shape> {
        self.paths.rights.lend(host)?;
        let alike = alike(parents, template.vmas);
        let mut mapper = Mapper {
            template,
            paths: self.paths,
            notes: self.notes,
            pidfd: fds::pidfd(host.pid())?,
            // A copy in the image is the same file's for both.
            files: copies(parents, shaped),
            unlinked: self.unlinked.clone(),
            identical: shaped.identical.clone(),
            whole: shaped.whole.clone(),
            protect: Vec::new(),
            made: Vec::new(),
            droppable: None,
            hashes: Hashes::default(),
            uses: uses(template.vmas),
        };
        let mut batch = host.batch()?;
        let mut advice = host.batch()?;
        let inherited = parents.iter().filter(|v| v.backing != Backing::SPECIAL);
        let inherited = joined(inherited.map(|v| (v.start.0, v.end.0)).collect());
        let both = joined(alike.iter().map(|a| (a.start, a.end)).collect());
        for (start, end) in without(&inherited, &both) {
            batch.call(libc::SYS_munmap, &[start, end - start]);
        }
        let private = joined(alike.iter().filter(|a| a.is_private()).map(|a| (a.start, a.end)).collect());
        let forked = joined(forked.iter().map(|r| (r.start.0, r.end.0)).collect());
        if let Some((start, end)) = without(&forked, &private).first() {
            return refuse(
                RefusalKind::Image,
                format!(
                    "pages {start:x}-{end:x} are its parent's, which has not mapped the same there: freeze it anew with this release"
                ),
            );
        }
        for a in &alike {
            let len = a.end - a.start;
            if a.own.backing == Backing::SHARED && template.object(a.own)?.kind != ObjectKind::FILE {
                // As long as it is filled; the parent's is, too.
                mapper.protect.extend(writable(a.own).map(|prot| (a.start, len, prot)));
            } else if a.own.prot != a.parents.prot {
                batch.call(libc::SYS_mprotect, &[a.start, len, a.own.prot.into()]);
            }
            if a.is_private() {
                for (start, end) in without(&[(a.start, a.end)], &forked) {
                    batch.call(libc::SYS_madvise, &[start, end - start, libc::MADV_DONTNEED as u64]);
                }
            }
        }
        // Some are mapped at once, where the parent's must be gone.
        run(host, &mut batch, &mut advice)?;
        for vma in template.vmas.iter().filter(|v| v.backing != Backing::SPECIAL) {
            let kept = joined(alike.iter().filter(|a| std::ptr::eq(a.own, vma)).map(|a| (a.start, a.end)).collect());
            for (start, end) in without(&[(vma.start.0, vma.end.0)], &kept) {
                let offset = if vma.backing == Backing::ANONYMOUS { 0 } else { vma.offset + (start - vma.start.0) };
                let fresh = Vma { start: Addr(start), end: Addr(end), offset, ..vma.clone() };
                if !advice.has_room(vma.name.len()) {
                    run(host, &mut batch, &mut advice)?;
                }
                let mapping = mapper.mapping(host, &fresh)?;
                mapper.inject(host, &mut batch, &mapping)?;
                advise(&mut advice, &fresh);
            }
        }
        run(host, &mut batch, &mut advice)?;
        // Who was born of its parent in this family has it from there.
        for object in template.objects.iter().filter(|o| template.common.contains(&o.id)) {
            mapper.whole(host, object)?;
        }
        for fd in mapper.files.values().flatten() {
            host.call(libc::SYS_close, [*fd, 0, 0, 0, 0, 0]).doing(|| "mapping its memory".into())?;
        }
        Ok(Shape {
            identical: mapper.identical,
            unlinked: mapper.unlinked,
            vdso: None,
            protect: mapper.protect,
            whole: mapper.whole,
            made: mapper.made,
        })
    }
}

/// Objects for which the parent has the copy in the image.
fn copies(parents: &[Vma], shaped: &Shape) -> HashMap<u64, Option<u64>> {
    let files = parents.iter().filter(|v| matches!(v.backing, Backing::PRIVATE_FILE | Backing::SHARED));
    files.filter(|v| !shaped.identical.contains(&v.object)).map(|v| (v.object, None)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vma(start: u64, end: u64, backing: Backing, offset: u64) -> Vma {
        Vma { start: Addr(start), end: Addr(end), backing, offset, object: 1, ..Vma::default() }
    }

    #[test]
    fn a_grown_heap_and_a_moved_file_are_told_apart() {
        let parents = [vma(0, 4, Backing::ANONYMOUS, 0), vma(8, 12, Backing::PRIVATE_FILE, 0)];
        let own = [vma(0, 6, Backing::ANONYMOUS, 0), vma(8, 12, Backing::PRIVATE_FILE, 4)];
        let all: Vec<_> = alike(&parents, &own).iter().map(|a| (a.start, a.end)).collect();
        assert_eq!(all, [(0, 4)]);
    }
}
