//! `ltt-kdump ls CORE... -d DEBUGINFO [PATH]`

use std::io::{self, Write};

use analyser::{Entry, EntryKind, What};
use anyhow::Result;
use serde::Serialize;

use crate::args::Ls;
use crate::config;
use crate::exit::{Exit, NothingFound, shown};
use crate::output::json;
use crate::output::table::{Column, Table};
use crate::output::text::printable;

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Listing {
    entries: Vec<Line>,
    damage: Vec<String>,
}

/// One entry, as JSON and as a line.
#[derive(Debug, Serialize)]
struct Line {
    path: String,
    kind: &'static str,
    size: u64,
    /// What a file is, if it is a buffer.
    buffer: Option<&'static str>,
}

pub(crate) fn run(args: &Ls, as_json: bool) -> Result<Exit> {
    let (cores, path) = config::split_path(args);
    let kernel = super::kernel(&config::open(cores, &args.kernel, true)?)?;

    let root = normal(&path);
    let debugfs = kernel.debugfs()?;
    let mut found = debugfs.entries();
    let mut entries: Vec<Line> =
        found.by_ref().map(Line::from).filter(|line| is_below(&line.path, &root)).collect();
    let damage: Vec<String> = found.damage().iter().map(ToString::to_string).collect();
    for damage in &damage {
        tracing::warn!("{}", printable(damage));
    }
    if entries.is_empty() {
        let what = format!("{path}: no such entry in the core's debugfs, and no such file");
        return Err(NothingFound { what, hint: None }.into());
    }
    // The kernel keeps the newest entry first; people look for names.
    entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    let exit = if damage.is_empty() { Exit::Complete } else { Exit::Losses };
    let printed = if as_json { json::print(&Listing { entries, damage }) } else { print(&entries) };
    shown(printed, exit)
}

fn print(lines: &[Line]) -> Result<()> {
    let columns = [Column::left("KIND"), Column::right("SIZE"), Column::left("BUFFER"), Column::left("PATH")];
    let mut table = Table::new(columns);
    for line in lines {
        // The kernel keeps no size of directories and buffers.
        let size = if line.size == 0 && (line.kind == "directory" || line.buffer.is_some()) {
            "-".to_owned()
        } else {
            line.size.to_string()
        };
        let buffer = line.buffer.unwrap_or("-").to_owned();
        table.row([line.kind.to_owned(), size, buffer, printable(&line.path).into_owned()]);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    table.print(&mut out, "")?;
    out.flush()?;
    Ok(())
}

impl From<Entry> for Line {
    fn from(entry: Entry) -> Line {
        Line {
            kind: match entry.kind {
                EntryKind::Directory => "directory",
                EntryKind::File => "file",
                EntryKind::Symlink => "symlink",
            },
            size: entry.size,
            buffer: match entry.what {
                What::LttBuffer => Some("trace"),
                What::RelayBuffer => Some("relay"),
                What::Directory | What::Plain => None,
            },
            path: entry.path,
        }
    }
}

/// A path with one slash before each component and none at the end; the root is the empty path.
fn normal(path: &str) -> String {
    path.split('/')
        .filter(|component| !component.is_empty())
        .fold(String::new(), |path, component| path + "/" + component)
}

fn is_below(path: &str, root: &str) -> bool {
    normal(path).strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_by_component() {
        assert_eq!(normal("//ltt/k1/"), "/ltt/k1");
        assert_eq!(normal("/"), "");
        assert!(is_below("/ltt/k1/cpu_0", &normal("/ltt")));
        assert!(is_below("/ltt", &normal("/ltt/")));
        assert!(is_below("/ltt", &normal("/")));
        assert!(!is_below("/ltt2/x", &normal("/ltt")));
    }
}
