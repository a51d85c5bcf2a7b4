//! A simulated vendor that runs beside a test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use rollcall_tests::Place;
use serde_json::Value;

/// A running simulator.
pub(crate) struct Running {
    child: Child,
    announcement: Value,
}

impl Running {
    pub(crate) fn start(place: &Place, arguments: &str) -> Self {
        let mut command = place.call("simulate").args(arguments).args("--listen 127.0.0.1:0").into_command();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, announcement: serde_json::from_str(&line).unwrap() }
    }

    pub(crate) fn base_url(&self) -> &str {
        self.announcement["base_url"].as_str().unwrap()
    }

    /// The source that reaches it, as it was announced.
    pub(crate) fn config_text(&self) -> &str {
        self.announcement["config"].as_str().unwrap()
    }

    pub(crate) fn config(&self) -> toml::Table {
        self.config_text().parse().unwrap()
    }

    /// Sends a request and returns the whole answer, or what kept it from coming.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> std::io::Result<String> {
        let (_, base) = self.base_url().split_once("://").unwrap();
        let base = base.split_once('/').map(|(_, base)| format!("/{base}")).unwrap_or_default();
        self.send_to(&format!("{base}{path}"), method, headers, body)
    }

    /// Sends a request to a path that is not below the base URL.
    pub(crate) fn send_to(&self, path: &str, method: &str, headers: &str, body: &str) -> std::io::Result<String> {
        let host = self.base_url().strip_prefix("http://").unwrap().split('/').next().unwrap();
        let mut stream = TcpStream::connect(host)?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\
             {headers}\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Asks for something with the token that the announced source names.
    pub(crate) fn get(&self, path: &str) -> std::io::Result<String> {
        let config = self.config();
        let file = config["source"][0]["auth"]["token"]["file"].as_str().unwrap();
        let token = std::fs::read_to_string(file).unwrap();
        self.send("GET", path, &format!("Authorization: Bearer {token}\r\n"), "")
    }

    /// Asks the simulator for something that no vendor has.
    #[track_caller]
    pub(crate) fn control(&self, method: &str, path: &str, order: &Value) -> Value {
        let order = if order.is_null() { String::new() } else { order.to_string() };
        json_of(&self.send_to(&format!("/_sim{path}"), method, "", &order).unwrap())
    }

    /// How many records it has sent so far.
    #[track_caller]
    pub(crate) fn served(&self) -> u64 {
        self.control("GET", "/status", &Value::Null)["records_served"].as_u64().unwrap()
    }

    /// Presses Ctrl-C, and returns the exit code.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is gone already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The document of an answer that went well.
#[track_caller]
pub(crate) fn json_of(answer: &str) -> Value {
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}
