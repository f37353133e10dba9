//! Runs third-party decoders, which may panic on a damaged file.
//!
//! In: a call of a decoder. Out: its result, or [`DecoderPanicked`]. The panic is not printed: the caller reports the
//! file as damaged.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// Error for a decoder that panicked, which a damaged file causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged: the decoder failed; create or copy the file again")]
pub struct DecoderPanicked;

thread_local! {
    /// True while this thread runs a decoder whose panics are reported as errors.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder. The caller must not use data that the decoder changed before it panicked.
///
/// # Errors
/// Returns [`DecoderPanicked`] if the decoder panics.
pub fn guarded<T>(decode: impl FnOnce() -> T) -> Result<T, DecoderPanicked> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_GUARDED.get() {
                print(panic);
            }
        }));
    });
    let outer = IS_GUARDED.replace(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    IS_GUARDED.set(outer);
    decoded.map_err(|_| DecoderPanicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_an_error_for_a_panic_and_the_result_otherwise() {
        assert_eq!(guarded(|| 7), Ok(7));
        let inner = guarded(|| {
            assert_eq!(guarded(|| panic!("damaged")), Err::<(), _>(DecoderPanicked));
            IS_GUARDED.get()
        });
        assert_eq!(inner, Ok(true), "a guarded call inside another one does not end the outer one's guard");
        assert!(!IS_GUARDED.get());
    }
}
