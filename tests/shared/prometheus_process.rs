//! A Prometheus process of its own and the two requests it gets, over one kept connection.

use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// 50 ms apart: it is given a minute to start.
const START_TRIES: u32 = 1200;

/// An element of an instant vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Element {
    /// Its value.
    pub value: f64,
}

/// The process; it ends with this.
pub struct Prometheus {
    child: Child,
    port: u16,
    connection: Option<BufReader<TcpStream>>,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts it on a free port of the loopback interface, with an empty configuration, and waits until it is ready.
    pub fn start(folder: &Path) -> Self {
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, "").expect("a scratch file");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let log = std::fs::File::create(folder.join("log")).expect("a scratch file");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus is in the PATH (apt-get install prometheus)");
        let mut own = Prometheus { child, port, connection: None };
        let mut tries = 0;
        while !own.send("GET", "/-/ready", &[], b"").is_ok_and(|(status, _)| status == 200) {
            let ended = own.child.try_wait().expect("a process of ours");
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(ended.is_none() && tries < START_TRIES, "Prometheus does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
            tries += 1;
        }
        own
    }

    /// Writes a compressed request.
    pub fn write(&mut self, body: &[u8]) {
        let headers = [
            ("Content-Encoding", "snappy"),
            ("Content-Type", "application/x-protobuf"),
            ("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ];
        let (status, text) = self.send("POST", "/api/v1/write", &headers, body).expect("Prometheus answers");
        assert!(status == 200 || status == 204, "a write was refused: {status} {text}");
    }

    /// The answer to an instant query at `time`, seconds since the Unix epoch.
    pub fn query(&mut self, query: &str, time: i64) -> Result<Vec<Element>, String> {
        let mut encoded = String::new();
        for byte in query.bytes() {
            let _ = write!(encoded, "%{byte:02X}");
        }
        let target = format!("/api/v1/query?query={encoded}&time={time}");
        let (status, text) = self.send("GET", &target, &[], b"").expect("Prometheus answers");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        if status != 200 {
            return Err(format!("{status}: {}", answer["error"]));
        }
        let result = &answer["data"]["result"];
        let number =
            |element: &Value| element["value"][1].as_str().expect("a number as text").parse().expect("a number");
        match answer["data"]["resultType"].as_str() {
            Some("vector") => {
                Ok(result.as_array().expect("a list").iter().map(|own| Element { value: number(own) }).collect())
            }
            other => Err(format!("found {other:?}, expected a vector")),
        }
    }

    /// One request and its answer: status and body.
    fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<(u16, String)> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(TcpStream::connect(("127.0.0.1", self.port))?),
        };
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        connection.get_mut().write_all(&request)?;
        let answer = read_answer(&mut connection)?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn read_answer(connection: &mut BufReader<TcpStream>) -> std::io::Result<(u16, String)> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| std::io::ErrorKind::InvalidData)?;
        }
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            line.clear();
            connection.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| std::io::ErrorKind::InvalidData)?;
            let mut chunk = vec![0; size + 2];
            connection.read_exact(&mut chunk)?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else {
        body = vec![0; length];
        connection.read_exact(&mut body)?;
    }
    String::from_utf8(body).map(|text| (status, text)).map_err(|_| std::io::ErrorKind::InvalidData.into())
}
