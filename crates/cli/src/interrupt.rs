//! Ctrl-C while something is being written: the writing ends, and takes back what is half done.

use std::cell::RefCell;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// What a person, a shell or a machine that goes down sends: Ctrl-C, a closed terminal, `kill`.
const SIGNALS: [i32; 3] = [SIGINT, SIGHUP, SIGTERM];

/// The wish to end early: a signal. Only one that comes while somebody [watches](Interrupt::watch), and only the first of these, does not
/// end the process at once.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    watches: RefCell<bool>,
    wanted: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

/// What those who write ask. Dropped when there is nothing to take back any more: signals then end the process at once again.
#[derive(Debug)]
pub(crate) struct Wish(Arc<AtomicBool>);

impl Wish {
    /// Whether a signal has come.
    pub(crate) fn is_to_end(&self) -> bool {
        self.0.load(SeqCst)
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

impl Interrupt {
    /// From now on the first signal is only noted; for those who write and have something to take back.
    ///
    /// Signals that are ignored, as by `nohup`, stay so. Where the system refuses, all is as before: then what is half written stays.
    pub(crate) fn watch(&self) -> Wish {
        if !self.watches.replace(true) {
            for signal in SIGNALS.into_iter().filter(|signal| !is_ignored(*signal)) {
                let number = usize::try_from(signal).unwrap_or_default();
                // In this order, since the first signal is to find that none has come.
                let _ = flag::register_conditional_default(signal, Arc::clone(&self.wanted))
                    .and_then(|_| flag::register_usize(signal, Arc::clone(&self.signal), number))
                    .and_then(|_| flag::register(signal, Arc::clone(&self.wanted)));
            }
        }
        Wish(Arc::clone(&self.wanted))
    }

    /// Ends the process by the signal that has come, if one has: who started it wants to know.
    pub(crate) fn pass_on(&self) {
        let signal = i32::try_from(self.signal.load(SeqCst)).unwrap_or_default();
        if SIGNALS.contains(&signal) {
            let _ = low_level::emulate_default_handler(signal);
        }
    }
}

/// Whether the process was started with the signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores(&status, signal)
}

/// The same by the process's status, as proc(5) shows it: signal 1 is bit 0.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_known_by_their_bit() {
        let status = "Name:\tx\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert!(ignores(status, SIGHUP));
        assert!(!ignores(status, SIGINT) && !ignores(status, SIGTERM));
        assert!(!ignores("", SIGINT) && !ignores("SigIgn:\tx\n", SIGINT));
    }

    #[test]
    fn nothing_is_wanted_before_a_signal() {
        let interrupt = Interrupt::default();
        interrupt.pass_on();
        assert!(!Wish(Arc::clone(&interrupt.wanted)).is_to_end());
    }
}
