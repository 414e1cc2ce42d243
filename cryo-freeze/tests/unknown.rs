//! What a later kernel may have that this release does not know: seen where it can be seen, and never taken for nothing.

#![allow(clippy::unwrap_used)] // also outside of test functions

use cryo_freeze::collect::limits::unknown_limit;
use cryo_freeze::collect::process::unknown_mdwe;
use cryo_freeze::collect::seccomp;
use cryo_freeze::collect::unsupported::{thread_feature, unknown_flag, unknown_namespace};
use cryo_tracee::proc::{FdInfo, Mapping, parse_mappings};

fn mapping(flags: &str) -> Mapping {
    let text = format!("10000-11000 rw-p 00000000 00:00 0\nRss: 4 kB\nVmFlags: {flags}\n");
    parse_mappings(text.as_bytes(), "smaps").unwrap().remove(0)
}

#[test]
fn a_flag_of_a_mapping() {
    assert_eq!(unknown_flag(&mapping("rd wr mr mw me gd ac sd lf dp ")), None);
    assert_eq!(unknown_flag(&mapping("rd wr mr zz mw ")), Some("zz".to_owned()));
    // So the kernel shows a flag for which its own table has no letters yet.
    assert_eq!(unknown_flag(&mapping("rd ?? ")), Some("??".to_owned()));
}

#[test]
fn every_flag_of_this_kernel_is_known() {
    let maps = cryo_tracee::proc::mappings(std::process::id() as i32).unwrap();
    assert!(maps.len() > 5 && maps.iter().all(|m| !m.flags.is_empty()));
    assert_eq!(maps.iter().find_map(unknown_flag), None);
}

#[test]
fn a_line_about_a_descriptor() {
    let known = "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t4\n";
    assert_eq!(FdInfo(known.into()).unknown_key(), None);
    assert_eq!(FdInfo(format!("{known}colour:\t3\n")).unknown_key(), Some("colour"));
}

#[test]
fn a_bit_of_memory_deny_write_execute() {
    assert_eq!([0, 1, 2, 3].map(unknown_mdwe), [None; 4]);
    assert_eq!(unknown_mdwe(4 | 1), Some(4));
}

#[test]
fn a_flag_of_an_open_file() {
    let info = |flags: &str| FdInfo(format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t15\n"));
    // As of a directory, a file of O_TMPFILE, an inherited terminal, a pidfd of a thread.
    for known in ["02300000", "022300002", "0100002", "02000202", "012120000"] {
        assert_eq!(info(known).unknown_flags(), None, "{known}");
    }
    assert_eq!(info("0102000002").unknown_flags(), Some(0o100_000_000));
}

#[test]
fn a_mode_of_seccomp_or_a_flag_of_its_filters() {
    for (mode, flags) in [(0, 0), (1, 0), (2, 0), (2, 2)] {
        assert_eq!(seccomp::unknown(mode, flags), None, "{mode} {flags}");
    }
    assert!(seccomp::unknown(3, 0).unwrap().contains("is being killed"));
    assert!(seccomp::unknown(4, 0).unwrap().contains("a mode that this release does not know (4)"));
    assert!(seccomp::unknown(2, 2 | 64).unwrap().contains("flags that this release does not know (0x40)"));
}

#[test]
fn a_feature_of_a_thread() {
    assert_eq!(thread_feature(""), None);
    assert_eq!(thread_feature("shstk wrss"), Some("shstk"));
    assert_eq!(thread_feature("later"), Some("later"));
}

#[test]
fn a_kind_of_namespace() {
    let of = |id: &str| Some(id.as_bytes().to_vec());
    let all = |name, theirs| [("uts", of("uts:[1]"), of("uts:[2]")), (name, of(theirs), of("later:[1]"))].into_iter();
    // Those that are known are looked at elsewhere; one that is the same for all does not matter.
    assert_eq!(unknown_namespace(all("later", "later:[1]")), None);
    assert_eq!(unknown_namespace(all("later", "later:[2]")), Some("later"));
}

#[test]
fn a_resource_limit() {
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    assert!(own.lines().count() > 10);
    assert_eq!(unknown_limit(&own), None);
    let later = format!("{own}Max later things          unlimited            unlimited            things    \n");
    assert_eq!(unknown_limit(&later), Some("Max later things"));
}
