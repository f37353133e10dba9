//! Signals that ask the process to end: SIGINT (Ctrl-C), SIGTERM, and SIGHUP (the terminal was closed).

use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives the signals that ask the process to end. After the first [`listen`](Self::listen), they no longer end the
/// process by themselves, even if this value is dropped. So wait for [`next`](Self::next) during all long work.
#[derive(Debug)]
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if SIGHUP is ignored, and after the first one: a terminal that closes may send it twice.
    hangup: Option<Signal>,
}

impl Interrupts {
    /// Starts to listen. A signal that arrives before the first call of [`next`](Self::next) is kept. If this process
    /// was started with SIGHUP ignored, as `nohup` does, it stays ignored.
    ///
    /// # Errors
    /// The operating system does not install a signal handler.
    pub fn listen() -> io::Result<Self> {
        let hangup = SignalKind::hangup();
        Ok(Self {
            hangup: if is_ignored(hangup) { None } else { Some(signal(hangup)?) },
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        std::future::poll_fn(|context| {
            if self.hangup.as_mut().is_some_and(|signal| signal.poll_recv(context).is_ready()) {
                self.hangup = None;
                return Poll::Ready(());
            }
            let mut others = [&mut self.interrupt, &mut self.terminate].into_iter();
            if others.any(|signal| signal.poll_recv(context).is_ready()) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// True if this process ignores the signal. Only Linux says so in a file; elsewhere the answer is false.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}
