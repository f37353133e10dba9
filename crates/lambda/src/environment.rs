//! Environment variables of a Lambda function. They are read once, here only.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use astromae::Isa;
use object_store::StaticCredentialProvider;
use object_store::aws::AwsCredential;
use pipeline::storage::{Limits, S3Options, StorageOptions, Warnings};

use crate::fault::Fault;
use crate::log;

/// Memory for which Lambda provides one full processor, in MB.
const MEMORY_MB_PER_CORE: usize = 1_769;
/// Memory of a function if the environment does not state it, in MB.
const DEFAULT_MEMORY_MB: usize = 128;
/// Number of retries of one request to a store. Few, because the state machine retries the whole task.
const RETRIES: usize = 3;
/// Time after which a failed request is not retried.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// Settings of the function, read from environment variables.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Configured memory in MB. Lambda bills by it.
    pub(crate) memory_mb: usize,
    /// Name of the function. It is recorded in plans, so that users can see who claimed a results folder.
    pub(crate) function: String,
    /// Instruction set to use; `None` to detect it.
    isa: Option<String>,
    s3: S3Options,
}

impl Environment {
    /// Reads the environment variables.
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

    /// Options of the stores.
    pub(crate) fn storage(&self) -> StorageOptions {
        let limits = Limits { retries: RETRIES, retry_for: RETRY_FOR, ..Limits::default() };
        let warnings = Warnings::new(log::warning);
        StorageOptions { s3: self.s3.clone(), others: Vec::new(), limits, warnings }
    }

    /// Instruction set to use: the one named by `COSMICAI_ISA`, or the best one that this processor has.
    pub(crate) fn isa(&self) -> Result<Isa, Fault> {
        match &self.isa {
            Some(name) => name.parse().map_err(|error| Fault::bad_setting("COSMICAI_ISA", &error)),
            None => Ok(Isa::detect()),
        }
    }

    /// Number of compute threads: one for each full or partial processor that comes with the configured memory. More
    /// threads would share these processors.
    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.memory_mb.div_ceil(MEMORY_MB_PER_CORE).clamp(1, cores)
    }
}
