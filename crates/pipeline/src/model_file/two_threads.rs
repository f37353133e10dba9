//! Packs the two halves of a model on two threads.

use astromae::Join;

/// Runs the second of two closures on a new thread.
pub(super) struct TwoThreads;

impl Join for TwoThreads {
    fn join<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        std::thread::scope(|scope| {
            let b = scope.spawn(b);
            let a = a();
            (a, b.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }
}
