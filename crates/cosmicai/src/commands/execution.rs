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

/// Which execution.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// ARN of an execution, as `run` prints it, or with --state-machine its name alone.
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// ARN of its state machine.
    #[arg(long, value_name = "ARN")]
    state_machine: Option<String>,
}

impl Which {
    pub(super) fn arn(&self) -> Result<String> {
        match &self.state_machine {
            _ if self.execution.starts_with("arn:") => Ok(self.execution.clone()),
            Some(state_machine) if state_machine.contains(OF_STATE_MACHINE) => {
                Ok(format!("{}:{}", state_machine.replacen(OF_STATE_MACHINE, OF_EXECUTION, 1), self.execution))
            }
            Some(other) => {
                bail!("--state-machine `{other}`: expected is arn:aws:states:REGION:ACCOUNT:stateMachine:NAME")
            }
            None => bail!(
                "`{}` is not an ARN; give that, or the ARN of the state machine with --state-machine",
                self.execution
            ),
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
        let which = |execution: &str, state_machine: Option<&str>| {
            let state_machine = state_machine.map(str::to_owned);
            Which { execution: execution.to_owned(), state_machine }.arn().map_err(|error| error.to_string())
        };
        let arn = "arn:aws:states:us-east-1:1:execution:sky:a";
        assert_eq!(which(arn, None).as_deref(), Ok(arn));
        assert_eq!(which("a", Some("arn:aws:states:us-east-1:1:stateMachine:sky")).as_deref(), Ok(arn));
        assert!(which("a", None).unwrap_err().contains("--state-machine"));
        assert!(which("a", Some("sky")).unwrap_err().contains("stateMachine:NAME"));
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!([7.24, 59.4, 185.0, 3_725.0].map(duration), ["7.2 s", "59.4 s", "3 min 05 s", "1 h 02 min"]);
    }
}
