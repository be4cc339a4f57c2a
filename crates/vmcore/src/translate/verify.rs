//! Whether a candidate is true: what the kernel has at known places, and whether its page tables agree.

use crate::translate::architecture::Candidate;
use crate::translate::clues::Clues;
use crate::{PageError, PhysAddr};

/// A member of `struct new_utsname`, the closing NUL included.
const UTS_FIELD: usize = 65;
/// `sysname` begins within this many bytes of `struct uts_namespace`, behind a reference count.
const UTS_NAME_WITHIN: usize = 64;

/// What known places hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Content {
    /// Something else.
    Denied,
    /// They cannot be read or are not known.
    Unknown,
    /// One holds what it should, another does not: the debug information may be of another kernel.
    Disputed,
    /// What they should.
    Confirmed,
}

/// What the page tables say about the linear ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tables {
    /// Something else: this is not their root or their form.
    Disagree,
    /// Nothing: they are not known or not in the core.
    Unknown,
    /// The same.
    Agree,
}

/// The outcome for one candidate. Better ones compare greater.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) content: Content,
    pub(crate) tables: Tables,
    /// What was looked at, for people; what is in memory comes before the page tables.
    pub(crate) reasons: Vec<String>,
}

impl Verdict {
    /// Nothing better can come.
    pub(crate) fn is_perfect(&self) -> bool {
        (self.content, self.tables) == (Content::Confirmed, Tables::Agree)
    }

    /// Not to be used, whatever else there is.
    pub(crate) fn is_refuted(&self) -> bool {
        self.content == Content::Denied || (self.content, self.tables) == (Content::Unknown, Tables::Disagree)
    }

    pub(crate) fn rank(&self) -> (Content, Tables) {
        (self.content, self.tables)
    }

    /// All that was looked at, in one line.
    pub(crate) fn reason(&self) -> String {
        self.reasons.join(", ")
    }
}

/// Looks at `init_uts_ns`, `linux_banner` and the page tables.
pub(crate) fn verify(clues: &Clues<'_>, candidate: &Candidate) -> Verdict {
    let (tables, tables_reason) = tables(clues, candidate);
    let checks: Vec<(bool, String)> =
        [uts(clues, candidate), banner(clues, candidate), moved(clues, candidate)]
            .into_iter()
            .flatten()
            .collect();
    let (right, wrong) = (checks.iter().any(|(right, _)| *right), checks.iter().any(|(right, _)| !*right));
    let content = match (right, wrong) {
        (true, false) => Content::Confirmed,
        (true, true) => Content::Disputed,
        (false, true) => Content::Denied,
        (false, false) => Content::Unknown,
    };
    let mut reasons: Vec<String> = checks.into_iter().map(|(_, reason)| reason).collect();
    if reasons.is_empty() {
        reasons.push("neither init_uts_ns nor linux_banner tells".into());
    }
    reasons.push(tables_reason);
    Verdict { content, tables, reasons }
}

fn tables(clues: &Clues<'_>, candidate: &Candidate) -> (Tables, String) {
    let Some(paging) = candidate.paging else { return (Tables::Unknown, "page tables not known".into()) };
    const INSIDE: [&str; 4] = ["init_uts_ns", "linux_banner", "_stext", "swapper_pg_dir"];
    let mut unknown = "page tables have nothing to compare with".to_owned();
    for name in INSIDE {
        let Some(va) = clues.symbol(&[name], candidate.kaslr) else { continue };
        let Some(pa) = candidate.linear(va) else { continue };
        match paging.walk(clues.mem, va) {
            Ok(found) if found.pa == pa => return (Tables::Agree, "page tables agree".into()),
            Ok(found) => {
                return (Tables::Disagree, format!("page tables have {name} at physical {:#x}", found.pa));
            }
            Err(error @ (PageError::NotMapped { .. } | PageError::NonCanonical)) => {
                return (Tables::Disagree, format!("page tables do not have {name}: {error}"));
            }
            Err(error) => unknown = format!("page tables: {error}"),
        }
    }
    (Tables::Unknown, unknown)
}

/// What can be read from `va` on, up to `len` bytes.
fn read(clues: &Clues<'_>, candidate: &Candidate, va: u64, len: usize) -> Vec<u8> {
    let page = clues.mem.page_size().max(1);
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let va = va.wrapping_add(bytes.len() as u64);
        let walk = || Some(candidate.paging?.walk(clues.mem, va).ok()?.pa);
        let Some(pa) = candidate.linear(va).or_else(walk) else { break };
        let rest = usize::try_from(page - va % page).unwrap_or(len).min(len - bytes.len());
        let mut piece = vec![0; rest];
        if clues.mem.read_phys(PhysAddr(pa), &mut piece).is_err() {
            break;
        }
        bytes.append(&mut piece);
    }
    bytes
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// `init_uts_ns` holds the names that `uname` prints.
fn uts(clues: &Clues<'_>, candidate: &Candidate) -> Option<(bool, String)> {
    let va = clues.symbol(&["init_uts_ns"], candidate.kaslr)?;
    let bytes = read(clues, candidate, va, UTS_NAME_WITHIN + 6 * UTS_FIELD);
    let searched = bytes.get(..UTS_NAME_WITHIN + 6)?;
    let Some(at) = memchr::memmem::find(searched, b"Linux\0") else {
        return Some((false, format!("init_uts_ns at {va:#x} does not name Linux")));
    };
    // nodename lies between.
    let release = until_nul(bytes.get(at + 2 * UTS_FIELD..at + 3 * UTS_FIELD)?);
    let shown = String::from_utf8_lossy(release);
    let word = |line: &[u8]| line.split(|&byte| byte == b' ').nth(2).map(<[u8]>::to_vec);
    let banner = || clues.hints.banner_line().and_then(word);
    let expected = clues.vmcoreinfo.and_then(|info| info.osrelease()).map(<[u8]>::to_vec).or_else(banner);
    match expected {
        Some(expected) if expected != release => {
            let expected = String::from_utf8_lossy(&expected).into_owned();
            Some((false, format!("init_uts_ns at {va:#x} holds Linux {shown:?}, expected {expected:?}")))
        }
        None if !release.first().is_some_and(u8::is_ascii_digit) => {
            Some((false, format!("init_uts_ns at {va:#x} holds Linux {shown:?}, expected a release")))
        }
        _ => Some((true, format!("init_uts_ns at {va:#x} holds Linux {shown}"))),
    }
}

/// `linux_banner` is as in the debug information.
fn banner(clues: &Clues<'_>, candidate: &Candidate) -> Option<(bool, String)> {
    if clues.banner_at.is_some() {
        return None; // It is there by construction, and may be a copy.
    }
    let va = clues.symbol(&["linux_banner"], candidate.kaslr)?;
    let (expected, what) = match clues.hints.banner_line() {
        Some(line) => (line, "as in the debug information"),
        None => (&b"Linux version "[..], "a banner"),
    };
    let found = read(clues, candidate, va, expected.len());
    if found.is_empty() || expected.starts_with(&found) && found.len() < expected.len() {
        return None;
    }
    if found == expected {
        return Some((true, format!("linux_banner at {va:#x} is {what}")));
    }
    let found = String::from_utf8_lossy(until_nul(&found)).into_owned();
    Some((
        false,
        format!("linux_banner at {va:#x} is not {what} but {:?}", found.chars().take(80).collect::<String>()),
    ))
}

/// A symbol is where the kernel says. Tells only when it is not: the offset may come from this very comparison.
fn moved(clues: &Clues<'_>, candidate: &Candidate) -> Option<(bool, String)> {
    let (name, stated, linked) = clues.known_twice()?;
    let moved = linked.wrapping_add(candidate.kaslr) & clues.mem.abi().word_mask();
    (moved != stated).then(|| (false, format!("{name} is at {stated:#x}, not at {moved:#x}")))
}
