//! Profiles: small files that stand in for debug information.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn ltt_kdump(args: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ltt-kdump")).args(args).output().unwrap()
}

/// Every file below a folder with its content.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(
                content(&path)
                    .into_iter()
                    .map(|(name, bytes)| (Path::new(path.file_name().unwrap()).join(name), bytes)),
            );
        } else {
            files.insert(path.file_name().unwrap().into(), fs::read(&path).unwrap());
        }
    }
    files
}

/// A profile gives the same traces as the files that it was made of, of real kernels of both word sizes, with either tracer.
#[test]
fn a_profile_stands_in_for_its_debuginfo() {
    let lttng = [
        "linux-6.1-lttng-2.13/types/types-6.1.0-56-amd64.isf.json",
        "linux-6.1-lttng-2.13/types/types-lttng-2.13.9.isf.json",
    ];
    for (core, types, banner) in [
        ("K1-2cpu/core.kdump-zlib", &["types-2.6.27.isf.json"][..], "Linux version 2.6.27 "),
        ("X2-i386-2cpu/core.elf", &["types-2.6.27-i386.isf.json"], "Linux version 2.6.27 "),
        ("linux-6.1-lttng-2.13/M1p/core.zlib", &lttng, "Linux version 6.1.0-56-amd64 "),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        let types: Vec<PathBuf> = types.iter().map(|name| fixtures().join(name)).collect();
        let profile = at("profile.json");
        let mut args: Vec<&Path> = vec!["profile".as_ref(), "--json".as_ref(), "-o".as_ref(), &profile];
        args.extend(types.iter().map(PathBuf::as_path));
        let made = ltt_kdump(&args);
        assert!(made.status.success(), "{made:?}");
        let summary: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        let size = fs::metadata(at("profile.json")).unwrap().len();
        assert_eq!(summary["bytes"].as_u64(), Some(size));
        assert!(summary["structs"].as_u64().unwrap() > 20 && summary["symbols"].as_u64().unwrap() > 20);
        assert!(summary["banner"].as_str().unwrap().starts_with(banner));

        let extract = |types: &[PathBuf], out: &Path| {
            let core = fixtures().join(core);
            let mut args: Vec<&Path> = vec!["extract".as_ref(), &core, "-o".as_ref(), out];
            for file in types {
                args.extend(["-d".as_ref(), file.as_path()]);
            }
            ltt_kdump(&args).status.code()
        };
        let codes = [extract(&types, &at("whole")), extract(std::slice::from_ref(&profile), &at("profiled"))];
        assert_eq!(codes[0], codes[1]);
        let whole = content(&at("whole"));
        assert!(whole.len() > 5);
        assert!(whole == content(&at("profiled")), "{core}");
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_left_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("profile.json");
    fs::write(&out, "mine").unwrap();
    let types = fixtures().join("types-2.6.27.isf.json");
    let refused = ltt_kdump(&["profile".as_ref(), &types, "-o".as_ref(), &out]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing is ever overwritten"), "{refused:?}");
    assert_eq!(fs::read(&out).unwrap(), b"mine");

    let other = scratch.path().join("other.json");
    for (input, text) in [
        (fixtures().join("K1-2cpu/core.elf"), "an ELF core file"),
        (out.clone(), "found text"),
        (scratch.path().to_path_buf(), "expected vmlinux, modules"),
        (scratch.path().join("missing"), "missing"),
    ] {
        let failed = ltt_kdump(&["profile".as_ref(), &input, "-o".as_ref(), &other]);
        assert_eq!(failed.status.code(), Some(4), "{failed:?}");
        assert!(String::from_utf8_lossy(&failed.stderr).contains(text), "{failed:?}");
    }
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "no half file");
}
