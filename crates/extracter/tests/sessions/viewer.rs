//! What babeltrace 2 says of a trace.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Its lines by CPU, and its messages.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) lines: BTreeMap<u32, Vec<String>>,
    pub(crate) messages: Vec<String>,
}

impl Shown {
    pub(crate) fn events(&self) -> u64 {
        self.lines.values().map(|lines| lines.len() as u64).sum()
    }
}

/// Reads a trace; `None`, and a word about it, where babeltrace 2 is not installed. That is an error if the variable
/// `READERS_REQUIRED` is set.
pub(crate) fn show(trace: &Path) -> Option<Shown> {
    let arguments = ["--no-delta", "--clock-cycles", "--fields=trace,trace:hostname"];
    let Ok(output) = Command::new("babeltrace2").args(arguments).arg(trace).output() else {
        assert!(std::env::var_os("READERS_REQUIRED").is_none(), "babeltrace2 is not installed");
        eprintln!("skipped: babeltrace2 is not installed");
        return None;
    };
    let mut shown = Shown::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (_, rest) = line.split_once("{ cpu_id = ").unwrap();
        let cpu = rest.split([' ', ',']).next().unwrap().parse().unwrap();
        shown.lines.entry(cpu).or_default().push(line.to_owned());
    }
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    shown.messages = messages.lines().map(str::to_owned).collect();
    assert!(output.status.success(), "{messages}");
    Some(shown)
}
