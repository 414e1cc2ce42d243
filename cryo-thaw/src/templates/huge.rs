//! The pages of a template, joined into huge ones where all are there: of 4 KiB pages fork(2) copies entry by entry, and one entry stands for 512 of them then.
//! A copy that writes splits what it writes into, and has a page of 4 KiB for itself, as before.

use cryo_format::ranges::joined;
use cryo_format::section::vmas::{Backing, VmFlags, Vma};
use cryo_tracee::{Host, proc};

use crate::Result;

/// The size of a huge page.
const HUGE: u64 = 2 << 20;

/// So much is joined by one call: what a host is waited for has a limit.
const AT_ONCE: u64 = 64 << 20;

/// Joins them. Where the kernel has no such call (before 6.1), or too little memory in one piece, they stay as they are.
pub fn join(host: &mut Host, vmas: &[Vma]) -> Result<()> {
    let pagemap = proc::pagemap(host.pid())?;
    let plain = |vma: &&Vma| {
        vma.backing == Backing::ANONYMOUS && ![VmFlags::HUGETLB, VmFlags::NOHUGEPAGE].iter().any(|f| vma.flags.has(*f))
    };
    for vma in vmas.iter().filter(plain) {
        let present = proc::present(&pagemap, vma.start.0, vma.end.0, true)?;
        for (mut start, end) in whole(present.iter().map(|p| (p.start, p.end)).collect()) {
            while start < end {
                let len = (end - start).min(AT_ONCE);
                let mut batch = host.batch()?;
                batch.call(libc::SYS_madvise, &[start, len, libc::MADV_COLLAPSE as u64]);
                host.run(batch.continue_at_error())?;
                start += len;
            }
        }
    }
    Ok(())
}

/// Of ranges of pages, those of huge pages of which nothing is missing.
fn whole(present: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let aligned = joined(present).into_iter().map(|(start, end)| (start.next_multiple_of(HUGE), end - end % HUGE));
    aligned.filter(|(start, end)| start < end).collect()
}

#[cfg(test)]
mod tests {
    use super::{HUGE, whole};

    #[test]
    fn only_what_is_whole_is_joined() {
        let page = 4096;
        for (present, wanted) in [
            (&[][..], &[][..]),
            (&[(0, HUGE)], &[(0, HUGE)]),
            (&[(0, HUGE - page)], &[]),
            (&[(0, page), (page, HUGE)], &[(0, HUGE)]),
            (&[(0, page), (2 * page, HUGE)], &[]),
            (&[(page, 3 * HUGE + page)], &[(HUGE, 3 * HUGE)]),
            (&[(0, HUGE), (2 * HUGE, 4 * HUGE)], &[(0, HUGE), (2 * HUGE, 4 * HUGE)]),
        ] {
            assert_eq!(whole(present.to_vec()), wanted, "{present:x?}");
        }
    }
}
