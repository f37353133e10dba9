//! [`Join`]: runs two closures, possibly on two threads. This crate starts no threads; the caller may.

/// Runs two closures, one after the other or at the same time.
pub trait Join {
    /// Runs `a` and `b` and returns the results of both.
    fn join<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B);
}

/// Runs the closures one after the other on the current thread.
#[derive(Debug, Clone, Copy)]
pub struct Sequential;

impl Join for Sequential {
    fn join<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        (a(), b())
    }
}
