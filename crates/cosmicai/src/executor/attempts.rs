//! One task in this process, tried again where that can help.

use std::time::Duration;

use pipeline::event::Event;
use pipeline::plan::Task;
use pipeline::predict::Worker;
use pipeline::report::{FailedTask, TaskReport};
use pipeline::{Attempt, Run, run_task};
use tokio_util::sync::CancellationToken;

use super::backoff;

/// How often a task is tried on this machine where nobody says.
pub(crate) const ATTEMPTS: u32 = 3;
/// The wait before a task's second attempt; it doubles from then on.
pub(crate) const BACKOFF: Duration = Duration::from_secs(1);

/// How tasks are tried.
pub(crate) struct Attempts<'a> {
    /// How often, where trying again can help.
    pub(crate) attempts: u32,
    /// The wait before the second attempt; it doubles from then on.
    pub(crate) backoff: Duration,
    /// Cancelling it abandons the task under way.
    pub(crate) cancel: &'a CancellationToken,
}

/// What became of a task that was taken up.
pub(crate) enum Outcome {
    Finished(Box<TaskReport>),
    Failed(FailedTask),
    Abandoned,
}

impl Attempts<'_> {
    /// Tries one task, which was ready since `queued`.
    pub(crate) async fn run(&self, run: Run<'_>, task: &Task, queued: &str, worker: &mut Worker) -> Outcome {
        let mut number = 1;
        loop {
            let attempt = Attempt { number, queued: queued.to_owned() };
            let tried = self.cancel.run_until_cancelled(run_task(run, task, attempt, worker)).await;
            let error = match tried {
                None => return Outcome::Abandoned,
                Some(Ok(report)) => return Outcome::Finished(Box::new(report)),
                Some(Err(error)) => error,
            };
            let can_help = error.retry_can_help();
            let error = format!("{:#}", anyhow::Error::new(error));
            if !can_help || number >= self.attempts {
                run.events.record(&Event::TaskFailed { rank: task.rank, attempts: number, error: error.clone() });
                let files = task.files.iter().map(|file| file.key.clone()).collect();
                return Outcome::Failed(FailedTask { rank: task.rank, files, attempts: number, error });
            }
            let wait = backoff::wait(self.backoff, number);
            let wait_seconds = wait.as_secs_f64();
            run.events.record(&Event::TaskRetried { rank: task.rank, attempt: number, wait_seconds, error });
            if self.cancel.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Outcome::Abandoned;
            }
            number += 1;
        }
    }
}
