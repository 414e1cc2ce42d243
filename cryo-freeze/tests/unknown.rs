//! What a later kernel may have that this release does not know: seen where it can be seen, and never taken for nothing.

#![allow(clippy::unwrap_used)] // also outside of test functions

use cryo_freeze::collect::process::unknown_mdwe;
use cryo_freeze::collect::unsupported::unknown_flag;
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
