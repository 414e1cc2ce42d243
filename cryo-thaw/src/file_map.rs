//! `--file-map OLD=NEW`: files that are elsewhere now, as mappings, executable and working directory name them. (Descriptors ask for themselves:
//! a file that the person named is not asked whether it is the same.)

use cryo_format::model::FileModel;
use cryo_format::prim::Bytes;
use cryo_format::section::AnySection;
use cryo_format::section::objects::ObjectKind;

use crate::options::Options;

/// Changes the paths of an image.
pub fn apply(file: &mut FileModel, options: &Options) {
    if options.file_map.is_empty() {
        return;
    }
    let map = |path: &mut Bytes| {
        if let Some(new) = options.mapped(path) {
            *path = new.into();
        }
    };
    for entry in &mut file.sections {
        match &mut entry.payload {
            AnySection::Objects(o) => {
                o.objects.0.iter_mut().filter(|o| o.kind == ObjectKind::FILE).for_each(|o| map(&mut o.path));
            }
            AnySection::Process(p) => map(&mut p.cwd),
            _ => {}
        }
    }
}
