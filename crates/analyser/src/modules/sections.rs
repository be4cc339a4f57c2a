//! Where each section of a module was loaded: what `/sys/module/NAME/sections` showed.
//!
//! | told by | entries | name | address |
//! |---|---|---|---|
//! | `module_sect_attrs.nsections`, `module_sect_attr.name` | `nsections` in a row (to 5.7) | `name` | `address` |
//! | `module_sect_attrs.nsections`, `module_sect_attr.battr` | `nsections` in a row (to 6.13) | `battr.attr.name` | `address` |
//! | no `nsections`, `module_sect_attr` | behind pointers to its `mattr.attr`, ended by NULL (to 2.6.16) | `name`, in place | `address` |
//! | no `module_sect_attr` | `bin_attribute` behind pointers, ended by NULL (since 6.14) | `attr.name` | `private` |

use std::collections::BTreeMap;
use std::sync::Arc;

use relaywalk::Layout;

use crate::target::View;

/// More sections than any module has, those compiled with a section for each function included.
const MAX_SECTIONS: u64 = 10_000;
/// Longest section name that is believed.
const MAX_NAME: usize = 256;

pub(super) const STRUCTS: [&str; 5] =
    ["module_sect_attrs", "module_sect_attr", "attribute_group", "bin_attribute", "attribute"];

/// Address of each section by its name. `left` is how many entries may still be read of all modules together.
pub(super) fn read(view: &View, attrs: u64, left: &mut u64) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    if attrs == 0 {
        return found;
    }
    let most = MAX_SECTIONS.min(*left);
    if let Some(entry) = view.layout_with("module_sect_attr", &["address"]) {
        let name = if entry.has("name") { "name" } else { "battr.attr.name" };
        for at in entries(view, attrs, entry, most) {
            *left = left.saturating_sub(1);
            if !add(view, &mut found, entry, at, name, "address") {
                break;
            }
        }
    } else if let Some(entry) = view.layout_with("bin_attribute", &["attr.name", "private"]) {
        for at in pointers(view, attrs, "grp.bin_attrs", most) {
            *left = left.saturating_sub(1);
            if !add(view, &mut found, entry, at, "attr.name", "private") {
                break;
            }
        }
    }
    found
}

/// Addresses of the entries of the shapes with a structure of their own.
fn entries(view: &View, attrs: u64, entry: &Arc<Layout>, most: u64) -> Vec<u64> {
    if let Some(table) = view.layout_with("module_sect_attrs", &["nsections", "attrs"]) {
        let count = view.object(table, attrs).and_then(|table| table.uint("nsections")).unwrap_or(0);
        let first = table.member("attrs").map_or(0, |member| member.offset);
        let at = |index: u64| attrs.wrapping_add(first).wrapping_add(index.wrapping_mul(entry.size));
        return (0..count.min(most)).map(at).collect();
    }
    let Some(attr) = entry.member("mattr.attr").map(|member| member.offset) else { return Vec::new() };
    pointers(view, attrs, "grp.attrs", most).into_iter().map(|at| at.wrapping_sub(attr)).collect()
}

/// The pointers of the table, ended by NULL, that the member `path` of the attributes leads to.
fn pointers(view: &View, attrs: u64, path: &str, most: u64) -> Vec<u64> {
    let table = view.layout_with("module_sect_attrs", &[path]).and_then(|layout| view.object(layout, attrs));
    let Some(table) = table.and_then(|table| table.uint(path)) else { return Vec::new() };
    let word = relaywalk::Target::abi(view).word_bytes();
    let at = |index: u64| view.word(table.wrapping_add(index.wrapping_mul(word)));
    (0..most).map_while(at).take_while(|at| *at != 0).collect()
}

/// Reads one entry; whether it could be read.
fn add(
    view: &View,
    found: &mut BTreeMap<String, u64>,
    layout: &Arc<Layout>,
    at: u64,
    name: &str,
    address: &str,
) -> bool {
    let Some(entry) = view.object(layout, at) else { return false };
    let Some(address) = entry.uint(address) else { return false };
    // A name that cannot be read says nothing about those behind it.
    if let Some(name) = entry.string(view, name, MAX_NAME).filter(|name| !name.is_empty()) {
        found.insert(String::from_utf8_lossy(&name).into_owned(), address);
    }
    true
}
