//! The data plane: partitions in storage in.

pub mod partition;
