//! In whose name, and with what powers.

use cryo_format::section::credentials::Credentials;

use super::{Cx, Print};
use crate::block::{Blocks, Fields};
use crate::names::{bits, capabilities, signal};
use crate::text::wrap;

const SECUREBITS: &[(u64, &str)] = &[
    (1 << 0, "NOROOT"),
    (1 << 1, "NOROOT_LOCKED"),
    (1 << 2, "NO_SETUID_FIXUP"),
    (1 << 3, "NO_SETUID_FIXUP_LOCKED"),
    (1 << 4, "KEEP_CAPS"),
    (1 << 5, "KEEP_CAPS_LOCKED"),
    (1 << 6, "NO_CAP_AMBIENT_RAISE"),
    (1 << 7, "NO_CAP_AMBIENT_RAISE_LOCKED"),
];

/// Groups that are shown; JSON has the rest.
const MOST: usize = 100;

impl Print for Credentials {
    const TITLE: &'static str = "credentials";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut fields = Fields::default();
        fields.add("uid", four(self.uid));
        fields.add("gid", four(self.gid));
        fields.add_if(!self.groups.is_empty(), "groups", || {
            let mut words: Vec<String> = self.groups.iter().take(MOST).map(u32::to_string).collect();
            if self.groups.len() > MOST {
                words.push("...".to_owned());
            }
            wrap(words, 100)
        });
        for (label, set) in [
            ("effective", self.effective),
            ("permitted", self.permitted),
            ("inheritable", self.inheritable),
            ("ambient", self.ambient),
            ("bounding", self.bounding),
        ] {
            fields.add_if(set.0 != 0, label, || wrap(capabilities::set(set.0), 100));
        }
        fields.add_if(self.securebits != 0, "securebits", || bits(self.securebits.into(), SECUREBITS, " "));
        fields.add_if(self.no_new_privs != 0, "no_new_privs", || "yes".to_owned());
        let death = u64::from(self.parent_death_signal);
        fields.add_if(death != 0, "parent-death", || signal::name(death));
        out.fields(fields);
    }
}

/// Real, effective, saved and filesystem id, where they differ.
pub fn four(ids: [u32; 4]) -> String {
    let [real, effective, saved, fs] = ids;
    if ids.iter().all(|id| *id == real) {
        return real.to_string();
    }
    format!("{real} (effective {effective}, saved {saved}, fs {fs})")
}
