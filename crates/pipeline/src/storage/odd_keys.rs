//! Keys that `object_store` cannot represent: `d//2.pt`, `./x`, a tab in a name, a leading slash.
//!
//! `object_store` fails a whole listing for one such key. [`MarkOddKeys`] stands between it and the HTTP client, and
//! replaces each odd part of a key in the pages of a listing by a marked part, which `object_store` accepts. The listing
//! of a bucket then finds the marked keys and names them.

use async_trait::async_trait;
use futures::TryStreamExt;
use http::Method;
use http::header::CONTENT_LENGTH;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};
use object_store::path::Path;
use quick_xml::escape::{escape, unescape};

/// First character of a marked part. It is for private use, so the name of a real object does not begin with it.
const MARK: char = '\u{10fffd}';
/// Largest page of a listing, in bytes: 5,000 keys of 1,024 bytes, each in at most six characters, with properties.
const MAX_PAGE_BYTES: usize = 64 << 20;

/// Makes HTTP clients that mark odd keys in listings.
#[derive(Debug)]
pub(super) struct MarkOddKeys;

impl HttpConnector for MarkOddKeys {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Marking(ReqwestConnector::default().connect(options)?)))
    }
}

#[derive(Debug)]
struct Marking(HttpClient);

#[async_trait]
impl HttpService for Marking {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let element = match request.uri().query() {
            Some(query) if request.method() == Method::GET => element_of_keys(query),
            _ => None,
        };
        let response = self.0.execute(request).await?;
        let Some(element) = element.filter(|_| response.status().is_success()) else { return Ok(response) };
        let (mut parts, body) = response.into_parts();
        let page = read(body, MAX_PAGE_BYTES).await?;
        parts.headers.remove(CONTENT_LENGTH);
        let marked = match std::str::from_utf8(&page) {
            Ok(text) => mark_page(text, element).into(),
            Err(_) => HttpResponseBody::from(page),
        };
        Ok(HttpResponse::from_parts(parts, marked))
    }
}

/// XML element that holds a key in the answer to a query; `None` if the query does not list objects.
fn element_of_keys(query: &str) -> Option<&'static str> {
    let has = |wanted: &str| query.split('&').any(|pair| pair == wanted);
    if has("list-type=2") {
        return Some("Key");
    }
    has("comp=list").then_some("Name")
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(body: HttpResponseBody, limit: usize) -> Result<Vec<u8>, HttpError> {
    let mut all = Vec::new();
    let mut pieces = body.bytes_stream();
    while let Some(piece) = pieces.try_next().await? {
        if all.len() + piece.len() > limit {
            return Err(HttpError::new(HttpErrorKind::Decode, BodyTooLarge { limit }));
        }
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// Error for a response that is larger than its limit. It was not read to its end.
#[derive(Debug, thiserror::Error)]
#[error("the server sent more than {limit} bytes")]
pub(super) struct BodyTooLarge {
    /// Largest size of the body, in bytes.
    pub(super) limit: usize,
}

/// Marks the odd keys in a page of a listing. The text of an element never holds `<`, so the page needs no XML parser.
fn mark_page(page: &str, element: &str) -> String {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    let mut marked = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(&start) {
        marked.extend([before, &start]);
        rest = after;
        let Some(at) = after.find(&end) else { break };
        match unescape(&after[..at]).ok().and_then(|key| mark(&key)) {
            Some(key) => marked += &escape(&key),
            None => marked += &after[..at],
        }
        rest = &after[at..];
    }
    marked + rest
}

/// Marks the odd parts of a key; `None` if it has none.
fn mark(key: &str) -> Option<String> {
    // `object_store` drops a slash at the start, and then means another object.
    let is_plain = Path::parse(key).is_ok_and(|path| path.as_ref() == key.strip_suffix('/').unwrap_or(key));
    if is_plain {
        return None;
    }
    let part = |part: &str| match Path::parse(part) {
        Ok(path) if !part.is_empty() && path.as_ref() == part => part.to_owned(),
        _ => format!("{MARK}{}", part.escape_debug()),
    };
    Some(key.split('/').map(part).collect::<Vec<_>>().join("/"))
}

/// Original key of a marked key, with escapes for control characters; `None` if the key is not marked.
pub(super) fn unmark(key: &str) -> Option<String> {
    key.contains(MARK).then(|| key.replace(MARK, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_only_odd_parts_of_odd_keys() {
        for plain in ["d/1.pt", "d/", "a b/é%2F&<>.pt", "...", "a\\b"] {
            assert_eq!(mark(plain), None, "{plain}");
        }
        for (odd, shown) in [
            ("d//2.pt", "d//2.pt"),
            ("./x", "./x"),
            ("d/../x", "d/../x"),
            ("/x", "/x"),
            ("d//", "d//"),
            ("a\tb/1.pt", "a\\tb/1.pt"),
            ("\u{1}", "\\u{1}"),
        ] {
            let marked = mark(odd).unwrap();
            assert_eq!(Path::parse(&marked).unwrap().as_ref(), marked, "{odd}");
            assert_eq!(unmark(&marked).as_deref(), Some(shown));
        }
    }

    #[test]
    fn marks_keys_in_pages_and_keeps_the_rest() {
        let page = "<ListBucketResult><Name>a//b</Name><Contents><Key>d/1&amp;.pt</Key><Size>1</Size></Contents>\
                    <Contents><Key>d//2&lt;.pt</Key></Contents><Contents><Key>d/a&#9;b</Key></Contents></ListBucketResult>";
        let marked = mark_page(page, "Key");
        assert!(marked.contains("<Name>a//b</Name>") && marked.contains("<Key>d/1&amp;.pt</Key>"), "{marked}");
        assert!(marked.contains(&format!("<Key>d/{MARK}/2&lt;.pt</Key>")), "{marked}");
        assert!(marked.contains(&format!("<Key>d/{MARK}a\\tb</Key>")), "{marked}");
        assert_eq!(mark_page("<Key>never ends", "Key"), "<Key>never ends");
    }

    proptest! {
        #[test]
        fn marked_keys_are_keys(key in "[a./\\t\\u{1}&<é]{1,12}") {
            if let Some(marked) = mark(&key) {
                let path = Path::parse(&marked).unwrap();
                prop_assert_eq!(path.as_ref(), &marked);
                prop_assert!(unmark(&marked).is_some());
            } else {
                let path = Path::parse(&key).unwrap();
                prop_assert_eq!(path.as_ref(), key.strip_suffix('/').unwrap_or(&key));
            }
        }

        #[test]
        fn pages_without_odd_keys_stay_as_they_are(page in "(<Key>[a-z/]{1,3}</Key>|<|Key>|[a-z&;]){0,20}") {
            let marked = mark_page(&page, "Key");
            prop_assert!(unmark(&marked).is_some() || marked == page);
        }
    }
}
