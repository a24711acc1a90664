//! Serves one page again and again, as each client likes it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use dbwire_exporter::{metrics::format::Format, web::accept};
use hyper::{HeaderMap, header::HeaderName};
use prometheus::proto::MetricFamily;

/// Ends when the test does.
pub struct PageServer {
    /// `HOST:PORT`.
    pub address: String,
    formats: Arc<Mutex<Vec<Format>>>,
}

impl PageServer {
    /// Serves `families` at any path.
    pub fn start(families: Vec<MetricFamily>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let formats = Arc::default();
        let asked = Arc::clone(&formats);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Who does not wait for the answer does not need it.
                let _ = answer(stream, &families, &asked);
            }
        });
        Self { address, formats }
    }

    /// The formats that were asked for.
    pub fn formats(&self) -> Vec<Format> {
        self.formats.lock().unwrap().clone()
    }
}

fn answer(stream: TcpStream, families: &[MetricFamily], asked: &Mutex<Vec<Format>>) -> std::io::Result<()> {
    let mut headers = HeaderMap::new();
    for line in BufReader::new(&stream).lines().skip(1) {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.append(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    headers.remove("accept-encoding");
    let agreed = accept::negotiate(&headers).expect("something that there is");
    asked.lock().unwrap().push(agreed.format);
    let mut page = Vec::new();
    agreed.format.encode(families.to_vec(), None, &mut page)?;
    let kind = agreed.format.content_type(agreed.escaping);
    let length = page.len();
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    (&stream).write_all(&page)
}
