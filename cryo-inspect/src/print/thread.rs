//! What the kernel keeps for one thread beside its registers.

use cryo_format::section::thread::Thread;

use super::{Cx, Order, Print};
use crate::block::{Blocks, Fields};
use crate::names::{bits, signal};
use crate::text::size;

const SS_DISABLE: u64 = 2;

impl Print for Thread {
    const TITLE: &'static str = "kernel state";
    const ORDER: Order = Order::First;

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let mut fields = Fields::default();
        if self.exited != 0 {
            fields.add("has exited", format!("with status {}, while others run", self.exit_code >> 8));
            return out.fields(fields);
        }
        fields.add("blocked signals", signal::set(self.sigmask.0));
        let mode = bits(self.altstack_flags, &[(1, "onstack"), (2, "disabled"), (1 << 31, "autodisarm")], " ");
        let mode = if mode == "-" { String::new() } else { format!(" ({mode})") };
        fields.add_if(self.altstack_flags & SS_DISABLE == 0 && self.altstack_size != 0, "alternate stack", || {
            format!("{}, {}{mode}", cx.address(self.altstack_sp.0), size(self.altstack_size))
        });
        fields.add_if(self.clear_child_tid.0 != 0, "clear_child_tid", || cx.address(self.clear_child_tid.0));
        fields.add_if(self.robust_list.0 != 0, "robust list", || {
            format!("{}, {} bytes", cx.address(self.robust_list.0), self.robust_list_len)
        });
        fields.add_if(self.rseq.0 != 0, "rseq", || {
            format!("{}, {} bytes, signature {:#x}", cx.address(self.rseq.0), self.rseq_size, self.rseq_signature)
        });
        fields.add_if(self.dispatch_mode != 0, "dispatches calls", || {
            let mode = match self.dispatch_mode {
                1 => "outside of".to_owned(),
                2 => "inside of".to_owned(),
                other => format!("mode {other},"),
            };
            let (start, len) = (self.dispatch_offset.0, self.dispatch_len);
            let selector = self.dispatch_selector.0;
            format!("{mode} {start:#x}, {}, selector {}", size(len), cx.address(selector))
        });
        out.fields(fields);
    }
}
