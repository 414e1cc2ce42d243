//! `check`: will it thaw here?

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use cryo_thaw::check::{CONDITIONS, When};
use cryo_thaw::choices::Choices;
use cryo_thaw::ice::Ice;
use cryo_thaw::{Error, Notes, Options, Result, rehearsal};

use super::{Format, draw};
use crate::Outcome;
use crate::block::{Blocks, Cell, Mark, Table};

/// Will it thaw here? Each condition with yes, or no and what makes it yes
///
/// The conditions are the thawer's own, from one list. At last it is tried: the processes are made with all that they had but the content of their
/// memory, up to their first own instruction, and ended again; nothing is left behind, and what a thaw would refuse is refused. That content is not
/// read here: whether it is whole `cryo-inspect verify` says. With the options of `cryo-thaw` it is asked whether it would thaw with these. Exit status: 0 it will, 1 it will not, 2 it could not be asked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect check 4242.freeze
  cryo-inspect check 4242.freeze --own-credentials --fd 7=null
  cryo-inspect check 4242.freeze --format json | jq '.[] | select(.answer == \"no\")'")]
pub struct Check {
    /// NAME or NAME.freeze, with NAME.frore and NAME.frost beside it; `-` is a set on standard input
    image: PathBuf,
    /// How to draw it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    choices: Choices,
}

impl Check {
    /// Asks, and shows the answers.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&notes);
        let keep = move |note: &str| kept.lock().unwrap_or_else(PoisonError::into_inner).push(note.to_owned());
        let options = Options { notes: Notes::to(keep), ..self.choices.options() };
        let mut answers = Answers { table: Table::new(&["condition", "answer", "what"]), no: false };
        let opened =
            if self.image == Path::new("-") { Ice::stdin_whole(&options) } else { Ice::open(&self.image, &options) };
        match opened {
            Ok(ice) => all(ice, &options, &mut answers),
            // Without its parent it does not thaw, and that can be mended.
            Err(Error::Format(e)) if !matches!(e, cryo_format::Error::Parent { .. }) => return Err(e.into()),
            Err(e) => answers.add("image", Err(&e)),
        }
        if !answers.no {
            for note in notes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                answers.add("but", Ok(&note));
            }
        }
        draw(&Blocks::from([answers.table]).into_vec(), self.format, out)?;
        Ok(if answers.no { Outcome::Problems } else { Outcome::Good })
    }
}

fn all(ice: Ice, options: &Options, answers: &mut Answers) {
    let asked: Vec<(_, Result<String>)> = CONDITIONS.iter().map(|c| (c, (c.ask)(&ice, options))).collect();
    let tried = rehearsal::rehearse(ice, options);
    let mut said = Vec::new();
    for (condition, answer) in &asked {
        match answer {
            Ok(found) => answers.add(condition.name, Ok(found)),
            // The thaw has found a way around.
            Err(e) if tried.is_ok() && condition.when == When::InTime => {
                answers.add(condition.name, Ok(&format!("it does without: {e}")));
            }
            Err(e) => {
                said.extend(lines(e));
                answers.add(condition.name, Err(e));
            }
        }
    }
    match &tried {
        Ok(()) => answers.add("trial thaw", Ok("it stood before its first instruction, and was ended again")),
        // It is told already.
        Err(e) if lines(e).iter().all(|line| said.contains(line)) => {}
        Err(e) => answers.add("trial thaw", Err(e)),
    }
}

struct Answers {
    table: Table,
    no: bool,
}

impl Answers {
    fn add(&mut self, name: &str, answer: std::result::Result<&str, &Error>) {
        let (word, mark, all) = match answer {
            Ok(found) => ("yes", Mark::None, vec![found.to_owned()]),
            Err(e) => {
                self.no = true;
                ("no", Mark::Warn, lines(e))
            }
        };
        for text in all {
            let text = cryo_format::text::message(&text);
            self.table.row([Cell::from(name), Cell::from(word).marked(mark), Cell::from(text)]);
        }
    }
}

/// What stands in the way, each by itself.
fn lines(e: &Error) -> Vec<String> {
    match e {
        Error::Several(several) => several.all.iter().map(|one| one.text.clone()).collect(),
        other => vec![other.to_string()],
    }
}
