//! Amount of work of a run: data of a given size, divided into partitions and tasks, or tasks of a plan.

use records::payload::Payload;

use crate::{MB, SAMPLE_BYTES};

/// Work of a run, for its forecast.
#[derive(Debug, Clone)]
pub struct ForecastJob {
    /// Payload of the run; `None` if only the amount of data is known.
    pub payload: Option<Payload>,
    /// Data to predict.
    pub data: Data,
    /// Size of the largest partition in binary MB; `None` if the partitions are not known.
    pub partition_mb: Option<f64>,
}

/// Largest amount of data of a forecast, in bytes: 16 binary PB.
pub const MAX_DATA_BYTES: f64 = 16.0 * 1_125_899_906_842_624.0;

/// Data of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Size in bytes. Partitions may have any size.
    Size(f64),
    /// Bytes of each task of a plan.
    Tasks(Vec<f64>),
}

/// Limits of one execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Most images of a task.
    pub samples_of_task: f64,
    /// Most tasks.
    pub tasks: f64,
    /// Most partitions.
    pub files: f64,
}

/// Amount of work, as outputs list it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Work {
    /// Number of images of all tasks.
    pub samples: f64,
    /// Size of images and magnitudes as stored, in bytes.
    pub bytes: f64,
    /// Nominal size of a partition in binary MB.
    pub partition_mb: f64,
    /// Number of partitions.
    pub files: u64,
    /// Number of tasks of all executions.
    pub tasks: u64,
    /// Number of executions, one after the other. More than one if the limits of an execution require it.
    pub executions: u64,
}

/// Work, and the number of images of each task of its largest execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Tasks {
    /// Work of all executions.
    pub work: Work,
    /// Number of images of each task.
    pub samples: Vec<f64>,
}

/// Error of [`Data::tasks`]: one task takes longer than a task may.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WorkError {
    /// Even a task of one partition is too long. Smaller partitions help.
    #[error("a task with one partition of {partition_mb} MB takes longer than a task may")]
    PartitionTooLarge {
        /// Nominal size of the partition in binary MB.
        partition_mb: f64,
    },
    /// A task of the plan is too long. A plan with more tasks helps.
    #[error("a task of {samples:.0} images takes longer than a task may; a larger `world_size` makes tasks smaller")]
    TaskTooLarge {
        /// Number of images of the task.
        samples: f64,
    },
}

impl Data {
    /// Size in bytes.
    pub fn bytes(&self) -> f64 {
        match self {
            Self::Size(bytes) => *bytes,
            Self::Tasks(tasks) => tasks.iter().sum(),
        }
    }

    /// Mean size of an image in bytes.
    pub fn bytes_of_sample(&self) -> f64 {
        let samples = match self {
            Self::Size(bytes) => samples_in(*bytes),
            Self::Tasks(tasks) => tasks.iter().map(|bytes| samples_in(*bytes)).sum(),
        };
        self.bytes() / samples.max(1.0)
    }

    /// Divides the data into tasks of one partition each, or of as few partitions as the bounds allow.
    ///
    /// # Errors
    /// If the smallest possible task exceeds the bounds.
    pub fn tasks(&self, partition_mb: f64, bounds: &Bounds) -> Result<Tasks, WorkError> {
        match self {
            Self::Size(bytes) => of_size(*bytes, partition_mb, bounds),
            Self::Tasks(tasks) => of_tasks(tasks, partition_mb, bounds),
        }
    }

    /// Approximate number of tasks, to plan the number of simulations.
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

fn of_size(bytes: f64, partition_mb: f64, bounds: &Bounds) -> Result<Tasks, WorkError> {
    let samples = samples_in(bytes);
    // A partition has at least one image.
    let of_file = (partition_mb * MB / SAMPLE_BYTES).max(1.0);
    // A rounding error of the division is not a partition of its own.
    let files = (bytes / SAMPLE_BYTES / of_file - 1e-9).ceil().max(1.0);
    let files_of_task_max = (bounds.samples_of_task / of_file).floor();
    if files_of_task_max < 1.0 {
        return Err(WorkError::PartitionTooLarge { partition_mb });
    }
    let executions = (files / (bounds.tasks * files_of_task_max).min(bounds.files)).ceil();
    let files_of_execution = (files / executions).ceil();
    let files_of_task = (files_of_execution / bounds.tasks).ceil();
    let tasks = (files_of_execution / files_of_task).ceil();
    let full = (of_file * files_of_task).min(samples);
    let mut of_tasks = vec![full; tasks as usize];
    // The last task of a single execution has the rest.
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

fn of_tasks(tasks: &[f64], partition_mb: f64, bounds: &Bounds) -> Result<Tasks, WorkError> {
    let samples: Vec<f64> = tasks.iter().map(|bytes| samples_in(*bytes)).collect();
    let largest = samples.iter().copied().fold(0.0, f64::max);
    if largest > bounds.samples_of_task {
        return Err(WorkError::TaskTooLarge { samples: largest });
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
    fn one_gigabyte_has_41_partitions_of_25_mb() {
        let tasks = Data::Size(1024.0 * MB).tasks(25.0, &UNBOUNDED).unwrap();
        assert_eq!((tasks.work.files, tasks.work.tasks, tasks.work.executions), (41, 41, 1));
        assert!(tasks.samples[..40].iter().all(|samples| (samples * SAMPLE_BYTES / MB - 25.0).abs() < 1e-9));
        assert!((tasks.samples.iter().sum::<f64>() - tasks.work.samples).abs() < 1e-6);
        let few = Bounds { samples_of_task: 100.0, ..UNBOUNDED };
        assert!(Data::Size(1024.0 * MB).tasks(25.0, &few).unwrap_err().to_string().contains("25 MB"));
    }

    /// Just above a whole number of partitions, full partitions stay full.
    #[test]
    fn more_data_makes_no_task_smaller() {
        let largest = |mb: f64| {
            let tasks = Data::Size(mb * MB).tasks(100.0, &UNBOUNDED).unwrap();
            tasks.samples.into_iter().fold(0.0, f64::max)
        };
        assert!(largest(101.0) >= largest(100.0) && largest(110.0) == largest(101.0));
    }

    /// A plan divides 10,001 files into 5,001 tasks of two.
    #[test]
    fn tasks_have_whole_files() {
        let tasks = Data::Size(10_001.0 * 10.0 * MB).tasks(10.0, &UNBOUNDED).unwrap();
        assert_eq!((tasks.work.files, tasks.work.tasks), (10_001, 5_001));
        let petabyte = Data::Size(1_073_741_824.0 * MB);
        let bounds = Bounds { samples_of_task: 100.5 * 100.0 * MB / SAMPLE_BYTES, ..UNBOUNDED };
        let tasks = petabyte.tasks(100.0, &bounds).unwrap();
        // 10.7 million files; an execution holds a million.
        assert_eq!((tasks.work.files, tasks.work.executions), (10_737_419, 11));
        // Each execution has 976,129 of them, in tasks of 98.
        assert_eq!(tasks.samples.len(), 9_961);
    }

    #[test]
    fn partition_has_at_least_one_image() {
        let tasks = Data::Size(100.0 * SAMPLE_BYTES).tasks(0.001, &UNBOUNDED).unwrap();
        assert_eq!((tasks.work.files, tasks.work.samples), (100, 100.0));
    }

    #[test]
    fn planned_tasks_keep_their_size() {
        let tasks = Data::Tasks(vec![SAMPLE_BYTES * 10.0, SAMPLE_BYTES]).tasks(1.0, &UNBOUNDED).unwrap();
        assert_eq!((tasks.samples, tasks.work.tasks), (vec![10.0, 1.0], 2));
        let few = Bounds { samples_of_task: 9.0, ..UNBOUNDED };
        assert!(
            Data::Tasks(vec![SAMPLE_BYTES * 10.0]).tasks(1.0, &few).unwrap_err().to_string().contains("world_size")
        );
    }
}
