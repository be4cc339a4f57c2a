//! From what the user typed to what the libraries take.

use std::path::PathBuf;

use analyser::{OpenOptions, Routes};
use anyhow::{Context, Result};
use extracter::{Destination, Target};

use crate::args::{Extract, KernelOptions, Ls, Via};

/// Options of the analyser. Sets the number of threads for the whole process.
///
/// Errors: no type information although it is needed; said here, because otherwise a large core would be opened first.
pub(crate) fn open(cores: Vec<PathBuf>, options: &KernelOptions, needs_types: bool) -> Result<OpenOptions> {
    if needs_types && options.debuginfo.is_empty() {
        return Err(analyser::Error::NoDebuginfo.into());
    }
    threads(options.threads)?;
    Ok(OpenOptions {
        cores,
        debuginfo: options.debuginfo.clone(),
        force: options.force,
        vmcoreinfo: options.vmcoreinfo.clone(),
        kaslr: options.kaslr,
        phys_base: options.phys_base,
        no_mmap: options.no_mmap,
        record_reads: None,
    })
}

/// Sets the number of threads for the whole process; one for each CPU if the user names none.
pub(crate) fn threads(number: Option<u16>) -> Result<()> {
    let Some(number) = number else { return Ok(()) };
    rayon::ThreadPoolBuilder::new()
        .num_threads(number.into())
        .build_global()
        .with_context(|| format!("starting {number} threads"))
}

/// Where a joined or repaired trace goes: without an output it is changed in place.
pub(crate) fn target(output: Option<PathBuf>) -> Result<Target> {
    let Some(output) = output else { return Ok(Target::InPlace) };
    Destination::check(&output)?;
    Ok(Target::New(output))
}

/// Options of the extracter.
pub(crate) fn extraction(args: &Extract) -> extracter::Options {
    extracter::Options {
        output: args.output.clone().unwrap_or_default(),
        traces: args.traces.clone(),
        unread_only: args.unread_only,
        count_events: !args.no_count,
        threads: args.kernel.threads.map(usize::from),
    }
}

/// The files of the core, and the path inside it.
pub(crate) fn split_path(args: &Ls) -> (Vec<PathBuf>, String) {
    let mut cores = args.cores_and_path.clone();
    // A folder is no core, so `/` and `/sys` are paths inside the core whatever this machine has there.
    let path = cores.pop_if(|last| !last.is_file());
    match path {
        Some(path) if !cores.is_empty() => (cores, path.to_string_lossy().into_owned()),
        // The only argument is the core, and if it is not there, that will be said of it.
        Some(only) => (vec![only], "/".to_owned()),
        None => (cores, "/".to_owned()),
    }
}

impl From<Via> for Routes {
    fn from(via: Via) -> Routes {
        match via {
            Via::List => Routes::LIST,
            Via::Debugfs => Routes::DEBUGFS,
            Via::OpenFiles => Routes::OPEN_FILES,
            Via::Both => Routes::ALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn split(args: &[&str]) -> (Vec<PathBuf>, String) {
        let args = Args::try_parse_from(["ltt-kdump", "ls"].iter().chain(args)).unwrap();
        let Command::Ls(ls) = args.command else { panic!("ls") };
        split_path(&ls)
    }

    #[test]
    fn the_last_argument_is_a_path_if_it_cannot_be_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let file = file.path().to_str().unwrap();
        assert_eq!(split(&["core", "-d", "x"]), (vec!["core".into()], "/".to_owned()));
        assert_eq!(split(&["core", "-d", "x", "/ltt"]), (vec!["core".into()], "/ltt".to_owned()));
        assert_eq!(split(&["core", "/", "-d", "x"]), (vec!["core".into()], "/".to_owned()));
        assert_eq!(split(&["a", "b", "/ltt"]), (vec!["a".into(), "b".into()], "/ltt".to_owned()));
        assert_eq!(split(&["a", file]), (vec!["a".into(), file.into()], "/".to_owned()));
        assert_eq!(split(&["a", "ltt/k1"]), (vec!["a".into()], "ltt/k1".to_owned()));
        assert_eq!(split(&["a", "b", "c"]), (vec!["a".into(), "b".into()], "c".to_owned()));
        assert_eq!(split(&["no-such-core"]), (vec!["no-such-core".into()], "/".to_owned()));
        assert_eq!(split(&["/no/such/core"]), (vec!["/no/such/core".into()], "/".to_owned()));
    }
}
