//! Who traces the family already when it is to be frozen: the keeper of an overseer.
//!
//! The family makes its watched calls by leave of that tracer, and waits in each of them until it is heard. So whenever it runs during a freeze, the tracer has to
//! look after it.

use std::cell::RefCell;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use cryo_format::section::history::History;

use crate::Result;
use crate::collect::seen::Seen;
use crate::live::Remembered;

/// While something else is waited for, the family is looked after so often.
pub(crate) const OFTEN: Duration = Duration::from_micros(200);

/// What a tracer has seen of the family.
#[derive(Debug, Default)]
pub struct View {
    /// What it knows of each process, by its pid.
    pub histories: Vec<(i32, History)>,
    /// The ids that they see, where they are translated.
    pub ids: Seen,
}

/// A tracer, in the thread that traces.
pub trait Tracer {
    /// The family runs: sees to what it has done since. Called again and again, and to return soon.
    fn attend(&mut self);

    /// What it has seen of the family, which stands still.
    fn view(&mut self) -> View;

    /// Where it keeps, from one freeze to the next, what is watched ([`crate::Options::keep_watch`]).
    fn remembered(&mut self) -> &mut Option<Remembered>;

    /// Has all of the family stand still, whoever of it does already. An error if it does not.
    fn halt(&mut self) -> Result<()>;
}

/// The tracer of the family, if it has one.
pub(crate) struct Traced<'a>(Option<RefCell<&'a mut dyn Tracer>>);

impl<'a> Traced<'a> {
    /// Nobody traces it but we, now and then.
    pub fn by_nobody() -> Self {
        Self(None)
    }

    /// By this one.
    pub fn by(tracer: &'a mut dyn Tracer) -> Self {
        Self(Some(RefCell::new(tracer)))
    }

    /// Is there one?
    pub fn is_traced(&self) -> bool {
        self.0.is_some()
    }

    /// See [`Tracer::attend`].
    pub fn attend(&self) {
        if let Some(tracer) = &self.0 {
            tracer.borrow_mut().attend();
        }
    }

    /// See [`Tracer::view`].
    pub fn view(&self) -> View {
        self.0.as_ref().map_or_else(View::default, |tracer| tracer.borrow_mut().view())
    }

    /// What was watched since the last freeze.
    pub fn take_remembered(&self) -> Option<Remembered> {
        self.0.as_ref()?.borrow_mut().remembered().take()
    }

    /// This is watched until the next.
    pub fn remember(&self, remembered: Option<Remembered>) {
        if let Some(tracer) = &self.0 {
            *tracer.borrow_mut().remembered() = remembered;
        }
    }

    /// See [`Tracer::halt`].
    pub fn halt(&self) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |tracer| tracer.borrow_mut().halt())
    }

    /// Waits for the end of a thread, and looks after the family meanwhile.
    pub fn join<T>(&self, working: ScopedJoinHandle<'_, T>) -> thread::Result<T> {
        while self.is_traced() && !working.is_finished() {
            self.attend();
            thread::sleep(OFTEN);
        }
        working.join()
    }

    /// Does what may take long and needs no tracer, and looks after the family meanwhile.
    pub fn during<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        if !self.is_traced() {
            return work();
        }
        thread::scope(|scope| match self.join(scope.spawn(work)) {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}
