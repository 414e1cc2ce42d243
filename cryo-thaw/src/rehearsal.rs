//! A thaw that stops before the program's first own instruction, and leaves nothing behind: whatever a thaw would refuse, it refuses.

use std::fs::File;
use std::io::{Read, Seek, Write};

use cryo_tracee::namespace;

use crate::error::{About, Error, RefusalKind};
use crate::ice::Ice;
use crate::ids::{self, Ids};
use crate::options::Options;
use crate::{Refusal, Refusals, Result, check, thaw};

/// Makes all processes, with all that they had but the content of their memory, and ends them. They are never run.
pub fn rehearse(mut ice: Ice, options: &Options) -> Result<()> {
    // Pages need nothing of this machine, and take time.
    ice.pages = None;
    let options = &Options { detach: true, ..options.clone() };
    check::rights(&ice, options)?;
    let decision = ids::decide(&ice, options.pid)?;
    let Ids::Namespace(worker) = decision.ids else {
        return thaw(ice, decision.ids, options, None).map(drop);
    };
    // Not a pipe: nobody reads while it is written.
    let told = tempfile::tempfile().about(|| "making a temporary file".into())?;
    let entered = namespace::enter(worker, |_| {
        let said = thaw(ice, decision.ids, options, None).map(drop);
        if let Err(e) = &said {
            let lines: Vec<String> = match e {
                Error::Several(several) => several.all.iter().map(|one| one.text.clone()).collect(),
                other => vec![other.to_string()],
            };
            // Whoever asked is there until we end.
            let _ = (&told).write_all(lines.join("\0").as_bytes());
        }
        Err(i32::from(said.is_err()))
    })?;
    match entered {
        Err(0) => Ok(()),
        _ => Err(heard(told)),
    }
}

/// What was said inside the namespace.
fn heard(mut told: File) -> Error {
    let mut text = String::new();
    let _ = told.rewind().and_then(|()| told.read_to_string(&mut text));
    if text.is_empty() {
        text.push_str("the thaw ended without a word");
    }
    let mut all: Vec<Refusal> = text.split('\0').map(|line| Refusal::new(RefusalKind::Internal, line)).collect();
    match all.len() {
        1 => all.remove(0).into(),
        n => Refusals { all, answer: format!("{n} things stand in the way"), add: None }.into(),
    }
}
