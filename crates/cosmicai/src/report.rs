//! Reports on measured runs: the tables of the CAI study with more columns beside them, figures, changes since a
//! baseline, and the origin of every number; as a web page, Markdown, CSV and JSON.
//!
//! In: runs, files of records and sweeps, which [`gather`] reads and [`row`] groups into rows. Out: [`sheets`] and
//! [`figures`], which [`page`] and [`markdown`] write. Every number is in the files, or `accounting` computes it from
//! them.

pub(crate) mod baseline;
mod document;
pub(crate) mod figures;
pub(crate) mod gather;
mod machines;
pub(crate) mod markdown;
pub(crate) mod page;
pub(crate) mod sheets;

pub(crate) use document::{Facts, Report};
