//! How much there is to do: data of a size, cut into partitions and tasks, or tasks that are known already.

use crate::{MB, SAMPLE_BYTES};

/// The most that is foretold, in bytes: 16 binary PB.
pub const MAX_DATA_BYTES: f64 = 16.0 * 1_125_899_906_842_624.0;

/// What is to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// So many bytes, in partitions of any size.
    Size(f64),
    /// Tasks that are planned: the bytes of each.
    Tasks(Vec<f64>),
}

/// What one execution may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Images of a task.
    pub samples_of_task: f64,
    /// Tasks.
    pub tasks: f64,
    /// Partitions, which are listed and planned.
    pub files: f64,
}

/// Work as it is told.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Work {
    /// Images of all tasks.
    pub samples: f64,
    /// Bytes of images and magnitudes as stored.
    pub bytes: f64,
    /// Nominal size of a partition in binary MB.
    pub partition_mb: f64,
    /// Partitions.
    pub files: u64,
    /// Tasks of all executions.
    pub tasks: u64,
    /// Executions, one after the other, as one holds a limited number of tasks of limited length.
    pub executions: u64,
}

/// Work, and the images of each task of its largest execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Tasks {
    /// All of it.
    pub work: Work,
    /// Images of each task.
    pub samples: Vec<f64>,
}

impl Data {
    /// Bytes of all.
    pub fn bytes(&self) -> f64 {
        match self {
            Self::Size(bytes) => *bytes,
            Self::Tasks(tasks) => tasks.iter().sum(),
        }
    }

    /// Bytes of an image, where there are more than one.
    pub fn bytes_of_sample(&self) -> f64 {
        let samples = match self {
            Self::Size(bytes) => samples_in(*bytes),
            Self::Tasks(tasks) => tasks.iter().map(|bytes| samples_in(*bytes)).sum(),
        };
        self.bytes() / samples.max(1.0)
    }

    /// The tasks of this data in partitions of a size: one partition each, as few together as the bounds demand.
    ///
    /// # Errors
    /// Where one task is too much.
    pub fn tasks(&self, partition_mb: f64, bounds: &Bounds) -> Result<Tasks, String> {
        match self {
            Self::Size(bytes) => of_size(*bytes, partition_mb, bounds),
            Self::Tasks(tasks) => of_tasks(tasks, partition_mb, bounds),
        }
    }

    /// About how many tasks there are, for who plans how often to simulate them.
    pub fn tasks_about(&self, partition_mb: f64, tasks_max: f64) -> f64 {
        match self {
            Self::Size(bytes) => (bytes / (partition_mb * MB)).clamp(1.0, tasks_max),
            Self::Tasks(tasks) => tasks.len() as f64,
        }
    }
}

fn samples_in(bytes: f64) -> f64 {
    (bytes / SAMPLE_BYTES).ceil().max(1.0)
}

fn of_size(bytes: f64, partition_mb: f64, bounds: &Bounds) -> Result<Tasks, String> {
    let samples = samples_in(bytes);
    // No partition is smaller than an image.
    let of_file = (partition_mb * MB / SAMPLE_BYTES).max(1.0);
    // An image that is cut in two by the division is no partition of its own.
    let files = (bytes / SAMPLE_BYTES / of_file - 1e-9).ceil().max(1.0);
    let files_of_task_max = (bounds.samples_of_task / of_file).floor();
    if files_of_task_max < 1.0 {
        return Err(format!("a partition of {partition_mb} MB takes longer than a task may"));
    }
    let executions = (files / (bounds.tasks * files_of_task_max).min(bounds.files)).ceil();
    let files_of_execution = (files / executions).ceil();
    let files_of_task = (files_of_execution / bounds.tasks).ceil();
    let tasks = (files_of_execution / files_of_task).ceil();
    let full = (of_file * files_of_task).min(samples);
    let mut of_tasks = vec![full; tasks as usize];
    // Of one execution the last task has what is left.
    if let (Some(last), true) = (of_tasks.last_mut(), executions == 1.0) {
        *last = (samples - full * (tasks - 1.0)).clamp(1.0, full);
    }
    let work = Work {
        samples,
        bytes,
        partition_mb,
        files: files as u64,
        tasks: (tasks * executions) as u64,
        executions: executions as u64,
    };
    Ok(Tasks { work, samples: of_tasks })
}

fn of_tasks(tasks: &[f64], partition_mb: f64, bounds: &Bounds) -> Result<Tasks, String> {
    let samples: Vec<f64> = tasks.iter().map(|bytes| samples_in(*bytes)).collect();
    let largest = samples.iter().copied().fold(0.0, f64::max);
    if largest > bounds.samples_of_task {
        return Err(format!(
            "a task of {largest:.0} images takes longer than a task may; a larger `world_size` makes it smaller"
        ));
    }
    let bytes: f64 = tasks.iter().sum();
    let files = tasks.len() as u64;
    let work = Work { samples: samples.iter().sum(), bytes, partition_mb, files, tasks: files, executions: 1 };
    Ok(Tasks { work, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNBOUNDED: Bounds = Bounds { samples_of_task: f64::INFINITY, tasks: 10_000.0, files: 1e6 };

    #[test]
    fn a_gigabyte_in_partitions_of_25_mb_is_41_of_them() {
        let tasks = Data::Size(1024.0 * MB).tasks(25.0, &UNBOUNDED).unwrap();
        assert_eq!((tasks.work.files, tasks.work.tasks, tasks.work.executions), (41, 41, 1));
        assert!(tasks.samples[..40].iter().all(|samples| (samples * SAMPLE_BYTES / MB - 25.0).abs() < 1e-9));
        assert!((tasks.samples.iter().sum::<f64>() - tasks.work.samples).abs() < 1e-6);
        let few = Bounds { samples_of_task: 100.0, ..UNBOUNDED };
        assert!(Data::Size(1024.0 * MB).tasks(25.0, &few).unwrap_err().contains("25 MB"));
    }

    /// More data is never a smaller task: just beyond a whole number of partitions, the full ones stay full.
    #[test]
    fn a_little_more_data_makes_no_task_smaller() {
        let largest = |mb: f64| {
            let tasks = Data::Size(mb * MB).tasks(100.0, &UNBOUNDED).unwrap();
            tasks.samples.into_iter().fold(0.0, f64::max)
        };
        assert!(largest(101.0) >= largest(100.0) && largest(110.0) == largest(101.0));
    }

    /// Ten thousand and one files are five thousand and one tasks of two, as a plan has them.
    #[test]
    fn files_are_never_cut() {
        let tasks = Data::Size(10_001.0 * 10.0 * MB).tasks(10.0, &UNBOUNDED).unwrap();
        assert_eq!((tasks.work.files, tasks.work.tasks), (10_001, 5_001));
        let petabyte = Data::Size(1_073_741_824.0 * MB);
        let bounds = Bounds { samples_of_task: 100.5 * 100.0 * MB / SAMPLE_BYTES, ..UNBOUNDED };
        let tasks = petabyte.tasks(100.0, &bounds).unwrap();
        // 10.7 million files, of which an execution holds a million.
        assert_eq!((tasks.work.files, tasks.work.executions), (10_737_419, 11));
        // 976,129 of them in each, in tasks of 98.
        assert_eq!(tasks.samples.len(), 9_961);
    }

    #[test]
    fn no_partition_is_smaller_than_an_image() {
        let tasks = Data::Size(100.0 * SAMPLE_BYTES).tasks(0.001, &UNBOUNDED).unwrap();
        assert_eq!((tasks.work.files, tasks.work.samples), (100, 100.0));
    }

    #[test]
    fn planned_tasks_are_as_they_are() {
        let tasks = Data::Tasks(vec![SAMPLE_BYTES * 10.0, SAMPLE_BYTES]).tasks(1.0, &UNBOUNDED).unwrap();
        assert_eq!((tasks.samples, tasks.work.tasks), (vec![10.0, 1.0], 2));
        let few = Bounds { samples_of_task: 9.0, ..UNBOUNDED };
        assert!(Data::Tasks(vec![SAMPLE_BYTES * 10.0]).tasks(1.0, &few).unwrap_err().contains("world_size"));
    }
}
