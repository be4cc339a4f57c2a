//! Which of a core's sessions a trace directory belongs to.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::directory::Directory;
use super::model::{Session, Sessions};
use crate::error::{Error, Result};

/// The session in the core that the directory is the beginning of: the identity of the trace is equal. `wanted`, a session's name or
/// folder, decides when several fit.
///
/// A directory of which no packet and no metadata are left shows no identity; then the session decides whose name and time of creation
/// are those of its folder.
///
/// Errors: no session fits, or several do; the message says what the directory is and what the core has.
pub fn pairing<'s>(
    directory: &Directory,
    sessions: &'s Sessions,
    wanted: Option<&str>,
) -> Result<&'s Session> {
    let named = |session: &&Session| {
        wanted.is_none_or(|wanted| session.name() == wanted || session.folder() == wanted)
    };
    let fitting = || sessions.sessions.iter().filter(|session| fits(directory, session));
    let mut candidates = fitting().filter(named);
    match (candidates.next(), candidates.next()) {
        (Some(session), None) => Ok(session),
        (Some(_), Some(_)) => Err(Error::SeveralTraces { names: names(fitting()) }),
        (None, _) => Err(Error::NoPair { directory: describe(directory), core: list(sessions, wanted) }),
    }
}

fn fits(directory: &Directory, session: &Session) -> bool {
    match (directory.uuid(), session.uuid()) {
        (Some(disk), Some(core)) => disk == core,
        _ => directory
            .root()
            .join(directory.folder())
            .iter()
            .rev()
            .take(2)
            .any(|part| part == OsStr::from_bytes(session.folder_bytes())),
    }
}

fn describe(directory: &Directory) -> String {
    match directory.uuid() {
        Some(uuid) => format!("session {}, uuid {uuid}", directory.name()),
        None => format!("{} without any packet", directory.name()),
    }
}

fn list(sessions: &Sessions, wanted: Option<&str>) -> String {
    let of = |session: &Session| match session.uuid() {
        Some(uuid) => format!("{}, uuid {uuid}", session.name()),
        None => session.name().into_owned(),
    };
    let is_wanted = |session: &&Session| {
        wanted.is_none_or(|wanted| session.name() == wanted || session.folder() == wanted)
    };
    let chosen: Vec<_> = sessions.sessions.iter().filter(is_wanted).collect();
    match (chosen.as_slice(), wanted) {
        ([], None) => "no session".to_owned(),
        ([], Some(wanted)) => format!("no session {wanted} among {}", names(sessions.sessions.iter())),
        (chosen, _) => chosen.iter().map(|session| of(session)).collect::<Vec<_>>().join("; "),
    }
}

fn names<'s>(sessions: impl Iterator<Item = &'s Session>) -> String {
    let names: Vec<_> = sessions.map(|session| session.folder().into_owned()).collect();
    names.join(", ")
}
