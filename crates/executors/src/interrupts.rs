//! Signals that ask the process to end: SIGINT (Ctrl-C), SIGTERM, and SIGHUP (the terminal was closed).

use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives the signals that ask the process to end. While a value exists, they do not end the process by themselves.
#[derive(Debug)]
pub struct Interrupts(Vec<Signal>);

impl Interrupts {
    /// Starts to listen. A signal that arrives before the first call of [`next`](Self::next) is kept.
    ///
    /// # Errors
    /// The operating system does not install a signal handler.
    pub fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self(kinds.into_iter().map(signal).collect::<io::Result<_>>()?))
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let is_received = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if is_received { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
