//! What the type information is asked for.

use crate::{log, modules, notes};

/// Everything any part of this crate asks the type information for.
pub(crate) fn wanted() -> kdebug::Wanted {
    let walkers = relaywalk::wanted();
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut wanted = kdebug::Wanted {
        structs: owned(&walkers.structs),
        enums: owned(&walkers.enums),
        symbols: owned(&walkers.symbols),
        ..Default::default()
    };
    want(&mut wanted);
    for list in [&mut wanted.structs, &mut wanted.enums, &mut wanted.symbols] {
        list.sort();
        list.dedup();
    }
    wanted
}

/// What this crate asks for besides what walkers do.
pub(crate) fn want(wanted: &mut kdebug::Wanted) {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    wanted.structs.extend(owned(&["uts_namespace", "new_utsname"]));
    wanted.symbols.extend(owned(&vmcore::Hints::SYMBOLS));
    wanted.symbols.push("vmemmap_base".to_owned());
    log::want(wanted);
    modules::want(wanted);
    notes::want(wanted);
}
