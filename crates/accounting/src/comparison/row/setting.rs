//! Settings of a row of a comparison, and their short description.

use records::ExecutorKind;
use serde::{Deserialize, Serialize};

/// Settings of a row; runs with equal settings are repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowSetting {
    /// Executor of the run.
    pub executor: ExecutorKind,
    /// Nominal size of a partition in binary MB.
    pub partition_mb: Option<f64>,
    /// Number of partitions.
    pub files: usize,
    /// Number of tasks.
    pub tasks: usize,
    /// Images in a batch.
    pub batch_size: Option<f64>,
    /// True if the records have several batch sizes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_batch_mixed: bool,
    /// Device that computed, if it was not a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Precision of the arithmetic of the model.
    pub precision: Option<String>,
    /// Number of tasks at a time.
    pub workers: Option<f64>,
    /// Number of compute threads of a worker.
    pub threads: Option<f64>,
    /// Memory requested for a worker, in MB.
    pub memory_asked_mb: Option<f64>,
}

/// Returns true if `value` is false; serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

impl RowSetting {
    /// Short description of the setting.
    pub fn label(&self) -> String {
        let RowSetting { partition_mb, files, batch_size, is_batch_mixed, device, precision, workers, threads, .. } =
            self;
        let partition = partition_mb.map_or_else(String::new, |mb| format!("{} MB × ", short(mb)));
        let batch = match batch_size {
            Some(size) => format!(", batch {size:.0}"),
            None if *is_batch_mixed => ", mixed batches".to_owned(),
            None => String::new(),
        };
        let device = device.as_ref().map_or_else(String::new, |name| format!(", {name}"));
        let precision =
            precision.as_ref().filter(|name| *name != "f32").map_or_else(String::new, |name| format!(", {name}"));
        let workers =
            workers.filter(|count| *count > 1.0).map_or_else(String::new, |count| format!(", {count:.0} workers"));
        let threads = threads.map_or_else(String::new, |count| match count {
            1.0 => ", 1 thread".to_owned(),
            _ => format!(", {count:.0} threads"),
        });
        format!("{partition}{files}{batch}{device}{precision}{workers}{threads}")
    }
}

/// Formats a size with as few digits as it needs: 25, 0.5, 1.25.
pub fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
