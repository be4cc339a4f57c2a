//! Files of the wrong kind, where a core or type information is expected: one clear line, and exit code 4.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

use snapbox::cmd::Command;

/// Files that a user may name by mistake.
fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    let head = |head: &[u8]| {
        let mut bytes = head.to_vec();
        bytes.resize(9000, 0x5a);
        bytes
    };
    vec![
        ("empty", Vec::new()),
        ("one-byte", vec![0x7f]),
        ("magic", b"\x7fELF".to_vec()),
        ("picture.png", head(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\x08\x06\0\0\0")),
        ("core.gz", head(b"\x1f\x8b\x08\0\0\0\0\0\0\x03")),
        ("core.xz", head(b"\xfd7zXZ\0\0\x04")),
        ("core.zip", head(b"PK\x03\x04\x14\0\0\0\x08\0")),
        ("zeros", vec![0; 9000]),
        ("text", b"last words\n".repeat(800)),
        ("broken.json", b"{\"name\": \"not types\"".to_vec()),
        ("kdump-head", b"KDUMP   ".to_vec()),
        ("flattened-head", b"makedumpfile\0\0\0\0".to_vec()),
    ]
}

fn run(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
        .current_dir(folder)
        .args(args)
        .timeout(std::time::Duration::from_secs(60))
        .assert()
        .code(4)
        .stdout_eq("");
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let errors: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("hint: ")).collect();
    assert!(errors.len() == 1 && stderr.starts_with("error: "), "{args:?}: {stderr}");
    assert!(stderr.is_ascii() && !stderr.contains('\u{1b}'), "{args:?}: {stderr:?}");
    assert!(!folder.join("out").exists(), "{args:?}");
    stderr
}

#[test]
fn wrong_files_are_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for (name, fixture) in [("core", "K1-2cpu/core.elf"), ("types", "types-2.6.27.isf.json")] {
        fs::copy(fixtures.join(fixture), folder.path().join(name)).unwrap();
    }
    fs::create_dir(folder.path().join("folder")).unwrap();
    let mut wrong = vec!["folder", "/dev/null"];
    for (name, bytes) in kinds() {
        fs::write(folder.path().join(name), bytes).unwrap();
        wrong.push(name);
    }
    for name in wrong {
        for (args, what) in [
            (&["extract", name, "-d", "types", "-o", "out"][..], "a core"),
            (&["extract", "core", "-d", name, "-o", "out"], "types"),
            (&["extract", "core", "-d", "types", "-d", name, "-o", "out"], "more types"),
            (&["extract", "core", name, "-d", "types", "-o", "out"], "another core"),
            (&["info", name], "a core"),
            (&["ls", name, "-d", "types"], "a core"),
        ] {
            let stderr = run(folder.path(), args);
            assert!(stderr.contains(name), "as {what}: {stderr}");
        }
    }
}

#[test]
fn core_and_types_in_each_others_place() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for core in ["K1-2cpu/core.elf", "K1-2cpu/core.kdump-zlib", "K1-2cpu/core.kdump-zlib.flat"] {
        fs::copy(fixtures.join(core), folder.path().join("core")).unwrap();
        fs::copy(fixtures.join("types-2.6.27.isf.json"), folder.path().join("types")).unwrap();
        let stderr = run(folder.path(), &["extract", "types", "-d", "core", "-o", "out"]);
        assert!(stderr.starts_with("error: types: not a core file"), "{stderr}");
        let stderr = run(folder.path(), &["extract", "core", "-d", "core", "-o", "out"]);
        assert!(stderr.starts_with("error: core: expected "), "{stderr}");
    }
}
