//! Options of storage that the caller sets: credentials, region, endpoint, timeouts and retries.
//!
//! Never here: the environment. `cosmicai::settings` and the Lambda worker set these options.

use std::time::Duration;

use object_store::aws::AwsCredentialProvider;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::warnings::Warnings;

/// Timeout for a connection, in seconds.
const CONNECT_SECONDS: u64 = 5;
/// Timeout for the next byte of a response, in seconds. It also limits an upload, which must reach the store within it.
const READ_SECONDS: u64 = 30;
/// Timeout for one request from start to end, in seconds. A slow connection needs it for a model of 64 MB.
const REQUEST_SECONDS: u64 = 300;
/// Number of retries of one request.
const RETRIES: usize = 5;
/// Time after which a failed request is not retried, in seconds.
const RETRY_SECONDS: u64 = 60;
/// Wait before the first retry, in milliseconds. Each later wait is about twice as long.
const BACKOFF_FIRST_MS: u64 = 100;
/// Longest wait between two retries, in seconds.
const BACKOFF_MAX_SECONDS: u64 = 10;

/// Options of storage.
#[derive(Debug, Clone, Default)]
pub struct StorageOptions {
    /// Options of S3.
    pub s3: S3Options,
    /// Options of other stores by their names in `object_store` (`azure_storage_account_name`,
    /// `google_service_account`, …). A store ignores names that it does not know.
    pub others: Vec<(String, String)>,
    /// Timeouts and retries.
    pub limits: Limits,
    /// Receiver of warnings, such as the names of objects that a listing passes over.
    pub warnings: Warnings,
}

/// Options of S3, or of another store with the same protocol.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// Region; `None` for `us-east-1`.
    pub region: Option<String>,
    /// Address of a store other than AWS; `None` for AWS. With an address, buckets are addressed by path, and
    /// unencrypted `http` is allowed if the address starts with `http:`.
    pub endpoint: Option<String>,
    /// Source of credentials; `None` for the role of the machine, which `object_store` requests.
    pub credentials: Option<AwsCredentialProvider>,
    /// Send unsigned requests, for public buckets.
    pub skip_signature: bool,
}

/// Timeouts and retries of one request. A request to a store that hangs or fails ends after about `retry_for + read`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Timeout for a connection.
    pub connect: Duration,
    /// Timeout for the next bytes of a response.
    pub read: Duration,
    /// Timeout for one request from start to end.
    pub request: Duration,
    /// Number of retries of one request.
    pub retries: usize,
    /// Time after which a failed request is not retried.
    pub retry_for: Duration,
    /// Wait before the first retry.
    pub backoff: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(CONNECT_SECONDS),
            read: Duration::from_secs(READ_SECONDS),
            request: Duration::from_secs(REQUEST_SECONDS),
            retries: RETRIES,
            retry_for: Duration::from_secs(RETRY_SECONDS),
            backoff: Duration::from_millis(BACKOFF_FIRST_MS),
        }
    }
}

impl Limits {
    /// Retry configuration for `object_store`.
    pub(super) fn retry(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: self.backoff,
                max_backoff: Duration::from_secs(BACKOFF_MAX_SECONDS).max(self.backoff),
                base: 2.0,
            },
            max_retries: self.retries,
            retry_timeout: self.retry_for,
        }
    }

    /// HTTP client configuration for `object_store`.
    pub(super) fn client(&self) -> ClientOptions {
        ClientOptions::new().with_connect_timeout(self.connect).with_read_timeout(self.read).with_timeout(self.request)
    }
}
