//! What this CPU is and has.

use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// Where an extended-state component stands in the XSAVE area (standard format; CPUID leaf 0xD).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Bit in XCR0.
    pub number: u32,
    /// ecx of its sub-leaf.
    pub flags: u32,
    /// Byte offset.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// The components that `xcr0` enables, beyond the legacy area (0 and 1).
///
/// Asked once: in a virtual machine each CPUID is a trip to the hypervisor, and there are ten for each thread.
pub fn xstate_layout(xcr0: u64) -> Vec<Component> {
    static ALL: OnceLock<Vec<Component>> = OnceLock::new();
    let component = |number| {
        let leaf = __cpuid_count(0xd, number);
        Component { number, flags: leaf.ecx, offset: leaf.ebx, size: leaf.eax }
    };
    let all = ALL.get_or_init(|| {
        let enabled = self::xcr0();
        (2..63).filter(|i| enabled >> i & 1 != 0).map(component).collect()
    });
    all.iter().filter(|c| xcr0 >> c.number & 1 != 0).copied().collect()
}

/// XCR0 as the kernel notes it in an NT_X86_XSTATE area (arch/x86/include/asm/fpu/xstate.h XSTATE_FX_SW_OFFSET); 3 where there is only FXSAVE.
pub fn xcr0_of(area: &[u8]) -> u64 {
    area.get(464..472).filter(|_| area.len() > 512).map_or(3, |b| u64::from_le_bytes(b.try_into().unwrap_or_default()))
}

/// XSTATE_BV of an area: which components are not in their initial state.
pub fn in_use(area: &[u8]) -> u64 {
    area.get(512..520).map_or(3, |b| u64::from_le_bytes(b.try_into().unwrap_or_default()))
}

/// What of /proc/cpuinfo's flags is an instruction that a program may have chosen to use; the rest is the kernel's business, or does the same everywhere
/// (erms and fsrm tell how fast, not whether; prefetchi, cldemote and the like do nothing where they are unknown).
const INSTRUCTIONS: &[&str] = &[
    "3dnow",
    "3dnowext",
    "3dnowprefetch",
    "abm",
    "adx",
    "aes",
    "amx_bf16",
    "amx_complex",
    "amx_fp16",
    "amx_int8",
    "amx_tile",
    "avx",
    "avx10",
    "avx2",
    "avx512_4fmaps",
    "avx512_4vnniw",
    "avx512_bf16",
    "avx512_bitalg",
    "avx512_fp16",
    "avx512_vbmi2",
    "avx512_vnni",
    "avx512_vp2intersect",
    "avx512_vpopcntdq",
    "avx512bw",
    "avx512cd",
    "avx512dq",
    "avx512er",
    "avx512f",
    "avx512ifma",
    "avx512pf",
    "avx512vbmi",
    "avx512vl",
    "avx_ifma",
    "avx_ne_convert",
    "avx_vnni",
    "avx_vnni_int16",
    "avx_vnni_int8",
    "bmi1",
    "bmi2",
    "clflush",
    "clflushopt",
    "clwb",
    "clzero",
    "cmov",
    "cmpccxadd",
    "cx16",
    "cx8",
    "enqcmd",
    "f16c",
    "fma",
    "fma4",
    "fsgsbase",
    "fxsr",
    "gfni",
    "lahf_lm",
    "lwp",
    "mmx",
    "mmxext",
    "movbe",
    "movdir64b",
    "movdiri",
    "mwaitx",
    "ospke",
    "pclmulqdq",
    "pni",
    "popcnt",
    "raoint",
    "rdpid",
    "rdpru",
    "rdrand",
    "rdseed",
    "rdtscp",
    "rtm",
    "serialize",
    "sha512",
    "sha_ni",
    "sm3",
    "sm4",
    "sse",
    "sse2",
    "sse4_1",
    "sse4_2",
    "sse4a",
    "ssse3",
    "tbm",
    "tsc",
    "uintr",
    "user_shstk",
    "vaes",
    "vpclmulqdq",
    "waitpkg",
    "xgetbv1",
    "xop",
    "xsave",
    "xsavec",
    "xsaveopt",
];

/// Brand and flags as in /proc/cpuinfo; empty where it cannot be read.
///
/// Read once: the kernel takes its time over that file (it asks every CPU for its frequency), so ask before a process stands still.
pub fn brand_and_features() -> &'static (String, BTreeSet<String>) {
    static KNOWN: OnceLock<(String, BTreeSet<String>)> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let value = |key: &str| {
            text.lines().find(|l| l.starts_with(key)).and_then(|l| l.split_once(':')).map_or("", |(_, v)| v.trim())
        };
        (value("model name").to_owned(), value("flags").split_whitespace().map(str::to_owned).collect())
    })
}

/// Those flags that are instructions, sorted.
pub fn instructions() -> impl Iterator<Item = &'static str> {
    brand_and_features().1.iter().map(String::as_str).filter(|f| INSTRUCTIONS.contains(f))
}

/// XCR0: the components that this kernel enables for user space; x87 and SSE without XSAVE.
pub fn xcr0() -> u64 {
    #[target_feature(enable = "xsave")]
    fn enabled() -> u64 {
        // SAFETY: register 0 is there wherever the kernel has enabled XSAVE (OSXSAVE).
        unsafe { _xgetbv(0) }
    }
    if __cpuid_count(1, 0).ecx >> 27 & 1 == 0 {
        return 0b11;
    }
    // SAFETY: OSXSAVE says that the CPU has it and the kernel has enabled it.
    unsafe { enabled() }
}
