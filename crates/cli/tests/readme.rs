//! What the README shows is what the program prints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command of the README, and the output below it.
struct Shown {
    command: String,
    output: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every block ```` ```console ```` that a block ```` ```text ```` follows at once.
fn shown() -> Vec<Shown> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut shown: Vec<Shown> = Vec::new();
    let mut command = None;
    // Outside of blocks, blocks, outside …
    for (nth, block) in readme.split("```").enumerate() {
        match block.split_once('\n') {
            Some(("console", text)) if nth % 2 == 1 => command = text.trim().strip_prefix("$ "),
            Some(("text", text)) if nth % 2 == 1 => {
                let output = text.lines().map(str::to_owned).collect();
                shown.extend(command.take().map(|command| Shown { command: command.to_owned(), output }));
            }
            // Text in between: the next block is not the output.
            _ if !block.trim().is_empty() => command = None,
            _ => {}
        }
    }
    shown
}

/// Whether the lines are these, where `…` stands for any number of others.
fn is_as_shown(lines: &[&str], shown: &[String]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((gap, rest)) if gap == "…" => {
            (0..=lines.len()).any(|skipped| is_as_shown(lines.get(skipped..).unwrap_or_default(), rest))
        }
        Some((line, rest)) => {
            lines.split_first().is_some_and(|(first, lines)| first == line && is_as_shown(lines, rest))
        }
    }
}

#[test]
fn the_readme_shows_what_is_printed() {
    let scratch = tempfile::tempdir().unwrap();
    let here = |text: &str| text.replace("/tmp/", &format!("{}/", scratch.path().display()));
    let all = shown();
    assert!(all.len() >= 5, "the README has lost its examples");
    for Shown { command, output } in all {
        let command = here(&command);
        let args = command.strip_prefix("cargo run --release --bin ltt-kdump -- ");
        let Some(args) = args.or(command.strip_prefix("ltt-kdump ")) else { panic!("{command}") };
        let run = Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
            .current_dir(root())
            .args(args.split_whitespace())
            .output()
            .unwrap();
        let printed = String::from_utf8(run.stdout).unwrap();
        let errors = String::from_utf8(run.stderr).unwrap();
        let lines: Vec<&str> = printed.lines().collect();
        let output: Vec<String> = output.iter().map(|line| here(line)).collect();
        assert!(is_as_shown(&lines, &output), "{command}\nprints:\n{printed}{errors}\nshown:\n{output:#?}");
        assert_eq!(errors, "", "{command}");
    }
}
