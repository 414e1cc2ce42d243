//! Source lines and inlined functions, from DWARF, where a file or its debug file (/usr/lib/debug/.build-id) has any.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use gimli::{EndianArcSlice, LittleEndian, SectionId};
use object::{Object as _, ObjectSection};

use crate::modules::Module;
use crate::space::files_are_left_alone;
use crate::text::clipped;

type Reader = EndianArcSlice<LittleEndian>;

/// A debug file of more bytes is not looked into.
const LARGEST: u64 = 2 << 30;

/// What DWARF says of an address: the function it is in, inlined ones first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The function; empty if DWARF does not say.
    pub function: String,
    /// `src/main.c:42`; empty if unknown.
    pub line: String,
}

/// The line tables of the modules, read when they are asked for.
#[derive(Default)]
pub struct Lines(HashMap<u64, Option<addr2line::Context<Reader>>>);

impl Lines {
    /// What stands at an address, the innermost function first; nothing if there is no DWARF for it.
    pub fn at(&mut self, module: &Module, addr: u64) -> Vec<Place> {
        let context = self.0.entry(module.object).or_insert_with(|| context(module));
        let Some(context) = context else { return Vec::new() };
        let mut found = Vec::new();
        let addr = addr.wrapping_sub(module.bias);
        let Ok(mut frames) = context.find_frames(addr).skip_all_loads() else { return found };
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.as_ref().and_then(|f| f.demangle().ok().map(|n| clipped(n.as_bytes(), 400)));
            let line = frame.location.as_ref().and_then(|l| {
                let file = clipped(l.file?.as_bytes(), 400);
                Some(l.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
            });
            found.push(Place { function: function.unwrap_or_default(), line: line.unwrap_or_default() });
            if found.len() > 64 {
                break;
            }
        }
        found
    }
}

fn context(module: &Module) -> Option<addr2line::Context<Reader>> {
    if module.whole
        && let Some(found) = from(module.bytes())
    {
        return Some(found);
    }
    let id = cryo_format::prim::hex(&module.build_id);
    if id.len() < 8 || files_are_left_alone() {
        return None;
    }
    let path = PathBuf::from(format!("/usr/lib/debug/.build-id/{}/{}.debug", &id[..2], &id[2..]));
    let small = path.metadata().is_ok_and(|m| m.is_file() && m.len() <= LARGEST);
    if !small {
        return None;
    }
    from(&std::fs::read(&path).ok()?)
}

fn from(bytes: &[u8]) -> Option<addr2line::Context<Reader>> {
    let elf = object::File::parse(bytes).ok()?;
    elf.section_by_name(".debug_info")?;
    let load = |id: SectionId| -> Result<Reader, gimli::Error> {
        let data =
            elf.section_by_name(id.name()).filter(|s| s.size() <= LARGEST).and_then(|s| s.uncompressed_data().ok());
        Ok(EndianArcSlice::new(Arc::from(data.unwrap_or_default().as_ref()), LittleEndian))
    };
    addr2line::Context::from_dwarf(gimli::Dwarf::load(load).ok()?).ok()
}
