//! HTTP server that fails on purpose, in one of the ways in which stores fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Behaviour of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Answers with this status, and an XML body as S3 writes it.
    Status(u16, &'static str),
    /// Answers this number of requests with 503, and later requests with the body.
    BusyThenOk(usize),
    /// Accepts the request and never answers.
    Hang,
    /// Sends half of the body and disconnects, for this number of requests. Answers later requests with the whole body.
    Truncate(usize),
    /// Sends half of the body and then nothing.
    Stall,
}

/// Body of a successful answer.
pub(crate) const BODY: &[u8] = b"0123456789abcdef";

pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let before = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(socket, fault, before));
            }
        });
        Self { address, requests }
    }

    /// Number of requests so far. Each has its own connection.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn answer(mut socket: TcpStream, fault: Fault, before: usize) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let ok = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"1\"\r\nLast-Modified: Tue, 05 Aug 2025 19:03:04 GMT\r\n\
         Connection: close\r\n\r\n",
        BODY.len()
    );
    // A client that continues after a disconnect requests the rest of the body.
    let rest = String::from_utf8_lossy(&request).to_lowercase();
    let start = rest.split_once("range: bytes=").and_then(|(_, rest)| rest.split('-').next()?.parse().ok());
    let part = start.map(|start: usize| {
        let end = BODY.len();
        format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{end}\r\n\
             ETag: \"1\"\r\nLast-Modified: Tue, 05 Aug 2025 19:03:04 GMT\r\nConnection: close\r\n\r\n",
            end - start,
            end - 1
        )
    });
    let head = part.unwrap_or(ok).into_bytes();
    let body = &BODY[start.unwrap_or(0)..];
    let half = [&head[..], &body[..body.len() / 2]].concat();
    let whole = [&head[..], body].concat();
    let (bytes, pause) = match fault {
        Fault::Status(status, code) => (status_with(status, code), Duration::ZERO),
        Fault::BusyThenOk(times) if before < times => (status_with(503, "SlowDown"), Duration::ZERO),
        Fault::Truncate(times) if before < times => (half, Duration::ZERO),
        Fault::BusyThenOk(_) | Fault::Truncate(_) => (whole, Duration::ZERO),
        Fault::Hang => (Vec::new(), Duration::from_secs(600)),
        Fault::Stall => (half, Duration::from_secs(600)),
    };
    let _ = socket.write_all(&bytes).await;
    tokio::time::sleep(pause).await;
    let _ = socket.shutdown().await;
}

fn status_with(status: u16, code: &str) -> Vec<u8> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>on purpose</Message></Error>");
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}
