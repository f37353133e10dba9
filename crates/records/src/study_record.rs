//! Record of a task in the format of the CAI study: `<rank>.json`.
//!
//! Keys, units and identities between the values are those of the CAI study, so its tools can read the records.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::StoreRequests;

/// Bytes of a binary MB.
const MB: f64 = 1_048_576.0;
/// Bytes of one parameter. The CAI study counts float32 parameters for every precision.
const PARAMETER_BYTES: f64 = 4.0;

/// Record of a task with the JSON keys of the CAI study, which include the units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyRecord {
    /// Wall seconds of the loop that reads and predicts. [`TaskReport`](crate::report::TaskReport) has true processor
    /// seconds.
    #[serde(rename = "total_cpu_time (seconds)")]
    pub total_cpu_time: f64,
    /// Size of the buffers allocated in that loop, in MB of 10⁶ bytes.
    #[serde(rename = "total_cpu_memory (MB)")]
    pub total_cpu_memory: f64,
    /// Peak resident memory of the process, in binary MB.
    #[serde(rename = "total_process_memory (MB)")]
    pub total_process_memory: f64,
    /// Memory of the process minus one batch and the model, in binary MB.
    #[serde(rename = "library_overhead_memory (MB)")]
    pub library_overhead_memory: f64,
    /// Size of one batch of images and magnitudes as stored, in binary MB.
    #[serde(rename = "total_image_memory (MB)")]
    pub total_image_memory: f64,
    /// Size of the model's parameters in float32, in binary MB.
    #[serde(rename = "total_model_memory (MB)")]
    pub total_model_memory: f64,
    /// Loop seconds ÷ (samples ÷ batch size). The number of batches is fractional here.
    #[serde(rename = "execution_time (seconds/batch)")]
    pub execution_time: f64,
    /// Number of batches. The last batch of each file may be smaller.
    pub num_batches: u64,
    /// Images in a batch.
    pub batch_size: usize,
    /// Device that ran the model: always `cpu`.
    pub device: String,
    /// Bits of images and magnitudes ÷ loop seconds.
    pub throughput_bps: f64,
    /// Images ÷ loop seconds.
    pub sample_persec: f64,
    /// `result_path` of the payload.
    pub result_path: String,
    /// Key of the file of the task, or list of keys.
    pub data_path: Value,
    /// Requests to S3, if there were any. The CAI study's workers write them since October 2025.
    #[serde(flatten)]
    pub s3: Option<S3Times>,
}

/// Requests of a task to S3, from the first to the one before this record was written. Seconds are from the request to
/// the headers of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct S3Times {
    /// Number of requests.
    #[serde(rename = "s3_num_requests")]
    pub requests: u64,
    /// Sum of the seconds of all requests.
    #[serde(rename = "s3_total_time")]
    pub total: f64,
    /// Mean seconds of a request.
    #[serde(rename = "s3_avg_time")]
    pub mean: f64,
    /// Seconds of the shortest request.
    #[serde(rename = "s3_min_time")]
    pub min: f64,
    /// Seconds of the longest request.
    #[serde(rename = "s3_max_time")]
    pub max: f64,
    /// Time of the first request, in seconds since 1970.
    #[serde(rename = "s3_first_request_time")]
    pub first_request: f64,
    /// Time of the last answer, in seconds since 1970.
    #[serde(rename = "s3_last_response_time")]
    pub last_response: f64,
}

impl S3Times {
    /// The same values with the names of the CAI study.
    pub fn of(requests: StoreRequests) -> Self {
        Self {
            requests: requests.count(),
            total: requests.seconds,
            mean: requests.seconds / requests.count() as f64,
            min: requests.min_seconds,
            max: requests.max_seconds,
            first_request: requests.first,
            last_response: requests.last,
        }
    }
}

/// Measurements of a task from which its [`StudyRecord`] is computed, summed over the files of the task.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StudyMeasurements {
    /// Wall seconds of the loop that reads and predicts; above 0.
    pub seconds: f64,
    /// Bytes of the buffers allocated in the loop.
    pub bytes_allocated: u64,
    /// Number of images; above 0.
    pub samples: u64,
    /// Number of batches.
    pub batches: u64,
    /// Bytes of images and magnitudes as stored.
    pub bytes: u64,
    /// Bytes of the first batch of the first file.
    pub batch_bytes: u64,
    /// Peak resident memory of the process, in binary MB.
    pub process_memory_mb: f64,
    /// Number of parameters of the model.
    pub parameters: usize,
    /// Images in a batch.
    pub batch_size: usize,
}

impl StudyRecord {
    /// Computes the record of a task that predicted at least one image.
    pub fn new(measured: &StudyMeasurements, result_path: String, data_path: Value) -> Self {
        let StudyMeasurements { seconds, samples, process_memory_mb, batch_size, .. } = *measured;
        let image_memory_mb = measured.batch_bytes as f64 / MB;
        let model_memory_mb = measured.parameters as f64 * PARAMETER_BYTES / MB;
        Self {
            total_cpu_time: seconds,
            total_cpu_memory: measured.bytes_allocated as f64 / 1e6,
            total_process_memory: process_memory_mb,
            library_overhead_memory: process_memory_mb - image_memory_mb - model_memory_mb,
            total_image_memory: image_memory_mb,
            total_model_memory: model_memory_mb,
            execution_time: seconds / (samples as f64 / batch_size as f64),
            num_batches: measured.batches,
            batch_size,
            device: "cpu".to_owned(),
            throughput_bps: measured.bytes as f64 * 8.0 / seconds,
            sample_persec: samples as f64 / seconds,
            result_path,
            data_path,
            s3: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measurements of a task of 5,113 samples, from the records of the CAI study.
    fn measured(seconds: f64, batch_size: usize, process_memory_mb: f64) -> StudyMeasurements {
        let (samples, sample_bytes) = (5_113, 20_520);
        StudyMeasurements {
            seconds,
            bytes_allocated: 71_511_521_760,
            samples,
            batches: samples.div_ceil(batch_size as u64),
            bytes: samples * sample_bytes,
            batch_bytes: batch_size as u64 * sample_bytes,
            process_memory_mb,
            parameters: 15_902_889,
            batch_size,
        }
    }

    #[test]
    fn reproduces_the_first_record_of_the_cai_study() {
        let measured = measured(225.48181808799964, 32, 2738.23046875);
        let record = StudyRecord::new(&measured, "results/batchtest-32/".into(), "100MB/1.pt".into());
        let study = concat!(
            r#"{"total_cpu_time (seconds)":225.48181808799964,"total_cpu_memory (MB)":71511.52176,"#,
            r#""total_process_memory (MB)":2738.23046875,"library_overhead_memory (MB)":2676.939540863037,"#,
            r#""total_image_memory (MB)":0.626220703125,"total_model_memory (MB)":60.66470718383789,"#,
            r#""execution_time (seconds/batch)":1.4111907253698392,"num_batches":160,"batch_size":32,"#,
            r#""device":"cpu","throughput_bps":3722473.44427755,"sample_persec":22.67588599096948,"#,
            r#""result_path":"results/batchtest-32/","data_path":"100MB/1.pt"}"#
        );
        assert_eq!(serde_json::to_string(&record).unwrap(), study);
        assert_eq!(serde_json::from_str::<StudyRecord>(study).unwrap(), record);
    }

    #[test]
    fn requests_have_the_names_of_the_cai_study() {
        let requests = StoreRequests {
            reads: 3,
            writes: 1,
            others: 0,
            seconds: 0.5,
            min_seconds: 0.0625,
            max_seconds: 0.25,
            first: 1_760_000_000.5,
            last: 1_760_000_001.25,
        };
        let mut record = StudyRecord::new(&measured(225.0, 32, 2738.0), "r/".into(), "100MB/1.pt".into());
        record.s3 = Some(S3Times::of(requests));
        let json = serde_json::to_string(&record).unwrap();
        let study = concat!(
            r#""s3_num_requests":4,"s3_total_time":0.5,"s3_avg_time":0.125,"s3_min_time":0.0625,"s3_max_time":0.25,"#,
            r#""s3_first_request_time":1760000000.5,"s3_last_response_time":1760000001.25}"#
        );
        assert!(json.ends_with(study), "{json}");
        assert_eq!(serde_json::from_str::<StudyRecord>(&json).unwrap(), record);
    }

    /// Every record of the CAI study satisfies the identities that [`StudyRecord::new`] uses.
    #[test]
    #[ignore = "needs the reference data: set COSMICAI_SHARED"]
    fn records_of_the_cai_study_satisfy_the_identities() {
        let mut seen = 0;
        for file in std::fs::read_dir(crate::reference_data::reference_data("study/records")).unwrap() {
            let json = std::fs::read(file.unwrap().path()).unwrap();
            let records: Vec<StudyRecord> = serde_json::from_slice(&json).unwrap();
            for record in records {
                let samples = (record.sample_persec * record.total_cpu_time).round() as u64;
                let again = StudyMeasurements {
                    seconds: record.total_cpu_time,
                    bytes_allocated: (record.total_cpu_memory * 1e6).round() as u64,
                    samples,
                    batches: samples.div_ceil(record.batch_size as u64),
                    bytes: (record.throughput_bps * record.total_cpu_time / 8.0).round() as u64,
                    batch_bytes: (record.total_image_memory * MB).round() as u64,
                    process_memory_mb: record.total_process_memory,
                    parameters: 15_902_889,
                    batch_size: record.batch_size,
                };
                let ours = StudyRecord::new(&again, record.result_path.clone(), record.data_path.clone());
                let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * b.abs();
                assert!(close(ours.throughput_bps, record.throughput_bps), "{record:?}");
                assert!(close(ours.sample_persec, record.sample_persec), "{record:?}");
                assert!(close(ours.execution_time, record.execution_time), "{record:?}");
                assert!(close(ours.library_overhead_memory, record.library_overhead_memory), "{record:?}");
                assert_eq!(ours.total_model_memory, record.total_model_memory);
                assert_eq!(ours.num_batches, record.num_batches);
                assert_eq!(again.bytes, samples * 20_520);
                seen += 1;
            }
        }
        assert!(seen > 100, "{seen} records");
    }
}
