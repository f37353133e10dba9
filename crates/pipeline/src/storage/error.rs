//! Errors of stores.

use super::explain::{explain, is_transient};

/// Error of a store that cannot be opened, or that failed a request.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The text that names a store is invalid, or the store cannot be opened. No request was sent. Correct the text.
    #[error("store `{location}`: {problem}")]
    Location {
        /// Text that names the store.
        location: String,
        /// Description of the problem and of what to try.
        problem: String,
    },
    /// A store failed a request. The message explains the failure and what to try.
    #[error("{action} `{url}`: {}", explain(error))]
    Request {
        /// Requested action: `list`, `read`, `write` or `delete`.
        action: &'static str,
        /// URL of the object or folder.
        url: String,
        /// Error of the store. Not a `source`, because the message already includes it through [`explain`].
        error: object_store::Error,
    },
    /// An object is larger than the limit for its kind. It was not read.
    #[error("read `{url}`: {bytes} bytes, but {kind} has {limit} at most; is it the right object?")]
    TooLarge {
        /// URL of the object.
        url: String,
        /// Expected kind of the object, such as `a plan`.
        kind: &'static str,
        /// Size in bytes.
        bytes: u64,
        /// Largest size that is read, in bytes.
        limit: u64,
    },
    /// An object does not exist, and its server cannot list folders.
    #[error("`{url}` not found, and the server cannot list folders; check the URL, and name each file")]
    NotListed {
        /// URL of the object or folder.
        url: String,
    },
    /// A folder holds more objects than a listing may have.
    #[error("list `{url}`: more than {limit} objects found; give a narrower prefix")]
    TooMany {
        /// URL of the folder.
        url: String,
        /// Largest number of objects that is listed.
        limit: usize,
    },
}

impl StorageError {
    /// Makes the error for a text that does not name a store or an object.
    pub(super) fn location(location: &str, problem: impl ToString) -> Self {
        Self::Location { location: location.to_owned(), problem: problem.to_string() }
    }

    /// Returns true if the same request may succeed when it is repeated (see [`is_transient`]).
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Request { error, .. } if is_transient(error))
    }

    /// Returns true if the store reported that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotListed { .. } | Self::Request { error: object_store::Error::NotFound { .. }, .. })
    }
}
