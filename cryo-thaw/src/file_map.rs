//! `--file-map OLD=NEW`: files that are elsewhere now, as mappings and executable name them. (Descriptors and directories ask for
//! themselves: a file that the person named is not asked whether it is the same.)

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cryo_format::given;
use cryo_format::model::FileModel;
use cryo_format::prim::Bytes;
use cryo_format::section::AnySection;
use cryo_format::section::objects::ObjectKind;

use crate::options::Options;

/// What a person types, as a shell takes it.
pub fn advice(path: &[u8]) -> String {
    format!("--file-map {}=NEW", given::quoted(Path::new(OsStr::from_bytes(path))))
}

/// The same where another file stands at that path, which may be right.
pub fn or_this(path: &[u8]) -> String {
    let old = given::quoted(Path::new(OsStr::from_bytes(path)));
    format!("--file-map {old}=NEW ({old}={old} if this one is right)")
}

/// Changes the paths of an image; returns the objects whose files the person has named so.
pub fn apply(file: &mut FileModel, options: &Options) -> HashSet<u64> {
    let mut named = HashSet::new();
    if options.file_map.is_empty() {
        return named;
    }
    let map = |path: &mut Bytes| options.mapped(path).map(|new| *path = new.into()).is_some();
    for entry in &mut file.sections {
        if let AnySection::Objects(o) = &mut entry.payload {
            let files = o.objects.0.iter_mut().filter(|o| o.kind == ObjectKind::FILE);
            named.extend(files.filter_map(|o| map(&mut o.path).then_some(o.id)));
        }
    }
    named
}
