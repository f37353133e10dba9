//! Reports on what a task and a run did: `tasks/<rank>.json` and `report.json`.
//!
//! Both carry [`REPORT_FORMAT`]. Times are wall times in seconds unless the name of the field states another unit. The
//! record of a task in the format of the CAI study is in [`study_record`](crate::study_record).

mod billed;
mod flag_counts;
mod run;
mod scheduled;
mod store_requests;
mod task;

pub use billed::Billed;
pub use flag_counts::FlagCounts;
pub use run::{FailedTask, MAX_RUN_REPORT_BYTES, RunForecast, RunReport};
pub use scheduled::{Job, Scheduled};
pub use store_requests::StoreRequests;
pub use task::{MAX_TASK_REPORT_BYTES, PhaseSeconds, TaskReport};

/// Version of `tasks/<rank>.json` and `report.json` that this program writes and reads.
pub const REPORT_FORMAT: u32 = 1;
