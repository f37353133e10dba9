//! Kinds of executors and their names in command lines and JSON files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Kind of executor that ran, or will run, the tasks of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutorKind {
    /// This machine, in one process.
    Local,
    /// A cluster, as an array of SLURM jobs.
    Slurm,
    /// AWS Lambda, scheduled by a Step Functions state machine.
    StepFunctions,
    /// Workers that the user started, with `cosmicai worker`.
    Workers,
}

/// Error for a name that is not the name of an executor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown executor `{0}`; expected one of local, slurm, step-functions, workers")]
pub struct UnknownExecutor(pub String);

impl ExecutorKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Local, Self::Slurm, Self::StepFunctions, Self::Workers];

    /// Name of the kind in command lines and JSON files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Slurm => "slurm",
            Self::StepFunctions => "step-functions",
            Self::Workers => "workers",
        }
    }
}

impl fmt::Display for ExecutorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ExecutorKind {
    type Err = UnknownExecutor;

    fn from_str(text: &str) -> Result<Self, UnknownExecutor> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| UnknownExecutor(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_display_and_from_str_agree() {
        for kind in ExecutorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.to_string());
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "lambda".parse::<ExecutorKind>().unwrap_err().to_string();
        assert_eq!(error, "unknown executor `lambda`; expected one of local, slurm, step-functions, workers");
    }
}
