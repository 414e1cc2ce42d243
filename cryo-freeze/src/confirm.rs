//! Who has the last word before the original ends.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Refusal, RefusalKind, Result};

/// In the place of a path.
pub(crate) const PIPE: &str = "-";

type Ask = dyn Fn(&Path) -> std::result::Result<(), String> + Send + Sync;

/// Asked with the path of a .freeze that is complete (`-` if it went down a pipe, and was taken), while the original stands still: it ends only if the
/// answer is yes. A no says why; the original goes on then, and the set stays.
///
/// The default asks nobody.
#[derive(Clone, Default)]
pub struct Confirm(Option<Arc<Ask>>);

impl Confirm {
    /// This one is asked.
    pub fn by(ask: impl Fn(&Path) -> std::result::Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ask)))
    }

    /// Is anybody asked?
    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn ask(&self, freeze: &Path) -> Result<()> {
        let said = self.0.as_ref().map_or(Ok(()), |ask| ask(freeze));
        said.map_err(|why| {
            let text = match freeze.to_str() {
                Some(PIPE) => why,
                _ => format!("{why}; the set of this moment stays: {}", freeze.display()),
            };
            Refusal::new(RefusalKind::Output, text).into()
        })
    }
}

impl fmt::Debug for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confirm")
    }
}
