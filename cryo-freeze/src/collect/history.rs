//! `HIST`: what an overseer has seen of each process. Nothing is asked of the kernel: whoever asks for the freeze knows it.

use cryo_format::section::history::History;

use super::collected::Collected;
use super::held::Member;

/// Adds what is known of the members, by their pids; what differs from the kernel's view is noted, too.
pub fn collect(members: &[Member], known: &[(i32, History)], out: &mut Collected) {
    for member in members {
        let Some((_, history)) = known.iter().find(|(pid, _)| *pid == member.pid) else { continue };
        for d in &history.differences {
            out.note(format!("process {}, {}", member.pid, d.object), d.text.to_string());
        }
        out.add(member.id, history.clone());
    }
}
