//! Audit of the records of a run: finds the errors of the CAI study that a file can show, and similar ones.
//!
//! Input: a [`MeasuredRun`], and facts that no file has ([`AuditOptions`]). Output: [`Finding`]s, the most severe
//! first; none for a correct run. Each kind of check has its own file. Every finding has the numbers and records that
//! it rests on as evidence. No check fails on a correct run of the CAI study or of cosmicai.
//!
//! Findings name records by their index, counted from 0.
mod across_runs;
mod allocation;
mod cluster;
mod completeness;
mod digits;
mod duplicates;
mod evidence;
mod identities;
mod memory;
mod mixture;
mod numbering;
mod outliers;
mod stated;
mod stated_run;
mod timing;
mod values;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::measured::MeasuredRun;

pub use across_runs::audit_across_runs;
pub use outliers::straggler_threshold;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Information.
    Note,
    /// The records may mislead.
    Warning,
    /// Numbers that are computed from the file are wrong or incomplete.
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

/// One error in the records.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Stable name of the error, such as `truncated_at_1000`.
    pub code: &'static str,
    /// Severity.
    pub severity: Severity,
    /// Description of the error.
    pub message: String,
    /// Numbers and records that show the error: a JSON object.
    pub evidence: Value,
}

/// Facts that the records are compared with, beside the run itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditOptions {
    /// Number of files that the run should have processed.
    pub expect_files: Option<usize>,
    /// `payload.json` beside the records, for a run without a plan.
    pub payload: Option<Map<String, Value>>,
    /// Number of prediction files beside the records, if the caller counted them.
    pub predictions: Option<usize>,
}

/// Returns all errors in the records of one run, the most severe first.
pub fn audit(run: &MeasuredRun, options: &AuditOptions) -> Vec<Finding> {
    if run.records.is_empty() {
        return completeness::check(run, options);
    }
    if !run.written.is_empty() {
        return cluster::check(run);
    }
    let diagnoses = timing::diagnose(&run.records);
    let mut findings = [
        completeness::check(run, options),
        duplicates::check(run, options),
        mixture::check(run, options),
        values::check(run),
        identities::check(run, &diagnoses),
        memory::check(run, &diagnoses),
        allocation::check(run, &diagnoses),
        outliers::check(run, &diagnoses),
        numbering::check(run, &diagnoses, options),
        stated_run::check(run, &diagnoses),
        stated::check(run),
    ]
    .concat();
    merge(&mut findings);
    findings
}

/// Merges findings with the same code, and sorts them by severity.
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
