//! `disas`: instructions.

use std::io::Write;
use std::rc::Rc;

use clap::Args;
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, SymbolResolver, SymbolResult};

use super::Look;
use crate::Outcome;
use crate::block::{Blocks, Cell, Mark, Table};
use crate::modules::Modules;
use crate::space::Space;
use crate::target::find;
use crate::text::clipped;

/// Instructions of a symbol of this length are shown whole.
const MANY: u64 = 4096;

/// Instructions, at the instruction pointer or anywhere else; => is where the thread goes on
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect disas 4242.freeze
  cryo-inspect disas 4242.freeze main
  cryo-inspect disas 4242.freeze 0x433cf2 -n 20")]
pub struct Disas {
    #[command(flatten)]
    look: Look,
    /// Where to begin: ADDR, SYMBOL, $REGISTER
    #[arg(default_value = "$pc", value_name = "WHERE")]
    place: String,
    /// How many instructions; of a symbol all if not given
    #[arg(short = 'n', long)]
    instructions: Option<usize>,
}

struct Names(Rc<Modules>);

impl SymbolResolver for Names {
    fn symbol(&mut self, _: &Instruction, _: u32, _: Option<u32>, address: u64, _: u32) -> Option<SymbolResult<'_>> {
        let (_, s) = self.0.symbol(address)?;
        Some(SymbolResult::with_string(s.addr, s.name.clone()))
    }
}

impl Disas {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let process = opened.process()?;
        let cx = opened.main_thread(&process);
        let mut space = Space::of(cx.ice, process.owner)?;
        let modules = Rc::new(Modules::of(&cx, &mut space)?);
        let target = find(&self.place, &cx, &space, &modules)?;
        let pc = super::threads::pointers(&cx).map(|(pc, _)| pc);
        let (most, len) = match (self.instructions, target.len) {
            (Some(n), _) => (n, n as u64 * 15),
            (None, Some(len)) if len <= MANY => (usize::MAX, len),
            _ => (12, 12 * 15),
        };
        let bytes = space.bytes(target.start, len.min(1 << 24) as usize)?;
        anyhow::ensure!(
            !bytes.is_empty(),
            "{:#x} is not in the image, and not in a file that is here and the same",
            target.start
        );
        let bits = cx.arch().word() as u32 * 8;
        let mut decoder = Decoder::with_ip(bits, &bytes, target.start, DecoderOptions::NONE);
        let mut formatter = IntelFormatter::with_options(Some(Box::new(Names(Rc::clone(&modules)))), None);
        formatter.options_mut().set_rip_relative_addresses(false);
        formatter.options_mut().set_hex_prefix("0x");
        formatter.options_mut().set_hex_suffix("");
        formatter.options_mut().set_space_after_operand_separator(true);
        let mut table = Table::new(&["here", "address", "symbol", "bytes", "instruction"]);
        for instruction in decoder.iter().take(most) {
            let at = instruction.ip();
            let start = (at - target.start) as usize;
            let mut text = String::new();
            formatter.format(&instruction, &mut text);
            let mark = if pc == Some(at) { Cell::new("=>", true).marked(Mark::Warn) } else { Cell::new("", false) };
            table.row([
                mark,
                Cell::hex(format!("{at:012x}"), at),
                modules.name(at).unwrap_or_default().into(),
                cryo_format::prim::hex(&bytes[start..start + instruction.len()]).into(),
                clipped(text.as_bytes(), 400).into(),
            ]);
        }
        let mut blocks = Blocks::default();
        blocks.table(table);
        self.look.draw(&opened, blocks, out)
    }
}
