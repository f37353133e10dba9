//! Checks that requests to a failing store end in bounded time with a clear error, and that only transient errors are
//! retried.

mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use pipeline::storage::{Bucket, StorageError, Stores, count_requests};
use support::faulty::{BODY, Fault, Server};

/// Maximum duration of a request under the limits of these tests.
const BOUND: Duration = Duration::from_secs(5);

async fn bucket(server: &Server) -> Bucket {
    let options = support::s3_options(&server.address, support::short_limits());
    Stores::open("s3", options).unwrap().bucket("sky").unwrap()
}

/// Reads from a server with this fault. Returns the error and the number of requests.
async fn error(fault: Fault) -> (StorageError, usize) {
    let server = Server::start(fault).await;
    let begun = Instant::now();
    let error = bucket(&server).await.read("a b/1.pt", 1_000, "a test").await.unwrap_err();
    assert!(begun.elapsed() < BOUND, "{fault:?} took {:?}", begun.elapsed());
    assert!(error.to_string().starts_with("read `s3://sky/a b/1.pt`: "), "{error}");
    assert!(!error.to_string().contains('\n') && error.to_string().len() < 500, "{error}");
    (error, server.requests())
}

#[tokio::test]
async fn does_not_retry_permanent_errors() {
    for (status, code, expected) in [
        (403, "AccessDenied", "access denied (403 Forbidden AccessDenied: on purpose); check that the credentials"),
        (404, "NoSuchKey", "there is no such object"),
        (404, "NoSuchBucket", "no such bucket (404 Not Found NoSuchBucket: on purpose); check its name"),
        (401, "Unauthorized", "not authenticated (401 Unauthorized Unauthorized: on purpose)"),
        (400, "InvalidArgument", "the store refused (400 Bad Request InvalidArgument: on purpose)"),
        (412, "PreconditionFailed", "it is no longer the object that was planned"),
    ] {
        let (error, requests) = error(Fault::Status(status, code)).await;
        assert!(error.to_string().contains(expected), "{status}: {error}");
        assert!(!error.is_transient(), "{status}: {error}");
        assert_eq!(requests, 1, "{status}");
    }
}

#[tokio::test]
async fn retries_transient_errors_a_limited_number_of_times() {
    for (status, code, expected) in [
        (500, "InternalError", "the store failed (500 Internal Server Error InternalError: on purpose)"),
        (503, "SlowDown", "the store is overloaded (503 Service Unavailable SlowDown: on purpose); try again later"),
        (429, "TooManyRequests", "the store is overloaded (429 Too Many Requests"),
    ] {
        let (error, requests) = error(Fault::Status(status, code)).await;
        assert!(error.to_string().contains(expected), "{status}: {error}");
        assert!(error.is_transient(), "{status}: {error}");
        assert_eq!(requests, 3, "{status}");
    }
}

#[tokio::test]
async fn reads_from_a_store_that_recovers() {
    for fault in [Fault::BusyThenOk(2), Fault::Truncate(1)] {
        let server = Server::start(fault).await;
        let bucket = bucket(&server).await;
        let (read, counted) = count_requests(bucket.read("a b/1.pt", 1_000, "a test")).await;
        assert_eq!(read.unwrap(), BODY, "{fault:?}");
        assert!(server.requests() > 1, "{fault:?}");
        // Each repetition counts, because S3 charges for it.
        assert_eq!(counted.map(|counted| counted.reads as usize), Some(server.requests()), "{fault:?}");
    }
}

#[tokio::test]
async fn gives_up_if_a_store_hangs_or_disconnects() {
    for (fault, expected) in [
        (Fault::Hang, "no answer in time"),
        (Fault::Stall, "in time"),
        (Fault::Truncate(usize::MAX), "the connection broke off"),
    ] {
        let (error, requests) = error(fault).await;
        assert!(error.to_string().contains(expected), "{fault:?}: {error}");
        assert!(error.is_transient(), "{fault:?}: {error}");
        assert!(requests > 1, "{fault:?}: {requests}");
    }
}

#[tokio::test]
async fn reports_a_store_that_cannot_be_reached() {
    // A free port on which nothing listens.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = support::s3_options(&format!("http://{address}"), support::short_limits());
    let bucket = Stores::open("s3", options).unwrap().bucket("sky").unwrap();
    let begun = Instant::now();
    let error = bucket.list("x").await.unwrap_err();
    assert!(begun.elapsed() < BOUND);
    assert!(error.to_string().contains("cannot connect"), "{error}");
    assert!(error.to_string().contains("AWS_ENDPOINT_URL") && error.is_transient(), "{error}");
}

/// Lists, writes, creates and deletes have the same limits as reads.
#[tokio::test]
async fn every_kind_of_request_ends_in_bounded_time() {
    for fault in [Fault::Hang, Fault::Status(503, "SlowDown"), Fault::Status(403, "AccessDenied")] {
        let server = Server::start(fault).await;
        let bucket = bucket(&server).await;
        let begun = Instant::now();
        let (list, write, create, delete, find) = tokio::join!(
            bucket.list("x"),
            bucket.write("x", "1".into()),
            bucket.create("x", "1".into()),
            bucket.delete(vec!["x".into()]),
            bucket.find("x"),
        );
        assert!(begun.elapsed() < BOUND, "{fault:?} took {:?}", begun.elapsed());
        for (what, error) in [
            ("list", list.unwrap_err()),
            ("write", write.unwrap_err()),
            ("write", create.unwrap_err()),
            ("delete", delete.unwrap_err()),
            ("read", find.unwrap_err()),
        ] {
            assert!(error.to_string().starts_with(&format!("{what} `s3://sky/x`: ")), "{fault:?}: {error}");
            let transient = !matches!(fault, Fault::Status(403, _));
            assert_eq!(error.is_transient(), transient, "{fault:?}: {error}");
        }
    }
}
