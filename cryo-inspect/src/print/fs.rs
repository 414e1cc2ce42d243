//! Where a thread is that does not go where its process goes.

use cryo_format::section::fs::Fs;

use super::{Cx, Print, thread};
use crate::block::{Blocks, Fields};
use crate::text::shown_or;

impl Print for Fs {
    const TITLE: &'static str = "place";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let mut fields = Fields::default();
        if self.shared_with != 0 {
            fields.add("in common with", thread(self.shared_with, cx));
            return out.fields(fields);
        }
        fields.add("directory", shown_or(&self.cwd, "(unknown)"));
        fields.add_if(*self.root != b"/", "root", || shown_or(&self.root, "(unknown)"));
        fields.add("umask", format!("{:04o}", self.umask));
        out.fields(fields);
    }
}
