//! What the commands about executions share: which one is meant, how its tasks stand.

use anyhow::{Context, Result, bail};
use aws_config::Region;
use pipeline::request::Start;
use pipeline::results::Results;
use pipeline::storage::Stores;

use crate::executor::step_functions::{Cloud, Execution};
use crate::settings::Settings;

/// How ARNs of executions and of state machines differ.
const OF_STATE_MACHINE: &str = ":stateMachine:";
const OF_EXECUTION: &str = ":execution:";

/// Which run.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Folder of a run's results: path or URL, or with --store a bucket and a folder in it (`bucket/results`). Of an
    /// execution on AWS its ARN, as `run` prints it, or with --state-machine its name alone.
    #[arg(value_name = "RESULTS|ARN")]
    run: String,
    /// Where the buckets are: a folder, `s3` (or `gs`, `az`), or a URL.
    #[arg(long, value_name = "DIR|s3|URL", conflicts_with = "state_machine")]
    store: Option<String>,
    /// ARN of the execution's state machine.
    #[arg(long, value_name = "ARN")]
    state_machine: Option<String>,
}

/// What was meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// An execution on AWS, by its ARN.
    Execution(String),
    /// A folder of results, and the place of its bucket where that is said apart.
    Folder { url: &'a str, store: Option<&'a str> },
}

impl Which {
    pub(super) fn target(&self) -> Result<Target<'_>> {
        match &self.state_machine {
            _ if self.run.starts_with("arn:") => Ok(Target::Execution(self.run.clone())),
            Some(state_machine) if state_machine.contains(OF_STATE_MACHINE) => {
                let state_machine = state_machine.replacen(OF_STATE_MACHINE, OF_EXECUTION, 1);
                Ok(Target::Execution(format!("{state_machine}:{}", self.run)))
            }
            Some(other) => {
                bail!("--state-machine `{other}`: expected is arn:aws:states:REGION:ACCOUNT:stateMachine:NAME")
            }
            None => Ok(Target::Folder { url: &self.run, store: self.store.as_deref() }),
        }
    }
}

/// The clients of the services that run the state machine or execution of an ARN, in the region that it names.
pub(super) async fn cloud(settings: &Settings, arn: &str) -> Cloud {
    let config = settings.aws().await;
    match region(arn) {
        Some(region) => Cloud::new(&config.into_builder().region(Region::new(region.to_owned())).build()),
        None => Cloud::new(&config),
    }
}

/// S3 where the state machine or execution of an ARN reads and writes.
pub(super) async fn stores(settings: &Settings, arn: &str) -> Result<Stores> {
    Ok(settings.stores_in("s3", region(arn)).await?)
}

fn region(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| !region.is_empty())
}

/// The folder into which an execution writes, and the name of the run that it would begin.
pub(super) async fn results(execution: &Execution, settings: &Settings) -> Result<Results> {
    let input = execution.input.as_deref().context("its input is not to be had")?;
    let input = serde_json::from_str(input).context("its input is not JSON")?;
    let payload = Start::parse(&input)?.payload;
    let bucket = stores(settings, &execution.arn).await?.bucket(&payload.bucket)?;
    Ok(Results::new(bucket, payload.results_folder()))
}

/// Seconds from its beginning to its end, or to now.
pub(super) fn seconds(execution: &Execution) -> f64 {
    let end = execution.ended.clone().unwrap_or_else(pipeline::event::now);
    pipeline::event::seconds_between(&execution.started, &end).unwrap_or_default().max(0.0)
}

/// Seconds for people: `1 h 02 min`, `3 min 05 s`, `7.2 s`.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3_600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_named_by_its_arn_or_its_name() {
        let which = |run: &str, state_machine: Option<&str>| {
            let state_machine = state_machine.map(str::to_owned);
            Which { run: run.to_owned(), store: None, state_machine }
        };
        let arn = "arn:aws:states:us-east-1:1:execution:sky:a";
        let execution = Target::Execution(arn.to_owned());
        assert_eq!(which(arn, None).target().unwrap(), execution);
        assert_eq!(which("a", Some("arn:aws:states:us-east-1:1:stateMachine:sky")).target().unwrap(), execution);
        assert_eq!(which("a/b", None).target().unwrap(), Target::Folder { url: "a/b", store: None });
        assert!(which("a", Some("sky")).target().unwrap_err().to_string().contains("stateMachine:NAME"));
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!([7.24, 59.4, 185.0, 3_725.0].map(duration), ["7.2 s", "59.4 s", "3 min 05 s", "1 h 02 min"]);
    }
}
