//! Storage: buckets in a folder of this machine, in S3, or in any store that a URL names.
//!
//! [`Stores::open`] takes the text that a user gave (`--store DIR`, `s3`, `gs://`, a URL) and [`StorageOptions`], which
//! the caller read from its settings. The result opens [`Bucket`]s. This crate lists, reads and writes objects through
//! [`Bucket`] only. Never here: the environment, and guesses about credentials.

mod bucket;
mod content;
mod error;
mod explain;
mod listing;
#[cfg(not(feature = "everywhere"))]
mod no_other_stores;
mod odd_keys;
mod open;
mod options;
#[cfg(feature = "everywhere")]
mod other_stores;
mod requests;
mod stores;
mod tls;
mod warnings;
#[cfg(feature = "everywhere")]
mod web;

pub use bucket::{Bucket, MAX_OBJECTS, StoredObject};
pub(crate) use content::Content;
pub use error::StorageError;
pub use explain::{explain, is_transient};
pub use open::reject_password;
pub use options::{Limits, S3Options, StorageOptions};
pub use requests::count_requests;
pub(crate) use requests::{counted_here, requests_so_far};
pub use stores::Stores;
pub use tls::choose_tls;
pub use warnings::Warnings;
