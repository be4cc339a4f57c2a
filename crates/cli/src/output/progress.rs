//! How far the work is; drawn only if standard error is a terminal. And whether it is to go on.

use std::time::Duration;

use extracter::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::interrupt::{Interrupt, Wish};

/// A line that says what is going on, for work of unknown length. Gone when dropped.
pub(crate) struct Phase(ProgressBar);

impl Phase {
    pub(crate) fn start(what: &'static str) -> Phase {
        let bar = ProgressBar::new_spinner().with_message(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        Phase(bar)
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar over bytes, of work that a signal ends. Gone when dropped.
pub(crate) struct Bar(ProgressBar, Wish);

impl Bar {
    pub(crate) fn start(total_bytes: u64, interrupt: &Interrupt) -> Bar {
        let bar = ProgressBar::new(total_bytes);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {wide_msg}") {
            bar.set_style(style);
        }
        Bar(bar, interrupt.watch())
    }
}

/// A bar over pages. Gone when dropped.
pub(crate) struct Pages(ProgressBar);

impl Pages {
    pub(crate) fn start() -> Pages {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} pages") {
            bar.set_style(style);
        }
        Pages(bar)
    }

    pub(crate) fn set(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn advance(&self, bytes: u64, file: &str) {
        self.0.inc(bytes);
        self.0.set_message(file.to_owned());
    }

    fn is_cancelled(&self) -> bool {
        self.1.is_to_end()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
