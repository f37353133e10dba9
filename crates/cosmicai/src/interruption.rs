//! Clean-up when the program is asked to end in the middle of something.

use executors::Interrupts;
use tokio_util::task::AbortOnDropHandle;

/// Exit status of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Waits for Ctrl-C or another signal to end, then cleans up and ends the program. For work that does not await: it would
/// not notice a signal. `None` without a runtime; dropping the handle ends the waiting.
pub(crate) fn when_interrupted(clean_up: impl FnOnce() + Send + 'static) -> Option<AbortOnDropHandle<()>> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    let mut interrupts = Interrupts::listen().ok()?;
    let listen = async move {
        interrupts.next().await;
        clean_up();
        std::process::exit(INTERRUPTED);
    };
    Some(AbortOnDropHandle::new(runtime.spawn(listen)))
}
