//! The three files of a set, written one after another.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use cryo_format::Profile;
use cryo_format::header::{EM_386, EM_X86_64, Header};
use cryo_format::prim::Raw;
use cryo_format::section::link::Link;
use cryo_format::section::regs::RegsX86_64;
use cryo_format::write::Writer;

use crate::Result;
use crate::collect::Collected;
use crate::error::About;
use crate::live::SetId;
use crate::options::Options;
use crate::output::{self, OutputFiles};
use crate::pages::{self, Parents, Run};
use crate::tracer::Traced;

/// The writing of a set.
#[derive(Clone, Copy)]
pub(crate) struct Writing<'a, 't> {
    /// The sections.
    pub collected: &'a Collected,
    /// The pages.
    pub runs: &'a [Run<'a>],
    /// The person's choices.
    pub options: &'a Options,
    /// Who traces the family, that runs meanwhile.
    pub traced: &'a Traced<'t>,
}

impl Writing<'_, '_> {
    /// One after another into a pipe.
    pub fn to_pipe(self, out: &mut File, parents: Parents<'_>) -> Result<SetId> {
        let written = self.write(out, Ok, Ok, parents);
        let taken = written.and_then(|(out, set)| self.traced.during(|| output::taken(out)).map(|()| set));
        taken.map_err(|e| e.if_full("standard output"))
    }

    /// Each into its own, which take their names then. Returns the path of the .freeze, too.
    pub fn to_files(self, files: OutputFiles, name: &Path, parents: Parents<'_>) -> Result<(PathBuf, SetId)> {
        let frore = files.file(Profile::Frore)?;
        let (frost, freeze) = (|_| files.file(Profile::Frost), |_| files.file(Profile::Freeze));
        let written = self.write(frore, frost, freeze, parents);
        let named = written.and_then(|(_, set)| Ok((self.traced.during(|| files.commit())?, set)));
        named.map_err(|e| e.if_full(&name.display().to_string()))
    }

    /// Writes the three files in their order; `frost` and `freeze` say where the next one goes. Returns that, and which set it is.
    fn write<W: Write + Send>(
        self,
        frore: W,
        frost: impl FnOnce(W) -> Result<W> + Send,
        freeze: impl FnOnce(W) -> Result<W> + Send,
        parents: Parents<'_>,
    ) -> Result<(W, SetId)> {
        let Self { collected, runs, options, traced } = self;
        let set = set_id()?;
        // That of its programs; a family with members of both has the larger one.
        let x86_64 = collected.sections::<RegsX86_64>().next().is_some();
        let machine = if x86_64 { EM_X86_64 } else { EM_386 };
        let header = |profile| Header::new(profile, machine, pages::PAGE.trailing_zeros() as u8, set);

        let writer = traced.during(|| -> Result<_> {
            let mut writer = Writer::new(frore, &header(Profile::Frore))?;
            collected.write(&mut writer)?;
            let (out, frore_root) = writer.finish()?;

            let mut writer = Writer::new(frost(out)?, &header(Profile::Frost))?;
            collected.write(&mut writer)?;
            let (out, frost_root) = writer.finish()?;

            let mut writer = Writer::new(freeze(out)?, &header(Profile::Freeze))?;
            writer.section(0, &Link { frore_set: set, frore_root, frost_root })?;
            collected.write(&mut writer)?;
            Ok(writer)
        })?;
        let writer = pages::stream(
            writer,
            runs,
            pages::Treatment { digest: options.digests, compress: options.compress },
            parents,
            &options.progress,
            traced,
        )?;
        let (out, root) = traced.during(|| writer.finish())?;
        Ok((out, (set, root)))
    }
}

/// 128 random bits.
fn set_id() -> Result<Raw<16>> {
    let mut id = [0; 16];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty()).about(|| "getting random bits".into())?;
    Ok(Raw(id))
}
