//! The itemised bill of a run: quantity × unit price, line by line, each with what the quantity rests on and where the
//! price stands.

use pipeline::report::{Billed, RunReport};
use serde::Serialize;

use crate::circumstances::Circumstances;
use crate::measured::{MeasuredRun, SLURM, STEP_FUNCTIONS};
use crate::prices::{Architecture, Price, Prices};
use crate::{MB, MB_PER_GB};

/// MB of Lambda's disk that are free.
pub(crate) const EPHEMERAL_FREE_MB: f64 = 512.0;
const SECONDS_PER_HOUR: f64 = 3_600.0;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What is charged for.
    pub what: String,
    /// How much of it.
    pub quantity: f64,
    /// What is counted.
    pub unit: String,
    /// USD of a unit, in the middle of its tiers.
    pub usd_per_unit: f64,
    /// Quantity × price.
    pub amount_usd: f64,
    /// Where the quantity comes from.
    pub basis: Basis,
    /// How the quantity was reckoned.
    pub reckoned: String,
    /// Where the price stands.
    pub source: String,
    /// When it was read there.
    pub read: String,
}

/// What a quantity rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The cloud itself said it.
    Billed,
    /// It was counted or timed in the run.
    Measured,
    /// It was reckoned from what was measured and from assumptions.
    Assumed,
}

/// All lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// Which prices these are.
    pub prices: String,
    /// Whether what a month begins with was taken off.
    pub free_tier: bool,
    /// Line by line.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total_usd: f64,
}

/// How a run is charged for.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What things cost.
    pub prices: &'a Prices,
    /// What is assumed where nothing was measured.
    pub circumstances: &'a Circumstances,
    /// Whether to take off what a month begins with.
    pub free_tier: bool,
}

/// Quantities of a run on Lambda.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumed {
    /// Memory × billed time, in GB·s of 1,024 MB.
    pub gb_s: f64,
    /// How that was reckoned, and what it rests on.
    pub gb_s_reckoned: (Basis, String),
    /// Disk above what is free × billed time, in GB·s.
    pub ephemeral_gb_s: f64,
    /// Invocations.
    pub requests: (Basis, f64),
    /// Tasks.
    pub tasks: f64,
    /// Partition files of all tasks.
    pub files: f64,
    /// Executions of the state machine.
    pub executions: f64,
    /// Processor architecture.
    pub architecture: Architecture,
}

impl Bill {
    /// The bill of a finished run.
    pub fn of(run: &MeasuredRun, terms: Terms<'_>) -> Self {
        match run.executor() {
            STEP_FUNCTIONS => {
                let billed = run.report.as_ref().and_then(RunReport::total_billed);
                let of_records = run.records.iter();
                let workers: Vec<(f64, f64)> = of_records
                    .map(|record| (record.seconds.unwrap_or_default(), record.bytes_fetched().unwrap_or_default()))
                    .collect();
                let consumed = Consumed {
                    tasks: run.tasks() as f64,
                    files: run.files() as f64,
                    ..consumed(billed.as_ref(), &workers, terms.circumstances)
                };
                Self::of_lambda(&consumed, terms)
            }
            SLURM => Self::of_cluster(run, terms),
            // This machine, or workers that somebody started somewhere: a time and no price.
            _ => Self::of_machine(run, terms),
        }
    }

    fn of_machine(run: &MeasuredRun, terms: Terms<'_>) -> Self {
        match run.total_seconds() {
            Some(seconds) => Self::of_machine_seconds(seconds, terms),
            None => {
                let seconds: f64 = run.runtimes().iter().sum();
                let reckoned = format!("{seconds:.1} s of the loops alone, one after the other");
                Self::of_machine_hours(seconds, Basis::Assumed, reckoned, terms)
            }
        }
    }

    /// The bill of one machine for so many seconds.
    pub fn of_machine_seconds(seconds: f64, terms: Terms<'_>) -> Self {
        Self::of_machine_hours(seconds, Basis::Measured, format!("{seconds:.1} s of the whole run"), terms)
    }

    fn of_machine_hours(seconds: f64, basis: Basis, reckoned: String, terms: Terms<'_>) -> Self {
        let line = line(&terms.prices.local_hour, seconds / SECONDS_PER_HOUR, 0.0, basis, reckoned);
        Self::from_lines(vec![line], terms)
    }

    fn of_cluster(run: &MeasuredRun, terms: Terms<'_>) -> Self {
        let jobs = run.report.as_ref().and_then(|report| report.scheduled.as_ref()).map(|scheduled| &scheduled.jobs);
        if jobs.is_none() {
            let seconds: f64 = run.runtimes().iter().sum();
            let reckoned = "time of the loops alone, one core each, as no report says more".to_owned();
            let line = line(&terms.prices.slurm_core_hour, seconds / SECONDS_PER_HOUR, 0.0, Basis::Assumed, reckoned);
            return Self::from_lines(vec![line], terms);
        }
        let seconds: f64 = jobs.into_iter().flatten().map(|job| job.cpus as f64 * job.elapsed_seconds).sum();
        let reckoned = format!("processors × time of {} jobs, as the scheduler says", jobs.map_or(0, Vec::len));
        Self::of_core_seconds(seconds, reckoned, terms)
    }

    /// The bill of a cluster for so many seconds of a core.
    pub fn of_core_seconds(seconds: f64, reckoned: String, terms: Terms<'_>) -> Self {
        let line = line(&terms.prices.slurm_core_hour, seconds / SECONDS_PER_HOUR, 0.0, Basis::Measured, reckoned);
        Self::from_lines(vec![line], terms)
    }

    /// The bill of workers on Lambda, by their loops' seconds and the bytes that each fetched, or as Lambda says itself.
    pub fn of_workers(billed: Option<&Billed>, workers: &[(f64, f64)], terms: Terms<'_>) -> Self {
        Self::of_lambda(&consumed(billed, workers, terms.circumstances), terms)
    }

    /// The bill of what was, or will be, consumed on Lambda.
    pub fn of_lambda(consumed: &Consumed, terms: Terms<'_>) -> Self {
        let Terms { prices, circumstances, free_tier } = terms;
        let free = |units: f64| if free_tier { units } else { 0.0 };
        let tasks = consumed.tasks;
        let get = |name| circumstances.get(name);
        let transitions = get("transitions") * consumed.executions + get("transitions_per_task") * tasks;
        // Planning lists and writes; summing up reads a record and a report of each task, and writes.
        let puts = get("puts_per_task") * tasks + 6.0 * consumed.executions;
        let gets = get("gets_per_task") * consumed.files + 2.0 * tasks;
        let (basis, reckoned) = consumed.gb_s_reckoned.clone();
        let lambda = prices.lambda(consumed.architecture);
        let mut lines = vec![line(lambda, consumed.gb_s, free(prices.free_tier.lambda_gb_s), basis, reckoned)];
        if consumed.ephemeral_gb_s > 0.0 {
            let reckoned = format!("{:.0} MB of /tmp", get("ephemeral_mb"));
            lines.push(line(&prices.lambda_ephemeral, consumed.ephemeral_gb_s, 0.0, Basis::Assumed, reckoned));
        }
        let (basis, requests) = consumed.requests;
        let reckoned = format!("{tasks:.0} tasks, and those that plan and sum up");
        lines.push(line(&prices.lambda_request, requests, free(prices.free_tier.lambda_request), basis, reckoned));
        let reckoned =
            format!("{:.0} and {:.0} for each of {tasks:.0} tasks", get("transitions"), get("transitions_per_task"));
        let free_transitions = free(prices.free_tier.state_transition);
        lines.push(line(&prices.state_transition, transitions, free_transitions, Basis::Assumed, reckoned));
        lines.push(line(
            &prices.s3_put,
            puts,
            0.0,
            Basis::Assumed,
            format!("{:.0} for each task, and 6 for planning and summing up", get("puts_per_task")),
        ));
        lines.push(line(
            &prices.s3_get,
            gets,
            0.0,
            Basis::Assumed,
            format!("{:.0} for each file, and 2 for summing up each task", get("gets_per_task")),
        ));
        Self::from_lines(lines, terms)
    }

    fn from_lines(lines: Vec<Line>, terms: Terms<'_>) -> Self {
        let total_usd = lines.iter().map(|line| line.amount_usd).sum();
        Self { prices: terms.prices.name.clone(), free_tier: terms.free_tier, lines, total_usd }
    }
}

fn line(price: &Price, quantity: f64, free: f64, basis: Basis, reckoned: String) -> Line {
    let amount_usd = price.of((quantity - free).max(0.0));
    Line {
        what: price.what.clone(),
        quantity,
        unit: price.unit.clone(),
        usd_per_unit: if amount_usd > 0.0 { amount_usd / (quantity - free) } else { price.tiers[0].usd },
        amount_usd,
        basis,
        reckoned: if free > 0.0 { format!("{reckoned}; {free:.0} are free") } else { reckoned },
        source: price.source.clone(),
        read: price.read.clone(),
    }
}

/// What a run on Lambda consumed: as the REPORT lines say, else reckoned from the workers' seconds and bytes.
fn consumed(billed: Option<&Billed>, workers: &[(f64, f64)], circumstances: &Circumstances) -> Consumed {
    let get = |name| circumstances.get(name);
    let tasks = workers.len() as f64;
    let architecture = if get("arm64") > 0.0 { Architecture::Arm } else { Architecture::X86 };
    let ephemeral_gb = (get("ephemeral_mb") - EPHEMERAL_FREE_MB).max(0.0) / MB_PER_GB;
    if let Some(billed) = billed {
        let seconds = billed.billed_ms / 1e3;
        let said = format!("{seconds:.1} s of up to {:.0} MB, as Lambda's REPORT lines say", billed.memory_mb);
        return Consumed {
            gb_s: billed.gb_s,
            gb_s_reckoned: (Basis::Billed, said),
            ephemeral_gb_s: ephemeral_gb * seconds,
            requests: (Basis::Billed, billed.invocations as f64),
            tasks,
            files: tasks,
            executions: 1.0,
            architecture,
        };
    }
    let workers = seconds_of_workers(workers, circumstances);
    let control = get("initialize_s") + get("summarize_s_per_task") * tasks;
    let memory_gb = get("memory_mb") / MB_PER_GB;
    let reckoned = format!(
        "{tasks:.0} workers of {:.0} MB: {:.1} s of loops, {:.1} s to begin and to fetch",
        get("memory_mb"),
        workers.loops,
        workers.around
    );
    Consumed {
        gb_s: memory_gb * (workers.loops + workers.around) + get("control_memory_mb") / MB_PER_GB * control,
        gb_s_reckoned: (Basis::Assumed, reckoned),
        ephemeral_gb_s: ephemeral_gb * (workers.loops + workers.around),
        requests: (Basis::Assumed, tasks + 2.0),
        tasks,
        files: tasks,
        executions: 1.0,
        architecture,
    }
}

/// Billed seconds of all workers.
struct WorkerSeconds {
    loops: f64,
    /// Cold starts, imports, and what is fetched before the loop.
    around: f64,
}

fn seconds_of_workers(workers: &[(f64, f64)], circumstances: &Circumstances) -> WorkerSeconds {
    let get = |name| circumstances.get(name);
    let begin = get("cold_fraction") * (get("cold_start_s") + get("import_s"));
    let mut sum = WorkerSeconds { loops: 0.0, around: 0.0 };
    for (seconds, bytes) in workers {
        let fetched_mb = get("model_mb") + bytes / MB;
        // Lambda bills whole milliseconds, of each invocation.
        let around = begin + fetched_mb / get("fetch_mb_per_s");
        sum.loops += seconds;
        sum.around += ((seconds + around) * 1e3).ceil() / 1e3 - seconds;
    }
    sum
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::measured::Told;
    use crate::record::Record;

    fn run(records: usize) -> MeasuredRun {
        let record = Record {
            seconds: Some(6.0),
            throughput_bps: Some(26_214_400.0 * 8.0 / 6.0),
            data_path: json!("25MB/1.pt"),
            ..Record::default()
        };
        let records = vec![record; records];
        MeasuredRun { name: "study".into(), records, report: None, plan: None, told: Told::default() }
    }

    /// By hand: 42 workers of 10 GB, each 6 s of loop, 7.26 s to begin, 85.66 MB to fetch at 90 MB/s.
    #[test]
    fn a_bill_is_what_a_hand_reckons() {
        let (prices, circumstances) = (Prices::default(), Circumstances::of_study());
        let terms = Terms { prices: &prices, circumstances: &circumstances, free_tier: false };
        let bill = Bill::of(&run(42), terms);
        let each = ((6.0 + 7.26 + (60.664_707_183_837_89 + 25.0) / 90.0) * 1e3_f64).ceil() / 1e3;
        let gb_s = 42.0 * 10.0 * each + 0.125 * (1.0 + 0.03 * 42.0);
        assert!((bill.lines[0].quantity - gb_s).abs() < 1e-6, "{:?}", bill.lines[0]);
        assert!((bill.lines[0].amount_usd - gb_s * 0.0000166667).abs() < 1e-9);
        let by_what = |start: &str| bill.lines.iter().find(|line| line.what.starts_with(start)).unwrap();
        assert_eq!(by_what("Step Functions").quantity, 87.0);
        assert!((by_what("Step Functions").amount_usd - 87.0 * 0.000025).abs() < 1e-12);
        assert_eq!(by_what("Lambda, requests").quantity, 44.0);
        assert!((by_what("Lambda, /tmp").quantity - 42.0 * 9.5 * each).abs() < 1e-6);
        assert_eq!(by_what("S3, PUT").quantity, 48.0);
        assert_eq!(by_what("S3, GET").quantity, 252.0);
        assert!((bill.lines.iter().map(|line| line.amount_usd).sum::<f64>() - bill.total_usd).abs() < 1e-12);
    }

    #[test]
    fn what_is_free_is_taken_off_once() {
        let (prices, circumstances) = (Prices::default(), Circumstances::of_study());
        let terms = Terms { prices: &prices, circumstances: &circumstances, free_tier: true };
        let bill = Bill::of(&run(42), terms);
        assert_eq!(bill.lines[0].amount_usd, 0.0);
        assert!(bill.lines[0].reckoned.contains("400000 are free"));
        let many = Bill::of(&run(4_000), terms);
        let charged = many.lines[0].quantity - 400_000.0;
        assert!((many.lines[0].amount_usd - charged * 0.0000166667).abs() < 1e-6);
    }
}
