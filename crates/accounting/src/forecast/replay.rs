//! Executions that were measured, foretold from what their workers took, and how far off that is.
//!
//! In: the study's tables `worker_times.csv` (mean time of the workers of each run) and `total_execution_time.csv` (wall
//! clock of the whole execution). A few of its configurations fit four assumptions; the others are foretold.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fit::least;
use super::simulation::{Execution, Limits, Straying, simulate};
use crate::circumstances::Circumstances;
use crate::statistics::{Random, mean, median, quantile, sorted};

/// Simulated executions of a configuration.
const EXECUTIONS: usize = 200;
/// The largest table that is read, in bytes.
pub const MAX_TABLE_BYTES: u64 = 16 << 20;
/// The assumptions that are fitted, each with where the search begins.
pub const FITTED: [(&str, f64); 4] =
    [("orchestration_s", 3.0), ("child_start_s", 0.05), ("straggler_fraction", 0.03), ("straggler_factor", 2.5)];

/// One configuration of the study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Configuration {
    /// Nominal size of a partition in binary MB.
    pub partition_mb: f64,
    /// Nominal data in GB.
    pub data_gb: f64,
    /// Tasks.
    pub tasks: usize,
    /// Mean time of the workers' loops, of each run.
    pub worker_s: Vec<f64>,
    /// Wall clock of the whole execution, of each run.
    pub total_s: Vec<f64>,
}

/// One configuration, foretold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foretold {
    /// The configuration.
    pub configuration: Configuration,
    /// Whether assumptions were fitted on it.
    pub fitted_on: bool,
    /// Mean of the measured runs.
    pub measured_s: f64,
    /// Mean of the simulated executions.
    pub predicted_s: f64,
    /// 90 % of the simulated executions lie between these, with what they leave unexplained.
    pub interval_s: [f64; 2],
    /// Predicted over measured, less 1.
    pub error: f64,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// The assumptions that were fitted, with their values.
    pub fitted: BTreeMap<&'static str, f64>,
    /// Configurations that they were fitted on.
    pub fitted_on: usize,
    /// σ of the logarithm of the total times of these configurations' runs around what is foretold of them: what no
    /// simulation explains.
    pub between_totals: f64,
    /// Part of the single runs that lie in the 90 % interval, of the configurations that were not fitted on; None where
    /// there are none.
    pub within_interval_foretold: Option<f64>,
    /// In the order of the table.
    pub foretold: Vec<Foretold>,
    /// Median of the errors' sizes, of all configurations.
    pub median_error: f64,
    /// The same, of those that were not fitted on; None where there are none.
    pub median_error_foretold: Option<f64>,
    /// The largest of the errors' sizes, of all.
    pub largest_error: f64,
}

/// Reads both tables.
///
/// # Errors
/// Where one is not such a table, or no configuration is in both.
pub fn configurations(worker_times: &[u8], total_times: &[u8]) -> Result<Vec<Configuration>, String> {
    let workers = rows(worker_times, ["partition (MB)", "data (GB)", "run", "total_cpu_time (seconds)"])
        .map_err(|problem| format!("table of worker times: {problem}"))?;
    let totals = rows(total_times, ["partition(MB)", "data(GB)", "num_worlds", "duration"])
        .map_err(|problem| format!("table of total times: {problem}"))?;
    let mut found: Vec<Configuration> = Vec::new();
    for (line, [partition, data, tasks, duration]) in &totals {
        let at = |problem: &str| format!("table of total times, line {line}: {problem}");
        let (partition_mb, data_gb) = (number(partition).map_err(|e| at(&e))?, number(data).map_err(|e| at(&e))?);
        let tasks = number(tasks).map_err(|e| at(&e))?;
        if !(1.0..=1e6).contains(&tasks) || partition_mb > 1e6 || data_gb > 1e9 {
            return Err(at("out of range"));
        }
        let total = seconds(duration).ok_or_else(|| at(&format!("`{duration}`: minutes:seconds are expected")))?;
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
        let at = |problem: &str| format!("table of worker times, line {line}: {problem}");
        // Its lines of means repeat what the runs say.
        if run == "mean" {
            continue;
        }
        let (partition_mb, data_gb) = (number(partition).map_err(|e| at(&e))?, number(data).map_err(|e| at(&e))?);
        let time = number(time).map_err(|e| at(&e))?;
        if let Some(one) = found.iter_mut().find(|one| one.partition_mb == partition_mb && one.data_gb == data_gb) {
            one.worker_s.push(time);
        }
    }
    found.retain(|one| !one.worker_s.is_empty());
    if found.is_empty() { Err("no configuration is in both tables".to_owned()) } else { Ok(found) }
}

/// Fits on `fit_on` of the configurations, evenly spread over the table, and foretells all.
///
/// # Errors
/// Where there are fewer.
pub fn replay(configurations: &[Configuration], fit_on: usize, conditions: &Circumstances) -> Result<Replay, String> {
    if fit_on == 0 || fit_on > configurations.len() {
        return Err(format!("fitted on {fit_on} of {} configurations: 1 to all are expected", configurations.len()));
    }
    let chosen: Vec<usize> = (0..fit_on).map(|index| index * configurations.len() / fit_on).collect();
    let error = |logarithms: &[f64]| {
        let fitted: Vec<f64> = logarithms.iter().map(|value| value.exp()).collect();
        if fitted[2] > 0.5 || fitted[3] < 1.0 {
            return f64::INFINITY;
        }
        let of = |index: &usize| {
            let one = &configurations[*index];
            let totals = foretell(one, &fitted, conditions);
            (average(&totals) / average(&one.total_s)).ln().powi(2)
        };
        chosen.iter().map(of).sum()
    };
    let start: Vec<f64> = FITTED.iter().map(|(_, value)| value.ln()).collect();
    let fitted: Vec<f64> = least(&start, error).0.iter().map(|value| value.exp()).collect();
    let between_totals = unexplained(chosen.iter().map(|index| &configurations[*index]), &fitted, conditions);
    let foretold: Vec<Foretold> = configurations
        .iter()
        .enumerate()
        .map(|(index, one)| {
            let totals = foretell(one, &fitted, conditions);
            let (measured_s, predicted_s) = (average(&one.total_s), average(&totals));
            let mut random = Random::new(2);
            let totals = sorted(totals.into_iter().map(|total| total * (between_totals * random.normal()).exp()));
            let at = |part| quantile(&totals, part).unwrap_or_default();
            Foretold {
                configuration: one.clone(),
                fitted_on: chosen.contains(&index),
                measured_s,
                predicted_s,
                interval_s: [at(0.05), at(0.95)],
                error: predicted_s / measured_s - 1.0,
            }
        })
        .collect();
    let size = |one: &Foretold| one.error.abs();
    let is_within = |one: &Foretold| {
        let [low, high] = one.interval_s;
        let runs = one.configuration.total_s.iter();
        runs.map(|total| f64::from(u8::from((low..=high).contains(total)))).collect::<Vec<f64>>()
    };
    let within = foretold.iter().filter(|one| !one.fitted_on).flat_map(is_within);
    Ok(Replay {
        fitted: FITTED.iter().map(|(name, _)| *name).zip(fitted).collect(),
        fitted_on: fit_on,
        between_totals,
        within_interval_foretold: mean(within),
        median_error: median(foretold.iter().map(size)).unwrap_or_default(),
        median_error_foretold: median(foretold.iter().filter(|one| !one.fitted_on).map(size)),
        largest_error: foretold.iter().map(size).fold(0.0, f64::max),
        foretold,
    })
}

/// σ of the logarithm of measured over foretold total times, of the runs that the values were fitted on.
fn unexplained<'a>(
    fitted_on: impl Iterator<Item = &'a Configuration>,
    fitted: &[f64],
    conditions: &Circumstances,
) -> f64 {
    let of = |one: &Configuration| {
        let predicted_s = average(&foretell(one, fitted, conditions));
        one.total_s.iter().map(|total| (total / predicted_s).ln().powi(2)).collect::<Vec<f64>>()
    };
    let squares: Vec<f64> = fitted_on.flat_map(of).collect();
    // Each fitted value takes one away from what is left to scatter.
    let free = squares.len().saturating_sub(fitted.len()).max(1);
    (squares.iter().sum::<f64>() / free as f64).sqrt()
}

/// Total times of simulated executions of a configuration, from its workers' mean times and the fitted values.
fn foretell(one: &Configuration, fitted: &[f64], conditions: &Circumstances) -> Vec<f64> {
    let get = |name| conditions.get(name);
    let [orchestration_s, child_start_s, straggler_fraction, straggler_factor] =
        [0, 1, 2, 3].map(|index| fitted[index]);
    let fetch_s = (one.partition_mb + get("model_mb")) / get("fetch_mb_per_s");
    let mut random = Random::new(1);
    (0..EXECUTIONS)
        .map(|index| {
            let mean_s = one.worker_s[index % one.worker_s.len()];
            // The mean has the stragglers in it.
            let usual_s = mean_s / (1.0 + straggler_fraction * (straggler_factor - 1.0));
            let execution = Execution {
                task_s: vec![usual_s; one.tasks],
                begin_s: get("cold_start_s") + get("import_s") + fetch_s,
                before_s: orchestration_s + get("initialize_s"),
                after_s: get("summarize_s_per_task") * one.tasks as f64,
                child_start_s,
                straying: Straying { jitter: get("jitter"), straggler_fraction, straggler_factor },
                limits: Limits {
                    concurrency: get("concurrency"),
                    burst: get("ramp_burst"),
                    ramp_per_s: get("ramp_per_10_s") / 10.0,
                },
            };
            simulate(&execution, random.bits()).total_s
        })
        .collect()
}

fn average(values: &[f64]) -> f64 {
    mean(values.iter().copied()).unwrap_or_default()
}

/// The values of these columns, by line.
fn rows<const N: usize>(csv: &[u8], columns: [&str; N]) -> Result<Vec<(u64, [String; N])>, String> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).trim(csv::Trim::All).from_reader(csv);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = header
            .iter()
            .position(|name| name == column)
            .ok_or_else(|| format!("no column `{column}`; it has {}", header.iter().collect::<Vec<_>>().join(", ")))?;
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
    value.ok_or_else(|| format!("`{text}`: a number above 0 is expected"))
}

/// `01:02.340` as seconds.
fn seconds(duration: &str) -> Option<f64> {
    let (minutes, seconds) = duration.split_once(':')?;
    let seconds = minutes.parse::<u32>().ok()? as f64 * 60.0 + seconds.parse::<f64>().ok()?;
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::conditions;

    const WORKERS: &str =
        "partition (MB),data (GB),run,total_cpu_time (seconds)\n25,1.0,1,5.6\n25,1.0,mean,9\n50,1.0,1,11\n";
    const TOTALS: &str =
        "partition(MB),data(GB),run,num_worlds,duration\n25,1.0,1,41.0,00:26.5\n25,1.0,2,41.0,01:00.5\n";

    #[test]
    fn both_tables_are_joined() {
        let found = configurations(WORKERS.as_bytes(), TOTALS.as_bytes()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].tasks, &found[0].worker_s[..], &found[0].total_s[..]),
            (41, &[5.6][..], &[26.5, 60.5][..])
        );
        let wrong = |workers: &str, totals: &str| configurations(workers.as_bytes(), totals.as_bytes()).unwrap_err();
        assert!(wrong(WORKERS, &TOTALS.replace("01:00.5", "60")).contains("line 3: `60`"));
        assert!(wrong(WORKERS, &TOTALS.replace("duration", "time")).contains("no column `duration`"));
        assert!(wrong(&WORKERS.replace("5.6", "-1"), TOTALS).contains("line 2"));
        assert!(wrong(&WORKERS.replace("25,", "26,"), TOTALS).contains("no configuration"));
        assert!(wrong("", "").contains("no column"));
    }

    #[test]
    fn the_study_s_executions_are_foretold() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/study/");
        let read = |name: &str| std::fs::read(format!("{folder}{name}"));
        let (Ok(workers), Ok(totals)) = (read("worker_times.csv"), read("total_execution_time.csv")) else {
            eprintln!("skipped: the study's tables are not here");
            return;
        };
        let found = configurations(&workers, &totals).unwrap();
        assert_eq!(found.len(), 28);
        let replay = replay(&found, 7, &conditions::of_study()).unwrap();
        assert!(replay.median_error <= 0.20 && replay.largest_error <= 0.60);
        assert!(replay.median_error_foretold.unwrap() <= 0.20);
        // An interval of 90 % that holds.
        assert!((0.85..=0.99).contains(&replay.within_interval_foretold.unwrap()), "{replay:?}");
    }
}
