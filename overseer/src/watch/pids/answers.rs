//! Who asks for its own number does not stop: it is answered ([`Listener`]).

use cryo_tracee::tracees::{Listener, Question};
use rustix::event::{PollFd, PollFlags};

/// The listeners of the family, one for each process that was thawed; who descends from it asks there, too.
#[derive(Debug, Default)]
pub struct Answers(Vec<Listener>);

impl Answers {
    /// These.
    pub fn of(listeners: impl IntoIterator<Item = Listener>) -> Self {
        Self(listeners.into_iter().collect())
    }

    /// What is to be polled, in their order.
    pub fn polled(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.0.iter().map(|listener| PollFd::new(listener, PollFlags::IN))
    }

    /// Answers who has asked, where polling said so, and forgets where nobody is left.
    pub fn give(&mut self, polled: &[PollFlags], mut answer: impl FnMut(&Question) -> i64) {
        for (listener, flags) in self.0.iter().zip(polled) {
            if flags.contains(PollFlags::IN)
                && let Some(question) = listener.question()
            {
                listener.answer(question, answer(&question));
            }
        }
        let mut flags = polled.iter();
        let gone = |flags: &PollFlags| !flags.contains(PollFlags::IN) && !flags.is_empty();
        self.0.retain(|_| !flags.next().is_some_and(gone));
    }
}
