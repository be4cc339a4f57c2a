//! Names from the core as file names.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// The longest name a file system takes, in bytes.
const NAME_MAX: usize = 255;

/// Room that is left at the end of a directory name for a `~2`, `~3` ….
pub(crate) const SUFFIX_MAX: usize = 21;

/// What a name that was cut ends in: a hash in this form.
const HASH: &str = "%~0123456789abcdef";

/// Directories below each other that are made at most: with `NAME_MAX` this stays well below any `PATH_MAX`.
const DEPTH_MAX: usize = 8;

/// One path component for a name from the core. It is never empty, `.` or `..`, holds no separator, and has at most
/// 255 bytes.
///
/// Shape: valid UTF-8 is kept. `/`, `%`, control characters and bytes that are not UTF-8 become `%` and two hexadecimal
/// digits; `.` and `..` become `%2e` and `%2e%2e`; the empty name becomes `%`. What is longer than 255 bytes is cut
/// and ends in `%~` and a 64-bit hash (FNV-1a) of the whole name. So different names stay different, and ordinary
/// names stay as they are.
///
/// ```
/// assert_eq!(extracter::file_name(b"flight-cpu_0"), "flight-cpu_0");
/// assert_eq!(extracter::file_name(b"../x"), "..%2fx");
/// assert_eq!(extracter::file_name(b".."), "%2e%2e");
/// ```
pub fn file_name(raw: &[u8]) -> String {
    escape(raw, NAME_MAX)
}

/// A [`file_name`] short enough that a suffix can follow.
pub(crate) fn stem(raw: &[u8]) -> String {
    escape(raw, NAME_MAX - SUFFIX_MAX)
}

/// The components of a path from the core; at least one, at most `DEPTH_MAX`. What lies deeper is folded into the
/// last one, its separators escaped.
pub(crate) fn components(path: &[Vec<u8>]) -> Vec<String> {
    match path {
        [] => vec![file_name(b"")],
        _ if path.len() <= DEPTH_MAX => path.iter().map(|component| file_name(component)).collect(),
        _ => {
            let (kept, deep) = path.split_at(DEPTH_MAX - 1);
            let mut names: Vec<_> = kept.iter().map(|component| file_name(component)).collect();
            names.push(file_name(&deep.join(&b'/')));
            names
        }
    }
}

/// A name on disk with something before and after it, for a file that belongs to it. Where that would be too long, the name is
/// cut and ends in `%~` and a hash of all of it.
pub(crate) fn affixed(prefix: &str, name: &OsStr, suffix: &str) -> OsString {
    let mut whole = prefix.as_bytes().to_vec();
    let room = NAME_MAX.saturating_sub(prefix.len() + suffix.len());
    match name.as_bytes() {
        name if name.len() <= room => whole.extend(name),
        name => {
            let kept = room.saturating_sub(HASH.len());
            whole.extend(name.get(..kept).unwrap_or_default());
            whole.extend(format!("%~{:016x}", fnv1a(name)).bytes());
        }
    }
    whole.extend(suffix.bytes());
    OsString::from_vec(whole)
}

fn escape(raw: &[u8], limit: usize) -> String {
    match raw {
        b"" => return "%".to_owned(),
        b"." => return "%2e".to_owned(),
        b".." => return "%2e%2e".to_owned(),
        _ => {}
    }
    let hash_at = limit - HASH.len();
    let mut name = String::new();
    let mut cut = 0; // end of the last whole unit that leaves room for the hash
    let mut unit = |name: &mut String, c: Option<char>, bytes: &[u8]| {
        match c {
            Some(c) if !c.is_control() && c != '/' && c != '%' => name.push(c),
            _ => bytes.iter().for_each(|byte| push_escaped(name, *byte)),
        }
        if name.len() <= hash_at {
            cut = name.len();
        }
        name.len() <= limit
    };
    let mut fits = true;
    for chunk in raw.utf8_chunks() {
        let mut buffer = [0; 4];
        fits = chunk.valid().chars().all(|c| unit(&mut name, Some(c), c.encode_utf8(&mut buffer).as_bytes()))
            && chunk.invalid().iter().all(|byte| unit(&mut name, None, &[*byte]));
        if !fits {
            break;
        }
    }
    if !fits {
        name.truncate(cut);
        let _ = write!(name, "%~{:016x}", fnv1a(raw)); // writing to a string cannot fail
    }
    name
}

fn push_escaped(name: &mut String, byte: u8) {
    let _ = write!(name, "%{byte:02x}"); // writing to a string cannot fail
}

/// FNV-1a, 64 bits: written out because names must be the same with every release of the standard library.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::path::{Component, Path, PathBuf};

    use super::*;

    #[test]
    fn ordinary_names_stay() {
        for name in ["cpu_0", "flight-cpu_1", "metadata_0", ".hidden", "...", "a b", "trace-ü", "~2"] {
            assert_eq!(file_name(name.as_bytes()), name);
        }
    }

    #[test]
    fn odd_names_are_escaped() {
        for (raw, expected) in [
            (&b""[..], "%"),
            (b".", "%2e"),
            (b"..", "%2e%2e"),
            (b"../x", "..%2fx"),
            (b"/etc/passwd", "%2fetc%2fpasswd"),
            (b"a\0b", "a%00b"),
            (b"a\nb\x1b[31m", "a%0ab%1b[31m"),
            (b"100%", "100%25"),
            (b"%2e", "%252e"),
            (b"\xff\xfe", "%ff%fe"),
            (b"\xc3", "%c3"),
            ("\u{85}".as_bytes(), "%c2%85"),
        ] {
            assert_eq!(file_name(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        assert_eq!(file_name(&[b'a'; 255]), "a".repeat(255));
        let long = file_name(&[b'a'; 256]);
        assert_eq!(long.len(), 255);
        assert!(long.starts_with(&"a".repeat(237)) && long[237..].starts_with("%~"), "{long}");
        let other = [vec![b'a'; 255], vec![b'b']].concat();
        assert_ne!(file_name(&other), long);
        assert!(file_name(&[0xff; 1000]).len() <= 255);
        assert!(file_name("ü".repeat(1000).as_bytes()).len() <= 255);
    }

    #[test]
    fn affixes_leave_room_for_themselves() {
        assert_eq!(affixed(".", OsStr::new("cpu_0"), ".x"), ".cpu_0.x");
        let [a, b] = ["a", "b"].map(|end| "n".repeat(254) + end);
        assert_eq!(affixed("", OsStr::new(&a), "").len(), 255);
        let [a, b] = [a, b].map(|name| affixed(".", OsStr::new(&name), "@4096"));
        assert_eq!(a.len(), 255);
        assert_ne!(a, b);
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn deep_paths_are_folded() {
        let path: Vec<_> = (0..10).map(|n| format!("d{n}").into_bytes()).collect();
        let names = components(&path);
        assert_eq!(names.len(), DEPTH_MAX);
        assert_eq!(names.last().unwrap(), "d7%2fd8%2fd9");
        assert_eq!(components(&[]), ["%"]);
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_directory(path: Vec<Vec<u8>>) {
            let names = components(&path);
            let joined: PathBuf = Path::new("out").join(names.iter().collect::<PathBuf>());
            let parts: Vec<_> = joined.components().collect();
            prop_assert_eq!(parts.len(), names.len() + 1);
            prop_assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))));
            prop_assert!(names.iter().all(|name| !name.is_empty() && name.len() <= NAME_MAX));
            prop_assert!(names.iter().all(|name| !name.chars().any(char::is_control)));
            prop_assert!(names.len() <= DEPTH_MAX);
        }

        #[test]
        fn different_names_stay_different(a: Vec<u8>, b: Vec<u8>) {
            prop_assert_eq!(a == b, file_name(&a) == file_name(&b));
        }

        #[test]
        fn any_length_is_bounded(unit in prop::sample::select(vec!["a", "/", "ü", "\u{1f600}"]), n in 0usize..400) {
            prop_assert!(file_name(unit.repeat(n).as_bytes()).len() <= NAME_MAX);
            prop_assert!(stem(unit.repeat(n).as_bytes()).len() <= NAME_MAX - SUFFIX_MAX);
        }
    }
}
