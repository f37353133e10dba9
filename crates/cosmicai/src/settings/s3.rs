//! Environment variables about S3.

use std::env;

/// Variable with the address of S3 only.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";
/// Variable that, if `true`, ignores all addresses from variables and files.
const IGNORE_ENDPOINTS: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
/// Variable that, if `true`, sends requests without credentials, for public buckets.
const SKIP_SIGNATURE: &str = "AWS_SKIP_SIGNATURE";

/// Variables about S3 that this program reads itself.
#[derive(Debug)]
pub(super) struct Variables {
    /// Address that the user passed for this command; it overrides the environment.
    pub(super) endpoint_of_all: Option<String>,
    /// Address of S3 from the environment.
    pub(super) endpoint: Option<String>,
    /// True if addresses from variables and files are ignored.
    #[cfg(not(feature = "aws"))]
    pub(super) ignore_endpoints: bool,
    /// True if requests are not signed.
    pub(super) skip_signature: bool,
}

impl Variables {
    pub(super) fn from_environment() -> Self {
        let is_true = |name| env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
        let ignore_endpoints = is_true(IGNORE_ENDPOINTS);
        let endpoint = env::var(ENDPOINT).ok().filter(|url| !url.is_empty() && !ignore_endpoints);
        Self {
            endpoint_of_all: None,
            endpoint,
            #[cfg(not(feature = "aws"))]
            ignore_endpoints,
            skip_signature: is_true(SKIP_SIGNATURE),
        }
    }
}
