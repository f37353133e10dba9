//! Two pieces of work at once, by whoever has threads: this crate has none.

/// Runs two closures, in turn or at the same time.
pub trait Join {
    /// What both return.
    fn join<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B);
}

/// One after the other.
#[derive(Debug, Clone, Copy)]
pub struct InTurn;

impl Join for InTurn {
    fn join<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        (a(), b())
    }
}
