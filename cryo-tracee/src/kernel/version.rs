//! Which kernel this is, for what it does not tell in any other way (uname(2)).

/// Is it older than this version? One that does not say is not.
pub fn is_before(major: u32, minor: u32) -> bool {
    release_is_before(rustix::system::uname().release().to_bytes(), (major, minor))
}

fn release_is_before(release: &[u8], version: (u32, u32)) -> bool {
    let mut numbers = release.split(|b| !b.is_ascii_digit()).map(|n| std::str::from_utf8(n).ok()?.parse::<u32>().ok());
    matches!((numbers.next().flatten(), numbers.next().flatten()), (Some(major), Some(minor)) if (major, minor) < version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared() {
        for (release, before) in [
            ("6.1.0-50-cloud-amd64", true),
            ("6.2", true),
            ("5.15.0", true),
            ("6.3.0", false),
            ("6.12.95+deb12", false),
            ("7.2.13", false),
            ("unknown", false),
        ] {
            assert_eq!(release_is_before(release.as_bytes(), (6, 3)), before, "{release}");
        }
    }
}
