//! What babeltrace2 makes of a trace.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::command::command;

/// What it printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Events, one a line.
    pub(crate) text: String,
    /// Numbers of the guest's ticks, in the order printed.
    pub(crate) ticks: Vec<u64>,
    /// Messages on events that the tracer itself discarded.
    pub(crate) discarded: Vec<String>,
    /// Any other message: something is wrong with the trace.
    pub(crate) messages: Vec<String>,
}

/// Prints a trace to its end.
pub(crate) fn view(trace: &Path) -> Result<View> {
    let output =
        command("babeltrace2", ["--clock-gmt"]).arg(trace).output().context("starting babeltrace2")?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut view = read(stdout, &String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        view.messages.push(format!("babeltrace2: {}", output.status));
    }
    Ok(view)
}

fn read(text: String, stderr: &str) -> View {
    let mut view = View { ticks: text.lines().filter_map(tick).collect(), text, ..View::default() };
    for line in stderr.lines().filter(|line| !line.trim().is_empty()) {
        let list = if line.contains("Tracer discarded") { &mut view.discarded } else { &mut view.messages };
        // The folder differs between traces that are compared.
        list.push(line.split(" in trace ").next().unwrap_or(line).to_owned());
    }
    view
}

/// Compares two texts line by line; returns how many lines each has.
pub(crate) fn same_lines(expected: &str, found: &str) -> Result<usize, Vec<String>> {
    let mut wrong = Vec::new();
    let (lines, other) = (expected.lines().count(), found.lines().count());
    if lines != other || lines == 0 {
        wrong.push(format!("expected {lines} events as in babeltrace2, found {other}"));
    }
    let (ours, theirs) = (by_time(found), by_time(expected));
    let different =
        theirs.iter().zip(&ours).enumerate().find(|(_, (expected, found))| !same_event(expected, found));
    if let Some((number, (expected, found))) = different {
        wrong.push(format!("event {} differs: expected {expected:?}, found {found:?}", number + 1));
    }
    if wrong.is_empty() { Ok(lines) } else { Err(wrong) }
}

/// The lines by time, those of one time in the order of their texts: which of two CPUs comes first then is nobody's truth. The time
/// since the event before, which depends on that order, is taken out.
fn by_time(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| match line.split_once(" (+") {
            Some((time, rest)) => [time, rest.split_once(')').map_or(rest, |(_, event)| event)].concat(),
            None => line.to_owned(),
        })
        .collect();
    let time = |line: &String| line.split_once(']').map(|(time, _)| time.to_owned());
    for group in lines.chunk_by_mut(|one, next| time(one) == time(next)) {
        group.sort_unstable();
    }
    lines
}

/// Whether two lines show the same event.
///
/// babeltrace2 2.0.4 prints an empty string as the text that the same field had in the event before: such a field may be anything.
fn same_event(expected: &str, found: &str) -> bool {
    if expected == found {
        return true;
    }
    let (expected, found) = (pieces(expected), pieces(found));
    let same = |(number, (expected, found)): (usize, (&&str, &&str))| {
        let is_text = number % 2 == 1;
        expected == found || (is_text && found.is_empty())
    };
    expected.len() == found.len() && expected.iter().zip(&found).enumerate().all(same)
}

/// A line cut at its quotation marks: every other piece is a text.
fn pieces(line: &str) -> Vec<&str> {
    let mut is_escaped = false;
    let is_quote = |c: char| {
        let quote = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        quote
    };
    line.split(is_quote).collect()
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
        let view = read(stdout.to_owned(), stderr);
        assert_eq!((view.text.as_str(), view.ticks.as_slice()), (stdout, [12, 13].as_slice()));
        assert_eq!(view.discarded, ["WARNING: Tracer discarded 5 events between [1] and [2]"]);
        assert_eq!(view.messages, ["12-01 PLUGIN/SRC.CTF.FS: cannot index"]);
    }

    #[test]
    fn lines_that_differ() {
        assert_eq!(same_lines("a\nb\n", "a\nb\n"), Ok(2));
        assert!(same_lines("", "").is_err(), "nothing was seen");
        assert_eq!(
            same_lines("a\nb\n", "a\n").unwrap_err(),
            ["expected 2 events as in babeltrace2, found 1"]
        );
        assert_eq!(
            same_lines("[1]a\n[2]b\n", "[1]a\n[2]c\n").unwrap_err(),
            ["event 2 differs: expected \"[2]b\", found \"[2]c\""]
        );
    }

    #[test]
    fn events_of_one_time_come_in_any_order() {
        let expected = "[1] (+?) x: b\n[2] (+1) x: c { 1 }\n[2] (+0) x: a { 2 }\n";
        assert_eq!(same_lines(expected, "[1] (+?) x: b\n[2] (+1) x: a { 2 }\n[2] (+0) x: c { 1 }\n"), Ok(3));
        assert!(same_lines(expected, "[2] (+1) x: a { 2 }\n[1] (+?) x: b\n[2] (+0) x: c { 1 }\n").is_err());
    }

    #[test]
    fn an_empty_text_may_be_anything_in_babeltrace2() {
        let ours = r#"stat: { fd = 3, name = "", flag = 4096 }"#;
        assert!(same_event(r#"stat: { fd = 3, name = "/a \"b\" c", flag = 4096 }"#, ours));
        assert!(!same_event(r#"stat: { fd = 4, name = "/a", flag = 4096 }"#, ours));
        assert!(!same_event(ours, r#"stat: { fd = 3, name = "/a", flag = 4096 }"#));
        assert!(!same_event(r#"stat: { fd = 3, name = "/a", flag = 4096, more = "" }"#, ours));
    }

    #[test]
    fn ticks_in_a_row() {
        assert_eq!(in_a_row(&[3, 4, 5]), Ok((3, 5)));
        assert_eq!(in_a_row(&[3, 5, 5]).unwrap_err().len(), 2);
        assert!(in_a_row(&[]).is_err());
    }
}
