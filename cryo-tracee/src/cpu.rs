//! What this CPU is and has.

use std::arch::x86_64::__cpuid_count;
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
        let possible = self::xcr0().unwrap_or(0);
        (2..63).filter(|i| possible >> i & 1 != 0).map(component).collect()
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

/// What of /proc/cpuinfo's flags is an instruction that a program may have chosen to use; the rest is the kernel's business.
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
    "cldemote",
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
    "mmx",
    "mmxext",
    "movbe",
    "movdir64b",
    "movdiri",
    "ospke",
    "pclmulqdq",
    "pni",
    "popcnt",
    "prefetchi",
    "prefetchwt1",
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
    "wbnoinvd",
    "xop",
    "xsave",
    "xsavec",
    "xsaveopt",
];

/// Brand and instruction-set features by the names of /proc/cpuinfo, sorted; empty where it cannot be read.
///
/// Read once: the kernel takes its time over that file (it asks every CPU for its frequency), so ask before a process stands still.
pub fn brand_and_features() -> &'static (String, Vec<String>) {
    static KNOWN: OnceLock<(String, Vec<String>)> = OnceLock::new();
    KNOWN.get_or_init(read_cpuinfo)
}

fn read_cpuinfo() -> (String, Vec<String>) {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        text.lines().find(|l| l.starts_with(key)).and_then(|l| l.split_once(':')).map_or("", |(_, v)| v.trim())
    };
    let mut features: Vec<String> =
        value("flags").split_whitespace().filter(|f| INSTRUCTIONS.contains(f)).map(str::to_owned).collect();
    features.sort();
    features.dedup();
    (value("model name").to_owned(), features)
}

/// The components that this machine can enable for user space (CPUID leaf 0xD, sub-leaf 0); `None` without XSAVE.
pub fn xcr0() -> Option<u64> {
    let osxsave = __cpuid_count(1, 0).ecx >> 27 & 1 != 0;
    let leaf = __cpuid_count(0xd, 0);
    osxsave.then_some(u64::from(leaf.eax) | u64::from(leaf.edx) << 32)
}
