//! Run that a command works on: a results folder, or an execution on AWS.

use anyhow::{Result, bail};
use pipeline::prepare::read_plan;
use pipeline::results::Results;
use records::plan::Plan;

use crate::settings::Settings;

/// Part of the ARN of a state machine.
const STATE_MACHINE_PART: &str = ":stateMachine:";
/// Part of the ARN of an execution.
const EXECUTION_PART: &str = ":execution:";

/// Arguments that name a run.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgument {
    /// Run to work on. Folder of its results: a path or URL, or `bucket/folder` with --store. For an execution on AWS:
    /// its ARN, which `cosmicai run` prints, or its name with --state-machine.
    #[arg(value_name = "RESULTS|ARN")]
    run: String,
    /// Location of the buckets: a folder, `s3` (or `gs`, `az`), or a URL.
    #[arg(long, value_name = "DIR|s3|URL", conflicts_with = "state_machine")]
    store: Option<String>,
    /// ARN of the state machine of the execution.
    #[arg(long, value_name = "ARN")]
    state_machine: Option<String>,
}

/// The run that the arguments name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// An execution on AWS, by its ARN.
    Execution(String),
    /// A folder of results, with the location of its bucket if --store states it.
    Folder { url: &'a str, store: Option<&'a str> },
}

impl RunArgument {
    /// Finds the run that the arguments name.
    ///
    /// # Errors
    /// --state-machine is not the ARN of a state machine.
    pub(crate) fn target(&self) -> Result<Target<'_>> {
        match &self.state_machine {
            _ if self.run.starts_with("arn:") => Ok(Target::Execution(self.run.clone())),
            Some(state_machine) if state_machine.contains(STATE_MACHINE_PART) => {
                let state_machine = state_machine.replacen(STATE_MACHINE_PART, EXECUTION_PART, 1);
                Ok(Target::Execution(format!("{state_machine}:{}", self.run)))
            }
            Some(other) => {
                bail!("--state-machine `{other}`: expected arn:aws:states:REGION:ACCOUNT:stateMachine:NAME")
            }
            None => Ok(Target::Folder { url: &self.run, store: self.store.as_deref() }),
        }
    }
}

/// Opens the results folder at a URL, or at `bucket/folder` in a store.
pub(crate) async fn open_results(url: &str, store: Option<&str>, settings: &Settings) -> Result<Results> {
    match store {
        Some(store) => {
            let (bucket, folder) = url.split_once('/').unwrap_or((url, ""));
            Ok(Results::new(settings.stores(store).await?.bucket(bucket)?, folder))
        }
        None => Ok(Results::open(&settings.stores(".").await?, url)?),
    }
}

/// Reads the plan of a run.
///
/// # Errors
/// The folder has no plan, or it cannot be read.
pub(crate) async fn read_plan_of(results: &Results) -> Result<Plan> {
    match read_plan(results).await? {
        Some(plan) => Ok(plan),
        None => bail!("`{}` has no plan.json, so it is not the results folder of a run of this program", results.url()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_an_execution_by_arn_or_name() {
        let argument = |run: &str, state_machine: Option<&str>| {
            let state_machine = state_machine.map(str::to_owned);
            RunArgument { run: run.to_owned(), store: None, state_machine }
        };
        let arn = "arn:aws:states:us-east-1:1:execution:sky:a";
        let execution = Target::Execution(arn.to_owned());
        assert_eq!(argument(arn, None).target().unwrap(), execution);
        assert_eq!(argument("a", Some("arn:aws:states:us-east-1:1:stateMachine:sky")).target().unwrap(), execution);
        assert_eq!(argument("a/b", None).target().unwrap(), Target::Folder { url: "a/b", store: None });
        assert!(argument("a", Some("sky")).target().unwrap_err().to_string().contains("stateMachine:NAME"));
    }
}
