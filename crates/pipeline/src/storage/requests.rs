//! Counts the requests to S3 that a future sends, with their times.
//!
//! [`CountRequests`] stands between `object_store` and the HTTP client, so it sees each repetition of a request. The
//! recorder of the current task is a task-local variable: many tasks share one store.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::Method;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use records::report::StoreRequests;

use crate::event::{Stopwatch, unix_seconds};

tokio::task_local! {
    static RECORDER: Arc<Mutex<Option<StoreRequests>>>;
}

/// Runs a future and counts its requests to S3. The count is `None` if there were none.
pub async fn count_requests<F: Future>(future: F) -> (F::Output, Option<StoreRequests>) {
    let recorder = Arc::new(Mutex::new(None));
    let output = RECORDER.scope(recorder.clone(), future).await;
    let counted = *recorder.lock().unwrap_or_else(PoisonError::into_inner);
    (output, counted)
}

/// Requests so far of the future that [`count_requests`] runs.
pub(crate) fn requests_so_far() -> Option<StoreRequests> {
    RECORDER.try_with(|recorder| *recorder.lock().unwrap_or_else(PoisonError::into_inner)).ok().flatten()
}

/// Makes a future that will run as another task count its requests as those of the current one.
pub(crate) fn counted_here<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let recorder = RECORDER.try_with(Arc::clone).ok();
    async move {
        match recorder {
            Some(recorder) => RECORDER.scope(recorder, future).await,
            None => future.await,
        }
    }
}

/// Makes HTTP clients that record requests, around those of another connector.
#[derive(Debug)]
pub(super) struct CountRequests<C>(pub(super) C);

impl<C: HttpConnector> HttpConnector for CountRequests<C> {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Counting(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Counting(HttpClient);

#[async_trait]
impl HttpService for Counting {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let Ok(recorder) = RECORDER.try_with(Arc::clone) else { return self.0.execute(request).await };
        let (reads, writes, others) = match *request.method() {
            Method::GET if lists(request.uri().query()) => (0, 1, 0),
            Method::GET | Method::HEAD => (1, 0, 0),
            Method::PUT | Method::POST => (0, 1, 0),
            _ => (0, 0, 1),
        };
        let (first, watch) = (unix_seconds(), Stopwatch::start());
        let answer = self.0.execute(request).await;
        let seconds = watch.seconds();
        let one = StoreRequests {
            reads,
            writes,
            others,
            seconds,
            min_seconds: seconds,
            max_seconds: seconds,
            first,
            last: first + seconds,
        };
        let mut sum = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = Some(sum.map_or(one, |sum| sum.and(one)));
        answer
    }
}

/// Returns true for the query of a listing.
fn lists(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "list-type=2"))
}

#[cfg(test)]
mod tests {
    use object_store::client::{HttpRequestBody, HttpResponseBody};

    use super::*;

    /// Answers every request after a millisecond, and fails those to `/fails`.
    #[derive(Debug)]
    struct Server;

    #[async_trait]
    impl HttpService for Server {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            if request.uri().path() == "/fails" {
                return Err(HttpError::new(object_store::client::HttpErrorKind::Connect, std::fmt::Error));
            }
            Ok(HttpResponse::new(HttpResponseBody::from(Vec::new())))
        }
    }

    #[derive(Debug)]
    struct ServerConnector;

    impl HttpConnector for ServerConnector {
        fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
            Ok(HttpClient::new(Server))
        }
    }

    async fn send(client: &HttpClient, method: Method, uri: &str) {
        let request = http::Request::builder().method(method).uri(uri).body(HttpRequestBody::empty()).unwrap();
        let _ = client.execute(request).await;
    }

    #[tokio::test]
    async fn counts_the_requests_of_a_future_by_price() {
        let client = CountRequests(ServerConnector).connect(&ClientOptions::new()).unwrap();
        let before = unix_seconds();
        let ((), counted) = count_requests(async {
            assert_eq!(requests_so_far(), None);
            send(&client, Method::GET, "http://s/a").await;
            send(&client, Method::HEAD, "http://s/a").await;
            send(&client, Method::GET, "http://s/fails").await;
            send(&client, Method::GET, "http://s/?list-type=2&prefix=a").await;
            send(&client, Method::PUT, "http://s/a").await;
            send(&client, Method::DELETE, "http://s/a").await;
            assert_eq!(requests_so_far().unwrap().count(), 6);
        })
        .await;
        let counted = counted.unwrap();
        assert_eq!((counted.reads, counted.writes, counted.others), (3, 2, 1));
        assert!(counted.min_seconds >= 0.001 && counted.max_seconds >= counted.min_seconds);
        assert!(counted.seconds >= 6.0 * counted.min_seconds && counted.seconds <= 6.0 * counted.max_seconds);
        assert!(counted.first >= before && counted.last <= unix_seconds() && counted.last - counted.first >= 0.005);
    }

    #[tokio::test]
    async fn futures_count_only_their_own_requests() {
        let client = CountRequests(ServerConnector).connect(&ClientOptions::new()).unwrap();
        let requests = |count| {
            let client = client.clone();
            async move {
                for _ in 0..count {
                    send(&client, Method::GET, "http://s/a").await;
                }
            }
        };
        let spawning = async {
            tokio::spawn(counted_here(requests(2))).await.unwrap();
            tokio::spawn(requests(5)).await.unwrap();
        };
        let (((), two), ((), three), ((), none)) =
            tokio::join!(count_requests(spawning), count_requests(requests(3)), count_requests(async {}));
        assert_eq!((two.unwrap().reads, three.unwrap().reads, none), (2, 3, None));
        requests(1).await;
        tokio::spawn(counted_here(requests(1))).await.unwrap();
    }
}
