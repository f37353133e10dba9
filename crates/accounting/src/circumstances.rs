//! What is assumed where nothing was measured: each a name, a value, a unit and where the value comes from, to be listed
//! beside every number that rests on it, and to be replaced by who knows better.

use std::ops::RangeInclusive;

use serde::Serialize;

/// One assumption.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Assumption {
    /// What it is called where it is replaced.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What the value counts.
    pub unit: &'static str,
    /// Where the value comes from.
    pub source: &'static str,
}

/// All assumptions of one calculation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Circumstances(Vec<Assumption>);

/// The most that anything is assumed to be.
const MOST: f64 = 1e9;
/// What stands for the source of a value that a person gave.
const GIVEN: &str = "given by you";

/// Binary MB of the published model.
pub(crate) const PUBLISHED_MODEL_MB: f64 = 60.664_707_183_837_89;
/// The model, as long as nobody names another.
pub(crate) const MODEL_MB: Assumption = of("model_mb", PUBLISHED_MODEL_MB, "MB", "15,902,889 parameters in float32");

const STUDY: &[Assumption] = &[
    of("memory_mb", 10_240.0, "MB", "the study's function, as configured"),
    of("control_memory_mb", 128.0, "MB", "its logs, of the functions that plan and sum up"),
    of("ephemeral_mb", 10_240.0, "MB", "the study's function, as configured"),
    of("arm64", 0.0, "0 or 1", "the study's function runs on x86_64"),
    of("cold_start_s", 0.66, "s", "the study's container, before its own code begins"),
    of("import_s", 6.6, "s", "the study's worker imports PyTorch before its clock runs"),
    of("cold_fraction", 1.0, "of the tasks", "all workers begin at once, each in a new environment"),
    of("fetch_mb_per_s", 90.0, "MB/s", "S3 to a function of 640 MB of memory and more"),
    MODEL_MB,
    of("initialize_s", 1.0, "s", "its logs show 0.7 to 1.2 s"),
    of("summarize_s_per_task", 0.03, "s", "one request to S3 after the other"),
    of("transitions", 3.0, "transitions", "Initialize, the Map, Summarize"),
    of("transitions_per_task", 2.0, "transitions", "the start of a child, and its one state"),
    of("gets_per_task", 4.0, "requests", "payload, script, model, partition; one more in Summarize is counted apart"),
    of("puts_per_task", 1.0, "requests", "the record"),
];

const OURS: &[Assumption] = &[
    of("memory_mb", 1_769.0, "MB", "the default of deploy/lambda"),
    of("control_memory_mb", 3_008.0, "MB", "the default of deploy/lambda for what plans and sums up"),
    of("ephemeral_mb", 512.0, "MB", "nothing is written to /tmp"),
    of("arm64", 0.0, "0 or 1", "the default of deploy/lambda"),
    of("cold_start_s", 0.018, "s", "Rust on provided.al2023, 14 to 18 ms"),
    of("import_s", 0.3, "s", "reading and packing the model of 61 MB"),
    of("cold_fraction", 1.0, "of the tasks", "all workers begin at once, each in a new environment"),
    of("fetch_mb_per_s", 90.0, "MB/s", "S3 to a function of 640 MB of memory and more"),
    MODEL_MB,
    of("initialize_s", 0.5, "s", "a listing and the writing of the plan; not measured on AWS"),
    of("summarize_s_per_task", 0.005, "s", "records and reports are read many at a time; not measured on AWS"),
    of("transitions", 6.0, "transitions", "Initialize, AnyTasks, Predict, Summarize, AllThere, Done"),
    of("transitions_per_task", 2.0, "transitions", "the start of a child, and its one state"),
    of("gets_per_task", 12.0, "requests", "the partition by ranges, the model by tensors"),
    of("puts_per_task", 3.0, "requests", "predictions, record, report"),
];

const fn of(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Assumption {
    Assumption { name, value, unit, source }
}

impl Assumption {
    /// What its value may be.
    fn range(&self) -> RangeInclusive<f64> {
        match (self.name, self.unit) {
            ("memory_mb" | "control_memory_mb", _) => 128.0..=10_240.0,
            ("ephemeral_mb", _) => 0.0..=10_240.0,
            ("straggler_factor", _) => 1.0..=MOST,
            // What something is divided by.
            ("fetch_mb_per_s" | "s3_gets_per_s" | "vcpu_mb" | "vcpus_max" | "timeout_s" | "ramp_per_10_s", _) => {
                1e-3..=MOST
            }
            ("concurrency" | "tasks_max", _) => 1.0..=1e5,
            ("files_max", _) => 1.0..=MOST,
            (_, "0 or 1" | "of the tasks" | "of the timeout") => 0.0..=1.0,
            (_, "σ of the logarithm") => 0.0..=3.0,
            _ => 0.0..=MOST,
        }
    }
}

impl Circumstances {
    /// Those of the study's workers: a container with Python on Lambda.
    pub fn of_study() -> Self {
        Self(STUDY.to_vec())
    }

    /// Those of our workers on Lambda.
    pub fn of_ours() -> Self {
        Self(OURS.to_vec())
    }

    /// These.
    pub fn new(assumptions: &[Assumption]) -> Self {
        Self(assumptions.to_vec())
    }

    /// These but one.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|assumption| assumption.name != name);
        self
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: &[Assumption]) -> Self {
        self.0.extend(others);
        self
    }

    /// The value of an assumption.
    ///
    /// # Panics
    /// Where there is none of the name, which is a fault of the caller.
    pub fn get(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|assumption| assumption.name == name);
        found.unwrap_or_else(|| panic!("no assumption is called {name}")).value
    }

    /// Puts another value in the place of one: `memory_mb=3008`.
    ///
    /// # Errors
    /// Where there is no such name, or the value is no number of 0 or more.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (name, value) =
            assignment.split_once('=').ok_or_else(|| format!("`{assignment}`: NAME=VALUE is expected"))?;
        let value = value.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
        let value = value.ok_or_else(|| format!("`{assignment}`: a number of 0 or more is expected"))?;
        let name = name.trim();
        if let Some(range) = self.0.iter().find(|assumption| assumption.name == name).map(Assumption::range)
            && (!range.contains(&value) || self.is_switch(name) && value.fract() != 0.0)
        {
            return Err(format!("`{assignment}`: a number from {} to {} is expected", range.start(), range.end()));
        }
        self.replace(name, value, GIVEN)
    }

    fn is_switch(&self, name: &str) -> bool {
        self.0.iter().any(|assumption| assumption.name == name && assumption.unit == "0 or 1")
    }

    /// Puts a value from another source in the place of one.
    ///
    /// # Errors
    /// Where there is no such name.
    pub fn replace(&mut self, name: &str, value: f64, source: &'static str) -> Result<(), String> {
        match self.0.iter_mut().find(|assumption| assumption.name == name) {
            Some(assumption) => {
                (assumption.value, assumption.source) = (value, source);
                Ok(())
            }
            None => {
                let names: Vec<&str> = self.0.iter().map(|assumption| assumption.name).collect();
                Err(format!("no assumption is called `{name}`; there are {}", names.join(", ")))
            }
        }
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Assumption] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumption_is_replaced_by_name() {
        let mut circumstances = Circumstances::of_study();
        circumstances.set("memory_mb = 2048").unwrap();
        assert_eq!(circumstances.get("memory_mb"), 2_048.0);
        assert_eq!(circumstances.all()[0].source, GIVEN);
        assert!(circumstances.set("memory=1").unwrap_err().contains("there are memory_mb, "));
        for wrong in [
            "memory_mb",
            "memory_mb=",
            "memory_mb=-1",
            "memory_mb=inf",
            "memory_mb=64",
            "fetch_mb_per_s=0",
            "arm64=0.5",
        ] {
            assert!(circumstances.set(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn both_worlds_assume_the_same_things() {
        let names = |all: &[Assumption]| all.iter().map(|assumption| assumption.name).collect::<Vec<_>>();
        assert_eq!(names(STUDY), names(OURS));
    }
}
