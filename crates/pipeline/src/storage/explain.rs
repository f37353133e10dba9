//! Explanation of an error of a store: one line for the user, and the decision to retry.
//!
//! `object_store` does not export its HTTP error types. A status without a variant of its own (429, 500, 503) is
//! therefore read from the message. The tests against a real HTTP server fail if the message changes.

use std::error::Error;
use std::io::ErrorKind;

use object_store::client::{HttpError, HttpErrorKind};

use super::odd_keys::BodyTooLarge;

/// Text that `object_store` writes before the status of a failed request.
const STATUS_MARK: &str = "status code: ";
/// Text that `object_store` writes if the status is a success but the body reports `InternalError` or `SlowDown`.
const ERROR_BODY_MARK: &str = "Server returned error response";
/// Longest part of a store's own message that is repeated, in characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// Returns true if the same request may succeed when it is repeated: after broken connections, timeouts, and the
/// statuses 408, 429 and 5xx (except 501). Returns false if a repetition cannot help: after 403, 404, a failed
/// precondition, a malformed name, a full disk.
pub fn is_transient(error: &object_store::Error) -> bool {
    if !matches!(error, object_store::Error::Generic { .. }) {
        return false;
    }
    if find::<BodyTooLarge>(error).is_some() {
        return false;
    }
    if let Some(status) = status(error) {
        return matches!(status, 408 | 429 | 500 | 502..=599);
    }
    if find::<HttpError>(error).is_some() || error.to_string().contains(ERROR_BODY_MARK) {
        return true;
    }
    find::<std::io::Error>(error).is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::TimedOut
                | ErrorKind::Interrupted
                | ErrorKind::WouldBlock
                | ErrorKind::ResourceBusy
                | ErrorKind::StaleNetworkFileHandle
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
        )
    })
}

/// Explains an error in one line: the store's message and what to try, without the repetitions of `object_store` and
/// the XML of a response body.
pub fn explain(error: &object_store::Error) -> String {
    use object_store::Error as E;
    let message = store_message(error);
    match (error, status(error)) {
        (E::NotFound { .. }, _) | (_, Some(404)) => match message.contains("NoSuchBucket") {
            true => format!("no such bucket ({message}); check its name, AWS_REGION and AWS_PROFILE"),
            false => "there is no such object; check the key".to_owned(),
        },
        (E::PermissionDenied { .. }, _) | (_, Some(403)) => format!(
            "access denied ({message}); check that the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID) are correct and \
             allow this action"
        ),
        (E::Unauthenticated { .. }, _) | (_, Some(401)) => {
            format!("not authenticated ({message}); check the credentials (AWS_PROFILE)")
        }
        (E::AlreadyExists { .. }, _) => "it already exists".to_owned(),
        (E::Precondition { .. } | E::NotModified { .. }, _) => {
            format!("it is no longer the object that was planned ({message}); plan again with `--resume`")
        }
        (E::NotSupported { .. } | E::NotImplemented { .. }, _) => {
            format!("the store does not support this operation: {message}")
        }
        (_, Some(429 | 503)) => format!("the store is overloaded ({message}); try again later, or with fewer workers"),
        (_, Some(300..=399)) => {
            format!("the store redirects the request ({message}); check AWS_REGION and the address")
        }
        (_, Some(500..=599)) => format!("the store failed ({message}); try again later"),
        (_, Some(_)) => format!("the store refused ({message})"),
        (_, None) => explain_without_status(error, message),
    }
}

/// Returns true if creating an object failed only because the store does not support conditional writes.
pub(super) fn cannot_create(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => true,
        // Creating a file needs hard links, which some file systems do not have.
        _ => {
            status(error) == Some(501)
                || find::<std::io::Error>(error).is_some_and(|e| e.kind() == ErrorKind::Unsupported)
        }
    }
}

/// Returns true if a listing failed because a web server cannot list: it answered `PROPFIND` with 404, 405 or 501.
pub(super) fn cannot_list(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) || matches!(status(error), Some(404 | 405 | 501))
}

fn explain_without_status(error: &object_store::Error, message: String) -> String {
    if find::<BodyTooLarge>(error).is_some() {
        return format!("{message} and cannot send parts; download the file and give its path");
    }
    if message.contains("non-partial response") {
        return "the server does not support byte ranges; download the file and give its path".to_owned();
    }
    if message.contains("without LOCATION") {
        return "the bucket is in another region; set AWS_REGION to its region".to_owned();
    }
    match find::<HttpError>(error).map(HttpError::kind) {
        Some(HttpErrorKind::Timeout) => format!("no answer in time ({message}); check the network and the endpoint"),
        Some(HttpErrorKind::Connect) => {
            format!("cannot connect ({message}); check the endpoint (AWS_ENDPOINT_URL) and the network")
        }
        Some(_) => format!("the connection broke off ({message}); try again"),
        None => match find::<std::io::Error>(error).map(std::io::Error::kind) {
            Some(ErrorKind::PermissionDenied) => format!("permission denied ({message})"),
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => format!("no space left ({message})"),
            _ => message,
        },
    }
}

/// Message of the store itself: status, code and message of an HTTP response, or else the innermost cause.
fn store_message(error: &object_store::Error) -> String {
    let text = error.to_string();
    let message = match text.rfind(STATUS_MARK) {
        Some(at) => {
            let (status, body) = split_status(&text[at + STATUS_MARK.len()..]);
            match (tag(body, "Code"), tag(body, "Message")) {
                (Some(code), Some(message)) => format!("{status} {code}: {message}"),
                (Some(code), None) => format!("{status} {code}"),
                _ if body.trim_start().starts_with('<') || body.is_empty() => status.to_owned(),
                _ => format!("{status}: {}", body.trim()),
            }
        }
        None => {
            let mut innermost: &dyn Error = error;
            while let Some(source) = innermost.source() {
                innermost = source;
            }
            innermost.to_string()
        }
    };
    let message: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match message.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

/// Splits `503 Service Unavailable: <body>` into status and body.
fn split_status(text: &str) -> (&str, &str) {
    text.split_once(": ").unwrap_or((text.trim_end_matches(':'), ""))
}

/// HTTP status in the message of an error.
fn status(error: &object_store::Error) -> Option<u16> {
    let text = error.to_string();
    let at = text.find(STATUS_MARK)? + STATUS_MARK.len();
    text.get(at..at + 3)?.parse().ok()
}

/// Text of an XML element in a response body.
fn tag<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0)
}

/// First error of type `T` in the chain of sources.
fn find<T: Error + 'static>(error: &object_store::Error) -> Option<&T> {
    let mut current: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        current = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl Into<Box<dyn Error + Send + Sync>>) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: source.into() }
    }

    #[test]
    fn retries_transient_statuses_only() {
        for (status, expected) in
            [(400, false), (403, false), (408, true), (429, true), (500, true), (501, false), (503, true)]
        {
            let error = generic(format!("Server returned non-2xx status code: {status} Some Words: body"));
            assert_eq!(is_transient(&error), expected, "{status}");
        }
        assert!(!is_transient(&generic("no status at all")));
        assert!(is_transient(&generic(HttpError::new(HttpErrorKind::Timeout, std::fmt::Error))));
    }

    #[test]
    fn full_disks_are_not_transient() {
        assert!(!is_transient(&generic(std::io::Error::from(ErrorKind::StorageFull))));
        assert!(!is_transient(&generic(std::io::Error::from(ErrorKind::PermissionDenied))));
        assert!(is_transient(&generic(std::io::Error::from(ErrorKind::StaleNetworkFileHandle))));
        assert!(explain(&generic(std::io::Error::from(ErrorKind::StorageFull))).starts_with("no space left"));
    }

    #[test]
    fn parses_xml_bodies_and_shortens_long_messages() {
        let body = "<?xml?><Error><Code>SlowDown</Code><Message>Please reduce\n your rate</Message></Error>";
        let error = generic(format!("Server returned non-2xx status code: 503 Service Unavailable: {body}"));
        assert_eq!(
            explain(&error),
            "the store is overloaded (503 Service Unavailable SlowDown: Please reduce your rate); try again later, or \
             with fewer workers"
        );
        let error = generic(format!("Server returned non-2xx status code: 400 Bad Request: {}", "é".repeat(5_000)));
        assert!(explain(&error).chars().count() < MAX_MESSAGE_CHARS + 60);
    }
}
