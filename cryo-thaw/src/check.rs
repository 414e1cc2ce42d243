//! What can be known before anything is started: the right machine, a CPU that has what the image uses, state that this release can bring back.

use cryo_format::prim::Bytes;
use cryo_format::section::cpu::Cpu;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::notes::{Notes, REDACTED};
use cryo_format::section::objects::Objects;
use cryo_format::section::vmas::{Backing, Vmas};
use cryo_format::section::xstate::Xstate;
use cryo_tracee::cpu;

use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::ice::{Ice, machine};
use crate::options::Options;
use crate::restore::xstate;
use crate::vdso::MAX_VDSO;

/// Names of extended-state components (Intel SDM vol. 1, 13.1).
const COMPONENTS: [(u32, &str); 11] = [
    (0, "x87"),
    (1, "SSE"),
    (2, "AVX"),
    (3, "MPX bound registers"),
    (4, "MPX bound configuration"),
    (5, "AVX-512 mask registers"),
    (6, "AVX-512 upper halves of zmm0-15"),
    (7, "AVX-512 zmm16-31"),
    (9, "protection keys (PKRU)"),
    (17, "AMX tile configuration"),
    (18, "AMX tile data"),
];

/// Where user addresses end, with five levels of page tables.
const ADDRESSES: u64 = 1 << 56;

/// Largest offset in a file (off_t), and room to round it up.
const LARGEST: u64 = i64::MAX as u64 - (1 << 20);

/// Components that glibc's lazy binding saves around a symbol's first call (sysdeps/x86/cpu-features: STATE_SAVE_MASK), into room that it measured when the
/// program started. XSAVE writes all that the CPU has; XSAVEC only what is in use, and that cannot be more than there was.
const SAVED: u64 = 0xfc;

/// Refuses what cannot become a process here.
pub fn check(ice: &Ice, options: &Options) -> Result<()> {
    machine(&ice.freeze.header)?;
    if let Some(note) = ice.all::<Notes>().flat_map(|(_, n)| &n.notes).find(|n| n.object.0 == REDACTED.as_bytes()) {
        return refuse(
            RefusalKind::Image,
            format!("the set was redacted: {}: thaw the set that it was made of", note.text),
        );
    }
    processor(ice, options)?;
    let known = |fd| ice.all::<Descriptors>().any(|(_, d)| d.descriptors.iter().any(|d| d.fd == fd));
    if let Some(fd) = options.fds.iter().filter_map(|rule| rule.fd).find(|fd| !known(*fd)) {
        return refuse(RefusalKind::Argument, format!("--fd {fd}: the program has no such descriptor"));
    }
    for o in ice.all::<Objects>().flat_map(|(_, objects)| &objects.objects) {
        if o.size > LARGEST {
            return refuse(RefusalKind::Image, format!("{}: no file has {} bytes", o.path, o.size));
        }
    }
    for (_, vmas) in ice.all::<Vmas>() {
        for v in &vmas.vmas {
            if v.backing.0 > Backing::SPECIAL.0 {
                return refuse(
                    RefusalKind::Image,
                    format!("memory {}-{}: backing {} is unknown to this release", v.start, v.end, v.backing.0),
                );
            }
            if v.name.0 == b"[vdso]" && v.end.0 - v.start.0 > MAX_VDSO {
                return refuse(
                    RefusalKind::Image,
                    format!("memory {}-{} ([vdso]): no kernel has one of that size", v.start, v.end),
                );
            }
            if v.end.0 > ADDRESSES || v.offset > LARGEST {
                return refuse(RefusalKind::Image, format!("memory {}-{}: no process has such memory", v.start, v.end));
            }
        }
    }
    Ok(())
}

fn processor(ice: &Ice, options: &Options) -> Result<()> {
    let image: &Cpu = ice.need(0)?;
    let xcr0 = cpu::xcr0();
    let held = ice.all::<Xstate>().fold(0, |held, (_, x)| held | xstate::held(x));
    let missing = held & image.in_use.0 & !xcr0;
    if missing != 0 {
        return refuse(
            RefusalKind::Machine,
            format!(
                "this CPU lacks registers that the program has in use: {} (it was frozen on: {}): thaw it on a CPU that has them",
                components(missing),
                image.brand
            ),
        );
    }
    if options.ignore_cpu {
        return Ok(());
    }
    let (_, here) = cpu::brand_and_features();
    let lacking: Vec<String> =
        image.features.iter().map(Bytes::lossless).filter(|f| !here.is_empty() && !here.contains(f)).collect();
    if !lacking.is_empty() {
        return refuse(
            RefusalKind::Machine,
            format!(
                "this CPU lacks {}, which the program may have chosen to use when it started on: {} \
             (use --ignore-cpu if you know that it did not)",
                lacking.join(", "),
                image.brand
            ),
        );
    }
    let has = |feature: &[u8]| image.features.iter().any(|f| f.0 == feature);
    let end = |end: u64, offset: u32, size: u32| end.max(u64::from(offset) + u64::from(size));
    let room = ice.all::<Xstate>().flat_map(|(_, x)| x.layout.iter()).fold(576, |e, c| end(e, c.offset, c.size));
    let need = cpu::xstate_layout(xcr0 & SAVED).iter().fold(576, |e, c| end(e, c.offset, c.size));
    if has(b"xsave") && !has(b"xsavec") && need > room {
        return refuse(
            RefusalKind::Machine,
            format!(
                "this CPU has registers that are new to the program: {}. Its dynamic linker may save them where it made room for \
             those of: {} (use --ignore-cpu if it is static, or was started with LD_BIND_NOW)",
                components(xcr0 & !image.xcr0.0 & SAVED),
                image.brand
            ),
        );
    }
    Ok(())
}

fn components(bits: u64) -> String {
    let name = |i| COMPONENTS.iter().find(|c| c.0 == i).map_or(format!("component {i}"), |c| c.1.to_owned());
    let names: Vec<String> = (0..64).filter(|i| bits >> i & 1 != 0).map(name).collect();
    names.join(", ")
}
