//! What is done when the program is told to end in the middle of something.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

/// Exit status of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Waits for Ctrl-C or another signal to end, then cleans up and ends the program: a long piece of work between two
/// awaits hears of neither. None where there is no runtime to listen; dropped, it no longer waits.
pub(super) fn when_interrupted(clean_up: impl FnOnce() + Send + 'static) -> Option<AbortOnDropHandle<()>> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    let mut signals = Signals::listen();
    let listen = async move {
        signals.heard().await;
        clean_up();
        std::process::exit(INTERRUPTED);
    };
    Some(AbortOnDropHandle::new(runtime.spawn(listen)))
}

/// The signals to end, heard from now on instead of ending the program.
pub(super) struct Signals(Vec<Signal>);

impl Signals {
    pub(super) fn listen() -> Signals {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Signals(kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect())
    }

    /// Waits for one of them.
    pub(super) async fn heard(&mut self) {
        let signals = &mut self.0;
        std::future::poll_fn(|context| {
            let heard = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if heard { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}
