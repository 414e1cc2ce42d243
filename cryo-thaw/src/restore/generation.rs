//! The page in which a program reads that it was thawed: known by its name, see spec/sections/vmas.md and `cryo_generation()` of the C library.

use std::time::{SystemTime, UNIX_EPOCH};

use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::{Backing, Vma};
use cryo_tracee::Host;

use crate::Result;

/// What the memfd is called that it is mapped from.
const NAME: &[u8] = b"cryo_generation";
/// What it begins with; behind that stand how often it was thawed, when (nanoseconds since 1970), and where, with a NUL behind it.
const MAGIC: &[u8; 8] = b"CRYOGEN1";
const HOST: usize = 72;

/// Counts this thaw, when all pages are there.
pub fn restore(host: &Host, vmas: &[Vma], objects: &[Object]) -> Result<()> {
    let Some(object) = objects.iter().find(|o| o.kind == ObjectKind::MEMFD && o.path.0 == NAME) else { return Ok(()) };
    for vma in vmas.iter().filter(|v| v.object == object.id && v.backing == Backing::PRIVATE_FILE) {
        let at = vma.start.0;
        let mut head = [[0; 8]; 2];
        if host.memory().read(at, head.as_flattened_mut()).is_err() || head[0] != *MAGIC {
            continue;
        }
        let count = u64::from_le_bytes(head[1]).wrapping_add(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64);
        let mut page = [count.to_le_bytes(), now.to_le_bytes()].concat();
        let uname = rustix::system::uname();
        let name = uname.nodename().to_bytes();
        page.extend_from_slice(&name[..name.len().min(HOST - 1)]);
        page.resize(16 + HOST, 0);
        host.memory().write(at + 8, &page)?;
    }
    Ok(())
}
