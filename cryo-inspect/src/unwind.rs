//! The way back: the frames of a stack, by the call frame information of the files, by frame pointers, or, where there is neither, by what
//! looks like a return address. Each frame says how it was found.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, EvaluationResult, LittleEndian, Location, RegisterRule,
    UnwindContext, UnwindSection, Value,
};
use object::Object as _;
use object::ObjectSection;
use object::elf::PT_GNU_EH_FRAME;

use crate::arch::{Arch, Registers};
use crate::modules::{Module, Modules};
use crate::space::Space;

/// No stack that is right is deeper; one that is wrong may go on for ever.
const DEEPEST: usize = 4096;
/// Words of a stack that are looked at for something like a return address.
const SCANNED: u64 = 512;

/// Registers by DWARF's numbers, as far as they are known; no machine has more of them that are asked for.
type Known = [Option<u64>; 17];

/// How a frame was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is where the thread stopped.
    Registers,
    /// By .eh_frame of the file.
    FrameInfo,
    /// By the chain of frame pointers.
    FramePointer,
    /// By a word on the stack that points behind a call: it may be wrong.
    Scan,
}

impl Found {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Registers => "registers",
            Self::FrameInfo => "call frame info",
            Self::FramePointer => "frame pointer",
            Self::Scan => "stack scan",
        }
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The machine of its thread.
    pub arch: Arch,
    /// Where it goes on.
    pub pc: u64,
    /// Its stack pointer.
    pub sp: u64,
    /// How it was found.
    pub found: Found,
    /// Was it interrupted by a signal, so that `pc` is an instruction that was not finished, and none behind a call?
    pub interrupted: bool,
    /// Its registers by DWARF's numbers ([`Arch::dwarf`]), as far as they are known.
    pub registers: Known,
}

impl Frame {
    /// An address inside of the instruction that the frame is at.
    pub fn inside(&self) -> u64 {
        if self.interrupted || self.found == Found::Registers { self.pc } else { self.pc.wrapping_sub(1) }
    }
}

/// The frames of a thread, from where it stopped outwards.
pub fn unwind(regs: &Registers, space: &mut Space<'_>, modules: &Modules) -> Vec<Frame> {
    let arch = regs.arch;
    let names = arch.dwarf().names;
    let registers = std::array::from_fn(|i| regs.get(names.get(i)?));
    let (pc, sp) = (regs.pc(), regs.sp());
    let mut frames = vec![Frame { arch, pc, sp, found: Found::Registers, interrupted: true, registers }];
    while let Some(last) = frames.last().filter(|_| frames.len() < DEEPEST) {
        let next = match by_info(last, space, modules) {
            Step::Frame(frame) => Some(frame),
            Step::Outermost => None,
            Step::Unknown => by_pointer(last, space, modules).or_else(|| by_scan(last, space, modules)),
        };
        // A stack grows downwards: a frame that is not further up is a circle.
        match next.filter(|f| f.pc != 0 && f.sp > last.sp) {
            Some(frame) => frames.push(*frame),
            None => break,
        }
    }
    frames
}

enum Step {
    Frame(Box<Frame>),
    /// The information says that nothing called it.
    Outermost,
    Unknown,
}

type Slice<'a> = EndianSlice<'a, LittleEndian>;

fn by_info(frame: &Frame, space: &mut Space<'_>, modules: &Modules) -> Step {
    let at = frame.inside();
    let Some(module) = modules.at(at) else { return Step::Unknown };
    match cfi(module, at, frame, space) {
        Some(Ok(step)) => step,
        Some(Err(_)) | None => Step::Unknown,
    }
}

/// .eh_frame by itself where the file has a table of sections, else by its header, which is loaded.
fn cfi(module: &Module, at: u64, frame: &Frame, space: &mut Space<'_>) -> Option<gimli::Result<Step>> {
    let wanted = frame.arch.address(at.wrapping_sub(module.bias));
    let word = frame.arch.word() as u8;
    let elf = module.elf()?;
    if let Some(section) = elf.section_by_name(".eh_frame")
        && let Ok(bytes) = section.data()
        && !bytes.is_empty()
    {
        let mut eh_frame = EhFrame::new(bytes, LittleEndian);
        eh_frame.set_address_size(word);
        let mut bases = BaseAddresses::default().set_eh_frame(section.address());
        if let Some(text) = elf.section_by_name(".text") {
            bases = bases.set_text(text.address());
        }
        return Some(step(&eh_frame, &bases, wanted, frame, module, space));
    }
    let (addr, bytes) = module.header(PT_GNU_EH_FRAME)?;
    let vaddr = addr.wrapping_sub(module.bias);
    let bases = BaseAddresses::default().set_eh_frame_hdr(vaddr);
    let header = EhFrameHdr::new(bytes, LittleEndian).parse(&bases, word).ok()?;
    let gimli::Pointer::Direct(place) = header.eh_frame_ptr() else { return None };
    let all = module.bytes();
    // Where the header points to, in the same segment of the file.
    let hdr_offset = (bytes.as_ptr() as usize).wrapping_sub(all.as_ptr() as usize);
    let offset = usize::try_from((hdr_offset as u64).wrapping_add(place.wrapping_sub(vaddr))).ok()?;
    let mut eh_frame = EhFrame::new(all.get(offset..)?, LittleEndian);
    eh_frame.set_address_size(word);
    let bases = bases.set_eh_frame(place);
    Some(step(&eh_frame, &bases, wanted, frame, module, space))
}

fn step(
    eh_frame: &EhFrame<Slice<'_>>,
    bases: &BaseAddresses,
    wanted: u64,
    frame: &Frame,
    module: &Module,
    space: &mut Space<'_>,
) -> gimli::Result<Step> {
    let fde = match eh_frame.fde_for_address(bases, wanted, EhFrame::cie_from_offset) {
        Ok(fde) => fde,
        Err(gimli::Error::NoUnwindInfoForAddress) => return Ok(Step::Unknown),
        Err(e) => return Err(e),
    };
    let mut context = UnwindContext::new();
    let row = fde.unwind_info_for_address(eh_frame, bases, &mut context, wanted)?;
    let encoding = fde.cie().encoding();
    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => match known(frame, register.0) {
            Some(value) => value.wrapping_add_signed(*offset),
            None => return Ok(Step::Unknown),
        },
        CfaRule::Expression(expression) => {
            match evaluate(expression.get(eh_frame)?, encoding, None, frame, module, space)? {
                Some(value) => value,
                None => return Ok(Step::Unknown),
            }
        }
    };
    let (arch, dwarf) = (frame.arch, frame.arch.dwarf());
    let cfa = arch.address(cfa);
    let mut registers = frame.registers;
    // What is not said of a register that a call may change is not known; it is hardly ever asked for.
    registers[dwarf.sp] = Some(cfa);
    let ra = usize::from(fde.cie().return_address_register().0);
    let mut ended = false;
    for (register, rule) in row.registers() {
        let i = usize::from(register.0);
        if i >= registers.len() {
            continue;
        }
        registers[i] = match rule {
            RegisterRule::Undefined => {
                ended |= i == ra;
                None
            }
            RegisterRule::SameValue => frame.registers[i],
            RegisterRule::Offset(offset) => space.word(arch.address(cfa.wrapping_add_signed(*offset))),
            RegisterRule::ValOffset(offset) => Some(arch.address(cfa.wrapping_add_signed(*offset))),
            RegisterRule::Register(other) => known(frame, other.0),
            RegisterRule::Expression(expression) => {
                evaluate(expression.get(eh_frame)?, encoding, Some(cfa), frame, module, space)?
                    .and_then(|at| space.word(at))
            }
            RegisterRule::ValExpression(expression) => {
                evaluate(expression.get(eh_frame)?, encoding, Some(cfa), frame, module, space)?
            }
            _ => None,
        };
    }
    if ended || ra != dwarf.ra() {
        return Ok(Step::Outermost);
    }
    let (Some(pc), Some(sp)) = (registers[ra], registers[dwarf.sp]) else { return Ok(Step::Unknown) };
    let interrupted = fde.is_signal_trampoline();
    Ok(Step::Frame(Box::new(Frame { arch, pc, sp, found: Found::FrameInfo, interrupted, registers })))
}

fn known(frame: &Frame, register: u16) -> Option<u64> {
    frame.registers.get(usize::from(register)).copied().flatten()
}

fn evaluate(
    expression: gimli::Expression<Slice<'_>>,
    encoding: gimli::Encoding,
    initial: Option<u64>,
    frame: &Frame,
    module: &Module,
    space: &mut Space<'_>,
) -> gimli::Result<Option<u64>> {
    let mut evaluation = expression.evaluation(encoding);
    evaluation.set_max_iterations(10_000);
    if let Some(value) = initial {
        evaluation.set_initial_value(value);
    }
    let mut result = evaluation.evaluate()?;
    loop {
        result = match result {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresRegister { register, .. } => match known(frame, register.0) {
                Some(value) => evaluation.resume_with_register(Value::Generic(value))?,
                None => return Ok(None),
            },
            EvaluationResult::RequiresMemory { address, size, .. } => {
                let mut bytes = [0; 8];
                let n = usize::from(size.min(8));
                if space.read(address, &mut bytes[..n]).ok() != Some(n) {
                    return Ok(None);
                }
                evaluation.resume_with_memory(Value::Generic(u64::from_le_bytes(bytes)))?
            }
            EvaluationResult::RequiresRelocatedAddress(addr) => {
                evaluation.resume_with_relocated_address(addr.wrapping_add(module.bias))?
            }
            _ => return Ok(None),
        };
    }
    Ok(evaluation.result().into_iter().next().and_then(|piece| match piece.location {
        Location::Address { address } => Some(address),
        _ => None,
    }))
}

/// By the chain of frame pointers: where it points to is the caller's, in the next word where that goes on.
fn by_pointer(frame: &Frame, space: &mut Space<'_>, modules: &Modules) -> Option<Box<Frame>> {
    let (dwarf, word) = (frame.arch.dwarf(), frame.arch.word() as u64);
    let fp = frame.registers[dwarf.fp].filter(|fp| *fp >= frame.sp && fp.is_multiple_of(word))?;
    let (before, pc) = (space.word(fp)?, space.word(fp.wrapping_add(word))?);
    if !is_code(pc, space, modules) {
        return None;
    }
    Some(caller(frame, pc, fp.wrapping_add(2 * word), Some(before), Found::FramePointer))
}

/// By what looks like a return address: a word that points behind a call instruction.
fn by_scan(frame: &Frame, space: &mut Space<'_>, modules: &Modules) -> Option<Box<Frame>> {
    let word = frame.arch.word() as u64;
    let start = frame.sp & !(word - 1);
    for i in 0..SCANNED {
        let at = start.checked_add(i * word)?;
        let pc = space.word(at)?;
        if is_code(pc, space, modules) && behind_a_call(pc, space) {
            let fp = frame.registers[frame.arch.dwarf().fp];
            return Some(caller(frame, pc, at.wrapping_add(word), fp, Found::Scan));
        }
    }
    None
}

/// The frame that called this one, of which no more is known.
fn caller(frame: &Frame, pc: u64, sp: u64, fp: Option<u64>, found: Found) -> Box<Frame> {
    let (arch, dwarf) = (frame.arch, frame.arch.dwarf());
    let mut registers = Known::default();
    (registers[dwarf.fp], registers[dwarf.sp], registers[dwarf.ra()]) = (fp, Some(sp), Some(pc));
    Box::new(Frame { arch, pc, sp, found, interrupted: false, registers })
}

fn is_code(addr: u64, space: &Space<'_>, modules: &Modules) -> bool {
    let executable = space.vma(addr).is_some_and(|v| v.prot & 4 != 0);
    executable && (modules.at(addr).is_some() || space.run(addr).is_some())
}

/// `call rel32`, or `call r/m64` of two to seven bytes.
fn behind_a_call(pc: u64, space: &mut Space<'_>) -> bool {
    let mut bytes = [0; 7];
    if space.read(pc.wrapping_sub(7), &mut bytes).ok() != Some(7) {
        return false;
    }
    bytes[2] == 0xe8 || (0..6).any(|i| bytes[i] == 0xff && bytes[i + 1] >> 3 & 7 == 2)
}
