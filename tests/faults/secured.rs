//! Attacks on TLS, passwords and the file that says what they are.

use std::{io::Write as _, net::TcpStream, thread};

use crate::{
    Fault, fault,
    lab::{MOST_MEMORY, PATIENCE, peak_memory},
    support::{
        certificates::Authority,
        curl::{Got, curl},
        exporter::Exporter,
        exposition::Exposition,
        wait,
    },
};

pub(crate) const FAULTS: &[Fault] = &[
    fault("passwords guessed at full speed", "few are compared; the right one opens at once", password_flood),
    fault("TLS hellos that are noise, cut off or plain HTTP", "others are served", broken_tls),
    fault(
        "a web configuration that is broken, empty or half there",
        "the old one stays in force",
        broken_reload,
    ),
    fault("a certificate and a key that do not belong together", "the old ones are served", wrong_key),
];

const TLS: &str = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";
/// crypt(3)'s bcrypt of `change-me`, of the usual cost.
const USERS: &str =
    "basic_auth_users: {prometheus: $2y$10$gYFeRKecsNO.CWEMF1YjZeMD2bx3yn/PralcY/nIHd3uQl4tmlHNi}\n";
const RIGHT: &str = "prometheus:change-me";

/// An exporter behind TLS and a password.
struct Secured {
    exporter: Exporter,
    authority: Authority,
}

impl Secured {
    fn start() -> Self {
        let authority = Authority::new();
        authority.sign("server", "IP:127.0.0.1");
        let config = authority.write("web.yml", &format!("{TLS}{USERS}"));
        let exporter =
            Exporter::start(&["--no-collector.mysql", "--web.config.file", config.to_str().unwrap()]);
        Self { exporter, authority }
    }

    fn asker(&self) -> Asker {
        let url = format!("https://{}/metrics", self.exporter.address());
        Asker { url, ca: self.authority.path("ca.crt").display().to_string() }
    }

    fn ask(&self, password: &str) -> Got {
        self.asker().ask(password)
    }

    fn page(&self) -> Exposition {
        let got = self.ask(RIGHT);
        assert_eq!(got.status, 200, "{}", got.head);
        Exposition::parse(&got.text())
    }

    /// Waits until so many files were refused; what is in force still opens.
    fn wait_for_failures(&self, wanted: f64) {
        let failure = [("result", "failure")];
        wait::until(PATIENCE, "the file to be refused", || {
            (self.page().value("dbwire_web_config_reloads_total", &failure) == Some(wanted)).then_some(())
        });
        assert_eq!(self.page().value("dbwire_web_config_last_reload_successful", &[]), Some(0.0));
    }

    fn memory(&self) -> String {
        let peak = peak_memory(self.exporter.id());
        assert!(peak <= MOST_MEMORY, "{peak}");
        format!("{} MB at most", peak >> 20)
    }
}

struct Asker {
    url: String,
    ca: String,
}

impl Asker {
    fn ask(&self, password: &str) -> Got {
        curl(&self.url, &["--cacert", &self.ca, "-u", password])
    }
}

fn password_flood() -> String {
    let secured = Secured::start();
    secured.page();
    let asker = &secured.asker();
    let refused = thread::scope(|scope| {
        let guess = |who: &'static str| {
            scope.spawn(move || (0..40).map(|_| asker.ask(who).status).collect::<Vec<_>>())
        };
        let guesses = ["prometheus:a", "root:a", "prometheus:"].map(guess);
        for _ in 0..5 {
            secured.page();
        }
        guesses.map(|guess| guess.join().unwrap()).concat()
    });
    assert!(refused.iter().all(|status| [401, 429].contains(status)), "{refused:?}");
    let compared = refused.iter().filter(|status| **status == 401).count();
    assert!(compared < refused.len(), "all were compared");
    format!("{compared} of {} compared, 5 of 5 pages served, {}", refused.len(), secured.memory())
}

fn broken_tls() -> String {
    let secured = Secured::start();
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut held = Vec::new();
    let starts: [&[u8]; 5] = [
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        &noise,
        // Announces more than comes; all of it announced; a byte.
        b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03",
        b"\x16\x03\x01\xff\xff",
        b"\x16",
    ];
    for start in starts {
        for _ in 0..60 {
            let mut stream = TcpStream::connect(secured.exporter.address()).unwrap();
            let _ = stream.write_all(start);
            held.push(stream);
        }
        secured.page();
    }
    format!("{} connections held open, 5 of 5 pages served, {}", held.len(), secured.memory())
}

fn broken_reload() -> String {
    let secured = Secured::start();
    secured.page();
    let broken = ["", TLS, USERS, "\0\u{1}: [", "basic_auth_users: {prometheus: change-me}\n"];
    for (text, number) in broken.iter().zip(1..) {
        secured.authority.write("web.yml", text);
        secured.wait_for_failures(f64::from(number));
    }
    assert_eq!(secured.ask("prometheus:wrong").status, 401);
    secured.authority.write("web.yml", &format!("{TLS}{USERS}"));
    wait::until(PATIENCE, "the mended file to be read", || {
        (secured.page().value("dbwire_web_config_last_reload_successful", &[]) == Some(1.0)).then_some(())
    });
    format!("{} of {} refused, then mended", broken.len(), broken.len())
}

fn wrong_key() -> String {
    let secured = Secured::start();
    secured.page();
    let other = Authority::new();
    other.sign("server", "IP:127.0.0.1");
    secured.authority.write("server.key", &std::fs::read_to_string(other.path("server.key")).unwrap());
    secured.wait_for_failures(1.0);
    "refused, served on".to_owned()
}
