//! Itemised bill of a run: quantity × unit price for each line, with the basis of the quantity and the source of the
//! price.

use records::ExecutorKind;
use records::report::{Billed, RunReport};
use serde::Serialize;

use crate::assumptions::{Assumption, Assumptions};
use crate::measured::MeasuredRun;
use crate::prices::{Architecture, Price, Prices};
use crate::s3_requests::S3Requests;
use crate::{MB, MB_PER_GB};

/// Size of Lambda's disk that is free of charge, in MB.
pub(crate) const EPHEMERAL_FREE_MB: f64 = 512.0;
pub(crate) const SECONDS_PER_HOUR: f64 = 3_600.0;

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Thing that is charged for.
    pub what: String,
    /// Quantity in `unit`.
    pub quantity: f64,
    /// Unit of the quantity.
    pub unit: String,
    /// Price of a unit in USD, averaged over the tiers that the quantity reaches.
    pub usd_per_unit: f64,
    /// Quantity × price in USD.
    pub amount_usd: f64,
    /// Basis of the quantity.
    pub basis: Basis,
    /// Calculation of the quantity, in words.
    pub calculation: String,
    /// Source of the price.
    pub source: String,
    /// Date on which the price was read there.
    pub read: String,
}

/// Basis of a quantity: `billed`, `measured` or `assumed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Reported by the cloud.
    Billed,
    /// Counted or timed in the run.
    Measured,
    /// Computed from measured values and assumptions.
    Assumed,
}

impl std::fmt::Display for Basis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Billed => "billed",
            Self::Measured => "measured",
            Self::Assumed => "assumed",
        })
    }
}

/// Bill of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// Name of the table of prices.
    pub prices: String,
    /// True if the free tier was subtracted.
    pub free_tier: bool,
    /// Lines.
    pub lines: Vec<Line>,
    /// Sum of all lines in USD.
    pub total_usd: f64,
}

/// Prices and assumptions of a bill or a forecast.
#[derive(Debug, Clone, Copy)]
pub struct BillTerms<'a> {
    /// Prices.
    pub prices: &'a Prices,
    /// Assumptions for values that were not measured.
    pub assumptions: &'a Assumptions,
    /// True to subtract the free tier of a month.
    pub free_tier: bool,
}

/// Quantities that a run on Lambda consumes.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumed {
    /// Memory × billed time, in GB·s of 1,024 MB.
    pub gb_s: f64,
    /// Basis and calculation of `gb_s`.
    pub gb_s_calculation: (Basis, String),
    /// Disk beyond the free part × billed time, in GB·s.
    pub ephemeral_gb_s: f64,
    /// Number of invocations, and its basis.
    pub requests: (Basis, f64),
    /// Number of tasks.
    pub tasks: f64,
    /// Number of partition files of all tasks.
    pub files: f64,
    /// Number of executions of the state machine.
    pub executions: f64,
    /// Requests that the tasks sent to S3; `None` if nobody counted them.
    pub s3_requests: Option<S3Requests>,
    /// Processor architecture.
    pub architecture: Architecture,
}

impl Bill {
    /// Computes the bill of a finished run.
    pub fn of(run: &MeasuredRun, terms: BillTerms<'_>) -> Self {
        match run.executor() {
            ExecutorKind::StepFunctions => {
                let billed = run.report.as_ref().and_then(RunReport::total_billed);
                let of_records = run.records.iter();
                let workers: Vec<(f64, f64)> = of_records
                    .map(|record| (record.seconds.unwrap_or_default(), record.bytes_fetched().unwrap_or_default()))
                    .collect();
                let consumed = Consumed {
                    tasks: run.tasks() as f64,
                    files: run.files() as f64,
                    s3_requests: S3Requests::of(run),
                    ..consumed(billed.as_ref(), &workers, terms.assumptions)
                };
                Self::of_lambda(&consumed, terms)
            }
            ExecutorKind::Slurm => Self::of_cluster(run, terms),
            // The prices of machines on which the user started workers are unknown: they cost as much as this machine.
            ExecutorKind::Local | ExecutorKind::Workers => Self::of_machine(run, terms),
        }
    }

    fn of_machine(run: &MeasuredRun, terms: BillTerms<'_>) -> Self {
        match run.total_seconds() {
            Some(seconds) => Self::of_machine_seconds(seconds, terms),
            None => {
                let seconds: f64 = run.runtimes().iter().sum();
                let calculation = format!("{seconds:.1} s of all workers' loops, added up");
                Self::of_machine_hours(seconds, Basis::Assumed, calculation, terms)
            }
        }
    }

    /// Computes the bill of one machine that is used for `seconds`.
    pub fn of_machine_seconds(seconds: f64, terms: BillTerms<'_>) -> Self {
        Self::of_machine_hours(seconds, Basis::Measured, format!("{seconds:.1} s of the whole run"), terms)
    }

    fn of_machine_hours(seconds: f64, basis: Basis, calculation: String, terms: BillTerms<'_>) -> Self {
        let line = line(&terms.prices.local_hour, seconds / SECONDS_PER_HOUR, 0.0, basis, calculation);
        Self::from_lines(vec![line], terms)
    }

    fn of_cluster(run: &MeasuredRun, terms: BillTerms<'_>) -> Self {
        let jobs = run.report.as_ref().and_then(|report| report.scheduled.as_ref()).map(|scheduled| &scheduled.jobs);
        if jobs.is_none() && run.other_device().is_some() {
            let seconds: f64 = run.runtimes().iter().sum();
            let calculation = "time of all workers' loops, with one accelerator each".to_owned();
            let hours = seconds / SECONDS_PER_HOUR;
            let line = line(&terms.prices.slurm_accelerator_hour, hours, 0.0, Basis::Assumed, calculation);
            return Self::from_lines(vec![line], terms);
        }
        if jobs.is_none() {
            let seconds: f64 = run.runtimes().iter().sum();
            let calculation = "time of all workers' loops on one core each, because there is no report".to_owned();
            let line =
                line(&terms.prices.slurm_core_hour, seconds / SECONDS_PER_HOUR, 0.0, Basis::Assumed, calculation);
            return Self::from_lines(vec![line], terms);
        }
        let seconds: f64 = jobs.into_iter().flatten().map(|job| job.cpus as f64 * job.elapsed_seconds).sum();
        let calculation = format!("processors × time of {} jobs, reported by the scheduler", jobs.map_or(0, Vec::len));
        Self::of_core_seconds(seconds, calculation, terms)
    }

    /// Computes the bill of a cluster for `seconds` of one core; `calculation` describes their origin.
    pub fn of_core_seconds(seconds: f64, calculation: String, terms: BillTerms<'_>) -> Self {
        let line = line(&terms.prices.slurm_core_hour, seconds / SECONDS_PER_HOUR, 0.0, Basis::Measured, calculation);
        Self::from_lines(vec![line], terms)
    }

    /// Computes the bill of workers on Lambda from what Lambda billed, or else from the seconds of each worker's loop
    /// and the bytes that it fetched.
    pub fn of_workers(billed: Option<&Billed>, workers: &[(f64, f64)], terms: BillTerms<'_>) -> Self {
        Self::of_lambda(&consumed(billed, workers, terms.assumptions), terms)
    }

    /// Computes the bill of quantities that a run on Lambda consumed or will consume.
    pub fn of_lambda(consumed: &Consumed, terms: BillTerms<'_>) -> Self {
        let BillTerms { prices, assumptions, free_tier } = terms;
        let free = |units: f64| if free_tier { units } else { 0.0 };
        let tasks = consumed.tasks;
        let get = |assumption| assumptions.get(assumption);
        let transitions =
            get(Assumption::Transitions) * consumed.executions + get(Assumption::TransitionsPerTask) * tasks;
        let (basis, calculation) = consumed.gb_s_calculation.clone();
        let lambda = prices.lambda(consumed.architecture);
        let mut lines = vec![line(lambda, consumed.gb_s, free(prices.free_tier.lambda_gb_s), basis, calculation)];
        if consumed.ephemeral_gb_s > 0.0 {
            let calculation = format!("{:.0} MB of /tmp", get(Assumption::EphemeralMb));
            lines.push(line(&prices.lambda_ephemeral, consumed.ephemeral_gb_s, 0.0, Basis::Assumed, calculation));
        }
        let (basis, requests) = consumed.requests;
        let calculation = format!("{tasks:.0} tasks, one plan and one summary of each execution");
        lines.push(line(&prices.lambda_request, requests, free(prices.free_tier.lambda_request), basis, calculation));
        let calculation = format!(
            "{:.0}, and {:.0} for each of {tasks:.0} tasks",
            get(Assumption::Transitions),
            get(Assumption::TransitionsPerTask)
        );
        let free_transitions = free(prices.free_tier.state_transition);
        lines.push(line(&prices.state_transition, transitions, free_transitions, Basis::Assumed, calculation));
        let [puts, gets] = consumed.of_tasks(assumptions);
        // Planning lists and writes. Summarizing reads a record and a report of each task, and writes.
        let around = (6.0 * consumed.executions, "6 to plan and summarize");
        lines.push(puts.line(&prices.s3_put, around));
        lines.push(gets.line(&prices.s3_get, (2.0 * tasks, "2 to summarize each task")));
        Self::from_lines(lines, terms)
    }

    fn from_lines(lines: Vec<Line>, terms: BillTerms<'_>) -> Self {
        let total_usd = lines.iter().map(|line| line.amount_usd).sum();
        Self { prices: terms.prices.name.clone(), free_tier: terms.free_tier, lines, total_usd }
    }
}

/// Requests to S3 of one price that all tasks sent.
struct TaskRequests {
    count: f64,
    basis: Basis,
    calculation: String,
}

impl TaskRequests {
    /// Line of the bill with the requests of the tasks and those around them.
    fn line(self, price: &Price, (around, words): (f64, &str)) -> Line {
        line(price, self.count + around, 0.0, self.basis, format!("{}, and {words}", self.calculation))
    }
}

impl Consumed {
    /// Requests of the tasks that write or list, and those that read.
    fn of_tasks(&self, assumptions: &Assumptions) -> [TaskRequests; 2] {
        let assumed = |assumption, each: &str, number: f64| {
            let per_one = assumptions.get(assumption);
            let calculation = format!("{per_one:.0} for each {each}");
            TaskRequests { count: per_one * number, basis: Basis::Assumed, calculation }
        };
        let puts = assumed(Assumption::PutsPerTask, "task", self.tasks);
        let gets = assumed(Assumption::GetsPerTask, "file", self.files);
        let counted = |count: f64, words: String| TaskRequests { count, basis: Basis::Measured, calculation: words };
        match self.s3_requests {
            None => [puts, gets],
            Some(S3Requests { requests, writes: None, .. }) => {
                [puts, counted(requests, format!("{requests:.0} counted by the workers"))]
            }
            Some(S3Requests { requests, writes: Some(writes), .. }) => {
                // A task counts its requests before it writes them with its report.
                let words = format!("{writes:.0} counted by the workers, 1 for the report of each task");
                let reads = requests - writes;
                [counted(writes + self.tasks, words), counted(reads, format!("{reads:.0} counted by the workers"))]
            }
        }
    }
}

fn line(price: &Price, quantity: f64, free: f64, basis: Basis, calculation: String) -> Line {
    let amount_usd = price.of((quantity - free).max(0.0));
    Line {
        what: price.what.clone(),
        quantity,
        unit: price.unit.clone(),
        usd_per_unit: if amount_usd > 0.0 { amount_usd / (quantity - free) } else { price.tiers[0].usd },
        amount_usd,
        basis,
        calculation: if free > 0.0 { format!("{calculation}; {free:.0} are free") } else { calculation },
        source: price.source.clone(),
        read: price.read.clone(),
    }
}

/// Quantities that a run on Lambda consumed: from Lambda's REPORT lines, or else from the workers' seconds and bytes.
fn consumed(billed: Option<&Billed>, workers: &[(f64, f64)], assumptions: &Assumptions) -> Consumed {
    let get = |assumption| assumptions.get(assumption);
    let tasks = workers.len() as f64;
    let architecture = if get(Assumption::Arm64) > 0.0 { Architecture::Arm } else { Architecture::X86 };
    let ephemeral_gb = (get(Assumption::EphemeralMb) - EPHEMERAL_FREE_MB).max(0.0) / MB_PER_GB;
    if let Some(billed) = billed {
        let seconds = billed.billed_ms / 1e3;
        let calculation = format!("{seconds:.1} s of up to {:.0} MB, from Lambda's REPORT lines", billed.memory_mb);
        return Consumed {
            gb_s: billed.gb_s,
            gb_s_calculation: (Basis::Billed, calculation),
            ephemeral_gb_s: ephemeral_gb * seconds,
            requests: (Basis::Billed, billed.invocations as f64),
            tasks,
            files: tasks,
            executions: 1.0,
            s3_requests: None,
            architecture,
        };
    }
    let workers = seconds_of_workers(workers, assumptions);
    let control = get(Assumption::Initialize) + get(Assumption::SummarizePerTask) * tasks;
    let memory_gb = get(Assumption::MemoryMb) / MB_PER_GB;
    let calculation = format!(
        "{tasks:.0} workers of {:.0} MB: {:.1} s of loops, {:.1} s to start and to fetch",
        get(Assumption::MemoryMb),
        workers.loops,
        workers.around
    );
    Consumed {
        gb_s: memory_gb * (workers.loops + workers.around) + get(Assumption::ControlMemoryMb) / MB_PER_GB * control,
        gb_s_calculation: (Basis::Assumed, calculation),
        ephemeral_gb_s: ephemeral_gb * (workers.loops + workers.around),
        requests: (Basis::Assumed, tasks + 2.0),
        tasks,
        files: tasks,
        executions: 1.0,
        s3_requests: None,
        architecture,
    }
}

/// Billed seconds of all workers.
struct WorkerSeconds {
    loops: f64,
    /// Cold starts, imports, and fetching before the loop.
    around: f64,
}

fn seconds_of_workers(workers: &[(f64, f64)], assumptions: &Assumptions) -> WorkerSeconds {
    let get = |assumption| assumptions.get(assumption);
    let start_s = get(Assumption::ColdFraction) * (get(Assumption::ColdStart) + get(Assumption::Import));
    let mut sum = WorkerSeconds { loops: 0.0, around: 0.0 };
    for (seconds, bytes) in workers {
        let fetched_mb = get(Assumption::ModelMb) + bytes / MB;
        // Lambda rounds each invocation up to whole milliseconds.
        let around = start_s + fetched_mb / get(Assumption::FetchMbPerS);
        sum.loops += seconds;
        sum.around += ((seconds + around) * 1e3).ceil() / 1e3 - seconds;
    }
    sum
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::measured::Stated;
    use crate::record::Record;

    fn run(records: usize) -> MeasuredRun {
        let record = Record {
            seconds: Some(6.0),
            throughput_bps: Some(26_214_400.0 * 8.0 / 6.0),
            data_path: json!("25MB/1.pt"),
            ..Record::default()
        };
        let records = vec![record; records];
        MeasuredRun {
            name: "study".into(),
            records,
            written: Vec::new(),
            report: None,
            plan: None,
            stated: Stated::default(),
        }
    }

    #[test]
    fn accelerators_of_a_cluster_have_their_own_price() {
        let mut prices = Prices::default();
        prices.slurm_accelerator_hour.tiers[0].usd = 2.0;
        let assumptions = Assumptions::of_study();
        let terms = BillTerms { prices: &prices, assumptions: &assumptions, free_tier: false };
        let mut run = run(300);
        for record in &mut run.records {
            record.file_index = Some(1);
            record.device = Some("cuda".into());
            record.data_path = json!(["1"]);
        }
        let bill = Bill::of(&run, terms);
        assert_eq!(
            (bill.lines[0].unit.as_str(), bill.lines[0].quantity, bill.total_usd),
            ("accelerator hour", 0.5, 1.0)
        );
    }

    /// 42 workers of 10 GB, each with 6 s of loop, 7.26 s to start, 85.66 MB to fetch at 90 MB/s.
    #[test]
    fn lambda_bill_equals_a_calculation_by_hand() {
        let (prices, assumptions) = (Prices::default(), Assumptions::of_study());
        let terms = BillTerms { prices: &prices, assumptions: &assumptions, free_tier: false };
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
    fn counted_requests_to_s3_replace_the_assumed_ones() {
        let (prices, assumptions) = (Prices::default(), Assumptions::of_study());
        let terms = BillTerms { prices: &prices, assumptions: &assumptions, free_tier: false };
        let counted = |writes| S3Requests {
            requests: 500.0,
            writes,
            total_s: 1.0,
            mean_s: 0.002,
            min_s: 0.001,
            max_s: 0.1,
            span_s: 9.0,
        };
        let lines = |s3_requests| {
            let workers = vec![(6.0, 26_214_400.0); 42];
            let bill = Bill::of_lambda(&Consumed { s3_requests, ..consumed(None, &workers, &assumptions) }, terms);
            ["S3, PUT", "S3, GET"].map(|start| {
                let line = bill.lines.iter().find(|line| line.what.starts_with(start)).unwrap();
                (line.quantity, line.basis, line.calculation.clone())
            })
        };
        let [puts, gets] = lines(None);
        assert_eq!((puts.0, puts.1, gets.0, gets.1), (48.0, Basis::Assumed, 252.0, Basis::Assumed));
        assert_eq!(gets.2, "4 for each file, and 2 to summarize each task");
        // The CAI study's records do not tell reads from writes.
        let [puts, gets] = lines(Some(counted(None)));
        assert_eq!((puts.0, puts.1, gets.0, gets.1), (48.0, Basis::Assumed, 584.0, Basis::Measured));
        let [puts, gets] = lines(Some(counted(Some(84.0))));
        assert_eq!((puts.0, puts.1, gets.0, gets.1), (132.0, Basis::Measured, 500.0, Basis::Measured));
        assert_eq!(puts.2, "84 counted by the workers, 1 for the report of each task, and 6 to plan and summarize");
        assert_eq!(gets.2, "416 counted by the workers, and 2 to summarize each task");
    }

    #[test]
    fn free_tier_is_subtracted_once() {
        let (prices, assumptions) = (Prices::default(), Assumptions::of_study());
        let terms = BillTerms { prices: &prices, assumptions: &assumptions, free_tier: true };
        let bill = Bill::of(&run(42), terms);
        assert_eq!(bill.lines[0].amount_usd, 0.0);
        assert!(bill.lines[0].calculation.contains("400000 are free"));
        let many = Bill::of(&run(4_000), terms);
        let charged = many.lines[0].quantity - 400_000.0;
        assert!((many.lines[0].amount_usd - charged * 0.0000166667).abs() < 1e-6);
    }
}
