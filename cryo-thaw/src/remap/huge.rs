//! Huge TLB pages.

use cryo_format::section::vmas::{VmFlags, Vma};

/// By how many bits the size of its huge pages is shifted, as MAP_HUGE_SHIFT has it.
pub fn huge_shift(vma: &Vma) -> i32 {
    if vma.flags.has(VmFlags::HUGETLB_1GIB) { 30 } else { 21 }
}

/// There are fewer huge pages than this mapping, or its content, needs: where nothing was reserved that shows only when they are touched.
pub fn pool_too_small(vma: &Vma) -> String {
    pool_lacks(&format!("memory {}-{}", vma.start, vma.end), vma.end.0 - vma.start.0, 1 << huge_shift(vma))
}

/// The same of anything that is so long, and whose pages have so many bytes.
pub fn pool_lacks(what: &str, len: u64, page: u64) -> String {
    format!(
        "{what} is made of {} huge pages of {}, and fewer are free here: have root raise /sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages",
        len / page,
        if page == 1 << 30 { "1 GiB".into() } else { format!("{} MiB", page >> 20) },
        page >> 10
    )
}
