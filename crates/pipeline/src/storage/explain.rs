//! What a store's error means: whether asking again can help, and one line for a person.
//!
//! `object_store` keeps its HTTP error types to itself, so that a status that has no variant of its own (429, 500, 503)
//! is read from the message. The tests against a real HTTP server fail should that message change.

use std::error::Error;
use std::io::ErrorKind;

use object_store::client::{HttpError, HttpErrorKind};

/// What `object_store` writes before the status of a refused request.
const STATUS_MARK: &str = "status code: ";
/// What it writes where a request succeeded in name but its body says `InternalError` or `SlowDown`.
const ERROR_BODY_MARK: &str = "Server returned error response";
/// The most characters of a store's own words that a message repeats.
const MAX_SAID: usize = 300;

/// Whether the same request may succeed when it is made again: connections that break, time-outs, 408, 429 and 5xx.
/// Not what a repetition cannot change: 403, 404, a precondition, a malformed name, a full disk.
pub fn is_transient(error: &object_store::Error) -> bool {
    if !matches!(error, object_store::Error::Generic { .. }) {
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

/// One line: what the store said and what to try, without `object_store`'s repetitions and without a body's XML.
pub fn explain(error: &object_store::Error) -> String {
    use object_store::Error as E;
    let said = said(error);
    match (error, status(error)) {
        (E::NotFound { .. }, _) | (_, Some(404)) => match said.contains("NoSuchBucket") {
            true => format!("no such bucket ({said}); check its name, and AWS_REGION and AWS_PROFILE"),
            false => "there is no such object; check the key, letter by letter".to_owned(),
        },
        (E::PermissionDenied { .. }, _) | (_, Some(403)) => format!(
            "access denied ({said}); check that the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID) are the right ones \
             and allow it"
        ),
        (E::Unauthenticated { .. }, _) | (_, Some(401)) => {
            format!("not authenticated ({said}); check the credentials (AWS_PROFILE)")
        }
        (E::AlreadyExists { .. }, _) => "it already exists".to_owned(),
        (E::Precondition { .. } | E::NotModified { .. }, _) => {
            format!("it is no longer the object that was planned ({said}); plan again with `--resume`")
        }
        (E::NotSupported { .. } | E::NotImplemented { .. }, _) => format!("this store cannot do that: {said}"),
        (_, Some(429 | 503)) => format!("the store is overloaded ({said}); try again later, or with fewer workers"),
        (_, Some(300..=399)) => format!("the store redirects ({said}); check AWS_REGION and the address"),
        (_, Some(500..=599)) => format!("the store failed ({said}); try again later"),
        (_, Some(_)) => format!("the store refused ({said})"),
        (_, None) => explain_without_status(error, said),
    }
}

/// Whether a refusal to create says only that the store has no such operation.
pub(super) fn cannot_create(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => true,
        // A file system without hard links, which creating is made of.
        _ => {
            status(error) == Some(501)
                || find::<std::io::Error>(error).is_some_and(|e| e.kind() == ErrorKind::Unsupported)
        }
    }
}

fn explain_without_status(error: &object_store::Error, said: String) -> String {
    if said.contains("non-partial response") {
        return "this server does not serve parts of files (byte ranges); download the file and give its path"
            .to_owned();
    }
    if said.contains("without LOCATION") {
        return "the bucket is in another region; set AWS_REGION to its region".to_owned();
    }
    match find::<HttpError>(error).map(HttpError::kind) {
        Some(HttpErrorKind::Timeout) => format!("no answer in time ({said}); check the network and the endpoint"),
        Some(HttpErrorKind::Connect) => {
            format!("cannot connect ({said}); check the endpoint (AWS_ENDPOINT_URL) and the network")
        }
        Some(_) => format!("the connection broke off ({said}); try again"),
        None => match find::<std::io::Error>(error).map(std::io::Error::kind) {
            Some(ErrorKind::PermissionDenied) => format!("permission denied ({said})"),
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => format!("no space left ({said})"),
            _ => said,
        },
    }
}

/// The store's own words: status, code and message of an HTTP answer, else the innermost cause.
fn said(error: &object_store::Error) -> String {
    let text = error.to_string();
    let words = match text.rfind(STATUS_MARK) {
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
    let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MAX_SAID) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// `503 Service Unavailable: <body>` in two.
fn split_status(text: &str) -> (&str, &str) {
    text.split_once(": ").unwrap_or((text.trim_end_matches(':'), ""))
}

fn status(error: &object_store::Error) -> Option<u16> {
    let text = error.to_string();
    let at = text.find(STATUS_MARK)? + STATUS_MARK.len();
    text.get(at..at + 3)?.parse().ok()
}

fn tag<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0)
}

/// The first error of this type among an error's sources.
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
    fn statuses_that_time_can_heal() {
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
    fn disks_are_not_servers() {
        assert!(!is_transient(&generic(std::io::Error::from(ErrorKind::StorageFull))));
        assert!(!is_transient(&generic(std::io::Error::from(ErrorKind::PermissionDenied))));
        assert!(is_transient(&generic(std::io::Error::from(ErrorKind::StaleNetworkFileHandle))));
        assert!(explain(&generic(std::io::Error::from(ErrorKind::StorageFull))).starts_with("no space left"));
    }

    #[test]
    fn xml_is_read_and_long_words_are_cut() {
        let body = "<?xml?><Error><Code>SlowDown</Code><Message>Please reduce\n your rate</Message></Error>";
        let error = generic(format!("Server returned non-2xx status code: 503 Service Unavailable: {body}"));
        assert_eq!(
            explain(&error),
            "the store is overloaded (503 Service Unavailable SlowDown: Please reduce your rate); try again later, or \
             with fewer workers"
        );
        let error = generic(format!("Server returned non-2xx status code: 400 Bad Request: {}", "é".repeat(5_000)));
        assert!(explain(&error).chars().count() < MAX_SAID + 40);
    }
}
