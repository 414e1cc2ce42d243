//! The control words of x87 and SSE, and the components of the XSAVE area, in words.

use crate::names::bits;

const COMPONENTS: &[(u64, &str)] = &[
    (1 << 0, "x87"),
    (1 << 1, "SSE"),
    (1 << 2, "AVX"),
    (1 << 3, "BNDREGS"),
    (1 << 4, "BNDCSR"),
    (1 << 5, "opmask"),
    (1 << 6, "ZMM_Hi256"),
    (1 << 7, "Hi16_ZMM"),
    (1 << 8, "PT"),
    (1 << 9, "PKRU"),
    (1 << 10, "PASID"),
    (1 << 11, "CET_U"),
    (1 << 12, "CET_S"),
    (1 << 17, "AMX_TILECFG"),
    (1 << 18, "AMX_TILEDATA"),
    (1 << 19, "APX"),
];

/// The exceptions of x87 and SSE have the same six bits everywhere, flags at 0 and MXCSR's masks at 7.
const EXCEPTIONS: &[(u64, &str)] =
    &[(1, "invalid"), (2, "denormal"), (4, "zero-divide"), (8, "overflow"), (16, "underflow"), (32, "precision")];

const ROUNDING: [&str; 4] = ["nearest", "down", "up", "to zero"];

/// The names of components, by the bits of XCR0 and XSTATE_BV.
pub fn components(set: u64) -> String {
    if set == 0 { "none".to_owned() } else { bits(set, COMPONENTS, " ") }
}

/// The name of one component.
pub fn component(number: u32) -> String {
    1u64.checked_shl(number).map_or_else(|| format!("component {number}"), |bit| bits(bit, COMPONENTS, " "))
}

/// What is masked, in the shortest words.
fn masked(bits6: u64) -> String {
    match bits6 & 0x3f {
        0x3f => "all exceptions masked".to_owned(),
        0 => "no exception masked".to_owned(),
        some => format!("unmasked: {}", bits(!some & 0x3f, EXCEPTIONS, " ")),
    }
}

/// The x87 control word.
pub fn fcw(fcw: u16) -> String {
    let precision = ["single", "reserved", "double", "extended"][usize::from(fcw >> 8 & 3)];
    format!("round {}, {precision} precision, {}", ROUNDING[usize::from(fcw >> 10 & 3)], masked(fcw.into()))
}

const FSW: &[(u64, &str)] = &[
    (0x40, "stack fault"),
    (0x80, "error summary"),
    (0x100, "C0"),
    (0x200, "C1"),
    (0x400, "C2"),
    (0x4000, "C3"),
    (0x8000, "busy"),
];

/// The x87 status word.
pub fn fsw(fsw: u16) -> String {
    let mut text = format!("top {}", fsw >> 11 & 7);
    let raised = u64::from(fsw & 0x3f);
    if raised != 0 {
        text += &format!(", raised: {}", bits(raised, EXCEPTIONS, " "));
    }
    let rest = u64::from(fsw & !0x383f);
    if rest != 0 {
        text += &format!(", {}", bits(rest, FSW, " "));
    }
    text
}

const MXCSR: &[(u64, &str)] = &[(0x40, "denormals-are-zero"), (0x8000, "flush-to-zero")];

/// MXCSR.
pub fn mxcsr(mxcsr: u32) -> String {
    let mut text = format!("round {}, {}", ROUNDING[(mxcsr >> 13 & 3) as usize], masked(u64::from(mxcsr >> 7)));
    let raised = u64::from(mxcsr & 0x3f);
    if raised != 0 {
        text += &format!(", raised: {}", bits(raised, EXCEPTIONS, " "));
    }
    let rest = u64::from(mxcsr & !0x7fbf);
    if rest != 0 {
        text += &format!(", {}", bits(rest, MXCSR, " "));
    }
    text
}

/// An 80-bit number, as near as a double comes.
#[allow(clippy::cast_precision_loss)] // that is the point
pub fn float80(bytes: &[u8; 10]) -> f64 {
    let [m @ .., e0, e1] = *bytes;
    let (mantissa, word) = (u64::from_le_bytes(m), u16::from_le_bytes([e0, e1]));
    let sign = if word & 0x8000 == 0 { 1.0 } else { -1.0 };
    match (word & 0x7fff, mantissa) {
        (0, 0) => sign * 0.0,
        (0x7fff, m) if m << 1 == 0 => sign * f64::INFINITY,
        (0x7fff, _) => f64::NAN,
        // In two steps, so that what a double can hold is not lost on the way.
        (e, m) => {
            let half = (i32::from(e) - 16383 - 63) / 2;
            let rest = i32::from(e) - 16383 - 63 - half;
            sign * m as f64 * 2f64.powi(half) * 2f64.powi(rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(fcw(0x37f), "round nearest, extended precision, all exceptions masked");
        assert_eq!(fcw(0xf7b), "round to zero, extended precision, unmasked: zero-divide");
        assert_eq!(fsw(0), "top 0");
        assert_eq!(fsw(0x3821), "top 7, raised: invalid precision");
        assert_eq!(fsw(0x4100), "top 0, C0 C3");
        assert_eq!(mxcsr(0x1f80), "round nearest, all exceptions masked");
        assert_eq!(
            mxcsr(0x9fe0),
            "round nearest, all exceptions masked, raised: precision, denormals-are-zero flush-to-zero"
        );
        assert_eq!(components(0xe7), "x87 SSE AVX opmask ZMM_Hi256 Hi16_ZMM");
        assert_eq!([component(9), component(40), component(99)], ["PKRU", "0x10000000000", "component 99"]);
    }

    #[test]
    fn numbers() {
        assert_eq!(float80(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f]).to_bits(), f64::to_bits(1.0));
        assert_eq!(float80(&[0, 0, 0, 0, 0, 0, 0, 0xc0, 0x00, 0xc0]).to_bits(), f64::to_bits(-3.0));
        assert_eq!(float80(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f]).to_bits(), f64::to_bits(f64::INFINITY));
        assert!(float80(&[0xff; 10]).is_nan());
    }
}
