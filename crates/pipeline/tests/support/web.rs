//! Small web server, whose answers a function makes.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Head of a request: method, target and all headers in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: String,
}

/// Answer: status, additional header lines, body. Without `Content-Length` among the lines, the body is chunked.
pub(crate) struct Answer(pub(crate) u16, pub(crate) Vec<String>, pub(crate) Vec<u8>);

impl Answer {
    /// Answer with the length of its body.
    pub(crate) fn whole(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self(status, vec![format!("Content-Length: {}", body.len())], body)
    }
}

pub(crate) struct WebServer {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl WebServer {
    pub(crate) async fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), requests.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, answer.clone(), seen.clone()));
            }
        });
        Self { address, requests }
    }

    /// Requests so far, as `METHOD target`.
    pub(crate) fn seen(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }
}

async fn serve(mut socket: TcpStream, answer: Arc<impl Fn(&Request) -> Answer>, seen: Arc<Mutex<Vec<Request>>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap();
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let request = Request { method, target, headers: headers.to_lowercase() };
    seen.lock().unwrap().push(request.clone());
    let Answer(status, mut lines, body) = answer(&request);
    let has_length = lines.iter().any(|line| line.starts_with("Content-Length"));
    let body = match (request.method.as_str(), has_length) {
        ("HEAD", _) => Vec::new(),
        (_, true) => body,
        (_, false) => {
            lines.push("Transfer-Encoding: chunked".to_owned());
            [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat()
        }
    };
    lines.push("Connection: close".to_owned());
    let head = format!("HTTP/1.1 {status} X\r\n{}\r\n\r\n", lines.join("\r\n"));
    let _ = socket.write_all(&[head.as_bytes(), &body].concat()).await;
    let _ = socket.shutdown().await;
}
