//! What can be known before anything is started: the right machine, a CPU that has what the image uses, state that this release can bring back.

use cryo_format::header::{EM_386, EM_X86_64, Header};
use cryo_format::prim::Bytes;
use cryo_format::section::cpu::Cpu;
use cryo_format::section::vmas::{Backing, Vmas};
use cryo_tracee::cpu;

use crate::error::refuse;
use crate::ice::Ice;
use crate::options::Options;
use crate::{Error, Result};

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

/// Refuses what cannot become a process here.
pub fn check(ice: &Ice, options: &Options) -> Result<()> {
    machine(&ice.freeze.header)?;
    processor(ice.need::<Cpu>(0)?, options)?;
    for (_, vmas) in ice.all::<Vmas>() {
        for v in &vmas.vmas {
            if v.backing.0 > Backing::SPECIAL.0 {
                return refuse(format!(
                    "memory {}-{}: backing {} is unknown to this release",
                    v.start, v.end, v.backing.0
                ));
            }
        }
    }
    Ok(())
}

/// Refuses a file of another architecture.
pub fn machine(header: &Header) -> Result<()> {
    match header.machine {
        EM_X86_64 => {}
        EM_386 => return refuse("the image is of a 32-bit (i386) process, which cannot be thawed yet"),
        other => {
            return refuse(format!(
                "the image is of another architecture (ELF machine {other}), this machine is x86-64"
            ));
        }
    }
    if header.page_shift != 12 {
        return refuse(format!("the image has pages of 2^{} bytes, this machine 4096", header.page_shift));
    }
    Ok(())
}

fn processor(image: &Cpu, options: &Options) -> Result<()> {
    let xcr0 = this_xcr0()?;
    let missing = image.in_use.0 & !xcr0;
    if missing != 0 {
        let names: Vec<String> = (0..64)
            .filter(|i| missing >> i & 1 != 0)
            .map(|i| COMPONENTS.iter().find(|c| c.0 == i).map_or(format!("component {i}"), |c| c.1.to_owned()))
            .collect();
        return refuse(format!(
            "this CPU lacks registers that the image uses: {} (it was frozen on: {})",
            names.join(", "),
            image.brand
        ));
    }
    let (_, here) = cpu::brand_and_features();
    let lacking: Vec<String> =
        image.features.iter().map(Bytes::lossless).filter(|f| !here.is_empty() && !here.contains(f)).collect();
    if !lacking.is_empty() && !options.ignore_cpu {
        return refuse(format!(
            "this CPU lacks {}, which the program may have chosen to use when it started on: {} \
             (use --ignore-cpu if you know that it did not)",
            lacking.join(", "),
            image.brand
        ));
    }
    Ok(())
}

/// XCR0 of this machine, from CPUID leaf 0xD.
fn this_xcr0() -> Result<u64> {
    cpu::xcr0().ok_or_else(|| Error::Refused("this CPU has no XSAVE".into()))
}
