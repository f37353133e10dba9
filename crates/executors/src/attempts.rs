//! Attempts at one task in this process.

use std::time::Duration;

use pipeline::event::Event;
use pipeline::predict::Worker;
use pipeline::{Attempt, Run, run_task};
use records::plan::Task;
use records::report::{FailedTask, TaskReport};
use tokio_util::sync::CancellationToken;

use crate::backoff;

/// Default number of attempts at a task.
pub const ATTEMPTS: u32 = 3;
/// Default wait before the second attempt. It doubles before each further attempt.
pub const BACKOFF: Duration = Duration::from_secs(1);

/// Number of attempts at a task, and the waits between them.
#[derive(Debug)]
pub struct Attempts<'a> {
    /// Largest number of attempts. An error that another attempt cannot fix ends them early.
    pub attempts: u32,
    /// Wait before the second attempt. It doubles before each further attempt.
    pub backoff: Duration,
    /// Token that abandons the running task when it is cancelled.
    pub cancel: &'a CancellationToken,
}

/// End of a task that was started.
#[derive(Debug)]
pub enum TaskOutcome {
    /// The results are complete.
    Finished(Box<TaskReport>),
    /// Every attempt failed.
    Failed(FailedTask),
    /// The run was stopped during the task.
    Abandoned,
}

impl Attempts<'_> {
    /// Runs one task, which was ready at the time `queued`, until it finishes, fails or is abandoned.
    pub async fn run(&self, run: Run<'_>, task: &Task, queued: &str, worker: &mut Worker) -> TaskOutcome {
        let mut number = 1;
        loop {
            let attempt = Attempt { number, queued: queued.to_owned() };
            let tried = self.cancel.run_until_cancelled(run_task(run, task, attempt, worker)).await;
            let error = match tried {
                None => return TaskOutcome::Abandoned,
                Some(Ok(report)) => return TaskOutcome::Finished(Box::new(report)),
                Some(Err(error)) => error,
            };
            let can_help = error.retry_can_help();
            let error = with_causes(&error);
            if !can_help || number >= self.attempts {
                run.events.record(&Event::TaskFailed { rank: task.rank, attempts: number, error: error.clone() });
                let files = task.files.iter().map(|file| file.key.clone()).collect();
                return TaskOutcome::Failed(FailedTask { rank: task.rank, files, attempts: number, error });
            }
            let wait = backoff::wait(self.backoff, number);
            let wait_seconds = wait.as_secs_f64();
            run.events.record(&Event::TaskRetried { rank: task.rank, attempt: number, wait_seconds, error });
            if self.cancel.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return TaskOutcome::Abandoned;
            }
            number += 1;
        }
    }
}

/// Message of an error and of its causes, separated by colons.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}
