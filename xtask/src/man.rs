//! Manual pages and completions of all programs, as packages carry them.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};

use crate::run::{cargo, check, root, show};

const LIMIT: Duration = Duration::from_mins(20);

/// Writes target/man/man1 and target/completions.
pub fn man() -> Result<()> {
    let (pages, completions) = (root().join("target/man/man1"), root().join("target/completions"));
    write(&pages, &completions)?;
    println!("{}, {}", pages.display(), completions.display());
    Ok(())
}

/// Programs whose command line a library of theirs has.
fn programs() -> [Command; 3] {
    [
        cryo_freeze::cli::Cli::command().name("cryo-freeze"),
        cryo_thaw::cli::Cli::command().name("cryo-thaw"),
        overseer::cli::Cli::command(),
    ]
}

fn write(pages: &Path, completions: &Path) -> Result<()> {
    fs::create_dir_all(pages)?;
    fs::create_dir_all(completions)?;
    for mut program in programs() {
        let name = program.get_name().to_owned();
        // `help` would get pages of its own, which say what the others say.
        let without_help = program.clone().disable_help_subcommand(true);
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            generate_to(shell, &mut program, &name, completions).with_context(|| name.clone())?;
        }
        clap_mangen::generate_to(without_help, pages).with_context(|| name)?;
    }
    // cryo-inspect makes its own, wherever it is.
    let run = ["run", "--quiet", "--package", "cryo-inspect", "--"];
    let mut cmd = cargo(&run);
    cmd.args(["man", "-o"]).arg(pages);
    show(&cmd);
    check(&mut cmd, LIMIT)?;
    for (shell, file) in [("bash", "cryo-inspect.bash"), ("zsh", "_cryo-inspect"), ("fish", "cryo-inspect.fish")] {
        let mut cmd = cargo(&run);
        cmd.args(["completions", shell]).stdout(Stdio::from(fs::File::create(completions.join(file))?));
        check(&mut cmd, LIMIT)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What --help says stands in the page, option by option, and the completions know it.
    #[test]
    fn pages_have_every_option_of_the_help() {
        let dir = tempfile::tempdir().unwrap();
        let (pages, completions) = (dir.path().join("man1"), dir.path().join("completions"));
        write(&pages, &completions).unwrap();
        check(&mut cargo(&["build", "--quiet", "--workspace", "--bins"]), LIMIT).unwrap();
        // Where they are: this test is in a directory below.
        let here = std::env::current_exe().unwrap();
        let programs = here.ancestors().nth(2).unwrap();
        let mut lines = 0;
        for entry in fs::read_dir(&pages).unwrap().flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let words: Vec<String> = command_line(file.trim_end_matches(".1"));
            let (program, rest) = words.split_first().unwrap();
            let help = std::process::Command::new(programs.join(program)).args(rest).arg("--help").output().unwrap();
            assert!(help.status.success(), "{file}: {help:?}");
            let help = String::from_utf8(help.stdout).unwrap();
            let page = fs::read_to_string(entry.path()).unwrap().replace("\\-", "-");
            let bash = fs::read_to_string(completions.join(format!("{program}.bash"))).unwrap();
            for option in help.split_whitespace().filter_map(|word| word.strip_prefix("--")) {
                let name: String = option.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                // Only what begins a line is an option; in prose there may be one of another program.
                let begins = |l: &str| l.trim_start().starts_with('-') && l.contains(&format!("--{name}"));
                if name.is_empty() || !help.lines().any(begins) {
                    continue;
                }
                lines += 1;
                assert!(has(&page, &name), "{file} has no --{name}");
                assert!(has(&bash, &name), "{program}.bash has no --{name}");
            }
        }
        assert!(lines > 100, "{lines} options");
    }

    /// Is there `--name`, and not only the beginning of a longer one?
    fn has(text: &str, name: &str) -> bool {
        let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        text.match_indices(&format!("--{name}")).any(|(at, found)| !goes_on(&text[at + found.len()..]))
    }

    /// `cryo-inspect-map`: the program, and its command.
    fn command_line(page: &str) -> Vec<String> {
        let programs = ["cryo-freeze", "cryo-thaw", "cryo-inspect", "overseer"];
        let program = programs.into_iter().find(|program| page.starts_with(program)).unwrap();
        let command = page[program.len()..].strip_prefix('-');
        [program].into_iter().chain(command).map(str::to_owned).collect()
    }
}
