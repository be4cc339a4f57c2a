//! Work shared by threads, the same way for baseline and subject.

use std::thread;

/// One thread, two, and one for each CPU; each number once.
#[must_use]
pub fn thread_counts() -> Vec<usize> {
    let all = all_threads();
    let mut counts = vec![1, 2.min(all), all];
    counts.dedup();
    counts
}

/// One thread for each CPU.
#[must_use]
pub fn all_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Calls `work` with each item, on as many threads as said, which take equal parts; `state` is made once a thread.
pub fn share<T: Sync, S>(
    items: &[T],
    threads: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) + Sync,
) {
    let run = |part: &[T]| {
        let mut state = state();
        part.iter().for_each(|item| work(&mut state, item));
    };
    if threads <= 1 {
        return run(items);
    }
    thread::scope(|scope| {
        for part in items.chunks(items.len().div_ceil(threads).max(1)) {
            scope.spawn(|| run(part));
        }
    });
}
