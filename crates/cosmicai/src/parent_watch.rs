//! A child process that this program starts from itself ends with its parent, even if the parent is killed: standard
//! input of the child is a pipe, whose other end closes then.

use nix::sys::signal::{Signal, raise};

/// Calls `then` on a thread of its own once the parent closes this process's standard input.
pub(crate) fn when_parent_ends(then: impl FnOnce() + Send + 'static) {
    std::thread::spawn(|| {
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        then();
    });
}

/// Interrupts this process when its parent ends, as Ctrl-C would.
pub(crate) fn interrupt_when_parent_ends() {
    when_parent_ends(|| {
        if raise(Signal::SIGINT).is_err() {
            std::process::exit(130);
        }
    });
}
