//! What the caller decides about storage: credentials, region, endpoint, and how long to wait for whom.
//!
//! Never here: the environment. `cosmicai::settings` and the Lambda worker fill these in.

use std::time::Duration;

use object_store::aws::AwsCredentialProvider;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

/// Seconds to wait for a connection.
const CONNECT_SECONDS: u64 = 5;
/// Seconds without a byte after which an answer is given up. An upload has this long to reach the store.
const READ_SECONDS: u64 = 30;
/// Seconds one request may take from start to end: what a slow line needs for a model of 64 MB.
const REQUEST_SECONDS: u64 = 300;
/// How often one request is made again.
const RETRIES: usize = 5;
/// Seconds after which a failed request is not made again.
const RETRY_SECONDS: u64 = 60;
/// Milliseconds before the first repetition; each later one waits about twice as long.
const BACKOFF_FIRST_MS: u64 = 100;
/// The longest wait between two repetitions, in seconds.
const BACKOFF_MAX_SECONDS: u64 = 10;

/// Everything about storage that this crate cannot know by itself.
#[derive(Debug, Clone, Default)]
pub struct StorageOptions {
    /// How to reach S3.
    pub s3: S3Options,
    /// Options of other stores, by `object_store`'s names (`azure_storage_account_name`, `google_service_account`, …).
    /// A name that a store does not know is passed over.
    pub others: Vec<(String, String)>,
    /// How long to wait, how often to try.
    pub limits: Limits,
}

/// How to reach S3, or a store that speaks its protocol.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// Region; `us-east-1` where none is known.
    pub region: Option<String>,
    /// Address of a store other than AWS. Buckets are then addressed by path, and plain `http` is allowed exactly when
    /// this address begins with `http:`.
    pub endpoint: Option<String>,
    /// Where credentials come from. None: the machine's own role, asked for by `object_store`.
    pub credentials: Option<AwsCredentialProvider>,
    /// Send unsigned requests, for public buckets.
    pub skip_signature: bool,
}

/// How long one request may take. A store that hangs or fails is given up after about `retry_for + read`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Wait for a connection.
    pub connect: Duration,
    /// Wait for the next bytes of an answer.
    pub read: Duration,
    /// One request from start to end.
    pub request: Duration,
    /// Repetitions of one request.
    pub retries: usize,
    /// Time after which a request is not repeated.
    pub retry_for: Duration,
    /// Wait before the first repetition.
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

    pub(super) fn client(&self) -> ClientOptions {
        ClientOptions::new().with_connect_timeout(self.connect).with_read_timeout(self.read).with_timeout(self.request)
    }
}
