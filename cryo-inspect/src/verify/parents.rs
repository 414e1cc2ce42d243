//! The sets that have pages of the one that is verified (`PRNT`): without them it does not thaw.

use std::collections::BTreeSet;
use std::path::Path;

use cryo_format::image::Image;
use cryo_format::rules::Rule;
use cryo_format::section::Section;
use cryo_format::section::extents::{Content, Extents};
use cryo_format::section::parent::ParentSet;
use cryo_format::verify::{Finding, verify as verify_one};
use cryo_format::{Error, Profile, chain};

use super::{Report, what};
use crate::ice::open_source;
use crate::source::Source;

/// Verifies all that is below the .freeze among `sources`, and that the pages are there which it has in its parent. Parents are looked for in `beside`, then where
/// they were.
pub fn verify(sources: &[Source], beside: &Path, report: &mut Report) -> anyhow::Result<()> {
    for source in sources {
        // What is no image has been told of.
        let Ok(mut image) = Image::new(source.again()?, source.name.clone()) else { continue };
        if image.header().profile != Profile::Freeze || !matches!(image.get::<ParentSet>(0), Ok(Some(_))) {
            continue;
        }
        if let Err(e) = chain::attach(&mut image, beside, &open_source) {
            match &e {
                Error::Parent { parent, .. } => {
                    report.missing(parent, &format!("has pages of {}, and no such set is there: {e}", source.name));
                    report.incomplete = true;
                }
                _ => report.broken(&finding(&source.name, &e)),
            }
            continue;
        }
        for parent in image.ancestors() {
            let findings = verify_one(parent.input(), parent.name())?;
            for finding in &findings {
                report.broken(finding);
            }
            if findings.is_empty() {
                report.fine(parent.name(), &format!("{}; a parent of it", what(parent.input())));
            }
        }
        missing_pages(&image, report)?;
    }
    Ok(())
}

/// Rule 74, its second half: the parent has the pages that are said to be there.
fn missing_pages(image: &Image<Source>, report: &mut Report) -> anyhow::Result<()> {
    let page = image.header().page_size();
    let owners: BTreeSet<u64> =
        image.chunks().iter().filter(|entry| entry.kind == Extents::KIND).map(|entry| entry.owner).collect();
    for owner in owners {
        // What is wrong with its own extents has been told.
        let Ok(memory) = image.memory(owner) else { continue };
        for (extent, _) in memory.extents().filter(|(extent, _)| extent.content == Content::PARENT) {
            let end = extent.vaddr.0.saturating_add(extent.pages.saturating_mul(page));
            let mut at = extent.vaddr.0;
            while at < end {
                match memory.content(at) {
                    Some((_, len)) if len > 0 => at = at.saturating_add(len),
                    _ => {
                        let message = format!("owner {owner}: the page at {at:#x} is with the parent, and not there");
                        report.broken(&Finding {
                            file: image.name().to_owned(),
                            offset: 0,
                            rule: Rule::PARENT,
                            message,
                        });
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

fn finding(file: &str, e: &Error) -> Finding {
    let rule = e.rule().unwrap_or(Rule::PARENT);
    Finding { file: file.to_owned(), offset: e.offset().unwrap_or(0), rule, message: e.to_string() }
}
