//! Comparison of measured runs: one row for each setting, with statistics over its repeats, and changes since an earlier
//! comparison.

pub mod changes;
pub mod machine_kinds;
pub mod row;
