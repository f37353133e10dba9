//! What is wrong with the records of a run: each error of the study's that a file can show, and its like.
//!
//! In: a [`MeasuredRun`], and what somebody says that no file does ([`AuditOptions`]). Out: [`Finding`]s, the worst
//! first; none of a run that is sound. One file for each kind of check. Never here: storage; a finding without the
//! numbers and places that it rests on; a check that a sound run of the study's or of ours fails.
//!
//! Records are told apart by their index, counted from 0.

mod allocation;
mod completeness;
mod digits;
mod duplicates;
mod identities;
mod memory;
mod mixture;
mod numbering;
mod outliers;
mod places;
mod stated;
mod timing;
mod together;
mod told;
mod values;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::measured::MeasuredRun;

pub use outliers::straggler_threshold;
pub use together::audit_together;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// May mislead.
    Warning,
    /// Numbers made from the file are wrong or incomplete.
    Error,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Its stable name, such as `truncated_at_1000`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The numbers and places that say so: an object.
    pub evidence: Value,
}

/// What the records are held against, beside the run itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditOptions {
    /// Files that the run was asked to take.
    pub expect_files: Option<usize>,
    /// The `payload.json` beside the records, for a run that has no plan of ours.
    pub payload: Option<Map<String, Value>>,
    /// Objects of predictions beside the records, where somebody counted them.
    pub predictions: Option<usize>,
}

/// Everything that is wrong with one run, the worst first.
pub fn audit(run: &MeasuredRun, options: &AuditOptions) -> Vec<Finding> {
    if run.records.is_empty() {
        return completeness::check(run, options);
    }
    let diagnoses = timing::diagnose(&run.records);
    let mut findings = [
        completeness::check(run, options),
        duplicates::check(run),
        mixture::check(run, options),
        values::check(run),
        identities::check(run, &diagnoses),
        memory::check(run, &diagnoses),
        allocation::check(run, &diagnoses),
        outliers::check(run, &diagnoses),
        numbering::check(run, &diagnoses, options),
        told::check(run, &diagnoses),
        stated::check(run),
    ]
    .concat();
    merge(&mut findings);
    findings
}

/// Findings of one code are one, its places in the order in which they were found; and the worst stand first.
fn merge(findings: &mut Vec<Finding>) {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings.drain(..) {
        match merged.iter_mut().find(|other| other.code == finding.code) {
            Some(other) => {
                other.severity = other.severity.max(finding.severity);
                other.message = format!("{}; {}", other.message, finding.message);
                let also = other.evidence["also"].take();
                let mut also = if let Value::Array(also) = also { also } else { Vec::new() };
                also.push(finding.evidence);
                other.evidence["also"] = Value::Array(also);
            }
            None => merged.push(finding),
        }
    }
    merged.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    *findings = merged;
}

impl Finding {
    fn error(code: &'static str, message: String, evidence: Value) -> Self {
        Self { code, severity: Severity::Error, message, evidence }
    }

    fn warning(code: &'static str, message: String, evidence: Value) -> Self {
        Self { code, severity: Severity::Warning, message, evidence }
    }

    fn note(code: &'static str, message: String, evidence: Value) -> Self {
        Self { code, severity: Severity::Note, message, evidence }
    }
}
