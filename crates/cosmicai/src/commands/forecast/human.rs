//! A forecast as tables for people.

use accounting::forecast::prediction::Prediction;
use records::ExecutorKind;

use super::{FRONT_HEADER, Printed};
use crate::accounting_tables;
use crate::printer::{self, bytes, count, grouped, seconds_interval, usd};

/// Largest number of settings of the front that are shown. The JSON has all.
const SHOWN_MAX: usize = 12;

pub(super) fn table(printed: &Printed<'_>) -> String {
    let mut text = format!(
        "{} of data, {}; {} compared, prices: {}\n",
        bytes(printed.data_bytes as u64),
        count(printed.images as usize, "image"),
        count(printed.settings, "setting"),
        printed.prices
    );
    for rate in printed.rates {
        let batch = rate.batch_size.map_or_else(String::new, |size| format!(", batch {size:.0}"));
        let threads =
            rate.threads.map_or_else(String::new, |threads| format!(" on {}", count(threads as usize, "thread")));
        text += &format!("worker speed: {:.0} images/s{threads}{batch}, from {}\n", rate.images_per_s, rate.source);
    }
    let front = printed.front;
    let every = front.len().div_ceil(SHOWN_MAX).max(1);
    let is_shown = |index: &usize| index.is_multiple_of(every) || index + 1 == front.len();
    let shown = front.iter().enumerate().filter(|(index, _)| is_shown(index)).map(|(_, one)| row("optimal", one));
    let requested = printed.as_asked.iter().map(|one| row("payload", one));
    let best = printed.best.iter().map(|one| row("best", one));
    text += &printer::table(FRONT_HEADER, requested.chain(best).chain(shown));
    text += "optimal: Pareto-optimal, no other setting is both faster and cheaper\n";
    if every > 1 {
        text += &format!(
            "{} of {} Pareto-optimal settings are shown; --format json prints all\n",
            front.len().div_ceil(every),
            front.len()
        );
    }
    if printed.deadline_s.is_none() && printed.budget_usd.is_none() {
        text += "best: smallest product of time and cost; pass --deadline or --budget to change what is best\n";
    }
    text + &accounting_tables::assumptions(printed.assumptions)
}

fn row(name: &str, one: &Prediction) -> [String; 10] {
    let setting = &one.setting;
    let cpu = match setting.executor {
        ExecutorKind::StepFunctions => setting.architecture.to_string(),
        ExecutorKind::Slurm | ExecutorKind::Local | ExecutorKind::Workers => count(setting.threads as usize, "thread"),
    };
    let executions = if one.work.executions > 1 { format!(" in {} runs", one.work.executions) } else { String::new() };
    [
        name.to_owned(),
        seconds_interval(&one.seconds),
        format!("{} ({}–{})", usd(one.usd.median), usd(one.usd.low), usd(one.usd.high)),
        size(setting.partition_mb),
        grouped(one.work.tasks) + &executions,
        setting.batch_size.map_or_else(|| "–".to_owned(), |size| format!("{size:.0}"))
            + &setting.precision.as_ref().map_or_else(String::new, |precision| format!(" {precision}")),
        format!("{:.0} MB", setting.memory_mb),
        cpu,
        grouped(setting.concurrency.min(one.work.tasks as f64) as u64),
        format!("{:.1} s", one.slowest_task_seconds.median),
    ]
}

fn size(mb: f64) -> String {
    if mb >= 10.0 { format!("{mb:.0} MB") } else { format!("{mb:.2} MB") }
}
