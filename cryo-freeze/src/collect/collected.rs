//! What is written.

use std::io::Write;

use cryo_format::Profile;
use cryo_format::section::notes::{Note, Notes};
use cryo_format::section::{AnySection, Section};
use cryo_format::write::Writer;

use crate::Result;

/// Everything but the pages, in the order in which it is written.
#[derive(Default)]
pub struct Collected {
    pub(super) sections: Vec<(u64, AnySection)>,
    notes: Vec<Note>,
}

impl Collected {
    /// Adds a section.
    pub fn add(&mut self, owner: u64, section: impl Into<AnySection>) {
        self.sections.push((owner, section.into()));
    }

    /// Adds sections of threads, the main thread's first: that one for the whole process, the others where they differ.
    pub fn add_each<S: Section>(&mut self, process: u64, sections: Vec<(u64, S)>) {
        let mut sections = sections.into_iter();
        let Some((_, main)) = sections.next() else { return };
        self.add(process, main.clone());
        sections.filter(|(_, section)| *section != main).for_each(|(id, section)| self.add(id, section));
    }

    /// The sections of a type so far.
    pub fn sections<S: Section>(&self) -> impl Iterator<Item = &S> {
        self.sections.iter().filter_map(|(_, section)| S::of(section))
    }

    /// The section of a type that has this owner.
    pub fn section<S: Section>(&self, owner: u64) -> Option<&S> {
        self.sections.iter().filter(|(of, _)| *of == owner).find_map(|(_, section)| S::of(section))
    }

    /// How much there is so far, for [`Self::back_to`].
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.sections.len(), self.notes.len())
    }

    /// Takes back what was added since.
    pub(super) fn back_to(&mut self, mark: (usize, usize)) {
        self.sections.truncate(mark.0);
        self.notes.truncate(mark.1);
    }

    /// Adds a note, once.
    pub fn note(&mut self, object: impl Into<String>, text: impl Into<String>) {
        let note = Note { object: object.into().into_bytes().into(), text: text.into().into_bytes().into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The notes as lines of text.
    pub fn notes(&self) -> Vec<String> {
        self.notes.iter().map(|n| format!("{}: {}", n.object, n.text)).collect()
    }

    /// Writes the sections of one of the three files.
    pub fn write<W: Write>(&self, writer: &mut Writer<W>) -> Result<()> {
        let profile = writer.header().profile;
        for (owner, section) in &self.sections {
            if section.info().is_some_and(|i| i.profile == profile) {
                writer.any(*owner, section)?;
            }
        }
        if profile == Profile::Frost && !self.notes.is_empty() {
            writer.section(0, &Notes { notes: self.notes.clone().into() })?;
        }
        Ok(())
    }
}
