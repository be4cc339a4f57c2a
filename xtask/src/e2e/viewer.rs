//! What babeltrace2 makes of a trace.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::command::command;

/// What it printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Events, one a line.
    pub(crate) events: u64,
    /// Numbers of the guest's ticks, in the order printed.
    pub(crate) ticks: Vec<u64>,
    /// Messages on events that the tracer itself discarded.
    pub(crate) discarded: Vec<String>,
    /// Any other message: something is wrong with the trace.
    pub(crate) messages: Vec<String>,
}

/// Prints a trace to its end.
pub(crate) fn view(trace: &Path) -> Result<View> {
    let output = command("babeltrace2", ["--no-delta", "--clock-cycles"])
        .arg(trace)
        .output()
        .context("starting babeltrace2")?;
    let mut view = read(&String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        view.messages.push(format!("babeltrace2: {}", output.status));
    }
    Ok(view)
}

fn read(stdout: &str, stderr: &str) -> View {
    let mut view = View::default();
    for line in stdout.lines() {
        view.events += 1;
        view.ticks.extend(tick(line));
    }
    for line in stderr.lines().filter(|line| !line.trim().is_empty()) {
        let list = if line.contains("Tracer discarded") { &mut view.discarded } else { &mut view.messages };
        // The folder differs between traces that are compared.
        list.push(line.split(" in trace ").next().unwrap_or(line).to_owned());
    }
    view
}

/// The number of a tick.
fn tick(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("lttng_logger:")?;
    let (_, rest) = rest.split_once("\"tick ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether the ticks are in a row, each once; says which they are.
pub(crate) fn in_a_row(ticks: &[u64]) -> Result<(u64, u64), Vec<String>> {
    let wrong: Vec<String> = ticks
        .iter()
        .zip(ticks.iter().skip(1))
        .filter(|(before, next)| **before + 1 != **next)
        .map(|(before, next)| format!("after tick {before} comes tick {next}"))
        .collect();
    match (ticks.first(), ticks.last()) {
        (Some(first), Some(last)) if wrong.is_empty() => Ok((*first, *last)),
        (None, _) => Err(vec!["no tick was found".to_owned()]),
        _ => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_ticks_and_messages() {
        let stdout = "[00000000000000000001] (none) lttng_logger: { cpu_id = 1 }, { _msg_length = 7, msg = \"tick 12\" }\n\
                      [00000000000000000002] (none) syscall_entry_write: { cpu_id = 1 }, { fd = 1 }\n\
                      [00000000000000000003] (none) lttng_logger: { cpu_id = 0 }, { _msg_length = 7, msg = \"tick 13\" }\n";
        let stderr = "\nWARNING: Tracer discarded 5 events between [1] and [2] in trace \"/a/b\" (UUID 1)\n\
                      12-01 PLUGIN/SRC.CTF.FS: cannot index\n";
        let view = read(stdout, stderr);
        assert_eq!((view.events, view.ticks.as_slice()), (3, [12, 13].as_slice()));
        assert_eq!(view.discarded, ["WARNING: Tracer discarded 5 events between [1] and [2]"]);
        assert_eq!(view.messages, ["12-01 PLUGIN/SRC.CTF.FS: cannot index"]);
    }

    #[test]
    fn ticks_in_a_row() {
        assert_eq!(in_a_row(&[3, 4, 5]), Ok((3, 5)));
        assert_eq!(in_a_row(&[3, 5, 5]).unwrap_err().len(), 2);
        assert!(in_a_row(&[]).is_err());
    }
}
