//! Time and cost of runs: what measured runs took and cost, errors in their records, and forecasts of runs to come.
//!
//! Input: records and reports of runs ([`measured`]), prices ([`prices`]), and assumptions for values that were not
//! measured ([`assumptions`]). Output: the figures of the CAI study by its own formulas ([`study`]), an itemised bill
//! ([`bill`]), the bill of a run that is still going ([`running_bill`](mod@running_bill)), throughput in three
//! definitions ([`throughput`](mod@throughput)), errors in records ([`audit`](mod@audit)), comparisons of runs
//! ([`comparison`]), and forecasts ([`forecast`]). Every function is pure: its result depends on its arguments only.
//!
//! "The study" in this crate is the CAI study (Staylor et al., *Scalable Cosmic AI Inference using Cloud Serverless
//! Computing*, [arXiv:2501.06249](https://arxiv.org/abs/2501.06249), IJHPCA,
//! [doi:10.1177/10943420251399942](https://doi.org/10.1177/10943420251399942)), whose format of records cosmicai reads
//! and writes.
//!
//! Not in this crate: storage, the terminal, the clock, unseeded random numbers, cloud SDKs.
//!
//! # Example
//!
//! Read the record of a worker on Lambda, and compute the bill of the run:
//!
//! ```
//! use accounting::assumptions::Assumptions;
//! use accounting::bill::{Bill, BillTerms};
//! use accounting::measured::{MeasuredRun, Stated};
//! use accounting::prices::Prices;
//! use accounting::record;
//!
//! let json = br#"[{
//!     "total_cpu_time (seconds)": 6.0,
//!     "throughput_bps": 34952533,
//!     "result_path": "results/",
//!     "data_path": "25MB/1.pt"
//! }]"#;
//! let records = record::parse(json)?;
//! let run = MeasuredRun { name: "example".into(), records, written: Vec::new(), report: None, plan: None, stated: Stated::default() };
//!
//! let (prices, assumptions) = (Prices::default(), Assumptions::of_study());
//! let bill = Bill::of(&run, BillTerms { prices: &prices, assumptions: &assumptions, free_tier: false });
//! assert_eq!(bill.lines[0].what, "Lambda, configured memory × billed time, x86_64");
//! assert!((bill.total_usd - 0.002538).abs() < 1e-6, "{} USD", bill.total_usd);
//! # Ok::<(), accounting::record::RecordError>(())
//! ```

pub mod assumptions;
pub mod audit;
pub mod bill;
pub mod comparison;
pub mod forecast;
pub mod measured;
pub mod prices;
pub mod record;
pub mod running_bill;
pub mod s3_requests;
pub mod statistics;
pub mod study;
pub mod throughput;

#[cfg(test)]
#[path = "../../../tests/reference_data.rs"]
mod reference_data;

/// Size of one object in bytes: an image of 5×32×32 float32 and 5 magnitudes in float64.
pub const SAMPLE_BYTES: f64 = 20_520.0;
/// Bytes in a binary MB.
pub(crate) const MB: f64 = 1_048_576.0;
/// Binary MB in a binary GB.
pub const MB_PER_GB: f64 = 1_024.0;
