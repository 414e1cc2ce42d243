//! `regs`: the registers of each thread.

use std::io::Write;

use clap::Args;
use cryo_format::section::regs::{RegsI386, RegsX86_64};
use cryo_format::section::tls::Tls;
use cryo_format::section::xstate::Xstate;
use cryo_format::{Kind, section::Section};

use super::Look;
use crate::Outcome;
use crate::block::{Blocks, Group};
use crate::dump::section;
use crate::print::Cx;
use crate::print::xstate::{Lane, lanes};

/// General registers, flags, x87, SSE, AVX, AVX-512 and protection keys of each thread, decoded
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect regs 4242.freeze --tid 4243
  cryo-inspect regs 4242.freeze --lanes f64         vector registers as doubles
  cryo-inspect regs 4242.freeze --format jsonl | jq -r '.rip // empty'")]
pub struct Regs {
    #[command(flatten)]
    look: Look,
    /// Show vector registers as lanes of this type
    #[arg(long, value_enum, value_name = "TYPE")]
    lanes: Option<Lane>,
}

impl Regs {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let blocks = opened.each(|cx, ids, out| threads(cx, ids, self.lanes, out));
        self.look.draw(&opened, blocks, out)
    }
}

/// The registers of each of these threads; with vector registers in lanes, where that is asked for.
pub fn threads(cx: &Cx<'_>, threads: &[u64], lane: Option<Lane>, out: &mut Blocks) {
    const SHOWN: [Kind; 4] = [RegsX86_64::KIND, RegsI386::KIND, Xstate::KIND, Tls::KIND];
    for (i, id) in threads.iter().enumerate() {
        if i > 0 {
            out.caption("");
        }
        let cx = super::thread_of(cx, *id);
        let mut within = Blocks::default();
        for entry in cx.ice.of(*id).filter(|e| SHOWN.contains(&e.kind)) {
            within.group(section(entry, &cx));
        }
        if let (Some(lane), Some(x)) = (lane, cx.ice.get::<Xstate>(*id)) {
            let mut vectors = Blocks::default();
            vectors.table(lanes(x, lane));
            within.group(Group::one("lanes", "vector registers, lowest lane first", vectors));
        }
        out.group(Group::many("threads", super::thread_id(&cx), super::thread_title(&cx), within));
    }
}
