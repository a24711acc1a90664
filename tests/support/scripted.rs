//! A netlink that answers by a script.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dbwire_exporter::io::netlink::{Dumper, Transport};

/// What to do with one request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Nothing can be opened.
    NoSocket(i32),
    /// `recv` fails.
    ReceiveFails(i32),
    /// One datagram of these messages: type, flags, payload.
    Messages(Vec<(u16, u16, Vec<u8>)>),
    /// A datagram longer than any buffer.
    TooLong,
}

impl Answer {
    /// An orderly dump without sockets.
    pub(crate) fn empty() -> Self {
        Self::Messages(vec![(3, 2, vec![0; 4])])
    }
}

/// A dumper whose requests are answered by `script`, in order; after its end, by its last answer. Also how many
/// requests it got.
pub(crate) fn dumper(script: Vec<Answer>) -> (Dumper, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let script = Arc::new((script, Arc::clone(&requests)));
    let open = move || -> io::Result<Box<dyn Transport>> {
        let scripted = Scripted { script: Arc::clone(&script), sequence: [0; 4], replies: VecDeque::new() };
        if let Answer::NoSocket(errno) = scripted.answer() {
            script.1.fetch_add(1, Ordering::Relaxed);
            return Err(io::Error::from_raw_os_error(errno));
        }
        Ok(Box::new(scripted))
    };
    (Dumper::new(Box::new(open)), requests)
}

struct Scripted {
    script: Arc<(Vec<Answer>, Arc<AtomicUsize>)>,
    sequence: [u8; 4],
    replies: VecDeque<Answer>,
}

impl Scripted {
    fn answer(&self) -> Answer {
        let (answers, requests) = &*self.script;
        answers[requests.load(Ordering::Relaxed).min(answers.len() - 1)].clone()
    }
}

impl Transport for Scripted {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.sequence.copy_from_slice(&request[8..12]);
        self.replies.push_back(self.answer());
        self.script.1.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.replies.pop_front().expect("a receive without a request") {
            Answer::NoSocket(errno) | Answer::ReceiveFails(errno) => Err(io::Error::from_raw_os_error(errno)),
            Answer::TooLong => Ok(buffer.len() + 1),
            Answer::Messages(messages) => {
                let mut bytes = Vec::new();
                for (kind, flags, payload) in messages {
                    bytes.extend((16 + payload.len() as u32).to_ne_bytes());
                    bytes.extend(kind.to_ne_bytes());
                    bytes.extend(flags.to_ne_bytes());
                    bytes.extend(self.sequence);
                    bytes.extend([0; 4]);
                    bytes.extend(payload);
                }
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
        }
    }
}
