//! Web servers, as they are: URLs with a query, servers that ignore ranges, and answers without a length.
//!
//! `object_store` reads a file by its path, asks for its length first, and expects ranges to be sent. [`Web`] stands
//! between it and the HTTP client. It restores the query of a URL, and reads a file as a whole if the server cannot send
//! its length or a range of it. The last such files stay in memory, so the ranges of one file cost one request.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, RANGE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService, ReqwestConnector,
};
use object_store::path::Path;
use url::Url;

use super::odd_keys::{BodyTooLarge, read};
use super::warnings::Warnings;

/// Largest file that is read as a whole because its server cannot send parts of it, in bytes.
const MAX_WHOLE_BYTES: usize = 1 << 30;
/// Number of whole files in memory: one that is predicted, and the next one, which is being opened.
const MAX_HELD: usize = 2;

/// Makes HTTP clients for web servers.
#[derive(Debug)]
pub(super) struct WebConnector(pub(super) Warnings);

impl HttpConnector for WebConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Web { client, held: Mutex::default(), warnings: self.0.clone() }))
    }
}

#[derive(Debug)]
struct Web {
    client: HttpClient,
    /// Files read as a whole, the oldest first.
    held: Mutex<VecDeque<Whole>>,
    warnings: Warnings,
}

/// File that was read as a whole. Cheap to clone.
#[derive(Debug, Clone)]
struct Whole {
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
}

#[async_trait]
impl HttpService for Web {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_query = restore_query(request.uri_mut());
        let is_head = request.method() == Method::HEAD;
        if !is_head && request.method() != Method::GET {
            return self.client.execute(request).await;
        }
        let (uri, range) = (request.uri().clone(), request.headers().get(RANGE).cloned());
        if is_head || range.is_some() {
            let version = request.headers().get(IF_MATCH);
            if let Some(whole) =
                self.held(&uri).filter(|whole| version.is_none_or(|v| whole.headers.get(ETAG) == Some(v)))
            {
                return Ok(whole.answer(range.as_ref(), is_head));
            }
        }
        let again = get(&request);
        if !(is_head && is_query) {
            let response = self.client.execute(request).await?;
            let has_length = response.headers().contains_key(CONTENT_LENGTH);
            match response.status() {
                StatusCode::OK if range.is_none() && has_length => return Ok(response),
                StatusCode::OK if !is_head => {
                    if range.is_some() && !is_query {
                        self.warn(&uri);
                    }
                    let whole = self.hold(uri, response).await?;
                    return Ok(whole.answer(range.as_ref(), false));
                }
                // Some servers know only GET, or do not know the length before they have made the file.
                StatusCode::OK | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED if is_head => {}
                _ => return Ok(response),
            }
        }
        let response = self.client.execute(again).await?;
        match response.status() {
            StatusCode::OK => Ok(self.hold(uri, response).await?.answer(None, true)),
            _ => Ok(response),
        }
    }
}

impl Web {
    fn held(&self, uri: &Uri) -> Option<Whole> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().find(|whole| whole.uri == *uri).cloned()
    }

    /// Reads a response to its end, and keeps it for later requests.
    async fn hold(&self, uri: Uri, response: HttpResponse) -> Result<Whole, HttpError> {
        let (parts, body) = response.into_parts();
        let stated = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if stated.is_some_and(|length| length > MAX_WHOLE_BYTES as u64) {
            return Err(HttpError::new(HttpErrorKind::Decode, BodyTooLarge { limit: MAX_WHOLE_BYTES }));
        }
        let bytes = Bytes::from(read(body, MAX_WHOLE_BYTES).await?);
        let mut headers = parts.headers;
        for name in [CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let whole = Whole { uri, headers, bytes };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|other| other.uri != whole.uri);
        held.push_back(whole.clone());
        if held.len() > MAX_HELD {
            held.pop_front();
        }
        Ok(whole)
    }

    fn warn(&self, uri: &Uri) {
        let server = uri.authority().map_or_else(String::new, |authority| authority.host().to_owned());
        self.warnings.warn(format!(
            "warning: the server `{server}` cannot send parts of files; each file is read into memory as a whole, up to \
             {} MB",
            MAX_WHOLE_BYTES >> 20
        ));
    }
}

impl Whole {
    /// Response with the bytes of a range, or without bytes for `HEAD`.
    fn answer(&self, range: Option<&HeaderValue>, is_head: bool) -> HttpResponse {
        let total = self.bytes.len() as u64;
        let mut headers = self.headers.clone();
        let (status, bytes) = match range.map(|range| parse_range(range, total)) {
            None => (StatusCode::OK, self.bytes.clone()),
            Some(None) => (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new()),
            Some(Some(Range { start, end })) => {
                let stated = format!("bytes {start}-{}/{total}", end - 1);
                if let Ok(stated) = HeaderValue::from_str(&stated) {
                    headers.insert(CONTENT_RANGE, stated);
                }
                (StatusCode::PARTIAL_CONTENT, self.bytes.slice(start as usize..end as usize))
            }
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        let body = HttpResponseBody::from(if is_head { Bytes::new() } else { bytes });
        let mut response = HttpResponse::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// The same request with the method GET and without a range.
fn get(request: &HttpRequest) -> HttpRequest {
    let mut again = HttpRequest::new(HttpRequestBody::empty());
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    again.headers_mut().remove(RANGE);
    again
}

/// Restores the `?` that `object_store` encodes as a part of the path. Returns true if the URL has a query.
fn restore_query(uri: &mut Uri) -> bool {
    let Ok(decoded) = Path::from_url_path(uri.path()) else { return false };
    let Some((path, query)) = decoded.as_ref().split_once('?') else { return false };
    let Ok(mut url) = Url::parse(&uri.to_string()) else { return false };
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.clear().extend(path.split('/'));
    }
    url.set_query(Some(query));
    match url.as_str().parse() {
        Ok(restored) => {
            *uri = restored;
            true
        }
        Err(_) => false,
    }
}

/// Range of bytes of a file of `total` bytes that a `Range` header asks for; `None` if it has none of them.
fn parse_range(range: &HeaderValue, total: u64) -> Option<Range<u64>> {
    let (first, last) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", last) => total.saturating_sub(last.parse().ok()?)..total,
        (first, "") => first.parse().ok()?..total,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(total),
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn restored(uri: &str) -> String {
        let mut uri: Uri = uri.parse().unwrap();
        restore_query(&mut uri);
        uri.to_string()
    }

    #[test]
    fn restores_the_query_of_a_url() {
        assert_eq!(restored("http://h:1/a%20b/c%3Fra=1.5&dec=-2%2C3"), "http://h:1/a%20b/c?ra=1.5&dec=-2,3");
        // Escapes that the user wrote reach the server: `%2B` is a plus sign there, `+` is a space.
        assert_eq!(restored("http://h/c%3Fdec=%252B1&name=NGC%201"), "http://h/c?dec=%2B1&name=NGC%201");
        assert_eq!(restored("http://h/c%3Furl=a/b%3Fx"), "http://h/c?url=a/b?x");
        assert_eq!(restored("http://h/a%20b.pt"), "http://h/a%20b.pt");
    }

    #[test]
    fn parses_ranges() {
        let range = |text: &str, total| parse_range(&HeaderValue::from_str(text).unwrap(), total);
        assert_eq!(range("bytes=0-4", 10), Some(0..5));
        assert_eq!(range("bytes=5-99", 10), Some(5..10));
        assert_eq!(range("bytes=7-", 10), Some(7..10));
        assert_eq!(range("bytes=-3", 10), Some(7..10));
        assert_eq!(range("bytes=-30", 10), Some(0..10));
        for none in ["bytes=10-12", "bytes=5-4", "bytes=", "bytes=-", "bytes=-0", "lines=1-2", "bytes=a-b"] {
            assert_eq!(range(none, 10), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn ranges_stay_in_the_file(text in "bytes=[0-9]{0,21}-[0-9]{0,21}", total in 0_u64..50) {
            if let Some(range) = parse_range(&HeaderValue::from_str(&text).unwrap(), total) {
                prop_assert!(range.start < range.end && range.end <= total);
            }
        }
    }
}
