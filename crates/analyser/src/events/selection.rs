//! Which events are wanted.

/// Which events of a core or directory are wanted; the default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Channels, by the whole name (`control/processes`) or its last part (`processes`); empty: all. `flight-` in front of a
    /// name is ignored.
    pub channels: Vec<String>,
    /// CPUs; empty: all, and streams that belong to none.
    pub cpus: Vec<u32>,
    /// No more than this number of events, the newest ones.
    pub last: Option<u64>,
    /// Nothing older.
    pub since: Option<Since>,
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Nanoseconds since the zero of the trace's clock, as [`Entry::ns`](super::Entry::ns).
    Trace(u64),
    /// Nanoseconds before the newest event, of whatever channel and CPU.
    BeforeEnd(u64),
    /// Nanoseconds since 1970, as [`Entry::wall_ns`](super::Entry::wall_ns), by the clock of each trace.
    Wall(i128),
}

impl Selection {
    pub(super) fn takes(&self, channel: &str, cpu: Option<u32>) -> bool {
        let named = |wanted: &String| is_called(channel, wanted);
        (self.channels.is_empty() || self.channels.iter().any(named))
            && (self.cpus.is_empty() || cpu.is_some_and(|cpu| self.cpus.contains(&cpu)))
    }
}

/// Whether the channel can be called by this name.
pub(super) fn is_called(channel: &str, name: &str) -> bool {
    fn bare(name: &str) -> (&str, &str) {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        (folder, file.strip_prefix("flight-").unwrap_or(file))
    }
    let ((folder, file), (wanted_folder, wanted)) = (bare(channel), bare(name));
    file == wanted && (wanted_folder.is_empty() || folder == wanted_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_channels() {
        assert!(is_called("control/processes", "processes"));
        assert!(is_called("control/processes", "control/processes"));
        assert!(is_called("control/processes", "control/flight-processes"));
        assert!(is_called("control/flight-processes", "processes"));
        assert!(is_called("crash/kernel", "kernel"));
        assert!(!is_called("kernel", "crash/kernel"));
        assert!(!is_called("control/processes", "process"));
    }

    #[test]
    fn nothing_named_is_everything() {
        assert!(Selection::default().takes("cpu", Some(3)));
        let one = Selection { channels: vec!["cpu".into()], cpus: vec![3], ..Default::default() };
        assert!(
            one.takes("cpu", Some(3)) && !one.takes("cpu", Some(2)) && !one.takes("control/network", Some(3))
        );
    }
}
