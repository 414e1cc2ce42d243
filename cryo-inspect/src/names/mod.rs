//! Numbers of the kernel's, by the names that its manual gives them. What has no name is shown as a number, never left out.

pub mod capabilities;
pub mod open;
pub mod signal;
pub mod syscall;

/// The names of the bits that are set, then what has no name in hex; `-` if none is set.
pub fn bits(value: u64, names: &[(u64, &str)], separator: &str) -> String {
    let mut rest = value;
    let mut found = Vec::new();
    for (bit, name) in names {
        if *bit != 0 && rest & bit == *bit {
            found.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        found.push(format!("{rest:#x}"));
    }
    if found.is_empty() { "-".to_owned() } else { found.join(separator) }
}

/// The name of one of several values, or the number.
pub fn one_of(value: u64, names: &[(u64, &str)]) -> String {
    names.iter().find(|(n, _)| *n == value).map_or_else(|| value.to_string(), |(_, name)| (*name).to_owned())
}
