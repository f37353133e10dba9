//! Bill of a run, from the REPORT line that Lambda logs at the end of each invocation.
//!
//! Functions may serve several runs at the same time. The functions also log JSON lines with the run id and the request
//! id, which tell the requests of a run from others.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use records::report::Billed;
use serde_json::Value;

use super::lambda_logs::Line;

/// Megabytes per GB, as Lambda counts.
const MB_PER_GB: f64 = 1_024.0;

/// Adds up the invocations of a run. They must include the invocations that plan and summarize, and at least one for
/// each rank in `ranks`.
///
/// # Errors
/// The log lines of an invocation are missing. They arrive some seconds late.
pub(super) fn billed(lines: &[Line], run_id: &str, ranks: &[usize]) -> Result<Billed, String> {
    let (mut own, mut logged, mut phases) = (BTreeSet::new(), HashSet::new(), HashSet::new());
    for line in lines.iter().filter_map(|line| own_line(&line.text, run_id)) {
        own.extend(line["request_id"].as_str().map(str::to_owned));
        logged.extend(line["rank"].as_u64().and_then(|rank| usize::try_from(rank).ok()));
        phases.extend(line["phase"].as_str().map(str::to_owned));
    }
    let missing = ranks.iter().filter(|rank| !logged.contains(rank)).count();
    if missing > 0 || !["initialize", "summarize"].iter().all(|phase| phases.contains(*phase)) {
        return Err(format!("the logs do not yet have all invocations; {missing} tasks are missing"));
    }
    let reports: BTreeMap<&str, Report> = lines.iter().filter_map(|line| Report::parse(&line.text)).collect();
    let missing = own.iter().filter(|request| !reports.contains_key(request.as_str())).count();
    if missing > 0 {
        return Err(format!("{missing} of {} invocations have no REPORT line in the logs yet", own.len()));
    }
    let mut sum = Billed::default();
    for report in own.iter().filter_map(|request| reports.get(request.as_str())) {
        sum.invocations += 1;
        sum.cold += u64::from(report.init_ms.is_some());
        sum.duration_ms += report.duration_ms;
        sum.billed_ms += report.billed_ms;
        sum.init_ms += report.init_ms.unwrap_or_default();
        sum.gb_s += report.memory_mb / MB_PER_GB * report.billed_ms / 1e3;
        sum.memory_mb = sum.memory_mb.max(report.memory_mb);
        sum.memory_used_mb_max = sum.memory_used_mb_max.max(report.memory_used_mb);
    }
    Ok(sum)
}

/// Parses a JSON line that a function of this project logged. `None` for other lines and other runs.
fn own_line(line: &str, run_id: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
    (line["run_id"] == run_id).then_some(line)
}

/// Values of a line `REPORT RequestId: … Duration: 1.23 ms Billed Duration: 2 ms Memory Size: 128 MB Max Memory Used:
/// 60 MB`, with `Init Duration: …` if the environment was new.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Report {
    duration_ms: f64,
    billed_ms: f64,
    memory_mb: f64,
    memory_used_mb: f64,
    init_ms: Option<f64>,
}

impl Report {
    fn parse(line: &str) -> Option<(&str, Self)> {
        let rest = line.trim_start().strip_prefix("REPORT RequestId: ")?;
        let request = rest.split_whitespace().next()?;
        let value = |name: &str, unit: &str| {
            let mut found = rest.match_indices(name).filter_map(|(at, _)| {
                // `Billed Duration: ` also ends with `Duration: `.
                let before = rest[..at].trim_end_matches(' ');
                let is_whole =
                    name != "Duration: " || !["Billed", "Init", "Restore"].iter().any(|word| before.ends_with(word));
                let text = rest[at + name.len()..].split_once(unit)?.0.trim();
                is_whole.then(|| text.parse::<f64>().ok()).flatten()
            });
            found.next().filter(|value| value.is_finite() && *value >= 0.0)
        };
        let report = Self {
            duration_ms: value("Duration: ", " ms")?,
            billed_ms: value("Billed Duration: ", " ms")?,
            memory_mb: value("Memory Size: ", " MB")?,
            memory_used_mb: value("Max Memory Used: ", " MB")?,
            init_ms: value("Init Duration: ", " ms"),
        };
        Some((request, report))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLD: &str = "REPORT RequestId: a-1\tDuration: 1012.50 ms\tBilled Duration: 1031 ms\tMemory Size: 2048 MB\tMax \
                        Memory Used: 147 MB\tInit Duration: 18.10 ms\t\n";
    const WARM: &str = "REPORT RequestId: b-2\tDuration: 500.00 ms\tBilled Duration: 500 ms\tMemory Size: 1024 MB\tMax Memory \
                        Used: 150 MB\t\n";

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line { milliseconds: 0, text: (*text).to_owned() }).collect()
    }

    #[test]
    fn adds_up_the_invocations_of_one_run() {
        let ours = [
            r#"{"phase": "initialize", "run_id": "r", "request_id": "a-1"}"#,
            r#"2026-01-01T00:00:00Z {"phase": "begin", "run_id": "r", "request_id": "b-2", "rank": 3}"#,
            r#"{"phase": "summarize", "run_id": "r", "request_id": "b-2"}"#,
            r#"{"phase": "invocation", "run_id": "another", "request_id": "c-3"}"#,
        ];
        let foreign = COLD.replace("a-1", "c-3");
        let all = lines(&[ours[0], ours[1], ours[2], ours[3], COLD, WARM, &foreign]);
        let sum = billed(&all, "r", &[3]).unwrap();
        assert_eq!((sum.invocations, sum.cold), (2, 1));
        assert_eq!((sum.duration_ms, sum.billed_ms, sum.init_ms), (1512.5, 1531.0, 18.1));
        assert_eq!(sum.gb_s, 2.0 * 1.031 + 0.5);
        assert_eq!((sum.memory_mb, sum.memory_used_mb_max), (2048.0, 150.0));

        let late = |texts: &[&str], ranks| billed(&lines(texts), "r", ranks).unwrap_err();
        assert_eq!(
            late(&[ours[0], ours[1], ours[2], COLD], &[3]),
            "1 of 2 invocations have no REPORT line in the logs yet"
        );
        assert!(late(&[ours[0], ours[1], ours[2], COLD, WARM], &[3, 4]).contains("1 tasks are missing"));
        assert!(late(&[ours[1], ours[2], COLD, WARM], &[3]).contains("all invocations"));
        assert!(late(&[], &[]).contains("all invocations"));
    }

    proptest! {
        #[test]
        fn parsers_never_panic(text in ".{0,80}", number in "[-0-9.eN]{0,9}") {
            Report::parse(&text);
            own_line(&text, "r");
            if let Some((_, report)) = Report::parse(&COLD.replace("1031", &number)) {
                prop_assert!(report.billed_ms >= 0.0);
            }
        }
    }
}
