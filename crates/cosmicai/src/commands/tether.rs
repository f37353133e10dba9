//! How a process that this program started from itself ends with the one that started it, even where that was killed:
//! standard input is a pipe whose other end is gone then.

use nix::sys::signal::{Signal, raise};

/// Calls `then` on a thread of its own once the other end of standard input is gone.
pub(super) fn when_released(then: impl FnOnce() + Send + 'static) {
    std::thread::spawn(|| {
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        then();
    });
}

/// Interrupts this process then, as Ctrl-C would.
pub(super) fn interrupt_when_released() {
    when_released(|| {
        if raise(Signal::SIGINT).is_err() {
            std::process::exit(130);
        }
    });
}
