//! Warnings of stores, for the user. Each text is passed on once.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest number of objects of one listing that warnings name.
const MAX_NAMED: usize = 20;

/// Object or folder that a listing found but that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OddObject {
    /// Key or path in the bucket, with escapes for bytes that cannot be shown.
    pub(super) name: String,
    /// Reason why it cannot be read.
    pub(super) problem: String,
}

/// Receiver of the warnings of stores. Cheap to clone; clones share their state. The default drops the warnings.
#[derive(Clone, Default)]
pub struct Warnings {
    inner: Arc<Inner>,
}

/// Takes the text of a warning.
type Receiver = Box<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct Inner {
    receiver: Option<Receiver>,
    told: Mutex<HashSet<String>>,
    has_passed_over: AtomicBool,
}

impl Warnings {
    /// Passes each warning to `receiver`, once.
    pub fn new(receiver: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { inner: Arc::new(Inner { receiver: Some(Box::new(receiver)), ..Inner::default() }) }
    }

    /// Returns true if a listing of inputs passed over an object that cannot be read. The work is then incomplete.
    pub fn has_passed_over(&self) -> bool {
        self.inner.has_passed_over.load(Ordering::Relaxed)
    }

    /// Passes a text on, unless it was passed on before.
    pub(super) fn warn(&self, text: String) {
        let Some(receiver) = &self.inner.receiver else { return };
        if !self.inner.told.lock().unwrap_or_else(PoisonError::into_inner).contains(&text) {
            receiver(&text);
            self.inner.told.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
        }
    }

    /// Warns about the objects of a listing that were passed over. `base` is the URL of the bucket.
    pub(super) fn pass_over(&self, base: &str, odd: &[OddObject]) {
        if odd.is_empty() {
            return;
        }
        self.inner.has_passed_over.store(true, Ordering::Relaxed);
        for OddObject { name, problem } in odd.iter().take(MAX_NAMED) {
            self.warn(format!("warning: passed over `{base}{name}`: {problem}"));
        }
        if let Some(more) = odd.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
            self.warn(format!("warning: passed over {more} more objects under `{base}` that cannot be read"));
        }
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Warnings(has_passed_over: {})", self.has_passed_over())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_each_text_once_and_names_few_objects() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let receiver = told.clone();
        let warnings = Warnings::new(move |text: &str| receiver.lock().unwrap().push(text.to_owned()));
        assert!(!warnings.has_passed_over());
        let odd: Vec<OddObject> =
            (0..25).map(|n| OddObject { name: format!("d//{n}"), problem: "no".to_owned() }).collect();
        warnings.pass_over("s3://sky/", &odd);
        warnings.pass_over("s3://sky/", &odd);
        let told = told.lock().unwrap();
        assert_eq!(told.len(), MAX_NAMED + 1);
        assert_eq!(told[0], "warning: passed over `s3://sky/d//0`: no");
        assert_eq!(told[20], "warning: passed over 5 more objects under `s3://sky/` that cannot be read");
        assert!(warnings.has_passed_over());
    }
}
