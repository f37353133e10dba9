//! Values that a calculation assumes because nothing measured them.
//!
//! Each assumption has a name, a unit and a range, which are the same everywhere, and a value with its source, which
//! depend on the executor. They are listed beside every number that rests on them, and the user can replace them.

use std::ops::RangeInclusive;

use serde::{Serialize, Serializer};

/// Largest value that an amount may have.
const MAX_AMOUNT: f64 = 1e9;
/// Source of a value that the user gave.
const GIVEN: &str = "given by you";

/// Size of the published model in binary MB.
pub(crate) const PUBLISHED_MODEL_MB: f64 = 60.664_707_183_837_89;
/// Size of the model if the caller does not know it.
pub(crate) const MODEL: Entry = entry(Assumption::ModelMb, PUBLISHED_MODEL_MB, "15,902,889 parameters in float32");

/// One assumption of a list, with its value.
pub(crate) type Entry = (Assumption, AssumedValue);

/// Makes an entry of a list of assumptions.
pub(crate) const fn entry(assumption: Assumption, value: f64, source: &'static str) -> Entry {
    (assumption, AssumedValue { value, source })
}

/// Values that an assumption may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Domain {
    /// 0 or more.
    Amount,
    /// More than 0, because something is divided by it.
    Divisor,
    /// 1 or more: how many times longer something takes.
    Factor,
    /// Part of a whole.
    Fraction,
    /// 0 for no, 1 for yes.
    Switch,
    /// Standard deviation of a logarithm.
    LogSigma,
    /// Tasks or environments of one execution.
    Tasks,
    /// Files of one plan.
    Files,
    /// Memory that Lambda offers, in MB.
    FunctionMemory,
    /// Disk that Lambda offers, in MB.
    FunctionDisk,
}

impl Domain {
    const fn range(self) -> RangeInclusive<f64> {
        match self {
            Self::Amount => 0.0..=MAX_AMOUNT,
            Self::Divisor => 1e-3..=MAX_AMOUNT,
            Self::Factor | Self::Files => 1.0..=MAX_AMOUNT,
            Self::Fraction | Self::Switch => 0.0..=1.0,
            Self::LogSigma => 0.0..=3.0,
            Self::Tasks => 1.0..=1e5,
            Self::FunctionMemory => 128.0..=10_240.0,
            Self::FunctionDisk => 0.0..=10_240.0,
        }
    }
}

/// Data of one assumption that do not depend on the executor.
struct Definition {
    name: &'static str,
    unit: &'static str,
    domain: Domain,
    neutral: f64,
}

/// Declares the assumptions: name, unit, domain and neutral value.
macro_rules! assumptions {
    ($($(#[$doc:meta])* $variant:ident: $name:literal, $unit:literal, $domain:ident, $neutral:expr;)*) => {
        /// Quantity that is assumed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Assumption {
            $($(#[$doc])* $variant,)*
        }

        impl Assumption {
            /// All assumptions.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            const fn definition(self) -> Definition {
                match self {
                    $(Self::$variant => {
                        Definition { name: $name, unit: $unit, domain: Domain::$domain, neutral: $neutral }
                    })*
                }
            }
        }
    };
}

assumptions! {
    /// Memory of a worker's function.
    MemoryMb: "memory_mb", "MB", FunctionMemory, 0.0;
    /// Memory of the functions that plan and summarize.
    ControlMemoryMb: "control_memory_mb", "MB", FunctionMemory, 0.0;
    /// Disk of a worker's function.
    EphemeralMb: "ephemeral_mb", "MB", FunctionDisk, 0.0;
    /// 1 if functions run on arm64, 0 if on x86_64.
    Arm64: "arm64", "0 or 1", Switch, 0.0;
    /// Time to start a new environment, before the worker's own code runs.
    ColdStart: "cold_start_s", "s", Amount, 0.0;
    /// Time that a new worker needs before it can compute: imports, or reading and packing the model.
    Import: "import_s", "s", Amount, 0.0;
    /// Part of the tasks that start in a new environment.
    ColdFraction: "cold_fraction", "of the tasks", Fraction, 1.0;
    /// Speed at which a worker reads from object storage.
    FetchMbPerS: "fetch_mb_per_s", "MB/s", Divisor, f64::INFINITY;
    /// Size of the model.
    ModelMb: "model_mb", "MB", Amount, 0.0;
    /// Time to plan a run.
    Initialize: "initialize_s", "s", Amount, 0.0;
    /// Time to summarize a run, for each task.
    SummarizePerTask: "summarize_s_per_task", "s", Amount, 0.0;
    /// State transitions of an execution, without those of its tasks.
    Transitions: "transitions", "transitions", Amount, 0.0;
    /// State transitions of a task.
    TransitionsPerTask: "transitions_per_task", "transitions", Amount, 0.0;
    /// Requests that read from object storage, for each task.
    GetsPerTask: "gets_per_task", "requests", Amount, 0.0;
    /// Requests that write to object storage, for each task.
    PutsPerTask: "puts_per_task", "requests", Amount, 0.0;
    /// Time from the start of a run to its first task, without planning.
    Orchestration: "orchestration_s", "s", Amount, 0.0;
    /// Time between the dispatch of two tasks.
    ChildStart: "child_start_s", "s", Amount, 0.0;
    /// Part of the tasks that are stragglers.
    StragglerFraction: "straggler_fraction", "of the tasks", Fraction, 0.0;
    /// Time of a straggler over the usual time.
    StragglerFactor: "straggler_factor", "× the usual time", Factor, 1.0;
    /// Variation of worker speed between runs.
    BetweenRuns: "between_runs", "σ of the logarithm", LogSigma, 0.0;
    /// Variation of total times that the simulation does not explain.
    BetweenTotals: "between_totals", "σ of the logarithm", LogSigma, 0.0;
    /// Variation of task times within a run.
    Jitter: "jitter", "σ of the logarithm", LogSigma, 0.0;
    /// Most environments that run at a time.
    Concurrency: "concurrency", "environments", Tasks, f64::INFINITY;
    /// Environments that may start at once.
    RampBurst: "ramp_burst", "environments", Amount, f64::INFINITY;
    /// Environments that may start in every 10 s after the burst.
    RampPer10S: "ramp_per_10_s", "environments", Divisor, f64::INFINITY;
    /// Memory that comes with one vCPU.
    VcpuMb: "vcpu_mb", "MB", Divisor, f64::INFINITY;
    /// Most vCPUs of a function.
    VcpusMax: "vcpus_max", "vCPUs", Divisor, f64::INFINITY;
    /// Longest time that a function may run.
    Timeout: "timeout_s", "s", Divisor, f64::INFINITY;
    /// Part of the timeout that the slowest task may be expected to take.
    TimeoutShare: "timeout_share", "of the timeout", Fraction, 1.0;
    /// Most tasks of one execution.
    TasksMax: "tasks_max", "tasks", Tasks, f64::INFINITY;
    /// Most files of one plan.
    FilesMax: "files_max", "files", Files, f64::INFINITY;
    /// Most read requests to one prefix in a second.
    S3GetsPerS: "s3_gets_per_s", "requests/s", Divisor, f64::INFINITY;
    /// Speed of a vCPU over that of the thread that was measured.
    LambdaVcpuOverMeasuredThread: "lambda_vcpu_over_measured_thread", "×", Amount, 1.0;
    /// Speed of an arm64 vCPU over that of an x86_64 one.
    Arm64OverX86: "arm64_over_x86_64", "×", Amount, 1.0;
    /// Least memory of a worker.
    WorkerMemoryMb: "worker_memory_mb", "MB", Amount, 0.0;
    /// 1 if a worker reads the next rows while it computes, 0 if it reads the partition first.
    FetchHidden: "fetch_hidden", "0 or 1", Switch, 1.0;
    /// Time that the first job waits in the queue of a cluster.
    QueueWait: "queue_wait_s", "s", Amount, 0.0;
    /// Time to start a job of a cluster, before the worker runs.
    JobStart: "job_start_s", "s", Amount, 0.0;
    /// Speed of a cluster's processor over that of the thread that was measured.
    ClusterThreadOverMeasuredThread: "cluster_thread_over_measured_thread", "×", Amount, 1.0;
    /// Cores of this machine.
    Cores: "cores", "cores", Amount, f64::INFINITY;
}

impl Assumption {
    /// Name by which the user replaces it.
    pub const fn name(self) -> &'static str {
        self.definition().name
    }

    /// Unit of its value.
    pub const fn unit(self) -> &'static str {
        self.definition().unit
    }

    /// Values that the user may give.
    pub const fn range(self) -> RangeInclusive<f64> {
        self.definition().domain.range()
    }

    /// Value of an assumption that does not apply: one that changes no result.
    const fn neutral(self) -> f64 {
        self.definition().neutral
    }

    /// Returns true if the user may give `value`.
    fn accepts(self, value: f64) -> bool {
        let is_whole_enough = self.definition().domain != Domain::Switch || value.fract() == 0.0;
        self.range().contains(&value) && is_whole_enough
    }
}

/// Value of an assumption, and where the value comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AssumedValue {
    /// Value in the unit of the assumption.
    pub value: f64,
    /// Origin of the value.
    pub source: &'static str,
}

/// One assumption as outputs list it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ListedAssumption {
    /// Name by which the user replaces it.
    pub name: &'static str,
    /// Value.
    pub value: f64,
    /// Unit of the value.
    pub unit: &'static str,
    /// Origin of the value.
    pub source: &'static str,
}

/// Error of [`Assumptions::set`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AssumptionError {
    /// The text has no `=`.
    #[error("`{0}`: expected NAME=VALUE")]
    NotAnAssignment(String),
    /// No assumption of this calculation has the name.
    #[error("no assumption is named `{name}`; the names are {}", names.join(", "))]
    UnknownName {
        /// Name that was given.
        name: String,
        /// Names of the assumptions that apply.
        names: Vec<&'static str>,
    },
    /// The value is not a number, or not one that the assumption may have.
    #[error("`{text}`: expected a number from {low} to {high} for `{name}` (unit: {unit})")]
    InvalidValue {
        /// Text that was given.
        text: String,
        /// Name of the assumption.
        name: &'static str,
        /// Unit of its value.
        unit: &'static str,
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
    },
}

/// All assumptions of one calculation, in the order in which outputs list them.
///
/// Each constructor fills in the assumptions that its executor needs. An assumption that does not apply, such as the
/// concurrency of Lambda for a run on a cluster, is not listed and has a neutral value: 0 for a time, 1 for a factor, ∞
/// for a limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumptions(Vec<Entry>);

const STUDY: &[Entry] = {
    use Assumption as A;
    &[
        entry(A::MemoryMb, 10_240.0, "the CAI study's function, as configured"),
        entry(A::ControlMemoryMb, 128.0, "the CAI study's logs, of the functions that plan and summarize"),
        entry(A::EphemeralMb, 10_240.0, "the CAI study's function, as configured"),
        entry(A::Arm64, 0.0, "the CAI study's function runs on x86_64"),
        entry(A::ColdStart, 0.66, "the CAI study's container, before its own code starts"),
        entry(A::Import, 6.6, "the CAI study's worker imports PyTorch before its clock starts"),
        entry(A::ColdFraction, 1.0, "all workers start at once, each in a new environment"),
        entry(A::FetchMbPerS, 90.0, "S3 to a function with 640 MB of memory or more"),
        MODEL,
        entry(A::Initialize, 1.0, "the CAI study's logs show 0.7 to 1.2 s"),
        entry(A::SummarizePerTask, 0.03, "one S3 request after the other"),
        entry(A::Transitions, 3.0, "Initialize, the Map, Summarize"),
        entry(A::TransitionsPerTask, 2.0, "the start of a child, and its one state"),
        entry(A::GetsPerTask, 4.0, "payload, script, model, partition; Summarize's read is counted separately"),
        entry(A::PutsPerTask, 1.0, "the record"),
    ]
};

const COSMICAI: &[Entry] = {
    use Assumption as A;
    &[
        entry(A::MemoryMb, 1_769.0, "the default of deploy/lambda"),
        entry(A::ControlMemoryMb, 3_008.0, "the default of deploy/lambda for the functions that plan and summarize"),
        entry(A::EphemeralMb, 512.0, "nothing is written to /tmp"),
        entry(A::Arm64, 0.0, "the default of deploy/lambda"),
        entry(A::ColdStart, 0.018, "Rust on provided.al2023, 14 to 18 ms"),
        entry(A::Import, 0.3, "reading and packing the model of 61 MB"),
        entry(A::ColdFraction, 1.0, "all workers start at once, each in a new environment"),
        entry(A::FetchMbPerS, 90.0, "S3 to a function with 640 MB of memory or more"),
        MODEL,
        entry(A::Initialize, 0.5, "listing the input and writing the plan; not measured on AWS"),
        entry(A::SummarizePerTask, 0.005, "records and reports are read many at a time; not measured on AWS"),
        entry(A::Transitions, 6.0, "Initialize, AnyTasks, Predict, Summarize, AllThere, Done"),
        entry(A::TransitionsPerTask, 2.0, "the start of a child, and its one state"),
        entry(A::GetsPerTask, 12.0, "the partition by ranges, the model by tensors"),
        entry(A::PutsPerTask, 3.0, "predictions, record, report"),
    ]
};

impl Assumptions {
    /// Assumptions for a bill of the study's workers: a container with Python on Lambda.
    pub fn of_study() -> Self {
        Self(STUDY.to_vec())
    }

    /// Assumptions for a bill of cosmicai's workers on Lambda.
    pub fn of_ours() -> Self {
        Self(COSMICAI.to_vec())
    }

    /// Assumptions of a list, in its order.
    pub(crate) fn from_entries(entries: &[Entry]) -> Self {
        Self(entries.to_vec())
    }

    /// Removes one assumption, which then has its neutral value.
    #[must_use]
    pub(crate) fn without(mut self, assumption: Assumption) -> Self {
        self.0.retain(|(other, _)| *other != assumption);
        self
    }

    /// Adds assumptions at the end.
    #[must_use]
    pub(crate) fn and(mut self, entries: &[Entry]) -> Self {
        self.0.extend(entries);
        self
    }

    /// Value of an assumption; its neutral value if it does not apply.
    pub fn get(&self, assumption: Assumption) -> f64 {
        let found = self.0.iter().find(|(other, _)| *other == assumption);
        found.map_or(assumption.neutral(), |(_, assumed)| assumed.value)
    }

    /// Replaces a value that the user gave as text: `memory_mb=3008`.
    ///
    /// # Errors
    /// If the text is not `NAME=VALUE`, if no assumption that applies has the name, or if it may not have the value.
    pub fn set(&mut self, assignment: &str) -> Result<(), AssumptionError> {
        let not_an_assignment = || AssumptionError::NotAnAssignment(assignment.to_owned());
        let (name, text) = assignment.split_once('=').ok_or_else(not_an_assignment)?;
        let (name, text) = (name.trim(), text.trim());
        let known = self.0.iter().map(|(assumption, _)| *assumption).find(|assumption| assumption.name() == name);
        let Some(assumption) = known else {
            let names = self.0.iter().map(|(assumption, _)| assumption.name()).collect();
            return Err(AssumptionError::UnknownName { name: name.to_owned(), names });
        };
        let Some(value) = text.parse().ok().filter(|value| assumption.accepts(*value)) else {
            let range = assumption.range();
            return Err(AssumptionError::InvalidValue {
                text: assignment.to_owned(),
                name: assumption.name(),
                unit: assumption.unit(),
                low: *range.start(),
                high: *range.end(),
            });
        };
        self.replace(assumption, value, GIVEN);
        Ok(())
    }

    /// Replaces a value and its source. An assumption that does not apply stays neutral.
    pub fn replace(&mut self, assumption: Assumption, value: f64, source: &'static str) {
        if let Some((_, assumed)) = self.0.iter_mut().find(|(other, _)| *other == assumption) {
            *assumed = AssumedValue { value, source };
        }
    }

    /// All assumptions that apply, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Assumption, AssumedValue)> {
        self.0.iter().copied()
    }

    /// All assumptions that apply, in order, as outputs list them.
    pub fn list(&self) -> Vec<ListedAssumption> {
        let listed = self.iter().map(|(assumption, AssumedValue { value, source })| ListedAssumption {
            name: assumption.name(),
            value,
            unit: assumption.unit(),
            source,
        });
        listed.collect()
    }
}

impl Serialize for Assumptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn set_replaces_value_and_source() {
        let mut assumptions = Assumptions::of_study();
        assumptions.set("memory_mb = 2048").unwrap();
        assert_eq!(assumptions.get(Assumption::MemoryMb), 2_048.0);
        assert_eq!(assumptions.list()[0].source, GIVEN);
        assert_eq!(assumptions.get(Assumption::ControlMemoryMb), 128.0, "others keep their values");
    }

    #[test]
    fn set_reports_unknown_name_with_valid_names() {
        let error = Assumptions::of_study().set("memory=1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no assumption is named `memory`; the names are memory_mb, control_memory_mb, ephemeral_mb, arm64, \
             cold_start_s, import_s, cold_fraction, fetch_mb_per_s, model_mb, initialize_s, summarize_s_per_task, \
             transitions, transitions_per_task, gets_per_task, puts_per_task"
        );
        // It exists, but does not apply to a bill.
        assert!(matches!(Assumptions::of_study().set("cores=2"), Err(AssumptionError::UnknownName { .. })));
    }

    #[test]
    fn set_reports_range_and_unit() {
        let error = Assumptions::of_study().set("memory_mb=64").unwrap_err();
        assert_eq!(error.to_string(), "`memory_mb=64`: expected a number from 128 to 10240 for `memory_mb` (unit: MB)");
        let error = Assumptions::of_study().set("memory_mb").unwrap_err();
        assert_eq!(error.to_string(), "`memory_mb`: expected NAME=VALUE");
    }

    #[test]
    fn set_accepts_the_ends_of_a_range_and_nothing_beyond() {
        let mut assumptions = Assumptions::of_study();
        for wrong in [
            "memory_mb=",
            "memory_mb=-1",
            "memory_mb=inf",
            "memory_mb=nan",
            "memory_mb=127.9",
            "memory_mb=10241",
            "ephemeral_mb=-1",
            "ephemeral_mb=10241",
            "fetch_mb_per_s=0",
            "arm64=0.5",
            "arm64=2",
            "cold_fraction=1.1",
            "import_s=1e10",
        ] {
            assert!(matches!(assumptions.set(wrong), Err(AssumptionError::InvalidValue { .. })), "{wrong}");
        }
        assert_eq!(assumptions, Assumptions::of_study());
        for right in ["memory_mb=128", "memory_mb=10240", "arm64=1", "cold_fraction=0.5", "import_s=0", "import_s=1e9"]
        {
            assumptions.set(right).unwrap();
        }
    }

    #[test]
    fn ranges_follow_from_the_kind_of_value() {
        for (assumption, range) in [
            (Assumption::ControlMemoryMb, 128.0..=10_240.0),
            (Assumption::EphemeralMb, 0.0..=10_240.0),
            (Assumption::FetchMbPerS, 1e-3..=1e9),
            (Assumption::StragglerFactor, 1.0..=1e9),
            (Assumption::StragglerFraction, 0.0..=1.0),
            (Assumption::FetchHidden, 0.0..=1.0),
            (Assumption::Jitter, 0.0..=3.0),
            (Assumption::Concurrency, 1.0..=1e5),
            (Assumption::TasksMax, 1.0..=1e5),
            (Assumption::FilesMax, 1.0..=1e9),
            (Assumption::Cores, 0.0..=1e9),
        ] {
            assert_eq!(assumption.range(), range, "{}", assumption.name());
        }
    }

    #[test]
    fn every_default_is_in_its_range() {
        let bills = [Assumptions::of_study(), Assumptions::of_ours()];
        for (assumption, assumed) in bills.iter().flat_map(Assumptions::iter) {
            assert!(assumption.accepts(assumed.value), "{}", assumption.name());
        }
    }

    #[test]
    fn every_assumption_has_a_name_of_its_own() {
        let mut names: Vec<&str> = Assumption::ALL.iter().map(|assumption| assumption.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Assumption::ALL.len());
        assert_eq!(names.len(), 40);
    }

    #[test]
    fn an_assumption_that_does_not_apply_is_neutral() {
        let mut assumptions = Assumptions::of_ours();
        assert_eq!(assumptions.get(Assumption::QueueWait), 0.0);
        assert_eq!(assumptions.get(Assumption::Arm64OverX86), 1.0);
        assert_eq!(assumptions.get(Assumption::Concurrency), f64::INFINITY);
        assumptions.replace(Assumption::QueueWait, 60.0, "measured");
        assert_eq!(assumptions, Assumptions::of_ours());
        assert_eq!(assumptions.without(Assumption::ColdStart).get(Assumption::ColdStart), 0.0);
    }

    #[test]
    fn json_is_a_list_of_name_value_unit_and_source() {
        let json = serde_json::to_value(Assumptions::of_ours()).unwrap();
        assert_eq!(
            json[0],
            json!({ "name": "memory_mb", "value": 1_769.0, "unit": "MB", "source": "the default of deploy/lambda" })
        );
        assert_eq!(json.as_array().unwrap().len(), 15);
    }

    #[test]
    fn study_and_cosmicai_make_the_same_assumptions() {
        let names = |entries: &[Entry]| entries.iter().map(|(assumption, _)| *assumption).collect::<Vec<_>>();
        assert_eq!(names(STUDY), names(COSMICAI));
    }
}
