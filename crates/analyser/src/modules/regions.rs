//! The memory that a module's data occupy.
//!
//! | told by | data |
//! |---|---|
//! | `module.mem` | region of type `MOD_DATA` (since 6.4) |
//! | `module.data_layout` | all of it, where data are apart from code (5.18 to 6.3) |
//! | `module.core_layout` | behind what is read-only (4.5 to 6.3) |
//! | `module.module_core` | the same (to 4.4) |

use std::ops::Range;
use std::sync::Arc;

use relaywalk::{Kind, Layout};

use crate::target::{Object, View};

/// Enumerator: number of the region with writable data.
pub(super) const DATA: &str = "MOD_DATA";

/// A module's data cannot be larger.
const MAX_SIZE: u64 = 1 << 30;

/// Run-time addresses of a module's writable data; empty when the types do not tell.
pub(super) fn data(view: &View, layout: &Layout, module: &Object, address: u64) -> Vec<Range<u64>> {
    let range = if layout.has("mem") {
        by_type(view, layout, address)
    } else {
        let apart = part(module, "data_layout.base", "data_layout.size", &[]);
        let core = ["core_layout.text_size", "core_layout.ro_size", "core_layout.ro_after_init_size"];
        let old = ["core_text_size", "core_ro_size"];
        apart
            .or_else(|| part(module, "core_layout.base", "core_layout.size", &core))
            .or_else(|| part(module, "module_core", "core_size", &old))
    };
    range.into_iter().collect()
}

/// One of the regions by type.
fn by_type(view: &View, layout: &Layout, address: u64) -> Option<Range<u64>> {
    let regions = layout.member("mem")?;
    let Kind::Array { count, stride, .. } = &regions.kind else { return None };
    let number = relaywalk::Target::constant(view, DATA).unwrap_or(1);
    if count.is_some_and(|count| number >= count) {
        return None;
    }
    let region: &Arc<Layout> = view.layout_with("module_memory", &["base", "size"])?;
    let at = address.wrapping_add(regions.offset).wrapping_add(number.wrapping_mul(*stride));
    part(&view.object(region, at)?, "base", "size", &[])
}

/// What follows the largest of the sizes `read_only`, each of which includes those before it.
fn part(object: &Object, base: &str, size: &str, read_only: &[&str]) -> Option<Range<u64>> {
    let (base, size) = (object.uint(base)?, object.uint(size)?);
    let skip = read_only.iter().filter_map(|path| object.uint(path)).max().unwrap_or(0);
    if base == 0 || size > MAX_SIZE || skip >= size {
        return None;
    }
    Some(base.checked_add(skip)?..base.checked_add(size)?)
}
