//! A set that comes through a pipe becomes the newest of a directory: `overseer receive`, and what `--to` does with a directory of this machine.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use cryo_format::Profile;
use cryo_format::read::Stream;
use cryo_freeze::output::OutputFiles;

use super::sets::{self, Sets};

/// Takes a set: it is there when every promise of the format was checked, and on the disk. Only then older ones go, but for `keep`. Returns its name.
pub fn receive(mut input: impl Read, dir: &Path, keep: u32) -> Result<PathBuf> {
    let sets = Sets::open(dir, true)?;
    let name = sets.next()?;
    let files = OutputFiles::create(&name, false)?;
    for profile in Profile::ALL {
        let copied = Copying { from: &mut input, to: files.file(profile)? };
        // Chunk by chunk: that is how the end of each file is known.
        let mut stream = Stream::new(copied)?;
        stream.expect(profile)?;
        while stream.next()?.is_some() {}
    }
    if input.read(&mut [0])? != 0 {
        bail!("more follows behind the set");
    }
    files.commit()?;
    if let Some(why) = sets::broken(&name) {
        sets.remove(&name)?;
        bail!("what came is broken: {why}");
    }
    sets.prune(&name, keep)?;
    Ok(name)
}

/// Writes what is read.
struct Copying<'a, R> {
    from: &'a mut R,
    to: File,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.to.write_all(&buf[..n])?;
        Ok(n)
    }
}
