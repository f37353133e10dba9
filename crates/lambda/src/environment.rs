//! What Lambda tells a function by environment variables. Read here, once, and nowhere else.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use astromae::Isa;
use object_store::StaticCredentialProvider;
use object_store::aws::AwsCredential;
use pipeline::storage::{Limits, S3Options, StorageOptions};

use crate::fault::Fault;

/// Memory that comes with one whole processor, in MB.
const MEMORY_MB_PER_CORE: usize = 1_769;
/// Where Lambda does not say how much memory a function has.
const DEFAULT_MEMORY_MB: usize = 128;
/// Repetitions of one request to a store. The state machine repeats the whole task.
const RETRIES: usize = 3;
/// Time after which a request is not repeated.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// The environment, as far as it matters.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Configured memory, in MB, by which Lambda bills.
    pub(crate) memory_mb: usize,
    /// Name and version of the function, for those who find a run's folder taken.
    pub(crate) function: String,
    isa: Option<String>,
    s3: S3Options,
}

impl Environment {
    pub(crate) fn read() -> Self {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let credential = text("AWS_ACCESS_KEY_ID").zip(text("AWS_SECRET_ACCESS_KEY")).map(|(key_id, secret_key)| {
            let token = text("AWS_SESSION_TOKEN");
            Arc::new(StaticCredentialProvider::new(AwsCredential { key_id, secret_key, token })) as _
        });
        Self {
            memory_mb: text("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
                .and_then(|memory| memory.parse().ok())
                .unwrap_or(DEFAULT_MEMORY_MB),
            function: text("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "lambda".to_owned()),
            isa: text("COSMICAI_ISA"),
            s3: S3Options {
                region: text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION")),
                endpoint: text("AWS_ENDPOINT_URL_S3").or_else(|| text("AWS_ENDPOINT_URL")),
                credentials: credential,
                skip_signature: false,
            },
        }
    }

    pub(crate) fn storage(&self) -> StorageOptions {
        let limits = Limits { retries: RETRIES, retry_for: RETRY_FOR, ..Limits::default() };
        StorageOptions { s3: self.s3.clone(), others: Vec::new(), limits }
    }

    pub(crate) fn isa(&self) -> Result<Isa, Fault> {
        match &self.isa {
            Some(name) => name.parse().map_err(|error| Fault::of_setting("COSMICAI_ISA", &error)),
            None => Ok(Isa::detect()),
        }
    }

    /// Compute threads: one for each processor, or part of one, that the memory pays for. More would only take turns.
    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.memory_mb.div_ceil(MEMORY_MB_PER_CORE).clamp(1, cores)
    }
}
