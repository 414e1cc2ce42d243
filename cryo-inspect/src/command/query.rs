//! `query`: one value, or all of a kind, by a path.

use std::io::Write;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::Look;
use crate::Outcome;
use crate::draw::json;
use crate::dump;

/// One value, or all of a kind, by a path, as jq would, without jq
///
/// A path is names with dots between them, over what `dump` shows: its headings, labels and heads, with _ for what is no letter. `[3]` takes one of a
/// list, `[-1]` the last, `[]` each; `[name=text]` those whose member has this text in it. The first name is looked for wherever it stands. One
/// value on a line; what is not one value is JSON.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect query 4242.freeze 'segments[].stored'
  cryo-inspect query 4242.freeze 'segments[perm=rwx].range'
  cryo-inspect query 4242.freeze 'descriptors[fd=3].what.file.path'
  cryo-inspect query 4242.freeze 'registers.rip' --tid 4243
  cryo-inspect query 4242.freeze identity")]
pub struct Query {
    #[command(flatten)]
    look: Look,
    /// Names and places: segments[].stored
    path: String,
}

impl Query {
    /// Shows it. What is not there is told by the exit status, as grep does.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let steps = steps(&self.path)?;
        let opened = self.look.open()?;
        let tree = json::value(&dump::chosen(&opened.ice, &opened.people).into_vec());
        let mut found: Vec<&Value> = vec![&tree];
        for (i, step) in steps.iter().enumerate() {
            let mut next = Vec::new();
            for value in found {
                match step {
                    Step::Name(name) if i == 0 => anywhere(value, name, &mut next),
                    Step::Name(name) => member(value, name, &mut next),
                    Step::Each => match value {
                        Value::Array(all) => next.extend(all),
                        // One stands for a list of one.
                        one => next.push(one),
                    },
                    Step::At(at) => next.extend(value.as_array().and_then(|all| {
                        let at = if *at < 0 { all.len().checked_sub(at.unsigned_abs())? } else { *at as usize };
                        all.get(at)
                    })),
                    Step::Where(name, text) => {
                        let has = |v: &&Value| v.get(name).is_some_and(|m| holds(m, text));
                        match value {
                            Value::Array(all) => next.extend(all.iter().filter(has)),
                            one if has(&one) => next.push(one),
                            _ => {}
                        }
                    }
                }
            }
            found = next;
        }
        if self.look.format == super::Format::Json {
            crate::json::write_pretty(&found, out)?;
        } else {
            for value in &found {
                match value {
                    Value::String(text) => writeln!(out, "{text}")?,
                    other => {
                        crate::json::write(other, out)?;
                        writeln!(out)?;
                    }
                }
            }
        }
        out.flush()?;
        match opened.outcome() {
            Outcome::Good if found.is_empty() => {
                crate::say(&format!(
                    "{}: nothing is there: cryo-inspect dump --format json shows all names",
                    self.path
                ));
                Ok(Outcome::Problems)
            }
            other => Ok(other),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Step {
    Name(String),
    Each,
    At(isize),
    Where(String, String),
}

fn steps(path: &str) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inside) = rest.strip_prefix('[') {
            let (inside, behind) = inside.split_once(']').with_context(|| format!("{path}: a [ without its ]"))?;
            rest = behind;
            steps.push(match inside.split_once('=') {
                _ if inside.is_empty() => Step::Each,
                Some((name, text)) => Step::Where(name.to_owned(), text.trim_matches('"').to_owned()),
                None => Step::At(inside.parse().with_context(|| format!("{path}: [{inside}] is no place in a list"))?),
            });
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        if name.is_empty() {
            bail!("{path}: a name is missing");
        }
        steps.push(Step::Name(name.to_owned()));
        rest = behind;
    }
    if steps.is_empty() {
        bail!("an empty path");
    }
    Ok(steps)
}

/// Members of that name, wherever they stand, but not within each other.
fn anywhere<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => match members.get(name) {
            Some(one) => found.push(one),
            None => members.values().for_each(|v| anywhere(v, name, found)),
        },
        Value::Array(all) => all.iter().for_each(|v| anywhere(v, name, found)),
        _ => {}
    }
}

/// The member of an object; of a list, those of all in it.
fn member<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(all) => all.iter().for_each(|v| member(v, name, found)),
        one => found.extend(one.get(name)),
    }
}

fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(s) => s.contains(text),
        other => {
            let said = other.to_string();
            said == text
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let name = |n: &str| Step::Name(n.to_owned());
        assert_eq!(steps("segments[].stored").unwrap(), [name("segments"), Step::Each, name("stored")]);
        let filter = Step::Where("fd".to_owned(), "3".to_owned());
        assert_eq!(steps(".a[-1][fd=3]").unwrap(), [name("a"), Step::At(-1), filter]);
        assert!(steps("a[").is_err() && steps("").is_err() && steps("a[x]").is_err() && steps("a..b").is_err());
    }
}
