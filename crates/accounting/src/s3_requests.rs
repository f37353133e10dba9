//! Requests of a run to S3: counted by its workers, or stated in records of the CAI study.

use records::report::TaskReport;
use serde::Serialize;
use serde_json::Value;

use crate::measured::MeasuredRun;
use crate::record::Record;

/// Requests of all tasks of a run to S3, and their times from the request to the headers of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct S3Requests {
    /// Number of requests.
    pub requests: f64,
    /// Number of requests that write or list; `None` for records of the CAI study, which do not tell them apart. Its
    /// workers read in nearly all of them.
    pub writes: Option<f64>,
    /// Sum of the times of all requests in seconds.
    pub total_s: f64,
    /// Mean time of a request in seconds.
    pub mean_s: f64,
    /// Shortest time in seconds.
    pub min_s: f64,
    /// Longest time in seconds.
    pub max_s: f64,
    /// Time from the first request of the first task to the last answer of the last task, in seconds.
    pub span_s: f64,
}

/// Requests of one task.
#[derive(Debug, Clone, Copy)]
struct OfTask {
    requests: f64,
    writes: Option<f64>,
    total_s: f64,
    min_s: f64,
    max_s: f64,
    first: f64,
    last: f64,
}

impl S3Requests {
    /// Requests of a run; `None` if they are not known for every task that has files.
    pub fn of(run: &MeasuredRun) -> Option<Self> {
        let tasks = run.report.as_ref().map(|report| report.tasks.as_slice()).unwrap_or_default();
        // A task without files sends no request before it writes its report.
        let with_files = tasks.iter().filter(|task| !task.files.is_empty());
        let counted: Option<Vec<OfTask>> = with_files.map(OfTask::counted).collect();
        match counted.filter(|counted| !counted.is_empty()) {
            Some(counted) => Self::sum(&counted),
            None => Self::sum(&run.records.iter().map(OfTask::stated).collect::<Option<Vec<_>>>()?),
        }
    }

    fn sum(tasks: &[OfTask]) -> Option<Self> {
        let of = |value: fn(&OfTask) -> f64| tasks.iter().map(value);
        let requests: f64 = of(|task| task.requests).sum();
        let total_s: f64 = of(|task| task.total_s).sum();
        let first = of(|task| task.first).reduce(f64::min)?;
        Some(Self {
            requests,
            writes: tasks.iter().map(|task| task.writes).sum(),
            total_s,
            mean_s: total_s / requests,
            min_s: of(|task| task.min_s).reduce(f64::min)?,
            max_s: of(|task| task.max_s).reduce(f64::max)?,
            span_s: of(|task| task.last).reduce(f64::max)? - first,
        })
    }
}

impl OfTask {
    /// Requests that a worker of cosmicai counted.
    fn counted(task: &TaskReport) -> Option<Self> {
        let requests = task.requests?;
        let task = Self {
            requests: requests.count() as f64,
            writes: Some(requests.writes as f64),
            total_s: requests.seconds,
            min_s: requests.min_seconds,
            max_s: requests.max_seconds,
            first: requests.first,
            last: requests.last,
        };
        task.is_possible().then_some(task)
    }

    /// Requests that a record states, under the names of the CAI study.
    fn stated(record: &Record) -> Option<Self> {
        let value = |name: &str| record.others.get(name).and_then(Value::as_f64);
        let task = Self {
            requests: value("s3_num_requests")?,
            writes: None,
            total_s: value("s3_total_time")?,
            min_s: value("s3_min_time")?,
            max_s: value("s3_max_time")?,
            first: value("s3_first_request_time")?,
            last: value("s3_last_response_time")?,
        };
        task.is_possible().then_some(task)
    }

    /// Returns false for values that cannot be. They count as missing.
    fn is_possible(&self) -> bool {
        let Self { requests, total_s, min_s, max_s, first, last, .. } = *self;
        requests >= 1.0 && total_s >= 0.0 && min_s >= 0.0 && min_s <= max_s && first >= 0.0 && first <= last
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::measured::Stated;
    use crate::record::parse;

    fn run(records: &Value) -> MeasuredRun {
        MeasuredRun {
            name: "run".into(),
            records: parse(records.to_string().as_bytes()).unwrap(),
            written: Vec::new(),
            report: None,
            plan: None,
            stated: Stated::default(),
        }
    }

    fn record(requests: f64, min: f64, max: f64, first: f64) -> Value {
        json!({
            "total_cpu_time (seconds)": 6.0, "data_path": "25MB/1.pt",
            "s3_num_requests": requests, "s3_total_time": 0.25 * requests, "s3_avg_time": 0.25,
            "s3_min_time": min, "s3_max_time": max,
            "s3_first_request_time": first, "s3_last_response_time": first + 2.0,
        })
    }

    #[test]
    fn adds_the_requests_of_records_of_the_cai_study() {
        let two = run(&json!([record(8.0, 0.1, 0.5, 1_000.0), record(4.0, 0.2, 0.75, 1_001.5)]));
        let expected = S3Requests {
            requests: 12.0,
            writes: None,
            total_s: 3.0,
            mean_s: 0.25,
            min_s: 0.1,
            max_s: 0.75,
            span_s: 3.5,
        };
        assert_eq!(S3Requests::of(&two), Some(expected));
    }

    #[test]
    fn is_unknown_if_one_record_lacks_them_or_they_cannot_be() {
        let good = record(8.0, 0.1, 0.5, 1_000.0);
        for (name, value) in [
            ("s3_num_requests", json!(0)),
            ("s3_num_requests", json!("many")),
            ("s3_num_requests", json!(null)),
            ("s3_min_time", json!(-1.0)),
            ("s3_min_time", json!(0.6)),
            ("s3_last_response_time", json!(999.0)),
        ] {
            let mut bad = good.clone();
            bad[name] = value.clone();
            assert_eq!(S3Requests::of(&run(&json!([good.clone(), bad]))), None, "{name}: {value}");
        }
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove("s3_max_time");
        assert_eq!(S3Requests::of(&run(&json!([good, without]))), None);
    }
}
