//! A forecast as tables for people.

use accounting::forecast::prediction::{Interval, Place, Prediction};

use super::Printed;
use crate::commands::cost;
use crate::printer::{self, bytes, grouped, usd};

/// Settings of the front that are shown; the others are in the JSON.
const SHOWN_MAX: usize = 12;

pub(super) fn table(printed: &Printed<'_>) -> String {
    let mut text = format!(
        "{} of data, {} images; {} settings looked at, prices: {}\n",
        bytes(printed.data_bytes as u64),
        grouped(printed.images as u64),
        grouped(printed.settings as u64),
        printed.prices
    );
    for rate in printed.rates {
        let batch = rate.batch_size.map_or_else(String::new, |size| format!(", batch {size:.0}"));
        let threads = rate.threads.map_or_else(String::new, |threads| format!(" on {threads:.0} threads"));
        text += &format!("a worker: {:.0} images/s{threads}{batch}, from {}\n", rate.images_per_s, rate.source);
    }
    let front = printed.front;
    let every = front.len().div_ceil(SHOWN_MAX).max(1);
    let is_shown = |index: &usize| index.is_multiple_of(every) || index + 1 == front.len();
    let shown = front.iter().enumerate().filter(|(index, _)| is_shown(index)).map(|(_, one)| row("", one));
    let asked = printed.as_asked.iter().map(|one| row("as the payload asks", one));
    let best = printed.best.iter().map(|one| row("best", one));
    text += &printer::table(
        [
            "nothing beats",
            "time (90 %)",
            "USD (90 %)",
            "partition",
            "tasks",
            "batch",
            "memory",
            "processor",
            "at a time",
            "slowest task",
        ],
        asked.chain(best).chain(shown),
    );
    if every > 1 {
        text += &format!("{} of {} shown; --format json has all\n", front.len().div_ceil(every), front.len());
    }
    if printed.deadline_s.is_none() && printed.budget_usd.is_none() {
        text += "best: the least product of time and cost; --deadline and --budget say what matters to you\n";
    }
    text + &cost::assumptions(printed.assumptions)
}

fn row(name: &str, one: &Prediction) -> [String; 10] {
    let setting = &one.setting;
    let processor = match setting.place {
        Place::StepFunctions => setting.architecture.to_string(),
        Place::Slurm | Place::Local => format!("{:.0} threads", setting.threads),
    };
    let executions = if one.work.executions > 1 { format!(" in {} runs", one.work.executions) } else { String::new() };
    [
        name.to_owned(),
        time(&one.seconds),
        format!("{} ({}–{})", usd(one.usd.median), usd(one.usd.low), usd(one.usd.high)),
        size(setting.partition_mb),
        grouped(one.work.tasks) + &executions,
        setting.batch_size.map_or_else(|| "–".to_owned(), |size| format!("{size:.0}")),
        format!("{:.0} MB", setting.memory_mb),
        processor,
        grouped(setting.concurrency.min(one.work.tasks as f64) as u64),
        format!("{:.1} s", one.slowest_task_seconds.median),
    ]
}

fn size(mb: f64) -> String {
    if mb >= 10.0 { format!("{mb:.0} MB") } else { format!("{mb:.2} MB") }
}

/// `28.4 s (25.1–33.0)`, in hours where it is long.
pub(crate) fn time(interval: &Interval) -> String {
    const HOUR: f64 = 3_600.0;
    let Interval { low, median, high } = interval;
    if *median < 2.0 * HOUR {
        format!("{median:.1} s ({low:.1}–{high:.1})")
    } else {
        format!("{:.1} h ({:.1}–{:.1})", median / HOUR, low / HOUR, high / HOUR)
    }
}
