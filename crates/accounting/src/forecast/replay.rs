//! Validation of the forecast on measured executions of the study: predicted total times against measured ones.
//!
//! Input: the study's tables `worker_times.csv` (mean time of the workers of each run) and `total_execution_time.csv`
//! (wall clock of the whole execution). Four assumptions are fitted to a few of its configurations; the others are
//! forecast.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fit::minimize;
use super::simulation::{Execution, Limits, TaskVariation, simulate};
use crate::assumptions::{Assumption, Assumptions};
use crate::statistics::{Random, mean, median, quantile, sorted};

/// Number of simulated executions of a configuration.
const EXECUTIONS: usize = 200;
/// Largest table that is read, in bytes.
pub const MAX_TABLE_BYTES: u64 = 16 << 20;
/// Assumptions that are fitted, each with its start value.
pub const FITTED: [(Assumption, f64); 4] = [
    (Assumption::Orchestration, 3.0),
    (Assumption::ChildStart, 0.05),
    (Assumption::StragglerFraction, 0.03),
    (Assumption::StragglerFactor, 2.5),
];

/// Measurements of one configuration of the study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Configuration {
    /// Nominal size of a partition in binary MB.
    pub partition_mb: f64,
    /// Nominal data in GB.
    pub data_gb: f64,
    /// Number of tasks.
    pub tasks: usize,
    /// Mean seconds of the workers' loops, for each run.
    pub worker_s: Vec<f64>,
    /// Wall seconds of the whole execution, for each run.
    pub total_s: Vec<f64>,
}

/// Forecast of one configuration, with its measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictedConfiguration {
    /// Configuration.
    pub configuration: Configuration,
    /// True if assumptions were fitted to it.
    pub fitted_on: bool,
    /// Mean total seconds of the measured runs.
    pub measured_s: f64,
    /// Mean total seconds of the simulated executions.
    pub predicted_s: f64,
    /// Interval that contains 90 % of the simulated executions, with the unexplained variation.
    pub interval_s: [f64; 2],
    /// Predicted over measured seconds, minus 1.
    pub error: f64,
}

/// Result of a validation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// Names and values of the assumptions that were fitted.
    pub fitted: BTreeMap<&'static str, f64>,
    /// Number of configurations that they were fitted to.
    pub fitted_on: usize,
    /// Unexplained variation: σ of the logarithm of measured over predicted total times of these configurations.
    pub between_totals: f64,
    /// Part of the runs in the 90 % interval, over the configurations that were not fitted; `None` if all were fitted.
    pub within_interval_forecast: Option<f64>,
    /// Forecast of each configuration, in the order of the table.
    pub forecast: Vec<PredictedConfiguration>,
    /// Median of the absolute errors of all configurations.
    pub median_error: f64,
    /// Median of the absolute errors of the configurations that were not fitted; `None` if all were fitted.
    pub median_error_forecast: Option<f64>,
    /// Largest absolute error of all configurations.
    pub largest_error: f64,
}

/// Error of [`configurations`] and [`replay`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A table cannot be read, or lacks a column.
    #[error("table of {table}: {problem}")]
    Table {
        /// Name of the table.
        table: &'static str,
        /// Error in the table.
        problem: String,
    },
    /// A line of a table is invalid.
    #[error("table of {table}, line {line}: {problem}")]
    Line {
        /// Name of the table.
        table: &'static str,
        /// Line number, counted from 1.
        line: u64,
        /// Error in the line.
        problem: String,
    },
    /// The tables belong to different studies.
    #[error("no configuration is in both tables")]
    NothingInCommon,
    /// The number of configurations to fit is invalid.
    #[error("cannot fit to {fit_on} of {configurations} configurations; expected 1 to {configurations}")]
    FitOn {
        /// Number of configurations to fit.
        fit_on: usize,
        /// Number of all configurations.
        configurations: usize,
    },
}

const WORKER_TIMES: &str = "worker times";
const TOTAL_TIMES: &str = "total times";

/// Reads both tables.
///
/// # Errors
/// If a table is invalid, or if no configuration is in both tables.
pub fn configurations(worker_times: &[u8], total_times: &[u8]) -> Result<Vec<Configuration>, ReplayError> {
    let workers = rows(worker_times, ["partition (MB)", "data (GB)", "run", "total_cpu_time (seconds)"])
        .map_err(|problem| ReplayError::Table { table: WORKER_TIMES, problem })?;
    let totals = rows(total_times, ["partition(MB)", "data(GB)", "num_worlds", "duration"])
        .map_err(|problem| ReplayError::Table { table: TOTAL_TIMES, problem })?;
    let mut found: Vec<Configuration> = Vec::new();
    for (line, [partition, data, tasks, duration]) in &totals {
        let at = |problem: String| ReplayError::Line { table: TOTAL_TIMES, line: *line, problem };
        let (partition_mb, data_gb) = (number(partition).map_err(at)?, number(data).map_err(at)?);
        let tasks = number(tasks).map_err(at)?;
        if !(1.0..=1e6).contains(&tasks) || partition_mb > 1e6 || data_gb > 1e9 {
            return Err(at("value out of range".to_owned()));
        }
        let total = seconds(duration).ok_or_else(|| at(format!("`{duration}`: expected MINUTES:SECONDS")))?;
        match found.iter_mut().find(|one| one.partition_mb == partition_mb && one.data_gb == data_gb) {
            Some(one) => one.total_s.push(total),
            None => found.push(Configuration {
                partition_mb,
                data_gb,
                tasks: tasks as usize,
                worker_s: Vec::new(),
                total_s: vec![total],
            }),
        }
    }
    for (line, [partition, data, run, time]) in &workers {
        let at = |problem: String| ReplayError::Line { table: WORKER_TIMES, line: *line, problem };
        // Lines of means repeat the runs.
        if run == "mean" {
            continue;
        }
        let (partition_mb, data_gb) = (number(partition).map_err(at)?, number(data).map_err(at)?);
        let time = number(time).map_err(at)?;
        if let Some(one) = found.iter_mut().find(|one| one.partition_mb == partition_mb && one.data_gb == data_gb) {
            one.worker_s.push(time);
        }
    }
    found.retain(|one| !one.worker_s.is_empty());
    if found.is_empty() { Err(ReplayError::NothingInCommon) } else { Ok(found) }
}

/// Fits assumptions to `fit_on` configurations, evenly spread over the table, and forecasts all configurations.
///
/// # Errors
/// If `fit_on` is 0 or more than the number of configurations.
pub fn replay(
    configurations: &[Configuration],
    fit_on: usize,
    assumptions: &Assumptions,
) -> Result<Replay, ReplayError> {
    if fit_on == 0 || fit_on > configurations.len() {
        return Err(ReplayError::FitOn { fit_on, configurations: configurations.len() });
    }
    let chosen: Vec<usize> = (0..fit_on).map(|index| index * configurations.len() / fit_on).collect();
    let error = |logarithms: &[f64]| {
        let fitted: Vec<f64> = logarithms.iter().map(|value| value.exp()).collect();
        if fitted[2] > 0.5 || fitted[3] < 1.0 {
            return f64::INFINITY;
        }
        let of = |index: &usize| {
            let one = &configurations[*index];
            let totals = simulated_totals(one, &fitted, assumptions);
            (average(&totals) / average(&one.total_s)).ln().powi(2)
        };
        chosen.iter().map(of).sum()
    };
    let start: Vec<f64> = FITTED.iter().map(|(_, value)| value.ln()).collect();
    let fitted: Vec<f64> = minimize(&start, error).0.iter().map(|value| value.exp()).collect();
    let between_totals = unexplained(chosen.iter().map(|index| &configurations[*index]), &fitted, assumptions);
    let forecast: Vec<PredictedConfiguration> = configurations
        .iter()
        .enumerate()
        .map(|(index, one)| {
            let totals = simulated_totals(one, &fitted, assumptions);
            let (measured_s, predicted_s) = (average(&one.total_s), average(&totals));
            let mut random = Random::new(2);
            let totals = sorted(totals.into_iter().map(|total| total * (between_totals * random.normal()).exp()));
            let at = |part| quantile(&totals, part).unwrap_or_default();
            PredictedConfiguration {
                configuration: one.clone(),
                fitted_on: chosen.contains(&index),
                measured_s,
                predicted_s,
                interval_s: [at(0.05), at(0.95)],
                error: predicted_s / measured_s - 1.0,
            }
        })
        .collect();
    let size = |one: &PredictedConfiguration| one.error.abs();
    let is_within = |one: &PredictedConfiguration| {
        let [low, high] = one.interval_s;
        let runs = one.configuration.total_s.iter();
        runs.map(|total| f64::from(u8::from((low..=high).contains(total)))).collect::<Vec<f64>>()
    };
    let within = forecast.iter().filter(|one| !one.fitted_on).flat_map(is_within);
    Ok(Replay {
        fitted: FITTED.iter().map(|(assumption, _)| assumption.name()).zip(fitted).collect(),
        fitted_on: fit_on,
        between_totals,
        within_interval_forecast: mean(within),
        median_error: median(forecast.iter().map(size)).unwrap_or_default(),
        median_error_forecast: median(forecast.iter().filter(|one| !one.fitted_on).map(size)),
        largest_error: forecast.iter().map(size).fold(0.0, f64::max),
        forecast,
    })
}

/// σ of the logarithm of measured over predicted total times of the runs that the values were fitted to.
fn unexplained<'a>(
    fitted_on: impl Iterator<Item = &'a Configuration>,
    fitted: &[f64],
    assumptions: &Assumptions,
) -> f64 {
    let of = |one: &Configuration| {
        let predicted_s = average(&simulated_totals(one, fitted, assumptions));
        one.total_s.iter().map(|total| (total / predicted_s).ln().powi(2)).collect::<Vec<f64>>()
    };
    let squares: Vec<f64> = fitted_on.flat_map(of).collect();
    // Each fitted value removes one degree of freedom.
    let free = squares.len().saturating_sub(fitted.len()).max(1);
    (squares.iter().sum::<f64>() / free as f64).sqrt()
}

/// Total seconds of simulated executions of a configuration, from its workers' mean times and the fitted values.
fn simulated_totals(one: &Configuration, fitted: &[f64], assumptions: &Assumptions) -> Vec<f64> {
    let get = |assumption| assumptions.get(assumption);
    let [orchestration_s, child_start_s, straggler_fraction, straggler_factor] =
        [0, 1, 2, 3].map(|index| fitted[index]);
    let fetch_s = (one.partition_mb + get(Assumption::ModelMb)) / get(Assumption::FetchMbPerS);
    let mut random = Random::new(1);
    (0..EXECUTIONS)
        .map(|index| {
            let mean_s = one.worker_s[index % one.worker_s.len()];
            // The mean includes the stragglers.
            let usual_s = mean_s / (1.0 + straggler_fraction * (straggler_factor - 1.0));
            let execution = Execution {
                task_s: vec![usual_s; one.tasks],
                start_s: get(Assumption::ColdStart) + get(Assumption::Import) + fetch_s,
                before_s: orchestration_s + get(Assumption::Initialize),
                after_s: get(Assumption::SummarizePerTask) * one.tasks as f64,
                child_start_s,
                variation: TaskVariation { jitter: get(Assumption::Jitter), straggler_fraction, straggler_factor },
                limits: Limits {
                    concurrency: get(Assumption::Concurrency),
                    burst: get(Assumption::RampBurst),
                    ramp_per_s: get(Assumption::RampPer10S) / 10.0,
                },
            };
            simulate(&execution, random.bits()).total_s
        })
        .collect()
}

fn average(values: &[f64]) -> f64 {
    mean(values.iter().copied()).unwrap_or_default()
}

/// Line number and values of the given columns, for each line.
fn rows<const N: usize>(csv: &[u8], columns: [&str; N]) -> Result<Vec<(u64, [String; N])>, String> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).trim(csv::Trim::All).from_reader(csv);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = header.iter().position(|name| name == column).ok_or_else(|| {
            format!("no column `{column}`; the columns are {}", header.iter().collect::<Vec<_>>().join(", "))
        })?;
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push((line, places.map(|place| record[place].to_owned())));
    }
    Ok(rows)
}

fn number(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| format!("`{text}`: expected a number above 0"))
}

/// Seconds of a duration such as `01:02.340`.
fn seconds(duration: &str) -> Option<f64> {
    let (minutes, seconds) = duration.split_once(':')?;
    let seconds = minutes.parse::<u32>().ok()? as f64 * 60.0 + seconds.parse::<f64>().ok()?;
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::conditions;
    use crate::reference_data::reference_data;

    const WORKERS: &str =
        "partition (MB),data (GB),run,total_cpu_time (seconds)\n25,1.0,1,5.6\n25,1.0,mean,9\n50,1.0,1,11\n";
    const TOTALS: &str =
        "partition(MB),data(GB),run,num_worlds,duration\n25,1.0,1,41.0,00:26.5\n25,1.0,2,41.0,01:00.5\n";

    #[test]
    fn configurations_joins_both_tables() {
        let found = configurations(WORKERS.as_bytes(), TOTALS.as_bytes()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].tasks, &found[0].worker_s[..], &found[0].total_s[..]),
            (41, &[5.6][..], &[26.5, 60.5][..])
        );
        let wrong = |workers: &str, totals: &str| {
            configurations(workers.as_bytes(), totals.as_bytes()).unwrap_err().to_string()
        };
        assert!(wrong(WORKERS, &TOTALS.replace("01:00.5", "60")).contains("line 3: `60`"));
        assert!(wrong(WORKERS, &TOTALS.replace("duration", "time")).contains("no column `duration`"));
        assert!(wrong(&WORKERS.replace("5.6", "-1"), TOTALS).contains("line 2"));
        assert!(wrong(&WORKERS.replace("25,", "26,"), TOTALS).contains("no configuration"));
        assert!(wrong("", "").contains("no column"));
    }

    /// Total times that follow the workers' times by a simple rule; the tables of the CAI study are not in a clone.
    #[test]
    fn total_times_that_follow_a_rule_are_predicted() {
        let found: Vec<Configuration> = (0..28)
            .map(|index| {
                let (partition_mb, data_gb) = ([25.0, 50.0, 75.0, 100.0][index / 7], (1 + index % 7) as f64);
                let worker_s = vec![0.24 * partition_mb, 0.25 * partition_mb, 0.26 * partition_mb];
                let tasks = (data_gb * 1_024.0 / partition_mb).ceil() as usize;
                let total_s = worker_s.iter().map(|seconds| 10.0 + 1.2 * seconds + 0.05 * tasks as f64).collect();
                Configuration { partition_mb, data_gb, tasks, worker_s, total_s }
            })
            .collect();
        let replay = replay(&found, 7, &conditions::of_study()).unwrap();
        assert_eq!((replay.forecast.len(), replay.fitted_on), (28, 7));
        assert!(replay.median_error <= 0.01 && replay.largest_error <= 0.05, "{replay:?}");
    }

    #[test]
    #[ignore = "needs the reference data: set COSMICAI_SHARED"]
    fn forecast_agrees_with_executions_of_the_study() {
        let [workers, totals] = ["study/worker_times.csv", "study/total_execution_time.csv"]
            .map(|name| std::fs::read(reference_data(name)).unwrap());
        let found = configurations(&workers, &totals).unwrap();
        assert_eq!(found.len(), 28);
        let replay = replay(&found, 7, &conditions::of_study()).unwrap();
        assert!(replay.median_error <= 0.20 && replay.largest_error <= 0.60);
        assert!(replay.median_error_forecast.unwrap() <= 0.20);
        // The 90 % interval holds.
        assert!((0.85..=0.99).contains(&replay.within_interval_forecast.unwrap()), "{replay:?}");
    }
}
