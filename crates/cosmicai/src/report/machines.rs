//! Plot of time over data size for each kind of machine, as the CAI study compares a laptop, a cluster and the cloud.

use accounting::comparison::machine_kinds::{ComparedTime, fastest_by_data};
use accounting::comparison::row::Row;
use plots::charts::{LinePoint, Lines, Quantity, Series, Spacing, XAxis};

use super::figures::{measured, quantity};

/// Plot of the fastest run of each data size by kind of machine; `None` if there is one kind only and no process that
/// reported several data sizes.
pub(crate) fn machines(rows: &[Row]) -> Option<Lines> {
    let (compared, fastest) = fastest_by_data(rows);
    if fastest.len() < 2 && rows.iter().all(|row| row.steps.len() < 2) {
        return None;
    }
    let time = match compared {
        ComparedTime::WholeRun => "time of the whole run",
        ComparedTime::SlowestWorker => "time of the slowest worker",
    };
    let series = fastest.into_iter().map(|(kind, points)| Series {
        name: kind.to_string(),
        points: points.into_iter().map(|(gb, time)| LinePoint { x: gb, y: measured(&time) }).collect(),
    });
    Some(Lines {
        name: "machines-by-data".to_owned(),
        title: "Fastest run by data size and kind of machine".to_owned(),
        x: XAxis::Values(quantity("data size", "GB", Spacing::Log2)),
        y: Quantity { name: time.to_owned(), unit: "s".to_owned(), spacing: Spacing::Log10 },
        series: series.collect(),
        references: Vec::new(),
    })
}
